"""Where the log's lines go: segments in a folder, or standard output."""

import os
from pathlib import Path
from typing import Protocol

from preflight.errors import Problem
from preflight.layout import LOG
from preflight.log.schema import Stream
from preflight.log.segments import Segments, Standard, cut_torn
from preflight.params import Log

PLACE = "PREFLIGHT_LOG"
STANDARD = "stdout"


class Sink(Protocol):
    """Where the lines of one stream go."""

    def append(self, lines: bytes) -> None:
        """Append whole lines; raises OSError."""

    def beat(self) -> None:
        """Do what is due; raises OSError."""

    def close(self) -> None:
        """End."""


def place() -> Path:
    """The log's folder, or STANDARD: what PREFLIGHT_LOG names, or one of this folder's own."""
    return Path(os.environ.get(PLACE) or LOG)


def sink(stream: Stream, limits: Log) -> Sink:
    """Where a stream goes; torn tails of earlier processes are cut. Raises Problem."""
    named = place()
    if str(named) == STANDARD:
        return Standard(stream)
    folder = named / stream
    try:
        folder.mkdir(parents=True, exist_ok=True)
        cut_torn(folder)
    except OSError as error:
        raise Problem(
            f"{PLACE}: {named}",
            str(error.strerror),
            f"a folder that can be written, or {STANDARD}",
            f"Mend its rights, or let {PLACE} name another.",
        ) from None
    return Segments(
        folder, limits.max_segment_bytes, limits.max_segment_seconds, limits.fsync_seconds
    )
