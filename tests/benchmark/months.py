"""A real month asked of the service, and every answer looked for in its log."""

import json
import os
import random
import statistics
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl

from benchmark.servers import ROOT
from benchmark.tables import Line
from preflight import bento, params
from preflight.layout import LOG
from preflight.log.compaction import compact
from preflight.log.view import connect, find
from taxi import data
from taxi.contract import CONTRACT

MONTH = "2021-03"
SINGLES, ROWS, LOOKED = 2_000, 5_000, 200
Answers = dict[str, tuple[dict[str, Any], float]]


def real_month(place: Path, month: str) -> pl.DataFrame:
    """A month of TLC_DIR, rows that keep the contract as a request."""
    raw = params.read(ROOT / "params.yaml")
    raw["data"] = raw["data"] | {"source": str(Path(os.environ["TLC_DIR"]).resolve())}
    here = Path.cwd()
    os.chdir(place)
    try:
        data.ingest(params.parse(raw, "params.yaml"), month, place / "month.parquet")
    finally:
        os.chdir(here)
    kept = [
        pl.col(column.name).is_between(column.minimum, column.maximum)
        for column in CONTRACT.known
        if column.minimum is not None and column.maximum is not None
    ]
    return pl.read_parquet(place / "month.parquet").filter(*kept)


def asked(server: bento.Server, rows: list[dict[str, Any]]) -> Answers:
    """Every row asked of a service, some alone, the others in batches: row and value by id."""
    singles = [bento.ask(server, "/v1/predict", row) for row in rows[:SINGLES]]
    found = {
        each["prediction_id"]: (row, each["value"])
        for row, each in zip(rows, singles, strict=False)
    }
    for start in range(SINGLES, len(rows), ROWS):
        part = rows[start : start + ROWS]
        answer = bento.ask(server, "/v1/predict/batch", {"instances": part})["predictions"]
        for row, each in zip(part, answer, strict=True):
            found[each["prediction_id"]] = (row, each["value"])
    return found


def again(folder: Path, answers: Answers) -> int:
    """How many answers the log has with the same input and the same value, to the last bit."""
    rows = connect(folder).execute("SELECT id, input::VARCHAR, value FROM predictions").fetchall()
    return sum(_same(*answers[number], text, value) for number, text, value in rows)


def _same(row: dict[str, Any], value: float, text: str, logged: float) -> bool:
    given = json.loads(text)
    given["pickup_at"] = datetime.fromisoformat(given["pickup_at"]).isoformat()
    return given == row and logged == value


def looked_up(folder: Path, answers: Answers) -> float:
    """Median seconds to find the record of an id."""
    chosen = random.Random(3).sample(sorted(answers), LOOKED)  # noqa: S311 (no secret)
    took = []
    for number in chosen:
        start = time.perf_counter()
        assert find(folder, number)["value"] == answers[number][1]
        took.append(time.perf_counter() - start)
    return statistics.median(took)


def month(place: Path) -> Iterator[Line]:
    """A real month replayed through the service, every answer found again."""
    if "TLC_DIR" not in os.environ:
        yield Line(f"real month {MONTH}", "all", "no data: TLC_DIR is not set", False)
        return
    frame = real_month(place, MONTH).select([column.name for column in CONTRACT.known])
    rows = [
        row | {"pickup_at": row["pickup_at"].isoformat()} for row in frame.iter_rows(named=True)
    ]
    folder = bento.build_unregistered(ROOT, place / "home")
    state = place / "state"
    with bento.served(ROOT, folder, state) as server:
        answers = asked(server, rows)
    for when in ("in segments", "compacted"):
        found = again(state / LOG, answers)
        what = f"real month {MONTH} asked of the service, {len(rows):,} answers: found {when}"
        yield Line(what, "all", f"{found:,}", found == len(rows))
        seconds = looked_up(state / LOG, answers)
        yield Line("— one found by its id", "<= 0.3 s", f"{seconds:.3f} s", seconds <= 0.3)
        compact(state / LOG)
