"""The study's tables for docs/rehearsal.md, and what was to be reached."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from statistics import median

from judging.figures import table
from preflight.rehearsal.answers import Answer, overlap
from preflight.rehearsal.faults import FAULTS
from preflight.rehearsal.findings import MOST_MOVED
from preflight.rehearsal.record import Rehearsal

MOST_SECONDS, SHARE = 120.0, 0.9
CHANCE = 4.0  # standard deviations
ENDS = {"replaced": ("promoted",), "not aborted": ("promoted", "paused")}


@dataclass(frozen=True)
class Ran:
    """One rehearsal, its seconds, and its callers' answers before its end."""

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
        said = []
        if found.fault is None:
            said += ["aborted"] if found.state == "aborted" else []
            said += [f"{found.served.failed} failed"] if found.served.failed else []
        else:
            fault = FAULTS[found.fault]
            if found.state not in ENDS.get(fault.expected, (fault.expected,)):
                said.append(f"{found.state} instead of {fault.expected}: {found.reason}")
            elif not fault.named(found.reason):
                said.append(f"for another reason: {found.reason}")
        if found.served.left:
            said.append(f"{found.served.left} entities left the canary")
        if found.state in ("promoted", "aborted") and found.moved > MOST_MOVED:
            said.append(f"traffic moved after {found.moved:.2f} s")
        return said


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

    def _reaches(self) -> list[tuple[str, str, str, str]]:
        honest = [each for each in self.ran if each.fault == "honest"]
        faulty = [each for each in self.ran if each.fault != "honest"]
        rows = []
        if honest:
            rows += self._honest(honest)
        if faulty:
            right = sum(not each.wrong for each in faulty)
            rows.append(
                (
                    "each fault ends as it must, for the right reason",
                    f"{right} of {len(faulty)}",
                    "all",
                    _yes(right == len(faulty)),
                )
            )
        moved = [each.rehearsal.moved for each in self.ran if each.rehearsal.state != "paused"]
        left = sum(each.rehearsal.served.left for each in self.ran)
        met = sum(each.rehearsal.served.entities for each in self.ran)
        rows += [
            (
                "verdict to all traffic, the longest",
                f"{max(moved, default=0):.2f} s",
                f"<= {MOST_MOVED:g} s",
                _yes(max(moved, default=0) <= MOST_MOVED),
            ),
            (
                "entities that left the canary while weights rose",
                f"{left} of {met:,}",
                "0",
                _yes(not left),
            ),
        ]
        return rows

    def _honest(self, honest: list[Ran]) -> list[tuple[str, str, str, str]]:
        states = [each.rehearsal.state for each in honest]
        promoted, aborted = states.count("promoted"), states.count("aborted")
        least = SHARE * len(honest)
        asked = sum(each.rehearsal.served.requests for each in honest)
        failed = sum(each.rehearsal.served.failed for each in honest)
        longest = max(each.seconds for each in honest)
        rate = honest[0].rehearsal.rate
        deviations = [abs(each) for each in map(_apart, pairwise(honest)) if each is not None]
        far = max(deviations, default=0.0)
        return [
            (
                f"honest candidate, {len(honest)} rehearsals",
                f"{promoted} promoted, {aborted} aborted",
                f">= {least:g}, 0",
                _yes(promoted >= least and not aborted),
            ),
            (
                f"requests failed, at {rate:g} a second",
                f"{failed} of {asked:,}",
                "0",
                _yes(not failed),
            ),
            (
                "overlap of two releases' cohorts, from what chance would give",
                f"{far:.1f} standard deviations at most",
                f"<= {CHANCE:g}",
                _yes(far <= CHANCE),
            ),
            (
                "a rehearsal, the longest",
                f"{longest:.0f} s",
                f"<= {MOST_SECONDS:g} s",
                _yes(longest <= MOST_SECONDS),
            ),
        ]


def _apart(two: tuple[Ran, Ran]) -> float | None:
    found = overlap(two[0].answers, two[1].answers)
    return (found.shared - found.expected) / found.deviation if found.deviation else None


def _yes(held: bool) -> str:
    return "yes" if held else "NO"
