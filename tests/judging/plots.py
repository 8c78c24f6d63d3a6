"""The study's plots as small SVG files, the same bytes for the same figures."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from preflight.rollout.observed import Array

WIDTH, HEIGHT = 720, 380
LEFT, RIGHT, TOP, BOTTOM = 64, 150, 44, 56
APART = 15  # between labels
HALF = 0.55
# Readable on white and on black; told apart without red against green (Okabe and Ito 2008).
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b8860b")


@dataclass(frozen=True)
class Line:
    """A named line of points, `x` ascending; told by its name at its end."""

    name: str
    x: Array
    y: Array


@dataclass(frozen=True)
class Axis:
    """What an axis shows, from 0 or the first tick to the last one; ticks as they are written."""

    title: str
    ticks: tuple[tuple[float, str], ...]

    def place(self, value: Array, start: float, length: float) -> Array:
        """Values as places in the drawing."""
        low, high = self.ticks[0][0], self.ticks[-1][0]
        found: Array = start + (np.clip(value, low, high) - low) / (high - low) * length
        return found


@dataclass(frozen=True)
class Plot:
    """Shares over something; `limit` is drawn as a dashed line with its name.

    Lines that are `rising` are named where they pass HALF, others at their end.
    """

    title: str
    x: Axis
    y: Axis
    lines: Sequence[Line]
    limit: tuple[float, str] | None = None
    dots: bool = False
    rising: bool = False

    def svg(self) -> str:
        """The drawing."""
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
            f'font-family="sans-serif" font-size="13" role="img" aria-label="{self.title}">',
            f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
            f'<text x="{LEFT}" y="22" font-size="15" font-weight="bold">{self.title}</text>',
            *self._axes(),
            *self._drawn(),
            "</svg>",
        ]
        return "\n".join(parts) + "\n"

    def _across(self, value: Array) -> Array:
        return self.x.place(value, LEFT, WIDTH - LEFT - RIGHT)

    def _up(self, value: Array) -> Array:
        return self.y.place(value, HEIGHT - BOTTOM, TOP + BOTTOM - HEIGHT)

    def _axes(self) -> list[str]:
        end, floor = WIDTH - RIGHT, HEIGHT - BOTTOM
        found = []
        for value, name in self.y.ticks:
            y = float(self._up(np.array(value)))
            found.append(f'<path d="M{LEFT} {y:.1f}H{end}" stroke="#ddd"/>')
            found.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{name}</text>')
        for value, name in self.x.ticks:
            x = float(self._across(np.array(value)))
            found.append(f'<path d="M{x:.1f} {floor}v5" stroke="#555"/>')
            found.append(f'<text x="{x:.1f}" y="{floor + 20}" text-anchor="middle">{name}</text>')
        middle, across = (TOP + floor) / 2, (LEFT + end) / 2
        found += [
            f'<text x="{across}" y="{HEIGHT - 12}" text-anchor="middle">{self.x.title}</text>',
            f'<text x="16" y="{middle}" text-anchor="middle" '
            f'transform="rotate(-90 16 {middle})">{self.y.title}</text>',
        ]
        if self.limit is not None:
            y = float(self._up(np.array(self.limit[0])))
            found += [
                f'<path d="M{LEFT} {y:.1f}H{end}" stroke="#555" stroke-dasharray="5 4"/>',
                f'<text x="{end - 6}" y="{y - 6:.1f}" text-anchor="end" fill="#555">'
                f"{self.limit[1]}</text>",
            ]
        return found

    def _drawn(self) -> list[str]:
        found = []
        ends = apart([float(self._up(line.y[-1:])[0]) for line in self.lines])
        for line, colour, end in zip(self.lines, COLOURS, ends, strict=False):
            points = list(zip(self._across(line.x), self._up(line.y), strict=True))
            path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
            found.append(
                f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2.2"/>'
            )
            if self.dots:
                dots = (f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4"/>' for x, y in points)
                found.append(f'<g fill="{colour}">{"".join(dots)}</g>')
            x, y, anchor = points[-1][0] + 10, end + 4, "start"
            if self.rising and line.y[-1] > HALF:
                half, y = points[int(np.argmax(line.y > HALF))]
                x, anchor = half - 8, "end"
            found.append(
                f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}" '
                f'font-weight="bold">{line.name}</text>'
            )
        return found


def apart(places: Sequence[float]) -> list[float]:
    """Labels' places, moved until none covers another, in the same order; within the plot."""
    order = sorted(range(len(places)), key=lambda each: places[each])
    found = list(places)
    for before, after in pairwise(order):
        found[after] = max(found[after], found[before] + APART)
    most: float = HEIGHT - BOTTOM
    for place in reversed(order):
        found[place] = min(found[place], most)
        most = found[place] - APART
    return found
