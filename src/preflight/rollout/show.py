"""A verdict as text: one screen for an operator, and a line of JSON for programs."""

import json
import math
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from textwrap import wrap
from typing import Any

import click

from preflight.rollout.counting import clock
from preflight.rollout.shares import RATIOS
from preflight.rollout.verdict import Metric, Verdict

WIDTH = 80  # columns
BLOCKS = 5  # in a bar
FULL, EMPTY = "█", "░"
PLAIN, PLAIN_EMPTY = "#", "."
COLOURS = {
    "promote": "green",
    "abort": "red",
    "continue": "yellow",
    "fine": "green",
    "worse": "red",
    "open": "yellow",
}
MEANS = ("widths", "error", "agreement")  # in the target's unit, no shares
NAMES = ("metric", "stable", "canary", "ratio (95%)", "worse", "fine", "requests")
# Columns, the last of them right-aligned with those of figures.
WIDTHS = (11, 7, 7, 20, 10, 10, 8)
RIGHT = (False, True, True, False, False, False, True)
LEGEND = "One metric at 100% worse aborts; all at 100% fine promote."
# The interval's ends where nothing bounds it.
LEAST, MOST = float(RATIOS[0]), float(RATIOS[-1])


def shown(verdict: Verdict, *, colour: bool = False, blocks: bool = True) -> str:
    """A verdict as one screen of 80 columns.

    `colour` adds codes for a terminal; without `blocks` its bars are ASCII.
    """
    head = _wrapped(f"{verdict.result.upper()}: ", verdict.reason)
    paint = _painter(colour)
    lines = [paint(each, verdict.result, bold=True) for each in head]
    if verdict.at is not None:
        lines += ["", _when(verdict)]
    if verdict.metrics:
        lines += ["", _row(NAMES)]
        lines += [paint(_metric(each, blocks), each.state) for each in verdict.metrics]
        lines += ["", LEGEND]
    said = {verdict.reason, *(each.said for each in verdict.metrics)}
    for name, sentences in (
        ("stops", verdict.stops),
        ("promotion also waits for", () if verdict.result == "abort" else verdict.waits),
        ("not read", verdict.missing),
    ):
        lines += _listed(name, [each for each in sentences if each not in said])
    return "\n".join(lines)


def line(verdict: Verdict) -> str:
    """A verdict as one line of JSON; what is no finite number is null there.

    A reader may take what is no JSON, as NaN is none, for an answer like any other.
    """
    return json.dumps(_finite(verdict.plain()), ensure_ascii=False, allow_nan=False)


def changed(before: Verdict | None, now: Verdict) -> bool:
    """Whether an operator must hear of a verdict who has heard of the one before."""
    return before is None or _gist(before) != _gist(now)


def brief(verdict: Verdict, at: float) -> str:
    """A verdict as a line of a log, at a time in seconds since 1970."""
    return f"{clock(at)} {verdict.result}: {verdict.reason}"


def encodes(encoding: str) -> bool:
    """Whether blocks can be written in an encoding; else a bar is ASCII."""
    try:
        return bool((FULL + EMPTY).encode(encoding))
    except (LookupError, UnicodeEncodeError):
        return False


def percent(share: float) -> str:
    """A share with two figures at least, however small."""
    percents = 100 * share
    if percents == 0:
        return "0%"
    if percents < 1e-4:
        return "<0.0001%"
    digits = max(1, 1 - math.floor(math.log10(percents))) if percents < 10 else 1
    return f"{percents:.{digits}f}%"


def _gist(verdict: Verdict) -> tuple[Any, ...]:
    """What does not move with every look."""
    states = tuple((each.name, each.state) for each in verdict.metrics)
    return verdict.result, states, len(verdict.stops), len(verdict.missing)


def _finite(found: Any) -> Any:
    if isinstance(found, dict):
        return {name: _finite(each) for name, each in found.items()}
    if isinstance(found, list | tuple):
        return [_finite(each) for each in found]
    return None if isinstance(found, float) and not math.isfinite(found) else found


def _painter(colour: bool) -> Any:
    def paint(text: str, what: str, *, bold: bool = False) -> str:
        return click.style(text, fg=COLOURS[what], bold=bold or None) if colour else text

    return paint


def _when(verdict: Verdict) -> str:
    stable, canary = verdict.requests
    at = datetime.fromtimestamp(verdict.at or 0.0, UTC)
    looks = f"{verdict.looks:,} look{'s' if verdict.looks != 1 else ''}"
    return f"{at:%Y-%m-%d %H:%M:%S} UTC, {looks}; requests: stable {stable:,}, canary {canary:,}"


def _metric(found: Metric, blocks: bool) -> str:
    share = percent if found.name not in MEANS else "{:.2f}".format
    both = ["-" if each is None else share(each) for each in (found.stable, found.canary)]
    fine = "not needed" if found.fine is None else _bar(found.fine, blocks)
    return _row((found.name, *both, _ratio(found), _bar(found.worse, blocks), fine, _more(found)))


def _row(cells: Sequence[str]) -> str:
    return " ".join(
        f"{cell:>{width}}" if right else f"{cell:<{width}}"
        for cell, width, right in zip(cells, WIDTHS, RIGHT, strict=True)
    ).rstrip()


def _ratio(found: Metric) -> str:
    if found.name == "predictions":
        return "-" if found.ratio is None else f"{percent(found.ratio)} moved"
    ratio = "" if found.ratio is None else f"{_times(found.ratio)} "
    return f"{ratio}{_interval(found.interval)}".strip() or "-"


def _interval(found: tuple[float, float] | None) -> str:
    if found is None:
        return ""
    low, high = found
    bounded = low > LEAST * 1.01, high < MOST / 1.01
    if all(bounded):
        return f"({_times(low)} to {_times(high)})"
    if bounded[0]:
        return f"(over {_times(low)})"
    return f"(under {_times(high)})" if bounded[1] else ""


def _times(ratio: float) -> str:
    return f"{ratio:.2f}" if ratio < 10 else f"{ratio:,.0f}"


def _bar(share: float, blocks: bool) -> str:
    """Evidence of what it takes; full only where it is enough."""
    full, empty = (FULL, EMPTY) if blocks else (PLAIN, PLAIN_EMPTY)
    held = min(max(share if math.isfinite(share) else 0.0, 0.0), 1.0)
    count = math.floor(BLOCKS * held)
    return f"{full * count}{empty * (BLOCKS - count)} {math.floor(100 * held):>3}%"


def _more(found: Metric) -> str:
    if found.state != "open" or found.fine is None:
        return "-"
    if found.more is None:
        return "?"
    return f"{found.more:,}" if found.more < 1_000_000 else "over 1 M"


def _listed(name: str, sentences: Sequence[str]) -> Iterator[str]:
    if sentences:
        yield from ("", f"{name}:")
        for each in sentences:
            yield from _wrapped("- ", each)


def _wrapped(mark: str, text: str) -> list[str]:
    return wrap(f"{mark}{text}", WIDTH, subsequent_indent=" " * len(mark), break_on_hyphens=False)
