"""A rehearsal as a picture: the canary's weight, the verdicts, each metric's evidence over time."""

from collections.abc import Iterator, Sequence
from html import escape
from itertools import pairwise
from textwrap import wrap

from preflight.rehearsal.record import Look, Rehearsal

WIDTH, LEFT, RIGHT = 880, 110, 150
TOP, PANEL, ROW, GAP = 74, 130, 22, 14
LETTERS = 105  # of a line of the reason
# Readable on white and on black; told apart without red against green (Okabe and Ito 2008).
FINE, FAINT, WORSE, INK, PALE = "#0072b2", "#7fb8d8", "#d55e00", "#222", "#767676"
VERDICTS = {"promote": FINE, "abort": WORSE, "continue": "#bdbdbd", "no answer": "#fff"}
TICKS = (1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600)
MOST_TICKS = 10
AFTER = 0.03  # of the time, drawn after the end: else the last verdict would not be seen


def svg(found: Rehearsal) -> str:
    """The drawing, the same bytes for the same rehearsal."""
    return _Drawing(found).svg()


class _Drawing:
    def __init__(self, found: Rehearsal) -> None:
        self.found = found
        names = dict.fromkeys(one.name for look in found.looks for one in look.metrics)
        self.rows = ["verdict", *names]
        last = max([found.seconds, *(each.at for each in found.looks), 1.0])
        self.end = last * (1 + AFTER)
        self.floor = TOP + PANEL
        self.events = [each for each in found.events if each.kind != "weight"]
        below = self.floor + GAP + ROW * len(self.rows) + 44
        self.legend, self.height = below, below + 18 * (len(self.events) + 1) + 10

    def svg(self) -> str:
        title = escape(self.found.title)
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {self.height}" '
            f'font-family="sans-serif" font-size="12" role="img" aria-label="{title}">',
            f'<rect width="{WIDTH}" height="{self.height}" fill="#fff"/>',
            _text(20, 24, self.found.title, size=15, bold=True),
            *self._reason(),
            *self._weights(),
            *self._strips(),
            *self._time(),
            *self._happened(),
            "</svg>",
        ]
        return "\n".join(parts) + "\n"

    def _x(self, at: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * min(max(at, 0.0), self.end) / self.end

    def _y(self, weight: float) -> float:
        return self.floor - PANEL * weight / 100

    def _reason(self) -> Iterator[str]:
        for place, line in enumerate(wrap(self.found.reason, LETTERS)[:2]):
            yield _text(20, 42 + 15 * place, line, PALE)

    def _weights(self) -> Iterator[str]:
        for weight in (0, 50, 100):
            y = self._y(weight)
            yield f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="#ddd"/>'
            yield _text(LEFT - 8, y + 4, f"{weight}%", PALE, "end")
        yield _text(20, self._y(50) + 4, "weight")
        points = [(0.0, 0), *self._steps()]
        path = f"M{self._x(0):.1f} {self._y(0):.1f}"
        for (_, before), (at, weight) in pairwise(points):
            path += (
                f"L{self._x(at):.1f} {self._y(before):.1f}L{self._x(at):.1f} {self._y(weight):.1f}"
            )
        path += f"H{self._x(self.end):.1f}"
        yield f'<path d="{path}V{self.floor}H{LEFT}Z" fill="{FINE}" fill-opacity="0.13"/>'
        yield f'<path d="{path}" fill="none" stroke="{FINE}" stroke-width="2.2"/>'
        yield _text(WIDTH - RIGHT + 10, self._y(points[-1][1]) + 4, self.found.state, bold=True)

    def _steps(self) -> list[tuple[float, int]]:
        """Times and weights, from events such as `20%`."""
        changes = [each for each in self.found.events if each.kind == "weight"]
        return [(each.at, int(each.said.rstrip("%"))) for each in changes]

    def _strips(self) -> Iterator[str]:
        looks = self.found.looks
        ends = [*(each.at for each in looks[1:]), self.end][: len(looks)]
        for place, name in enumerate(self.rows):
            y = self.floor + GAP + ROW * place
            yield _text(20, y + 14, name, bold=name == "verdict")
            yield (
                f'<rect x="{LEFT}" y="{y}" width="{WIDTH - LEFT - RIGHT}" height="{ROW - 4}" '
                f'fill="none" stroke="#ccc"/>'
            )
            for look, end in zip(looks, ends, strict=True):
                yield from self._cell(look, name, end, y)
            yield _text(WIDTH - RIGHT + 10, y + 14, _last(looks, name), PALE)

    def _cell(self, look: Look, name: str, end: float, y: float) -> Iterator[str]:
        left, width = self._x(look.at), self._x(end) - self._x(look.at)
        place = f'x="{left:.1f}" width="{width + 0.3:.1f}"'
        height = ROW - 4
        if name == "verdict":
            yield f'<rect {place} y="{y}" height="{height}" fill="{VERDICTS[look.result]}"/>'
            return
        seen = next((one for one in look.metrics if one.name == name), None)
        if seen is None:
            return
        for share, fill in ((seen.fine or 0.0, FAINT), (seen.worse, WORSE)):
            tall = max(0.0, min(share, 1.0)) * height
            if tall:
                top = y + height - tall
                yield f'<rect {place} y="{top:.1f}" height="{tall:.1f}" fill="{fill}"/>'

    def _time(self) -> Iterator[str]:
        floor = self.floor + GAP + ROW * len(self.rows)
        step = next((each for each in TICKS if self.end / each <= MOST_TICKS), TICKS[-1])
        at = 0.0
        while at <= self.end:
            yield f'<path d="M{self._x(at):.1f} {floor}v4" stroke="{PALE}"/>'
            yield _text(self._x(at), floor + 17, f"{at:g} s", PALE, "middle")
            at += step
        said = (
            "height: evidence, blue that it is fine, orange that it is worse; grey: continue; "
            f"1 s is {self.found.faster:g} s as declared"
        )
        yield _text(LEFT, floor + 34, said, PALE)

    def _happened(self) -> Iterator[str]:
        for place, each in enumerate(self.events, 1):
            x = self._x(each.at)
            yield (
                f'<path d="M{x:.1f} {TOP - 4}V{self.floor}" stroke="{PALE}" '
                f'stroke-dasharray="3 3"/>'
            )
            yield _text(x, TOP - 7, str(place), PALE, "middle")
            yield _text(20, self.legend + 18 * place, f"{place}  {each.at:.1f} s  {each.said}")


def _last(looks: Sequence[Look], name: str) -> str:
    """What a strip came to, in words."""
    if not looks:
        return ""
    if name == "verdict":
        return looks[-1].result
    seen = next((one for look in reversed(looks) for one in look.metrics if one.name == name), None)
    if seen is None:
        return ""
    if seen.state != "open":
        return seen.state
    return "need not hold" if seen.fine is None else f"{max(seen.fine, 0.0):.0%} of fine"


def _text(
    x: float,
    y: float,
    said: str,
    fill: str = INK,
    anchor: str = "start",
    size: int = 12,
    *,
    bold: bool = False,
) -> str:
    weight = ' font-weight="bold"' if bold else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" fill="{fill}" text-anchor="{anchor}" '
        f'font-size="{size}"{weight}>{escape(said)}</text>'
    )
