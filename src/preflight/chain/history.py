"""Releases over time: which one an environment had when, by the history of its record in Git."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path

from preflight import release
from preflight.chain import blobs
from preflight.deploy import checkout
from preflight.errors import NoData, Problem
from preflight.release import EVIDENCE, PLACE, Recorded, Release, Unreadable
from preflight.workspace import run

BROUGHT = "%H%x1f%ct%x1f%an%x1f%(trailers:key=By,valueonly)%x1f%(trailers:key=Reason,valueonly)%x1e"
# Without what a user's own settings would put between, or follow.
LOG = ("git", "-c", "log.showSignature=false", "-c", "log.follow=false", "log")
SHOWN = 10  # names that an error lists


@dataclass(frozen=True)
class Brought:
    """A commit that holds a record: when, and by whom and why where it says so; else its author."""

    commit: str
    at: datetime
    by: str
    why: str


@dataclass(frozen=True)
class Stint:
    """A release in an environment, as its last record says: from its commit until it served no one.

    `brought` is the first commit that holds it, `held` the last. `settled` is when its rollout
    ended, None while it is pending. `until` is when all traffic had left it: by its abort, or by
    the next promotion; None while it may still answer. `returned` says that a rollback brought it.
    """

    release: Release
    brought: Brought
    held: str
    settled: datetime | None
    until: datetime | None
    returned: bool

    @property
    def since(self) -> datetime:
        """When Git had it."""
        return self.brought.at

    @property
    def environment(self) -> str:
        """Where."""
        return self.release.environment

    @property
    def evidence(self) -> str:
        """Its evidence, as `git show` names it."""
        return f"{self.held}:{EVIDENCE.format(environment=self.environment)}"

    def rolling(self, at: datetime) -> bool:
        """Whether its rollout was under way."""
        return self.since <= at and (self.settled is None or at < self.settled) and self._on(at)

    def served(self, at: datetime) -> bool:
        """Whether it may have answered then, as the canary or as stable."""
        return self.since <= at and self._on(at)

    def _on(self, at: datetime) -> bool:
        return self.until is None or at < self.until


def environments(root: Path) -> list[str]:
    """Whatever has or had a release record, in alphabetic order; raises Problem if shallow."""
    checkout.require_whole(root)
    place = PLACE.format(environment="*")
    named = run(root, *LOG, "--format=", "--name-only", "HEAD", "--", place).stdout
    return sorted({Path(each).parent.name for each in named.split("\n") if each})


def stints(root: Path) -> tuple[Stint, ...]:
    """Every release of every environment, as HEAD's history has them; newest first in each."""
    return tuple(each for name in environments(root) for each in _of(root, name))


def _of(root: Path, environment: str) -> Iterator[Stint]:
    brought = _brought(root, environment)
    known = _recorded(root, environment, brought)
    runs = [list(each) for _, each in groupby(known, lambda one: one.release.deploys)]
    seen: set[tuple[str, str, str]] = set()
    found: list[Stint] = []
    for each in runs:
        now = each[-1].release
        back = now.deploys in seen and each[0].release.rollout.verdict == "promoted"
        came = brought[each[0].at]
        found.append(Stint(now, came, each[-1].at, _settled(now, came.at), None, back))
        seen.add(now.deploys)
    return reversed([_ended(found, place) for place in range(len(found))])


def _recorded(root: Path, environment: str, commits: Iterable[str]) -> list[Recorded]:
    """An environment's readable records, oldest first: as `release.recorded`, by one process."""
    place, found, held = PLACE.format(environment=environment), [], list(commits)
    texts = blobs.texts(root, (f"{each}:{place}" for each in held))
    for commit, text in zip(held, texts, strict=True):
        if text is None:  # the commit that deleted it has none
            continue
        try:
            found.append(
                Recorded(commit, release.of(environment, text, f"{place} at {commit[:12]}"))
            )
        except Problem as problem:
            release.passed_over(Unreadable(commit, problem))
    return found[::-1]


def _settled(now: Release, since: datetime) -> datetime | None:
    """A release that came back has an earlier rollout's verdict, and takes all at once."""
    if now.rollout.verdict == "pending":
        return None
    return max(since, utc(now.rollout.at or since))


def utc(at: datetime) -> datetime:
    """A record's time in UTC, which it is in where it names no zone."""
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def _ended(found: Sequence[Stint], place: int) -> Stint:
    own, later = found[place], found[place + 1 :]
    verdict = own.release.rollout.verdict
    until = own.settled if verdict == "aborted" else None
    if verdict == "pending" and later:
        until = later[0].since
    if verdict == "promoted":
        next_one = (one.settled for one in later if one.release.rollout.verdict == "promoted")
        until = next(next_one, None)
    return Stint(own.release, own.brought, own.held, own.settled, until, own.returned)


def _brought(root: Path, environment: str) -> dict[str, Brought]:
    place = PLACE.format(environment=environment)
    shown = run(root, *LOG, f"--format={BROUGHT}", "HEAD", "--", place).stdout
    found = {}
    for line in filter(str.strip, shown.split("\x1e")):
        commit, at, author, by, why = (each.strip() for each in line.split("\x1f"))
        moment = datetime.fromtimestamp(int(at), UTC)
        found[commit] = Brought(commit, moment, by or author, why)
    return found


def live(known: Iterable[Stint]) -> list[Stint]:
    """Those that answer now: of an environment one, two while a rollout is under way."""
    return [each for each in known if each.until is None]


def of_version(known: Sequence[Stint], version: str) -> list[Stint]:
    """The releases of a registered version, or of a release id; raises NoData, or Problem for two.

    Two models may bear one number where somebody registered outside the one registry.
    """
    found = [each for each in known if version in (each.release.model.version, each.release.id)]
    ids = sorted({each.release.id for each in found})
    if not found:
        names = list(dict.fromkeys(each.release.id for each in known))
        remedy = f"Known are {', '.join(names[:SHOWN]) or 'none'}; fetch main if it is newer."
        raise NoData(f"version {version}", "no release record of it", "a released one", remedy)
    if len(ids) > 1:
        remedy = "Name one of them by its id."
        raise Problem(f"version {version}", f"releases {', '.join(ids)}", "one model", remedy)
    return found
