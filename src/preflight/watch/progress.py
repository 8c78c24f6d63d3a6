"""How far a long walk through the log has come: a bar on a terminal, lines in a file."""

import logging
import sys
import time
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    import polars as pl

EVERY = 10.0  # seconds between lines
log = logging.getLogger("preflight")


def followed(
    frames: Iterable["pl.DataFrame"], what: str, start: datetime, end: datetime
) -> Iterator["pl.DataFrame"]:
    """Pass on frames in order of `at`, and show what share of the stretch each has come to."""
    if sys.stderr.isatty():
        yield from _bar(frames, what, start, end)
    else:
        yield from _lines(frames, what, end)


def _bar(
    frames: Iterable["pl.DataFrame"], what: str, start: datetime, end: datetime
) -> Iterator["pl.DataFrame"]:
    whole = max(1, int((end - start).total_seconds()))
    with click.progressbar(length=whole, label=what, file=sys.stderr) as bar:
        for frame in frames:
            yield frame
            bar.update(int((frame["at"][-1] - start).total_seconds()) - bar.pos)
        bar.update(whole - bar.pos)


def _lines(frames: Iterable["pl.DataFrame"], what: str, end: datetime) -> Iterator["pl.DataFrame"]:
    rows, told = 0, time.monotonic()
    for frame in frames:
        yield frame
        rows += len(frame)
        if time.monotonic() - told >= EVERY:
            told = time.monotonic()
            log.info("%s: %s rows, to %s of %s", what, f"{rows:,}", frame["at"][-1], end)
