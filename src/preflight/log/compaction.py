"""Compaction: ended segments become Parquet by UTC day, and each record stays in one place.

A run is a folder that is renamed into place whole, and lists the segments that it holds; these
are deleted then. A run that was killed is begun anew by the next, which also deletes the rest.
"""

import os
import secrets
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from preflight.errors import Problem
from preflight.files import full_disk, replacing, write_json
from preflight.log import inventory
from preflight.log.lines import Damage, checked, without
from preflight.log.schema import FIELDS, Stream
from preflight.log.segments import cut_torn, ended

if TYPE_CHECKING:
    import duckdb

MEMORY = "256MB"  # of DuckDB's buffers
THREADS = 2
DAMAGED = "damaged.jsonl"
# A search by id reads a row group or two: small ones.
COPY = """
COPY (
    SELECT *, "at"::DATE AS day
    FROM read_json($files, format = 'newline_delimited', columns = $columns)
)
TO $folder (
    FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 50_000, PARTITION_BY (day), OVERWRITE_OR_IGNORE
)
"""


@dataclass(frozen=True)
class Compacted:
    """What a run did: records and segments put away, torn tails in bytes, lines set apart."""

    stream: Stream
    records: int
    segments: int
    live: int
    torn: tuple[tuple[str, int], ...]
    damaged: tuple[Damage, ...]
    folder: Path | None

    @property
    def apart(self) -> Path | None:
        """The file of the damaged lines, if there is one."""
        return self.folder / DAMAGED if self.folder and self.damaged else None


def compact(folder: Path) -> list[Compacted]:
    """Put the ended segments of both streams away as Parquet; live ones stay as they are.

    Raises Problem while another compaction runs, and when the disk is full; nothing is lost then.
    """
    if not folder.is_dir():
        return []
    with inventory.alone(folder / inventory.COMPACTING) as mine:
        if not mine:
            raise Problem(
                str(folder), "another compaction at work", "one at a time", "Wait for its end."
            )
        return [_compact(folder / stream, stream) for stream in FIELDS]


def _compact(place: Path, stream: Stream) -> Compacted:
    for partial in (place / inventory.DAYS).glob(".*"):
        shutil.rmtree(partial)  # of a run that was killed
    clear(place)
    torn = tuple(cut_torn(place))
    waiting = inventory.of(place).segments
    segments = [path for path in waiting if _has_ended(path)]
    live = len(waiting) - len(segments)
    if not segments:
        return Compacted(stream, 0, 0, live, torn, (), None)
    run = f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(4)}"
    folder = place / inventory.DAYS / run
    with replacing(folder) as partial:
        records, damaged = _write(partial, segments, stream)
        _sync(partial)
    _sync(folder.parent)
    clear(place)
    return Compacted(stream, records, len(segments), live, torn, damaged, folder)


def clear(place: Path) -> None:
    """Delete the segments that finished runs hold; while somebody reads, leave it to the next."""
    with inventory.alone(place.parent / inventory.READING) as mine:
        for names in inventory.listed(place).values() if mine else ():
            for name in names:
                (place / name).unlink(missing_ok=True)


def _has_ended(path: Path) -> bool:
    with ended(path) as file:
        return file is not None


def _write(partial: Path, segments: list[Path], stream: Stream) -> tuple[int, tuple[Damage, ...]]:
    """A run's files in a folder that is not in its place yet: records, and damaged lines."""
    partial.mkdir()
    whole = partial / "whole"
    whole.mkdir()
    counts: dict[str, int] = {}
    damaged: list[Damage] = []
    sources = []
    for path in segments:
        counts[path.name], found = checked(path, stream, partial / DAMAGED)
        damaged += found
        sources.append(without(path, found, whole) if found else path)
    records = sum(counts.values())
    if records:
        _parquet(partial, [source for source in sources if source.stat().st_size], stream, records)
    shutil.rmtree(whole)
    write_json(partial / inventory.LIST, {"segments": counts, "damaged": len(damaged)})
    return records, tuple(damaged)


def engine(scratch: Path, memory: str = MEMORY) -> "duckdb.DuckDBPyConnection":
    """DuckDB with bounded memory, which spills to `scratch` and loads nothing from elsewhere."""
    import duckdb

    return duckdb.connect(
        config={
            "threads": THREADS,
            "memory_limit": memory,
            "temp_directory": str(scratch),
            "preserve_insertion_order": False,
            "autoinstall_known_extensions": False,
        }
    )


def _parquet(partial: Path, sources: list[Path], stream: Stream, records: int) -> None:
    import duckdb

    values = {
        "files": [str(path) for path in sources],
        "columns": {field.name: field.type for field in FIELDS[stream]},
        "folder": str(partial),
    }
    with engine(partial / "whole" / "spilled") as connection:
        try:
            written = connection.execute(COPY, values).fetchone()
        except duckdb.Error as error:
            raise full_disk(OSError(str(error)), partial) or _odd(partial, error) from None
    if written != (records,):
        raise _odd(partial, f"{written} records")


def _odd(partial: Path, found: object) -> Problem:
    """What an engine says may hold a record's words: only its kind is told."""
    said = found if isinstance(found, str) else type(found).__name__
    remedy = "The segments are as they were. Please report it."
    return Problem(str(partial), said, "all records in Parquet", remedy)


def _sync(folder: Path) -> None:
    """Bring a folder and all in it to the disk, before what it was made of is deleted."""
    for path in (folder, *folder.rglob("*")):
        if path.is_file():
            path.chmod(0o640)  # as segments are
        file = os.open(path, os.O_RDONLY)
        try:
            os.fsync(file)
        finally:
            os.close(file)
