"""What the judge was to reach, and what the study found."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from judging import parts, scenarios
from judging.figures import Which, after, falsely
from judging.rivals import JUDGE
from judging.study import Courses
from judging.whole import Results
from preflight.rollout.observed import Array

REQUESTS, SHARE = "requests", "%"


@dataclass(frozen=True)
class Reach:
    """A figure, and the most it may be; or the least."""

    what: str
    found: float
    reach: float
    unit: str = SHARE
    least: bool = False

    @property
    def held(self) -> bool:
        """Whether it was reached."""
        return self.found >= self.reach if self.least else self.found <= self.reach

    def row(self) -> tuple[str, ...]:
        """Cells of a table."""
        found, reach = (
            f"{each:.1%}" if self.unit == SHARE else f"{each:,.0f} {self.unit}"
            for each in (self.found, self.reach)
        )
        sign = "at least" if self.least else "at most"
        return self.what, found, f"{sign} {reach}", "yes" if self.held else "**no**"


def reaches(
    courses: Mapping[str, Courses],
    whole: Mapping[str, Results],
    planned: float,
    verdict_seconds: float,
) -> Iterator[Reach]:
    """All of them; `planned` is the planner's estimate of requests until a promotion."""
    yield from _false_aborts(courses, whole)
    yield from _power(courses)
    yield from _promotion(courses, planned)
    yield from _paired(courses)
    yield Reach("one verdict, 200 looks", 1000 * verdict_seconds, 50, "ms")


def _after(courses: Mapping[str, Courses], name: str, which: Which) -> Array:
    return after(courses[name][JUDGE], which)


def _share(courses: Mapping[str, Courses], name: str, which: Which) -> float:
    return float(np.isfinite(_after(courses, name, which)).mean())


def _false_aborts(courses: Mapping[str, Courses], whole: Mapping[str, Results]) -> Iterator[Reach]:
    shares = {
        name: falsely(courses[name][JUDGE])
        for name in (*scenarios.IDENTICAL, *parts.ALIKE, *parts.AT_BOUND)
    }
    shares |= {
        f"late labels, {name}": falsely(courses[name]["prediction order"])
        for name, (ratio, _) in parts.LABELS.items()
        if ratio == 1
    }
    shares |= {name: falsely(courses[name][JUDGE]) for name in parts.SHADOWS_ALIKE}
    shares |= {
        name: found["abort"] / sum(found.values())
        for name, found in whole.items()
        if "frozen" not in name
    }
    worst = max(shares, key=lambda name: shares[name])
    yield Reach(f"false aborts, the worst scenario of {len(shares)} ({worst})", shares[worst], 0.05)
    for name, found in whole.items():
        if "frozen" in name:
            share = 1 - found["continue"] / sum(found.values())
            yield Reach(f"{name}: promoted or aborted", share, 0.0)


def _power(courses: Mapping[str, Courses]) -> Iterator[Reach]:
    tripled = _after(courses, parts.ratio(3.0), "aborted")
    yield Reach("errors x3: median until aborted", float(np.median(tripled)), 600, REQUESTS)
    yield Reach("errors x3: missed", float(np.isinf(tripled).mean()), 0.01)
    for name in (*map(parts.slower, parts.SPREADS), parts.TWICE):
        yield Reach(f"{name}: aborted", _share(courses, name, "aborted"), 0.95, least=True)


def _promotion(courses: Mapping[str, Courses], planned: float) -> Iterator[Reach]:
    honest = _after(courses, parts.INDEPENDENT, "promoted")
    yield Reach("no regression: median until promoted", float(np.median(honest)), 3500, REQUESTS)
    held = float((honest <= planned).mean())
    said = f"promoted within the planned {planned:,.0f} requests"
    yield Reach(said, held, 0.75, least=True)
    yield Reach(said, held, 0.9)
    for name in (parts.ratio(2.0), parts.SIX, *parts.AT_BOUND):
        yield Reach(f"{name}: promoted", _share(courses, name, "promoted"), 0.05)


def _paired(courses: Mapping[str, Courses]) -> Iterator[Reach]:
    same = float((_after(courses, parts.SHADOW_SAME, "promoted") <= 5000).mean())
    yield Reach(f"{parts.SHADOW_SAME}: promoted in 5,000 labels", same, 0.95, least=True)
    late = _share(courses, parts.SHADOW_LATE, "aborted")
    yield Reach(f"{parts.SHADOW_LATE}: aborted in 8,000 labels", late, 0.95, least=True)
