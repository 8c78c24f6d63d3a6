"""Geometry of the page's plots: places in a drawing, without a word of SVG."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from preflight.evidence import Chart, SliceFinding, Status
from preflight.report.axis import LARGEST, Axis, Tick, drawable, spanning
from preflight.report.escape import clipped, visible
from preflight.report.numbers import bounds, number

WIDTH = 440  # of every drawing, in units that are about a pixel
LEFT = 128  # for labels of rows
RIGHT = 56  # for figures behind bars
MARGIN = 8
BAR, BETWEEN = 13, 7  # heights
PLOT_HEIGHT, LINE_LEFT, AXIS = 190, 54, 24
LABEL = 19  # characters left of a row
LETTER = 6  # of an axis, its width
MANY = 24  # points, from which on they are drawn without dots


@dataclass(frozen=True)
class Bar:
    """One bar of a row; `text_at` is where its figure stands."""

    series: int
    x: float
    y: float
    width: float
    label: str
    text_at: float


@dataclass(frozen=True)
class BarRow:
    """A label with a bar a series."""

    label: str
    whole: str
    middle: float
    bars: tuple[Bar, ...]


@dataclass(frozen=True)
class BarPlot:
    """Horizontal bars by label."""

    height: float
    zero: float
    ticks: list[Tick]
    rows: list[BarRow]


@dataclass(frozen=True)
class Line:
    """A series: its path, broken where values lack, and the dots to draw."""

    series: int
    path: str
    dots: list[tuple[float, float]]


@dataclass(frozen=True)
class LinePlot:
    """Lines over labels."""

    height: float
    ticks: list[Tick]
    labels: list[Tick]
    lines: list[Line]


@dataclass(frozen=True)
class Dot:
    """A slice: its figure, the ends of its interval, its status."""

    label: str
    whole: str
    y: float
    x: float
    ends: tuple[float, float] | None
    status: Status


@dataclass(frozen=True)
class DotPlot:
    """Slices with intervals against their limits."""

    height: float
    ticks: list[Tick]
    limits: list[float]
    dots: list[Dot]


def bars(chart: Chart) -> BarPlot:
    """A row a label, a bar a series, all from zero."""
    values = list(chart.series.values())
    axis = spanning([0.0, *drawable(v for row in values for v in row)], LEFT, WIDTH - RIGHT)
    tall = BAR * max(len(values), 1) + BETWEEN
    rows = [
        BarRow(
            _short(label),
            label,
            place * tall + BETWEEN / 2 + (tall - BETWEEN) / 2,
            tuple(
                _bar(axis, series, row[place], place * tall + BETWEEN / 2 + series * BAR)
                for series, row in enumerate(values)
            ),
        )
        for place, label in enumerate(chart.labels)
    ]
    return BarPlot(len(rows) * tall, axis.at(0.0), axis.ticks(), rows)


def lines(chart: Chart) -> LinePlot:
    """Every series over the labels in their order."""
    known = drawable(value for values in chart.series.values() for value in values)
    upward = spanning(known, PLOT_HEIGHT - MARGIN, MARGIN)
    across = Axis(0.0, max(len(chart.labels) - 1, 1), 1.0, LINE_LEFT, WIDTH - MARGIN * 3)
    drawn = [
        _line(series, values, across, upward) for series, values in enumerate(chart.series.values())
    ]
    short = [clipped(visible(label), 12) for label in chart.labels]
    places = _spread(short, across.end - across.start)
    labels = [Tick(across.at(place), short[place]) for place in places]
    return LinePlot(PLOT_HEIGHT, upward.ticks(), labels, drawn)


def dots(slices: Sequence[SliceFinding]) -> DotPlot | None:
    """Slices that have a figure; None when none has."""
    shown = [each for each in slices if each.measured is not None and abs(each.measured) < LARGEST]
    if not shown:
        return None
    limits = sorted({end for each in shown for end in drawable(bounds(each.limit).ends)})
    spans = [end for each in shown for end in drawable(each.interval or ())]
    figures = drawable(each.measured for each in shown)
    axis = spanning([*figures, *spans, *limits], LEFT, WIDTH - MARGIN * 2)
    tall = BAR + BETWEEN
    rows = [_dot(axis, each, place * tall + tall / 2) for place, each in enumerate(shown)]
    return DotPlot(len(rows) * tall, axis.ticks(), [axis.at(end) for end in limits], rows)


def _bar(axis: Axis, series: int, value: float | None, y: float) -> Bar:
    drawn = (drawable([value]) or [0.0])[0]
    zero, end = axis.at(0.0), axis.at(drawn)
    left, right = min(zero, end), max(zero, end)
    return Bar(series, left, y, round(right - left, 1), number(value), right + 4)


def _line(series: int, values: Sequence[float | None], across: Axis, upward: Axis) -> Line:
    points = [
        (across.at(place), upward.at(value)) if value is not None and abs(value) < LARGEST else None
        for place, value in enumerate(values)
    ]
    steps, alone = [], []
    for place, point in enumerate(points):
        if point is None:
            continue
        before = points[place - 1] if place else None
        after = points[place + 1] if place + 1 < len(points) else None
        steps.append(f"{'L' if before else 'M'}{point[0]} {point[1]}")
        if (before is None and after is None) or len(points) <= MANY:
            alone.append(point)
    return Line(series, "".join(steps), alone)


def _dot(axis: Axis, found: SliceFinding, y: float) -> Dot:
    assert found.measured is not None  # noqa: S101
    ends = drawable(found.interval or ())
    span = (axis.at(min(ends)), axis.at(max(ends))) if len(ends) == 2 else None
    return Dot(_short(found.name), found.name, y, axis.at(found.measured), span, found.status)


def _spread(labels: Sequence[str], room: float) -> range:
    """Places of as many labels as stand beside each other without touching, evenly spaced."""
    wide = max(len(label) for label in labels) * LETTER + MARGIN
    return range(0, len(labels), ceil(len(labels) / max(2, int(room / wide))))


def _short(label: str) -> str:
    return clipped(visible(label), LABEL)
