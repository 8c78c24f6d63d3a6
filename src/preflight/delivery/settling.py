"""The end of a rollout in Git: its verdict in the record, after an abort the way back proposed."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from preflight import release
from preflight.delivery import gitops, judge, overlay
from preflight.delivery.gitops import Change
from preflight.delivery.proposal import Proposal, proposed
from preflight.deploy import rollback, rollback_commit
from preflight.errors import NoData, Problem
from preflight.release import PLACE, Release, Rollout

Ended = Literal["promoted", "aborted"]
LONGEST = 600  # characters of a reason


@dataclass(frozen=True)
class End:
    """How which release's rollout ended, as told; `judge` is the address to ask once more."""

    environment: str
    release: str
    verdict: Ended
    reason: str | None = None
    judge: str | None = None


def settle(root: Path, end: End, environ: Mapping[str, str]) -> Iterator[str]:
    """Write a verdict into the record, and after an abort propose the way back; says what is done.

    Of another release than the current one nothing is written, and a verdict that is there already
    is not written again. Raises Problem for one that contradicts it, and for a promotion that the
    judge does not stand for; NoData where it cannot see.
    """
    told: list[str] = []
    made = gitops.pushed(root, lambda tree: _change(tree, end, told))
    yield f"commit {made[:12]}: {end.release} {end.verdict}" if made else told[-1]
    with gitops.top(root) as tree:
        now = release.current(tree, end.environment)
        if end.verdict == "aborted" and now and now.id == end.release:
            yield _revert(root, tree, now, environ)


def _change(tree: Path, end: End, told: list[str]) -> Change | None:
    """The record with its verdict; None, and why, where there is nothing to write."""
    overlay.require_environment(tree, end.environment)
    now = release.current(tree, end.environment)
    if now is None or now.id != end.release:
        there = now.id if now else "none"
        told.append(f"{end.environment}: {end.release} is not current ({there} is): not written")
        return None
    if now.rollout.verdict == end.verdict:
        told.append(f"{end.environment}: {end.release} is {end.verdict} already")
        return None
    place = PLACE.format(environment=end.environment)
    if now.rollout.verdict != "pending":
        remedy = "Nothing was written; a release that is to go is gone back from by a rollback."
        raise Problem(f"{place}: {now.id}", now.rollout.verdict, "pending", remedy)
    at = datetime.now(UTC).replace(microsecond=0)
    ended = Rollout(verdict=end.verdict, at=at, reason=_line(_reason(tree, end)))
    text = overlay.text(now.model_copy(update={"rollout": ended}))
    message = f"Settle {now.id} in {end.environment}: {end.verdict}\n\n{ended.reason or ''}".strip()
    return Change(message, {place: text.encode()})


def _reason(tree: Path, end: End) -> str | None:
    """The judge's sentence, else what was told; raises as `settle` does."""
    if end.judge is None:
        return end.reason
    try:
        said = judge.ask(tree, end.environment, end.judge)
    except NoData:
        if end.verdict == "aborted":  # a fact, whoever can see its reason
            return end.reason or "aborted; the judge gave no answer"
        raise
    if end.verdict == "aborted":
        return said.reason if said.result == "abort" else end.reason or said.reason
    _require_stands(end, said)
    return said.reason


def _require_stands(end: End, said: judge.Said) -> None:
    where, expected = f"the judge of {end.release}", "a verdict that bears a promotion"
    if said.at is None:
        raise NoData(where, f"no data: {_line(said.reason)}", expected, judge.REMEDY)
    if said.result == "abort":
        remedy = "Nothing was written; look at the rollout before anything else."
        raise Problem(where, f"abort: {_line(said.reason)}", expected, remedy)


def _revert(root: Path, tree: Path, now: Release, environ: Mapping[str, str]) -> str:
    """Propose the last promoted release's files again; says what was done."""
    environment = now.environment
    if release.promoted(tree, environment, "HEAD") is None:
        return f"{environment}: no release was promoted before {now.id}: nothing to go back to"
    plan, why = rollback.chosen(tree, environment), now.rollout.reason or "its rollout was aborted"
    rollback_commit.require_ready(tree, plan)
    made = rollback_commit.rolled_back(tree, plan, why, "preflight")
    title = f"Go back to {plan.to.release.id} in {environment}"
    body = (
        f"The rollout of {now.id} was aborted. Argo Rollouts sends all traffic to what was stable; "
        f"this makes Git say so too.\n\n> {_quoted(why)}\n"
    )
    return proposed(root, made, Proposal(f"revert/{environment}/{now.id}", title, body), environ)


def _quoted(text: str) -> str:
    from preflight.report import escape

    return escape.text(text, LONGEST)


def _line(text: str | None) -> str | None:
    """One printable line of at most 600 characters; None for nothing."""
    if not text:
        return None
    found = "".join(each if each.isprintable() else " " for each in text)
    return " ".join(found.split())[:LONGEST] or None
