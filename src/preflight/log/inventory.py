"""What lies in a log's folder: segments, Parquet by day, and the locks between who uses them.

    <log>/<stream>/*.jsonl                               segments
    <log>/<stream>/days/<run>/day=2021-02-03/*.parquet   what a compaction made of some
    <log>/<stream>/days/<run>/segments.json              their names

A segment that a finished run lists is read no more, whether or not it was deleted yet.
"""

import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from preflight.files import read_json
from preflight.log.segments import ENDING

DAYS = "days"
LIST = "segments.json"
COMPACTING = ".compacting"  # locked by the one compaction
READING = ".reading"  # locked by readers together, and by whoever deletes alone


@dataclass(frozen=True)
class Inventory:
    """What a stream's folder holds at one moment: each record in one segment or one run."""

    segments: list[Path]
    runs: list[Path]

    def parquet(self, days: Iterable[date] | None = None) -> list[Path]:
        """Parquet files of these UTC days, or of all."""
        wanted = None if days is None else {f"day={day}" for day in days}
        return [
            path
            for run in self.runs
            for path in sorted(run.glob("day=*/*.parquet"))
            if wanted is None or path.parent.name in wanted
        ]


def of(place: Path) -> Inventory:
    """What a stream's folder holds now; segments may be live, or empty."""
    # Segments first: one that is gone by now stands in a run that is there by now.
    segments = sorted(place.glob(f"[!.]*{ENDING}"))
    held = listed(place)
    gone = {name for names in held.values() for name in names}
    return Inventory([path for path in segments if path.name not in gone], list(held))


def listed(place: Path) -> dict[Path, list[str]]:
    """Finished runs of a stream's folder, each with the names of the segments that it holds."""
    folders = sorted((place / DAYS).glob("[!.]*"))
    return {folder: list(read_json(folder / LIST)["segments"]) for folder in folders}


def hold(place: Path, how: int) -> int:
    """Lock a file, which is made if need be, by one of flock's operations: its descriptor.

    Raises OSError: BlockingIOError where it shall not wait, others without the right or the folder.
    """
    # Nothing is in it: whoever came first must not keep the others out.
    file = os.open(place, os.O_CREAT | os.O_RDONLY | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(file, how)
    except OSError:
        os.close(file)
        raise
    return file


@contextmanager
def alone(place: Path) -> Iterator[bool]:
    """Hold a lock that nobody else has: whether it was to be had."""
    try:
        file = hold(place, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        yield False
        return
    try:
        yield True
    finally:
        os.close(file)
