"""The log as a reader sees it: Parquet and segments as one, by SQL, by id, and in order."""

import fcntl
import os
import re
import shutil
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from preflight.errors import NoData, Problem
from preflight.log import inventory, search
from preflight.log.compaction import engine
from preflight.log.schema import FIELDS, Stream
from preflight.log.segments import cut_torn

if TYPE_CHECKING:
    import duckdb
    import polars as pl

MEMORY = "1GB"  # of DuckDB's buffers
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
DAY = timedelta(days=1)
ORDERED = """
SELECT * REPLACE (input::VARCHAR AS input, explanation::VARCHAR AS explanation)
FROM predictions WHERE "at" >= ? AND "at" < ? ORDER BY "at", id
"""


def connect(
    folder: Path, first: date | None = None, last: date | None = None
) -> "duckdb.DuckDBPyConnection":
    """DuckDB with the views `predictions` and `outcomes` over what the log holds now.

    Their columns are those of `schema.FIELDS`, and of older records; `"at"` is a word of SQL, so
    quote it. Of compacted predictions only the days from `first` to `last` are read, or all. While
    the connection lives no compaction deletes what it reads.
    """
    scratch = Path(tempfile.mkdtemp(prefix="preflight-"))
    connection = engine(scratch, MEMORY)
    weakref.finalize(connection, _leave, scratch, _lock(folder))
    connection.execute("SET preserve_insertion_order = true")
    days = None if first is None or last is None else _days(first, last)
    for stream in FIELDS:
        _add(connection, folder / stream, stream, days if stream == "predictions" else None)
    return connection


def _lock(folder: Path) -> int | None:
    try:
        return inventory.hold(folder / inventory.READING, fcntl.LOCK_SH)
    except OSError:  # no folder, or no right to write there: then nobody is kept from deleting
        return None


def _leave(scratch: Path, lock: int | None) -> None:
    shutil.rmtree(scratch, ignore_errors=True)
    if lock is not None:
        os.close(lock)


def _days(first: date, last: date) -> list[date]:
    return [first + place * DAY for place in range((last - first).days + 1)]


def _add(
    connection: "duckdb.DuckDBPyConnection", place: Path, stream: Stream, days: list[date] | None
) -> None:
    """One stream's view, by way of a view of each kind of file that there is."""
    with suppress(OSError):  # who may only read sees no torn line either
        cut_torn(place)
    columns = {field.name: field.type for field in FIELDS[stream]}
    nothing = ", ".join(f'NULL::{kind} AS "{name}"' for name, kind in columns.items())
    parts = [f"(SELECT {nothing} WHERE false)"]
    held = inventory.of(place)
    segments = [str(path) for path in held.segments if path.stat().st_size]
    if segments:
        # A live segment's last line may be half written: it is no JSON, and is left out.
        found = connection.read_json(
            segments,  # type: ignore[arg-type]
            columns=columns,
            format="newline_delimited",
            ignore_errors=True,
        )
        found.create_view(f"{stream}_segments")
        parts.append(f"(FROM {stream}_segments WHERE id IS NOT NULL)")
    parquet = [str(path) for path in held.parquet(days)]
    if parquet:
        found = connection.read_parquet(parquet, union_by_name=True, hive_partitioning=False)
        found.create_view(f"{stream}_parquet")
        parts.append(f"(FROM {stream}_parquet)")
    connection.execute(f"CREATE VIEW {stream} AS " + " UNION ALL BY NAME ".join(parts))


def find(folder: Path, prediction_id: str) -> dict[str, Any]:
    """The record of a prediction, as it was written; a field that it lacks is None.

    The id may have capitals, as spreadsheets write them. Raises Problem when it is no UUID, and
    NoData when the log has no such prediction.
    """
    prediction_id = prediction_id.lower()
    if not UUID.fullmatch(prediction_id):
        raise Problem(
            "the prediction's id", repr(prediction_id[:40]), "a UUID", "Copy it from the answer."
        )
    place = folder / "predictions"
    held, days = inventory.of(place), _near(prediction_id)
    near = held.parquet(days)
    found = search.in_parquet(near, prediction_id)
    found = found or search.in_segments(held.segments, prediction_id)
    # Listed anew, as a compaction may have put a segment away meanwhile.
    rest = sorted({*inventory.of(place).parquet()} - {*near}) if found is None else []
    found = found or search.in_parquet(rest, prediction_id)
    if found is None:
        raise NoData(
            str(folder),
            f"no prediction {prediction_id}",
            "one of this log's",
            "Was it answered by a service that writes here? PREFLIGHT_LOG names another folder.",
        )
    return found


def _near(prediction_id: str) -> list[date]:
    """Days on which a record may be by its id, though its clock was set back since, or ahead."""
    stamp = int(prediction_id.replace("-", "")[:12], 16) / 1000
    try:
        made = datetime.fromtimestamp(stamp, UTC).date()
        return _days(made - DAY, made + DAY)
    except (ValueError, OverflowError):
        return []


def window(
    folder: Path, start: datetime, end: datetime, rows: int = 100_000
) -> "Iterator[pl.DataFrame]":
    """Predictions made from `start` to before `end`, ordered by time and id, about so many at once.

    Times are UTC where they name no zone; `input` and `explanation` are JSON text. In memory is
    one frame, which is larger where one second has more rows.
    """
    import polars as pl

    first, last = naive(start), naive(end)
    connection = connect(folder, first.date(), last.date())
    _parsed_once(connection, first, last)
    for since, until in _cuts(connection, first, last, rows):
        frame = pl.DataFrame(connection.sql(ORDERED, params=[since, until]).to_arrow_table())
        if len(frame):
            yield frame


def _parsed_once(connection: "duckdb.DuckDBPyConnection", first: datetime, last: datetime) -> None:
    """Put the segments' part of a window into a file of Parquet, as long as the connection lives.

    Else each frame would parse all of them again.
    """
    views = connection.execute("SELECT view_name FROM duckdb_views()").fetchall()
    if ("predictions_segments",) not in views:
        return
    ((scratch,),) = connection.execute("SELECT current_setting('temp_directory')").fetchall()
    path = f"{scratch}/window.parquet"
    connection.execute(
        "COPY (FROM predictions_segments WHERE id IS NOT NULL AND "
        '"at" >= $first AND "at" < $last) TO $path (FORMAT parquet)',
        {"first": first, "last": last, "path": path},
    )
    connection.execute("DROP VIEW predictions_segments")
    connection.read_parquet(path).create_view("predictions_segments")


def _cuts(
    connection: "duckdb.DuckDBPyConnection", first: datetime, last: datetime, rows: int
) -> list[tuple[datetime, datetime]]:
    """Stretches of whole seconds that hold about `rows` predictions each."""
    seconds = connection.execute(
        """
        SELECT date_trunc('second', "at") AS second, count(*) FROM predictions
        WHERE "at" >= ? AND "at" < ? GROUP BY second ORDER BY second
        """,
        [first, last],
    )
    starts, count = [first], 0
    while seconds_found := seconds.fetchmany(10_000):
        for second, here in seconds_found:
            if count and count + here > rows:
                starts.append(second)
                count = 0
            count += here
    return list(pairwise([*starts, last]))


def naive(at: datetime) -> datetime:
    """A time as the log's columns have it: UTC, without a zone."""
    return at.astimezone(UTC).replace(tzinfo=None) if at.tzinfo else at
