"""The end of a rollout in Git: its verdict in the record, after an abort the way back proposed."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from preflight import release
from preflight.delivery import gitops, judge, overlay
from preflight.delivery.gitops import Change
from preflight.delivery.judge import LONGEST, line
from preflight.delivery.proposal import Proposal, proposed
from preflight.deploy import rollback, rollback_commit
from preflight.errors import NoData, Problem
from preflight.release import PLACE, Release, Rollout

Ended = Literal["promoted", "aborted"]


@dataclass(frozen=True)
class End:
    """How which release's rollout ended, as told.

    `judge` is the address to ask once more: without a query the first release's alone, which had
    no other to be compared with.
    """

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
    ended = Rollout(verdict=end.verdict, at=at, reason=line(_reason(tree, end, now)))
    text = overlay.text(now.model_copy(update={"rollout": ended}))
    message = f"Settle {now.id} in {end.environment}: {end.verdict}\n\n{ended.reason or ''}".strip()
    return Change(message, {place: text.encode()})


def _reason(tree: Path, end: End, now: Release) -> str | None:
    """The judge's sentence, else what was told; raises as `settle` does."""
    if end.judge is None:
        return end.reason
    if not urlsplit(end.judge).query:
        return _unasked(tree, end)
    if end.verdict == "promoted":
        return judge.promoting(tree, now, end.judge)
    try:
        said = judge.ask(tree, end.environment, end.judge)
    except NoData:  # a fact, whoever can see its reason
        return end.reason or "aborted; the judge gave no answer"
    return said.reason if said.result == "abort" else end.reason or said.reason


def _unasked(tree: Path, end: End) -> str:
    """Before a first promotion there is nothing to compare with; later there is: Problem."""
    if before := release.promoted(tree, end.environment, "HEAD"):
        found, expected = "no question", f"one that compares it with {before.id}"
        remedy = "Nothing was written; look at the rollout, and tell the hashes of both."
        raise Problem("--judge", found, expected, remedy)
    return end.reason or "the first release: there was none to compare it with"


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
