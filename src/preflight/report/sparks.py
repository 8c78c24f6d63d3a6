"""Charts of block characters, for a comment that can hold no picture."""

from collections.abc import Sequence

from preflight.evidence import Chart
from preflight.report.escape import text
from preflight.report.numbers import NONE, number

EIGHTHS = " ▏▎▍▌▋▊▉█"
LEVELS = "▁▂▃▄▅▆▇█"
GAP = "·"
BAR = 14  # characters of the longest bar
LABEL = 200  # bytes of a label


def bar(value: float, longest: float, width: int = BAR) -> str:
    """A horizontal bar, `longest` filling the width; the figure beside it carries the sign."""
    if longest <= 0:
        return ""
    eighths = round(abs(value) / longest * width * 8)
    rest = EIGHTHS[eighths % 8] if eighths % 8 else ""
    return "█" * (eighths // 8) + rest


def sparkline(values: Sequence[float | None]) -> str:
    """One character a value from the lowest to the highest; a dot where there is none."""
    known = [value for value in values if value is not None]
    if not known:
        return GAP * len(values)
    low, high = min(known), max(known)
    return "".join(GAP if value is None else _level(value, low, high) for value in values)


def chart(drawn: Chart) -> tuple[list[str], list[list[str]]]:
    """A chart as columns and rows of escaped Markdown cells."""
    return _bars(drawn) if drawn.kind == "bars" else _lines(drawn)


def _bars(drawn: Chart) -> tuple[list[str], list[list[str]]]:
    columns = ["", *(text(name, LABEL) for name in drawn.series)]
    known = [abs(v) for values in drawn.series.values() for v in values if v is not None]
    longest = max(known, default=0.0)
    rows = [
        [text(label, LABEL), *(_bar_cell(values[at], longest) for values in drawn.series.values())]
        for at, label in enumerate(drawn.labels)
    ]
    return columns, rows


def _bar_cell(value: float | None, longest: float) -> str:
    return NONE if value is None else f"{bar(value, longest)} {number(value)}".strip()


def _lines(drawn: Chart) -> tuple[list[str], list[list[str]]]:
    first, last = text(drawn.labels[0], LABEL), text(drawn.labels[-1], LABEL)
    across = first if len(drawn.labels) == 1 else f"{first} to {last}"
    columns = ["", across, "lowest", "highest", "last"]
    rows = []
    for name, values in drawn.series.items():
        known = [value for value in values if value is not None]
        figures = (min(known), max(known), known[-1]) if known else (None, None, None)
        rows.append([text(name, LABEL), sparkline(values), *map(number, figures)])
    return columns, rows


def _level(value: float, low: float, high: float) -> str:
    # Halves, since the distance of two finite numbers may be none.
    span = high / 2 - low / 2
    share = (value / 2 - low / 2) / span if span > 0 else 0.5
    return LEVELS[min(int(share * len(LEVELS)), len(LEVELS) - 1)]
