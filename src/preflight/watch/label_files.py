"""Files of labels, row by row: CSV, JSON lines or Parquet, each value checked."""

import csv
import json
import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from preflight.errors import NoData, Problem
from preflight.log.view import UUID

ROWS = 10_000  # of Parquet read at once
NEEDED = ("prediction_id", "value")
FIRST = datetime(1970, 1, 1, tzinfo=UTC)
ONCE = "Keep one of them."


def labels(path: Path, now: datetime) -> Iterator[dict[str, Any] | None]:
    """Rows as prediction_id, value and `at`, a datetime or None; None where the value is empty.

    Raises Problem that names the first bad row's line and column; of Parquet the row, from 1.
    """
    for line, row in _rows(path):
        for name in NEEDED:
            if name not in row:
                raise _bad(path, line, name, "no such column", "one", "Name it so.")
        if row["value"] is None or row["value"] == "":
            yield None
            continue
        yield {
            "prediction_id": _id(path, line, row["prediction_id"]),
            "value": _value(path, line, row["value"]),
            "at": _at(path, line, row.get("at"), now),
        }


def _id(path: Path, line: int, found: Any) -> str:
    text = str(found).strip().lower()
    if not UUID.fullmatch(text):
        raise _bad(path, line, "prediction_id", _shown(found), "a prediction's UUID")
    return text


def _value(path: Path, line: int, found: Any) -> float:
    odd = isinstance(found, bool) or "_" in str(found)  # both are numbers to Python
    try:
        value = math.nan if odd else float(found)
    except (TypeError, ValueError, OverflowError):
        value = math.nan
    if not math.isfinite(value):
        raise _bad(path, line, "value", _shown(found), "a finite number")
    return value


def _at(path: Path, line: int, found: Any, now: datetime) -> datetime | None:
    if found is None or found == "":
        return None
    try:
        at = found if isinstance(found, datetime) else datetime.fromisoformat(str(found).strip())
    except ValueError:
        at = datetime.max
    if at.tzinfo is None or not FIRST < at <= now:
        expected = "a time that has been, with its offset, as 2021-02-03T08:15:00Z"
        raise _bad(path, line, "at", _shown(found), expected)
    return at


def _shown(found: Any) -> str:
    return repr(found)[:60]


def _bad(
    path: Path, line: int, column: str, found: str, expected: str, remedy: str = ""
) -> Problem:
    remedy = remedy or "Nothing was imported; mend the row and import the file again."
    return Problem(f"{path}, line {line}, column {column}", found, expected, remedy)


def _rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """A file's rows by the columns' names, with their lines; of Parquet the rows from 1."""
    kinds = {".csv": _csv, ".parquet": _parquet, ".jsonl": _lines, ".ndjson": _lines}
    if path.suffix not in kinds:
        expected = f"a file that ends in {', '.join(kinds)}"
        raise Problem(str(path), f"{path.suffix or 'no ending'}", expected, "Rename it.")
    try:
        yield from kinds[path.suffix](path)
    except FileNotFoundError:
        raise NoData(str(path), "no file", "a file of outcomes", "Mend the path.") from None
    except OSError as error:
        what = error.strerror or type(error).__name__
        raise Problem(str(path), what, "a file of outcomes", "Mend the path.") from None
    except UnicodeDecodeError:
        raise Problem(str(path), "no UTF-8", "text in UTF-8", "Save it so.") from None


def _csv(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, strict=True)
        try:
            names = next(reader, [])
            for name in (*NEEDED, "at"):
                if names.count(name) > 1:
                    raise _bad(path, 1, name, "it twice", "it once", ONCE)
            for cells in filter(None, reader):
                # A decimal comma makes one cell more: half of the value is another value.
                if len(cells) != len(names):
                    raise _ragged(path, reader.line_num, len(cells), len(names))
                yield reader.line_num, dict(zip(names, cells, strict=True))
        except csv.Error as error:
            raise Problem(
                f"{path}, line {reader.line_num}", str(error), "a row of CSV", "Mend the line."
            ) from None


def _ragged(path: Path, line: int, found: int, expected: int) -> Problem:
    remedy = "Nothing was imported; quote cells with commas, write decimals with a point."
    return Problem(f"{path}, line {line}", f"{found} cells", f"{expected}, as its head", remedy)


def _lines(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    with path.open(encoding="utf-8") as file:
        for line, text in enumerate(file, 1):
            try:
                row = json.loads(text, object_pairs_hook=_once) if text.strip() else None
            except (ValueError, RecursionError):
                row = text
            if row is not None and not isinstance(row, dict):
                raise Problem(
                    f"{path}, line {line}",
                    _shown(text),
                    "a JSON object, each name once",
                    "Mend it.",
                )
            if row is not None:
                yield line, row


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose names are all different; raises ValueError."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name twice")
    return found


def _parquet(path: Path) -> Iterator[tuple[int, Mapping[str, Any]]]:
    import polars as pl

    from preflight.table import opened

    frame, columns = opened(path, "a file of outcomes", "Mend the path or the file.")
    names = [name for name in (*NEEDED, "at") if name in columns]
    times = [name for name, kind in columns.items() if name == "at" and kind == pl.Datetime]
    start, few = 0, ROWS
    while len(part := frame.select(names).slice(start, few).collect()):
        for line, row in enumerate(part.iter_rows(named=True), start + 1):
            yield line, {**row, **{name: _zoned(row[name]) for name in times}}
        start += few


def _zoned(at: datetime | None) -> datetime | None:
    return at.replace(tzinfo=UTC) if at and at.tzinfo is None else at
