"""An axis of a plot: values to places, and round numbers along it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10

from preflight.report.numbers import number

LARGEST = 1e15  # what lies further out is not drawn
TICKS = 4


@dataclass(frozen=True)
class Tick:
    """A place on an axis, and its label."""

    at: float
    label: str


@dataclass(frozen=True)
class Axis:
    """Values from `low` to `high`, multiples of `step`, on pixels from `start` to `end`."""

    low: float
    high: float
    step: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """The place of a value."""
        share = (value - self.low) / (self.high - self.low)
        return round(self.start + share * (self.end - self.start), 1)

    def ticks(self) -> list[Tick]:
        """Round numbers along the axis."""
        first, last = round(self.low / self.step), round(self.high / self.step)
        values = (float(f"{at * self.step:.10g}") for at in range(first, last + 1))
        return [Tick(self.at(value), number(value)) for value in values]


def spanning(values: Sequence[float], start: float, end: float) -> Axis:
    """An axis on which all of `values` lie."""
    low, high = min(values, default=0.0), max(values, default=1.0)
    wide = max(abs(low), abs(high), 1e-9)
    if high - low <= wide * 1e-9:  # all equal: some room around them
        low, high = (low - wide / 2, high + wide / 2) if low or high else (0.0, 1.0)
    step = _step((high - low) / TICKS)
    return Axis(floor(low / step) * step, ceil(high / step) * step, step, start, end)


def drawable(values: Iterable[float | None]) -> list[float]:
    """The values that there are and that a plot can hold."""
    return [value for value in values if value is not None and abs(value) < LARGEST]


def _step(rough: float) -> float:
    """1, 2 or 5 times a power of ten, not below a rough step."""
    power = 10.0 ** floor(log10(rough))
    return next(power * factor for factor in (1, 2, 5, 10, 20) if power * factor >= rough)
