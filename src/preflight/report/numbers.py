"""Figures as a person reads them, and the bounds that a limit's words name."""

import re
from dataclasses import dataclass
from decimal import Decimal
from math import floor, isfinite, log10

from preflight.evidence import Ends

DIGITS = 4  # significant
NONE = "\N{EN DASH}"
FIGURE = r"(-?[0-9][0-9,]*(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?)(?!\.?[0-9]|\s*%)"
BOUND = re.compile(rf"(<=|<|≤|at most|below|under|>=|>|≥|at least|above|over)\s*{FIGURE}")
MOST = {"<=", "<", "≤", "at most", "below", "under"}


@dataclass(frozen=True)
class Bounds:
    """The numbers of a limit; None where it has no such end, or its words name none."""

    least: float | None
    most: float | None

    @property
    def ends(self) -> tuple[float, ...]:
        """The ends that there are."""
        return tuple(end for end in (self.least, self.most) if end is not None)


def bounds(limit: str) -> Bounds:
    """The numbers in `<= 0.3`, `at least 0.8 and at most 0.9` and the like; no percentages."""
    pairs = BOUND.findall(limit.lower())
    found = {word in MOST: float(figure.replace(",", "")) for word, figure in pairs}
    ends = {most: end for most, end in found.items() if isfinite(end)}
    return Bounds(ends.get(False), ends.get(True))


def number(value: float | None) -> str:
    """At most four significant digits, thousands parted; whole numbers in full."""
    if value is None:
        return NONE
    if value == 0:
        return "0"
    if abs(value) >= 10**12 or abs(value) < 10**-4:
        return f"{Decimal(value):.3g}"  # a float could not hold every whole number
    if value == int(value):
        return f"{int(value):,}"
    decimals = max(0, DIGITS - 1 - floor(log10(abs(value))))
    shown = f"{value:,.{decimals}f}"
    return shown.rstrip("0").rstrip(".") if decimals else shown


def signed(value: float) -> str:
    """A difference, its sign always shown."""
    return ("+" if value > 0 else "") + number(value)


def interval(ends: Ends | None) -> str:
    """Both ends, or nothing."""
    return f"{number(ends[0])} to {number(ends[1])}" if ends else ""


def duration(seconds: float) -> str:
    """Seconds in the unit that fits."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    if seconds >= 360_000:
        return f"{seconds / 3600:.3g} h"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def count(quantity: int, noun: str) -> str:
    """`1 gate`, `2 gates`."""
    return f"{number(quantity)} {noun}" + ("" if quantity == 1 else "s")
