"""The log as one view: Parquet, ended and live segments; by SQL, by id and in order."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import polars as pl
import pytest

from logged import START, outcomes, predictions, stamp, write
from preflight.errors import NoData, Problem
from preflight.log.compaction import compact
from preflight.log.query import answer
from preflight.log.schema import FIELDS
from preflight.log.view import connect, find, window
from preflight.serving import sinks

ROWS = 30
MINUTE = timedelta(minutes=1)


@pytest.fixture(scope="module")
def everywhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A log of three days: a compacted one, one in an ended segment, one in a live one."""
    folder = tmp_path_factory.mktemp("log")
    for place in range(3):
        records = predictions(ROWS, START + timedelta(days=place), place, MINUTE)
        live = write(folder, "predictions", records, live=place == 2)
        write(folder, "outcomes", outcomes(records))
        if place == 0:
            compact(folder)
    live.append(b'{"id":"0177')  # half of a line, as a reader may see it
    yield folder
    live.close()


def test_parquet_ended_and_live_segments_are_one_view(everywhere: Path) -> None:
    counts = connect(everywhere).execute(
        'SELECT "at"::DATE, count(*) FROM predictions GROUP BY ALL ORDER BY ALL'
    )
    assert [count for _, count in counts.fetchall()] == [ROWS, ROWS, ROWS]


def test_predictions_and_outcomes_join(everywhere: Path) -> None:
    found = connect(everywhere).execute(
        "SELECT count(*) FROM predictions JOIN outcomes ON predictions.id = prediction_id"
    )
    assert found.fetchall() == [(3 * ROWS,)]


@pytest.mark.parametrize("make", [False, True], ids=["no folder", "an empty one"])
def test_a_log_of_nothing_is_empty_and_typed(tmp_path: Path, make: bool) -> None:
    folder = tmp_path / "log"
    if make:
        folder.mkdir()
    connection = connect(folder)
    for stream, fields in FIELDS.items():
        found = connection.execute(f"DESCRIBE {stream}").fetchall()
        assert [(row[0], row[1]) for row in found] == [(each.name, each.type) for each in fields]
        assert connection.view(stream).fetchall() == []


def test_a_field_that_older_records_lack_is_null_and_one_that_went_away_stays(
    tmp_path: Path,
) -> None:
    (older,) = predictions(1)
    write(tmp_path, "predictions", [older])
    folder = compact(tmp_path)[0].folder
    assert folder
    (path,) = folder.rglob("*.parquet")
    places = {"old": str(path), "new": str(path.with_name("older.parquet"))}
    duckdb.execute(
        "COPY (SELECT * EXCLUDE (pair_id), 'x' AS gone FROM read_parquet($old)) TO $new", places
    )
    path.unlink()
    write(tmp_path, "predictions", predictions(1, seed=2, pair_id="p"))
    compact(tmp_path)
    found = connect(tmp_path).execute("SELECT pair_id, gone FROM predictions ORDER BY pair_id")
    assert found.fetchall() == [("p", None), (None, "x")]
    assert find(tmp_path, older["id"]) == older


def test_a_torn_tail_is_cut_before_it_is_read(tmp_path: Path) -> None:
    write(tmp_path, "predictions", predictions(ROWS))
    (path,) = (tmp_path / "predictions").glob("*.jsonl")
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"id":"0177')
    found = connect(tmp_path).execute("SELECT count(*) FROM predictions").fetchall()
    assert found == [(ROWS,)]
    assert path.read_bytes() == whole


def test_the_folder_is_the_environments_or_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFLIGHT_LOG", "/elsewhere")
    assert sinks.place() == Path("/elsewhere")
    monkeypatch.delenv("PREFLIGHT_LOG")
    assert sinks.place() == Path(".preflight/serving/log")
    monkeypatch.setenv("PREFLIGHT_LOG", "")
    assert sinks.place() == Path(".preflight/serving/log")


@pytest.mark.parametrize("place", range(3), ids=["compacted", "ended", "live"])
def test_find_gives_the_record_as_it_was_written_wherever_it_lies(
    everywhere: Path, place: int
) -> None:
    for record in predictions(ROWS, START + timedelta(days=place), place, MINUTE)[::10]:
        assert find(everywhere, record["id"]) == record


@pytest.mark.parametrize("compacted", [False, True])
def test_find_sees_through_a_clock_that_was_set_back(tmp_path: Path, compacted: bool) -> None:
    records = predictions(3, at=stamp(START - timedelta(days=9)))
    write(tmp_path, "predictions", records)
    if compacted:
        compact(tmp_path)
    assert find(tmp_path, records[1]["id"]) == records[1]


def test_find_is_not_misled_by_an_id_inside_an_input(tmp_path: Path) -> None:
    misleading, wanted = predictions(2)
    misleading["input"] = {"id": wanted["id"]}
    write(tmp_path, "predictions", [misleading, wanted])
    assert find(tmp_path, wanted["id"]) == wanted


def test_find_reads_what_a_shipper_wrote_with_spaces(tmp_path: Path) -> None:
    records = predictions(3)
    (tmp_path / "predictions").mkdir()
    lines = "".join(json.dumps(record) + "\n" for record in records)
    (tmp_path / "predictions/shipped.jsonl").write_text(lines)
    assert find(tmp_path, records[1]["id"]) == records[1]


def test_an_id_may_have_capitals(everywhere: Path) -> None:
    record = predictions(ROWS, START, 0, MINUTE)[3]
    assert find(everywhere, record["id"].upper()) == record


@pytest.mark.parametrize("odd", ["", "7", "x" * 36, "' OR true --", "0177\n"])
def test_what_is_no_id_is_refused(everywhere: Path, odd: str) -> None:
    with pytest.raises(Problem, match="a UUID") as caught:
        find(everywhere, odd)
    assert not isinstance(caught.value, NoData)


@pytest.mark.parametrize("first", ["01776765-4321", "ffffffff-ffff", "00000000-0000"])
def test_an_id_that_was_never_given_is_no_data(everywhere: Path, first: str) -> None:
    with pytest.raises(NoData, match="no prediction"):
        find(everywhere, f"{first}-7000-8000-000000000000")


def test_a_window_is_in_order_and_in_parts(tmp_path: Path) -> None:
    records = predictions(5 * ROWS, every=timedelta(milliseconds=300))
    for start in range(3):
        write(tmp_path, "predictions", records[start::3])
        if start == 0:
            compact(tmp_path)
    frames = list(window(tmp_path, START, START + timedelta(days=1), rows=20))
    assert max(map(len, frames)) <= 20
    assert pl.concat(frames)["id"].to_list() == [record["id"] for record in records]


def test_a_window_begins_with_its_start_and_ends_before_its_end(everywhere: Path) -> None:
    start = START + timedelta(days=1)
    (frame,) = window(everywhere, start, start + 5 * MINUTE)
    assert frame["at"].to_list() == [
        (start + place * MINUTE).replace(tzinfo=None) for place in range(5)
    ]
    assert isinstance(frame["input"][0], str)


def test_a_window_in_another_zone_is_the_same(everywhere: Path) -> None:
    zone = datetime.fromisoformat("2021-02-03T03:00:00-05:00")
    (frame,) = window(everywhere, zone, zone + MINUTE)
    assert frame["at"].to_list() == [START.replace(tzinfo=None)]


def test_a_window_of_nothing_has_no_frame(everywhere: Path) -> None:
    assert list(window(everywhere, START - timedelta(days=9), START)) == []


def test_a_query_answers_with_names_and_rows(everywhere: Path) -> None:
    question = 'SELECT arm, count(*) AS "many" FROM predictions GROUP BY arm'
    assert answer(everywhere, question, 5) == (["arm", "many"], [("stable", 3 * ROWS)])


@pytest.mark.parametrize(
    "question",
    [
        "COPY predictions TO 'stolen.csv'",
        "DROP VIEW predictions",
        "SELECT 1; DROP VIEW predictions",
        "EXPLAIN ANALYZE COPY predictions TO 'stolen.csv'",
        "SET enable_external_access = true",
        "SELECT * FROM read_text('{outside}')",
        "FROM '{outside}'",
        "SELECT nothing FROM predictions",
        "SELEC",
    ],
)
def test_a_query_can_only_read_and_only_the_log(
    everywhere: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, question: str
) -> None:
    outside = tmp_path / "outside.csv"
    outside.write_text("a\n1\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Problem, match="one SELECT"):
        answer(everywhere, question.replace("{outside}", str(outside)), 5)
    assert [path.name for path in tmp_path.iterdir()] == ["outside.csv"]
