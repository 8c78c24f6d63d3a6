"""The study's tables for docs/judge.md."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from judging import parts, scenarios
from judging.drawn import drawn
from judging.figures import after, quantile, share_of, table, with_ends
from judging.reaches import Reach, reaches
from judging.rivals import (
    ALLOWED,
    INTERVAL,
    JUDGE,
    LEAST,
    MARGIN,
    RIVALS,
    SUCCESS,
    threshold_power,
)
from judging.scenarios import LOOKS, NOMINAL, RATE, REQUESTS
from judging.study import SEED, Courses
from judging.whole import Results
from preflight.docs import replaced

REQUEST = "per request"
MARKER = "study"


@dataclass(frozen=True)
class Study:
    """All courses by part and rival, verdicts on whole rollouts, and a verdict's time.

    `planned` is the planner's estimate of requests until a promotion.
    """

    courses: Mapping[str, Courses]
    whole: Mapping[str, Results]
    planned: float
    verdict_seconds: float

    def reaches(self) -> list[Reach]:
        """What was to be reached."""
        return list(reaches(self.courses, self.whole, self.planned, self.verdict_seconds))

    def text(self) -> str:
        """The tables, in Markdown."""
        blocks = [_settings(), *self._levels(), *self._powers(), *self._costs()]
        return "\n\n".join(blocks) + "\n"

    def _levels(self) -> list[str]:
        return [
            "**What was to be reached**",
            table(("what", "found", "reach", "reached"), [each.row() for each in self.reaches()]),
            "**False aborts of identical arms**, at any look, also after a promotion",
            self._shares(scenarios.IDENTICAL, tuple(RIVALS)),
            "**Each entity with a rate of its own for good, and traffic with heavy tails**",
            self._shares(scenarios.HEAVY, (JUDGE, "no cap", *tuple(RIVALS)[1:])),
            "**Predictions and widths**, one metric of six by itself",
            self._worse((*parts.ALIKE, *parts.AT_BOUND, parts.TWICE, parts.WIDER)),
            "**Labels that come later where the answer was wrong**: aborted, by the labels' order",
            self._shares(parts.LABELS, ("prediction order", "arrival order")),
        ]

    def _powers(self) -> list[str]:
        return [
            "**Something wrong in one metric**, the other five alike: requests of the canary until "
            "aborted, in which half and nine tenths of the runs were",
            self._worse(self._faults()),
            "The same by the rivals; the last column is exact, for all intervals of the rule",
            self._rivals(),
            "**No regression**: requests of the canary until promoted",
            self._promoted(),
        ]

    def _costs(self) -> list[str]:
        return [
            "**The price of robustness**: the judge beside the same tests by request",
            self._price(),
            "**Paired shadows**, by labels",
            self._worse((*parts.SHADOWS_ALIKE, parts.SHADOW_LATE, parts.SHADOW_LATER)),
            "**Whole rollouts from scrapes**, at their end",
            self._whole(),
        ]

    def _shares(self, names: Mapping[str, object], rivals: Sequence[str]) -> str:
        rows = [
            (name, *(with_ends(self.courses[name][rival]) for rival in rivals)) for name in names
        ]
        return table(("scenario", *rivals), rows)

    def _faults(self) -> tuple[str, ...]:
        return (
            *map(parts.ratio, parts.RATIOS),
            *map(parts.slower, parts.SPREADS),
            parts.FALLBACKS,
            parts.SIX,
        )

    def _worse(self, names: Sequence[str]) -> str:
        rows = []
        for name in names:
            course = self.courses[name][JUDGE]
            aborted, promoted = after(course, "aborted"), after(course, "promoted")
            rows.append(
                (
                    name,
                    *(quantile(aborted, part) for part in (0.5, 0.9)),
                    share_of(np.isfinite(aborted)),
                    share_of(np.isfinite(promoted)),
                    with_ends(course),
                )
            )
        head = ("what", "median", "90%", "aborted first", "promoted first", "ever aborted")
        return table(head, rows)

    def _rivals(self) -> str:
        rows = []
        for name in self._faults():
            cells = []
            for rival in ("z-test, peeking", "fixed threshold"):
                found = after(self.courses[name][rival], "aborted")
                cells.append(f"{np.isfinite(found).mean():.1%}, median {quantile(found, 0.5)}")
            exact = ""
            if name in map(parts.ratio, parts.RATIOS):
                times = float(name.removeprefix("errors x"))
                exact = f"{threshold_power(RATE * times):.1%}"
            rows.append((name, *cells, exact))
        head = ("aborted by", "z-test, peeking", "fixed threshold", "the threshold's 40 intervals")
        return table(head, rows)

    def _promoted(self) -> str:
        rows = []
        for name in (*scenarios.IDENTICAL, parts.LONGER, parts.ZERO):
            found = after(self.courses[name][JUDGE], "promoted")
            rows.append(
                (
                    name,
                    share_of(np.isfinite(found)),
                    *(quantile(found, part) for part in (0.5, 0.8)),
                )
            )
        return table(("scenario", "promoted", "median", "80%"), rows)

    def _price(self) -> str:
        rows = []
        names = (
            parts.INDEPENDENT,
            *parts.CLUMPS,
            parts.LONGER,
            *map(parts.ratio, parts.RATIOS),
            parts.ZERO,
        )
        for name in names:
            cells = []
            for rival in (JUDGE, REQUEST):
                course = self.courses[name][rival]
                for found in (after(course, "aborted"), after(course, "promoted")):
                    cells.append(f"{quantile(found, 0.5)} ({np.isfinite(found).mean():.1%})")
            rows.append((name, *cells))
        head = (
            "median requests (share)",
            "judge aborts",
            "judge promotes",
            "by request, aborts",
            "by request, promotes",
        )
        return table(head, rows)

    def _whole(self) -> str:
        rows = [
            (name, *(f"{each[key]:,}" for key in ("promote", "abort", "continue")))
            for name, each in self.whole.items()
        ]
        return table(("rollouts", "promoted", "aborted", "continued"), rows)

    def write(self, page: Path) -> list[Path]:
        """Put the tables into the page, the plots beside it; returns the files."""
        text = page.read_text(encoding="utf-8")
        page.write_text(replaced(text, MARKER, self.text(), str(page)), encoding="utf-8")
        folder = page.with_suffix("")
        folder.mkdir(exist_ok=True)
        drawings = drawn(self.courses)
        for name, drawing in drawings.items():
            (folder / name).write_text(drawing, encoding="utf-8")
        return [page, *(folder / name for name in drawings)]


def _settings() -> str:
    """What holds where nothing else is said."""
    return (
        f"{LOOKS} looks, {REQUESTS:,} requests between two, {NOMINAL:.0%} of them the canary's "
        f"(some {LOOKS * REQUESTS * NOMINAL:,.0f}), six metrics at {RATE:.0%} with the margin "
        f"{MARGIN.max_ratio:g} or {MARGIN.max_amount:.1%}; {parts.RUNS:,} runs a row "
        f"({parts.FEWER:,} for predictions, widths and shadows), seed {SEED}; intervals of 95%. "
        f"The z-test is asked from {LEAST} requests of the canary on, the fixed threshold in "
        f"intervals of {INTERVAL}: success of {SUCCESS:.0%}, {ALLOWED} failures allowed."
    )
