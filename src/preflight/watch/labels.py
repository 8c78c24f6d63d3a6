"""Outcomes as files: a sample of predictions for people to label, and labels brought back."""

import csv
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from preflight.contract import Contract
from preflight.errors import NoData, Problem
from preflight.files import replacing
from preflight.log.segments import Segments
from preflight.log.view import naive
from preflight.serving.ids import Ids
from preflight.watch.label_files import labels

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

CLIENT = "import"
ROWS = 10_000  # written at once
WHOLE = 1 << 40  # bytes or seconds: one segment, however large
# By a hash of the id, so that who asks again gets the same rows and no other ones.
SAMPLE = """
SELECT predictions.id, predictions."at", input::VARCHAR
FROM predictions ANTI JOIN outcomes ON predictions.id = outcomes.prediction_id
WHERE "at" >= $start AND "at" < $end AND arm IS DISTINCT FROM 'shadow'
    AND ('0x' || substr(md5(predictions.id), 1, 8))::UBIGINT < $share * 4294967296
ORDER BY predictions."at", predictions.id
"""


@dataclass(frozen=True)
class Imported:
    """Rows of a file that became outcomes, and rows whose value is empty."""

    outcomes: int
    empty: int


def bring(path: Path, folder: Path, now: datetime | None = None) -> Imported:
    """Append a file's outcomes to the log in `folder`: CSV, Parquet or JSON lines, by its name.

    Columns are prediction_id, value and, where it is known, `at`: when the outcome was received;
    else that is now. Others are ignored. Raises Problem that names the first bad row's line and
    column, and then nothing is appended. The same file again gives duplicates, which the join
    counts and leaves out.
    """
    present = now or datetime.now(UTC)
    empty = outcomes = 0
    for row in labels(path, present):  # all of it, before a part is appended
        empty, outcomes = (empty, outcomes + 1) if row else (empty + 1, outcomes)
    if outcomes:
        _append(folder, _records(filter(None, labels(path, present)), present))
    return Imported(outcomes, empty)


def _append(folder: Path, records: Iterator[dict[str, Any]]) -> None:
    segments, encode = Segments(folder / "outcomes", WHOLE, WHOLE, None), msgspec.json.Encoder()
    try:
        while some := list(islice(records, ROWS)):
            segments.append(encode.encode_lines(some))
    except OSError as error:
        raise Problem(
            str(folder),
            error.strerror or type(error).__name__,
            "room, and the right to write",
            "Import the file again: what is already in the log counts once.",
        ) from error
    finally:
        segments.close()


def _records(rows: Iterable[dict[str, Any]], now: datetime) -> Iterator[dict[str, Any]]:
    ids = Ids()
    request = ids.one()
    for row in rows:
        at = naive(row["at"] or now)
        yield {
            "id": ids.one(),
            "at": f"{at:%Y-%m-%dT%H:%M:%S.%fZ}",
            "client": CLIENT,
            "request_id": request,
            "prediction_id": row["prediction_id"],
            "value": row["value"],
        }


def sample(
    connection: "DuckDBPyConnection",
    contract: Contract,
    share: float,
    stretch: tuple[datetime, datetime],
    target: Path,
) -> int:
    """Write a share of the predictions that have no outcome, for people to label; returns rows.

    Which ones follows from their ids alone. Columns of the CSV: prediction_id, predicted_at, what
    the caller knew that is not sensitive, and an empty `value`; never the model's answer, which
    would lead whoever labels. Raises NoData when there is no such prediction, and Problem when
    there is a file, in which somebody may have labelled.
    """
    if target.exists():
        raise Problem(str(target), "a file", "none, as it may hold labels", "Name another file.")
    start, end = stretch
    known = [column.name for column in contract.known if not column.sensitive]
    found = connection.execute(SAMPLE, {"start": naive(start), "end": naive(end), "share": share})
    count = 0
    with replacing(target) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["prediction_id", "predicted_at", *known, "value"])
        while rows := found.fetchmany(ROWS):
            for name, at, asked in rows:
                row = json.loads(asked)
                table.writerow([name, f"{at:%Y-%m-%dT%H:%M:%S.%fZ}", *map(row.get, known), ""])
            count += len(rows)
        if not count:
            raise NoData(
                "the log",
                f"no prediction without an outcome in {share:.2%} of that stretch",
                "one at least",
                "Ask for a larger share or a longer stretch.",
            )
    return count
