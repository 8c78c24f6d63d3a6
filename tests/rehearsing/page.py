"""The study's tables for docs/rehearsal.md, and what was to be reached."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from statistics import median

from judging.figures import table
from preflight.rehearsal.answers import Answer, overlap
from preflight.rehearsal.faults import FAULTS
from preflight.rehearsal.findings import LEAST_RATE, MOST_MOVED
from preflight.rehearsal.record import Rehearsal

MOST_SECONDS, SHARE = 120.0, 0.9
CHANCE = 4.0  # standard deviations
WHOLE = {None, "counters-reset", "second-release"}  # in which no request may fail


Row = tuple[str, str, str, str]


@dataclass(frozen=True)
class Ran:
    """One rehearsal, its seconds, and its callers' answers at the last weight before its end."""

    rehearsal: Rehearsal
    seconds: float
    answers: Sequence[Answer]

    @property
    def fault(self) -> str:
        """The fault's name, or honest."""
        return self.rehearsal.fault or "honest"

    @property
    def wrong(self) -> list[str]:
        """What is not as it should be; an honest candidate may also be left paused."""
        found = self.rehearsal
        said = self._ended(found)
        if found.fault in WHOLE and found.served.failed:
            said.append(f"{found.served.failed} requests failed")
        if found.served.left:
            said.append(f"{found.served.left} entities left the canary")
        if found.moved is not None and found.moved > MOST_MOVED:
            said.append(f"traffic moved after {found.moved:.2f} s")
        if found.fault != "no-traffic" and found.served.rate < LEAST_RATE * found.rate:
            said.append(f"only {found.served.rate:.0f} requests a second")
        return said

    def _ended(self, found: Rehearsal) -> list[str]:
        if found.fault is None:
            return ["aborted"] if found.state == "aborted" else []
        fault = FAULTS[found.fault]
        if all(each.kind != "fault" for each in found.events):
            return ["the fault never began"]
        if not fault.ends(found.state):
            return [f"{found.state} instead of {fault.expected}: {found.reason}"]
        if fault.expected == "replaced" and not found.candidate.endswith("-second"):
            return ["the second release never came"]
        return [] if fault.named(found.reason) else [f"for another reason: {found.reason}"]


@dataclass(frozen=True)
class Study:
    """All rehearsals of a study."""

    ran: tuple[Ran, ...]

    @property
    def held(self) -> bool:
        """Whether everything is as it was to be."""
        return all(row[3] == "yes" for row in self._reaches())

    def text(self) -> str:
        """Both tables, in Markdown."""
        head = ("what", "found", "reach", "reached")
        columns = ("fault", "ended", "at", "canary's requests", "first reason")
        return (
            f"{table(head, self._reaches())}\n\n"
            f"{table(columns, [self._row(list(each)) for _, each in self._by_fault()])}\n"
        )

    def _by_fault(self) -> "groupby[str, Ran]":
        return groupby(self.ran, key=lambda each: each.fault)

    def _row(self, ran: list[Ran]) -> tuple[str, ...]:
        found = [each.rehearsal for each in ran]
        states = [each.state for each in found]
        ended = ", ".join(f"{states.count(each)} {each}" for each in dict.fromkeys(states))
        at = f"{median(each.seconds for each in found):.0f} s"
        asked = f"{median(each.served.canary for each in found):,.0f}"
        return ran[0].fault, ended, at, asked, found[0].reason.replace("|", "/")

    def _reaches(self) -> list[Row]:
        honest = [each for each in self.ran if each.fault == "honest"]
        faulty = [each for each in self.ran if each.fault != "honest"]
        rows = _promoted(honest) if honest else []
        if faulty:
            right = sum(not each.wrong for each in faulty)
            what = "each fault ends as it must, for the right reason"
            rows.append(_row(what, f"{right} of {len(faulty)}", "all", right == len(faulty)))
        served = [each.rehearsal.served for each in self.ran]
        left, met = sum(each.left for each in served), sum(each.entities for each in served)
        moved = max([each.rehearsal.moved or 0.0 for each in self.ran], default=math.inf)
        limit = f"<= {MOST_MOVED:g} s"
        what = "entities that left the canary while weights rose"
        return [
            *rows,
            _row(
                "verdict to all traffic, the longest", f"{moved:.2f} s", limit, moved <= MOST_MOVED
            ),
            _row(what, f"{left} of {met:,}", "0", bool(met) and not left),
        ]


def _promoted(honest: list[Ran]) -> list[Row]:
    """What was to be reached of honest candidates."""
    states = [each.rehearsal.state for each in honest]
    promoted, aborted, least = (
        states.count("promoted"),
        states.count("aborted"),
        SHARE * len(honest),
    )
    asked = sum(each.rehearsal.served.requests for each in honest)
    failed = sum(each.rehearsal.served.failed for each in honest)
    rate = min(each.rehearsal.served.rate for each in honest)
    longest = max(each.seconds for each in honest)
    apart = [abs(each) for each in map(_apart, pairwise(honest)) if each is not None]
    far = max(apart, default=math.inf)  # one alone overlaps with none
    ended = f"{promoted} promoted, {aborted} aborted"
    found = f"{far:.1f} standard deviations at most"
    return [
        _row(
            f"honest candidate, {len(honest)} rehearsals",
            ended,
            f">= {least:g}, 0",
            promoted >= least and not aborted,
        ),
        _row(f"requests failed, at {rate:.0f} a second", f"{failed} of {asked:,}", "0", not failed),
        _row(
            "overlap of two releases' cohorts, from what chance gives",
            found,
            f"<= {CHANCE:g}",
            far <= CHANCE,
        ),
        _row(
            "a rehearsal, the longest",
            f"{longest:.0f} s",
            f"<= {MOST_SECONDS:g} s",
            longest <= MOST_SECONDS,
        ),
    ]


def _row(what: str, found: str, reach: str, held: bool) -> Row:
    return what, found, reach, "yes" if held else "NO"


def _apart(two: tuple[Ran, Ran]) -> float | None:
    found = overlap(two[0].answers, two[1].answers)
    return (found.shared - found.expected) / found.deviation if found.deviation else None
