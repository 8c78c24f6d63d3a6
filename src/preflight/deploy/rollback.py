"""Which release a rollback goes back to: one that is named, or the one promoted before."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import takewhile
from pathlib import Path

from preflight import release
from preflight.deploy import change, checkout
from preflight.deploy.tree import environments
from preflight.errors import Problem
from preflight.release import EVIDENCE, OVERLAYS, PLACE, RENDERED, Recorded, Release, Unreadable
from preflight.workspace import run

SHOWN = 10  # releases that an error lists
SHORT = 7  # least digits of a commit
FEW = 4  # digits that somebody may have taken for enough; fewer are of a version
TOLD = "%ct%x00%an%x00%s%x00%(trailers:key=By,valueonly)%x00%(trailers:key=Reason,valueonly)"


@dataclass(frozen=True)
class Rollback:
    """From which release of an environment to which earlier one, as a commit holds that.

    `now` is a Problem where the current record cannot be read; `known` are all that can, newest
    first.
    """

    environment: str
    now: Release | Problem
    to: Recorded
    known: tuple[Recorded, ...]

    @property
    def places(self) -> tuple[str, str, str]:
        """The files that it touches, relative to the checkout: record, rendered file, evidence."""
        record, rendered, evidence = (
            each.format(environment=self.environment) for each in (PLACE, RENDERED, EVIDENCE)
        )
        return record, rendered, evidence


def chosen(root: Path, environment: str, to: str | None = None, option: str = "--to") -> Rollback:
    """The way back to `to`: a release id, model version or commit; else to the one before.

    A commit is the model's, or the one in Git that holds the record. The one before is what had
    been promoted before the current release was, without what was rolled back from; while the
    current one is pending, aborted or unreadable, the last promoted. Raises Problem for an
    environment without release, for a checkout that is behind, for a release that is unknown, the
    current one, or never promoted, and where the current one was itself gone back to, unless `to`
    names the next. `option` is what errors call `to`.
    """
    _require_environment(root, environment)
    checkout.require_latest(root)
    found = list(release.versions(root, environment, "HEAD"))
    place = PLACE.format(environment=environment)
    if not found or not (root / place).is_file():
        raise Problem(place, "no release record", "that of a release", "Release something first.")
    if to:
        target = _named(root, environment, found, to)
    else:
        checkout.require_whole(root)
        target = _before(root, environment, found, option)
    for each in found:
        if isinstance(each, Unreadable):
            release.passed_over(each)
    now = found[0].release if isinstance(found[0], Recorded) else found[0].problem
    return Rollback(environment, now, target, _readable(found))


def _require_environment(root: Path, environment: str) -> None:
    names = environments(root)
    if environment not in names:
        expected = f"one of {', '.join(names)}" if names else "a folder for each environment"
        found = f"no environment {environment!r}"
        raise Problem(str(OVERLAYS), found, expected, "Name one of them.")


def _readable(found: Iterable[Recorded | Unreadable]) -> tuple[Recorded, ...]:
    return tuple(each for each in found if isinstance(each, Recorded))


def _deploys(found: Sequence[Recorded | Unreadable]) -> tuple[str, str, str] | None:
    """What the current record puts into the environment; None where it cannot be read."""
    return found[0].release.deploys if isinstance(found[0], Recorded) else None


def _before(
    root: Path, environment: str, found: Sequence[Recorded | Unreadable], option: str
) -> Recorded:
    now, known = _deploys(found), _readable(found)
    others = [each for each in known if each.release.deploys != now]
    if now and (came := returned(known)):
        raise Problem(
            environment,
            _told(root, *came),
            "a release that was rolled out",
            f"To go further name one by {option}: {listed(others)}.",
        )
    if earlier := [each for each in standing(known) if each.release.deploys != now]:
        return earlier[-1]
    raise Problem(
        f"the release before {known[0].release.id}" if known else environment,
        "none that was promoted and not rolled back from",
        "an earlier one",
        f"Name one by {option}: {listed(others)}.",
    )


def standing(known: Sequence[Recorded]) -> list[Recorded]:
    """Promoted releases, first to last: who goes back to one leaves those after it behind."""
    found: list[Recorded] = []
    for each in reversed(known):
        if each.release.rollout.verdict == "promoted":
            names = [one.release.deploys for one in found]
            kept = names.index(each.release.deploys) if each.release.deploys in names else None
            found = [*found[:kept], each]
    return found


def returned(known: Sequence[Recorded]) -> tuple[Recorded, Recorded] | None:
    """The record by which the current release came back, and what it replaced.

    None for one that was rolled out: its first record was pending, or no earlier one is alike.
    """
    now = known[0].release.deploys
    own = list(takewhile(lambda each: each.release.deploys == now, known))
    before = known[len(own) :]
    if own[-1].release.rollout.verdict != "promoted":
        return None
    again = any(each.release.deploys == now for each in before)
    return (own[-1], before[0]) if again else None


def _told(root: Path, came: Recorded, left: Recorded) -> str:
    """Who went back, when and why, by the commit's trailers; of another commit its author."""
    shown = run(root, "git", "show", "--no-patch", f"--format={TOLD}", came.at).stdout
    when, author, subject, by, reason = (each.strip() for each in shown.split("\0"))
    at = datetime.fromtimestamp(int(when), UTC)
    return (
        f"it rolled back from {left.release.id} to {came.release.id} by {by or author} at "
        f"{at:%Y-%m-%d %H:%M} UTC ({reason or subject})"
    )


def _named(
    root: Path, environment: str, found: Sequence[Recorded | Unreadable], word: str
) -> Recorded:
    """The newest promoted one of that name that is not there now."""
    for each in found:
        if isinstance(each, Unreadable) and _starts(word, each.at):
            raise each.problem
    now, known = _deploys(found), _readable(found)
    fitting = [each for each in known if _is(each, word)]
    if not fitting:
        raise _unknown(root, known, word)
    others = [each for each in fitting if each.release.deploys != now]
    if not others:
        remedy = f"Nothing is to be done; others are {listed(known)}."
        raise Problem(f"release {word}", "the one that is there now", "another one", remedy)
    promoted = [each for each in others if each.release.rollout.verdict == "promoted"]
    if not promoted:
        one = f"{others[0].release.id}, {others[0].release.rollout.verdict}"
        expected = f"a promoted one, of: {listed(known)}"
        raise Problem(f"release {word}", one, expected, "Name one of them.")
    if now and _is(known[0], word):
        raise _twofold(root, environment, known[0], promoted[0], word)
    return promoted[0]


def _unknown(root: Path, known: Sequence[Recorded], word: str) -> Problem:
    commits = (commit for each in known for commit in (each.release.commit, each.at))
    remedy = f"Known are {listed(known)}."
    if FEW <= len(word) < SHORT and any(commit.startswith(word.lower()) for commit in commits):
        expected = f"a version, an id, or {SHORT} digits of a commit at least"
        return Problem(f"release {word}", f"{len(word)} digits of a commit", expected, remedy)
    checkout.require_whole(root)
    return Problem(f"release {word}", "no record of it", "an earlier release", remedy)


def _twofold(root: Path, environment: str, now: Recorded, other: Recorded, word: str) -> Problem:
    """A name of what is there now, which other manifests have had too."""
    there, then = (each.release.manifests[:SHORT] for each in (now, other))
    changed = change.between(root, environment, now.at, other.at)
    return Problem(
        f"release {word}",
        f"the one that is there now, with the manifests of {there}",
        "another one",
        f"With those of {then} it would change {changed}: name it by {other.at[:SHORT]}.",
    )


def _is(each: Recorded, word: str) -> bool:
    by_commit = _starts(word, each.release.commit) or _starts(word, each.at)
    return by_commit or word in (each.release.id, each.release.model.version)


def _starts(word: str, commit: str) -> bool:
    return len(word) >= SHORT and commit.startswith(word.lower())


def listed(known: Iterable[Recorded]) -> str:
    """Promoted releases, newest first; those of one id with their manifests, and their commit."""
    by_deploys: dict[tuple[str, str, str], Recorded] = {}
    for each in known:
        if each.release.rollout.verdict == "promoted":
            by_deploys.setdefault(each.release.deploys, each)
    ids = [each.release.id for each in by_deploys.values()]
    found = [
        f"{each.release.id} (manifests {each.release.manifests[:SHORT]}, commit {each.at[:SHORT]})"
        if ids.count(each.release.id) > 1
        else each.release.id
        for each in by_deploys.values()
    ]
    return ", ".join(found[:SHOWN]) + (", …" if found[SHOWN:] else "") if found else "none"
