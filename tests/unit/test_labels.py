"""Labels in files: a sample to label, brought back, and other files; and their commands."""

import csv
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from click.testing import CliRunner, Result

from logged import START, outcomes, predictions, write
from preflight.cli import Commands
from preflight.contract import Column
from preflight.errors import NoData, Problem
from preflight.log.view import connect
from preflight.watch import commands
from preflight.watch.labels import ROWS as CHUNK
from preflight.watch.labels import bring, sample
from taxi.contract import CONTRACT

ROWS = 200
DAY = timedelta(days=1)
AGES = (START, START + 99 * DAY)
GOOD = "01776700-0000-7000-8000-000000000000"
ID = GOOD.encode()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A log with predictions."""
    found = tmp_path / "log"
    write(found, "predictions", predictions(ROWS))
    monkeypatch.setenv("PREFLIGHT_LOG", str(found))
    return found


def run(*words: str) -> Result:
    """`preflight` with these words."""
    main = Commands("preflight", {"log": commands.log, "outcomes": commands.outcomes})
    return CliRunner().invoke(main, words)


def told(folder: Path) -> list[tuple[Any, ...]]:
    """What the log has as outcomes."""
    found = connect(folder).execute(
        'SELECT prediction_id, value, client, "at" FROM outcomes ORDER BY prediction_id, id'
    )
    return found.fetchall()


def sampled(folder: Path, target: Path, share: float, contract: Any = CONTRACT) -> list[Any]:
    """The rows of a sample."""
    sample(connect(folder), contract, share, AGES, target)
    with target.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_a_file_becomes_outcomes_and_empty_values_are_counted(
    tmp_path: Path, folder: Path, ending: str
) -> None:
    ids = [record["id"] for record in predictions(4)]
    frame = pl.DataFrame(
        {"value": [1.5, None, 3.0, 0.1 + 0.2], "other": ["x"] * 4, "prediction_id": ids}
    )
    path = tmp_path / f"labels.{ending}"
    kinds = {"csv": "write_csv", "jsonl": "write_ndjson", "parquet": "write_parquet"}
    getattr(frame, kinds[ending])(path)
    done = bring(path, folder, datetime(2021, 2, 9, 1, 2, 3, tzinfo=UTC))
    assert (done.outcomes, done.empty) == (3, 1)
    at = datetime(2021, 2, 9, 1, 2, 3)
    assert told(folder) == [
        (ids[0], 1.5, "import", at),
        (ids[2], 3.0, "import", at),
        (ids[3], 0.1 + 0.2, "import", at),
    ]
    with_segments = list((folder / "outcomes").glob("*.jsonl"))
    assert len(with_segments) == 1


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_file_may_say_when_each_outcome_was_received(
    tmp_path: Path, folder: Path, ending: str
) -> None:
    path = tmp_path / f"labels.{ending}"
    if ending == "csv":
        path.write_text(f"at,prediction_id,value\n2021-02-03T03:00:00-05:00,{GOOD.upper()},7\n")
    else:
        at = datetime(2021, 2, 3, 8)
        pl.DataFrame({"prediction_id": [GOOD], "value": [7], "at": [at]}).write_parquet(path)
    bring(path, folder)
    assert told(folder) == [(GOOD, 7.0, "import", datetime(2021, 2, 3, 8))]


def test_a_file_of_many_rows_comes_whole(tmp_path: Path, folder: Path) -> None:
    path = tmp_path / "labels.csv"
    rows = "".join(f"{record['id']},2\n" for record in predictions(CHUNK + 5))
    path.write_text("prediction_id,value\n" + rows)
    assert bring(path, folder).outcomes == CHUNK + 5
    assert len(told(folder)) == CHUNK + 5


@pytest.mark.parametrize(
    ("row", "column", "found"),
    [
        ("7,1.0,", "prediction_id", "'7'"),
        (f"{GOOD},soon,", "value", "'soon'"),
        (f"{GOOD},nan,", "value", "'nan'"),
        (f"{GOOD},1_000,", "value", "'1_000'"),
        (f"{GOOD},1e999,", "value", "'1e999'"),
        (f"{GOOD},1,2021-02-03T08:00:00", "at", "'2021"),
        (f"{GOOD},1,yesterday", "at", "'yesterday'"),
        (f"{GOOD},1,2999-01-01T00:00:00Z", "at", "'2999"),
        (f"{GOOD},1,0021-02-03T08:00:00Z", "at", "'0021"),
        (f"{GOOD},1,0001-01-01T00:00:00+14:00", "at", "'0001"),
    ],
)
def test_a_bad_row_refuses_the_whole_file_by_line_and_column(
    tmp_path: Path, folder: Path, row: str, column: str, found: str
) -> None:
    path = tmp_path / "labels.csv"
    path.write_text(f"prediction_id,value,at\n{GOOD},1.0,\n{row}\n")
    with pytest.raises(Problem, match=f"line 3, column {column}: found {found}"):
        bring(path, folder)
    assert told(folder) == []


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.csv", b"id,value\n1,2\n", "line 2, column prediction_id: found no such column"),
        ("a.csv", b"prediction_id,value\n\xff,2\n", "no UTF-8"),
        ("a.jsonl", b"{}\n", "line 1, column prediction_id"),
        ("a.jsonl", b'\n[1]\n', "line 2: found"),
        ("a.jsonl", b"{\n", "line 1: found"),
        ("a.csv", b"prediction_id,value\n%s,17,5\n" % ID, "line 2: found 3 cells; expected 2"),
        ("a.csv", b"prediction_id,value\n%s\n" % ID, "line 2: found 1 cells; expected 2"),
        ("a.csv", b'prediction_id,value,x\n%s,1,"a\n%s,2,b\n' % (ID, ID), "unexpected end"),
        ("a.csv", b"prediction_id,value,value\n%s,1,2\n" % ID, "column value: found it twice"),
        ("a.jsonl", b'{"prediction_id":"%s","value":1,"value":2}' % ID, "line 1: found"),
        ("a.jsonl", b'{"prediction_id":"%s","value":1%s}' % (ID, b"0" * 400), "column value"),
        ("a.jsonl", b"[" * 100_000, "line 1: found"),
        ("a.parquet", b"PAR1", "no readable Parquet"),
        ("a.xlsx", b"", "a file that ends in"),
    ],
)  # fmt: skip
def test_what_is_no_file_of_labels_is_refused(
    tmp_path: Path, folder: Path, name: str, content: bytes, words: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(Problem, match=words):
        bring(path, folder)


def test_a_file_that_is_not_there_is_no_data(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(NoData):
        bring(tmp_path / "labels.csv", folder)


def test_a_folder_is_no_file_of_labels(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "labels.csv").mkdir()
    with pytest.raises(Problem, match="directory"):
        bring(tmp_path / "labels.csv", folder)


def test_a_sample_is_a_share_and_stays_the_same_while_the_log_grows(
    tmp_path: Path, folder: Path
) -> None:
    first = sampled(folder, tmp_path / "first.csv", 0.2)
    assert 0.1 * ROWS < len(first) < 0.3 * ROWS
    write(folder, "predictions", predictions(ROWS, START + DAY, seed=7))
    again = sampled(folder, tmp_path / "again.csv", 0.2)
    assert again[: len(first)] == first
    larger = sampled(folder, tmp_path / "larger.csv", 0.5)
    assert {row["prediction_id"] for row in again} < {row["prediction_id"] for row in larger}


def test_a_sample_shows_what_the_caller_knew_and_not_what_the_model_said(
    tmp_path: Path, folder: Path
) -> None:
    rows = sampled(folder, tmp_path / "sample.csv", 1.0)
    known = [column.name for column in CONTRACT.known]
    assert list(rows[0]) == ["prediction_id", "predicted_at", *known, "value"]
    record = predictions(1)[0]
    assert rows[0] == {
        "prediction_id": record["id"],
        "predicted_at": record["at"],
        **{name: str(record["input"][name]) for name in known},
        "value": "",
    }


def test_a_sample_has_no_sensitive_column(tmp_path: Path, folder: Path) -> None:
    from dataclasses import replace

    def hidden(column: Column) -> Column:
        return replace(column, sensitive=column.name == "pickup_zone")

    contract = replace(CONTRACT, columns=tuple(map(hidden, CONTRACT.columns)))
    assert "pickup_zone" not in sampled(folder, tmp_path / "sample.csv", 1.0, contract)[0]


def test_a_sample_leaves_out_what_is_told_and_what_nobody_was_told(
    tmp_path: Path, folder: Path
) -> None:
    write(folder, "outcomes", outcomes(predictions(ROWS)[:50]))
    write(folder, "predictions", predictions(5, START, seed=9, arm="shadow"))
    assert len(sampled(folder, tmp_path / "sample.csv", 1.0)) == ROWS - 50


def test_a_sample_of_nothing_is_no_data_and_no_file(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(NoData):
        sample(connect(folder), CONTRACT, 1.0, (START - DAY, START), tmp_path / "sample.csv")
    assert not (tmp_path / "sample.csv").exists()


def test_a_sample_replaces_no_file_in_which_somebody_labelled(tmp_path: Path, folder: Path) -> None:
    path = tmp_path / "sample.csv"
    path.write_text("labels\n")
    done = run("outcomes", "sample", "--share", "1", "-o", str(path))
    assert (done.exit_code, path.read_text()) == (1, "labels\n")
    assert "Name another file" in done.output


def test_a_sample_comes_back_labelled_by_the_commands(tmp_path: Path, folder: Path) -> None:
    path = tmp_path / "sample.csv"
    assert run("outcomes", "sample", "--share", "1", "-o", str(path)).exit_code == 0
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], *(f"{line}12.5" for line in lines[1:11]), *lines[11:]]))
    for _ in range(2):
        done = run("outcomes", "import", str(path))
        assert done.output == f"10 outcomes imported; {ROWS - 10} rows have no value\n"
    assert {row[1] for row in told(folder)} == {12.5}
    counted = run("log", "query", "SELECT count(*) AS n FROM outcomes")
    assert counted.output == "n\n20\n"


def test_the_report_counts_and_measures(folder: Path) -> None:
    write(folder, "outcomes", outcomes(predictions(ROWS)[:50]))
    write(folder, "outcomes", outcomes(predictions(1), 2 * timedelta(hours=1), value=59.0))
    done = run("outcomes", "report")
    assert done.exit_code == 0
    for words in (f"{ROWS} predictions, 25.0%", "50 count", "1 contradictory", "other_client"):
        assert words in done.output
    assert done.output.splitlines()[-1].split()[4:6] == [str(ROWS), "50"]


def test_a_report_of_nothing_old_enough_exits_2(folder: Path) -> None:
    done = run("outcomes", "report", "--from", f"{datetime.now(UTC):%Y-%m-%d}")
    assert done.exit_code == 2
    assert "error: outcomes: found predictions of" in done.output


def test_compaction_tells_what_it_did(folder: Path) -> None:
    (path,) = (folder / "predictions").glob("*.jsonl")
    with path.open("ab") as file:
        file.write(b"no record\n{torn")
    done = run("log", "compact")
    assert done.exit_code == 0
    assert f"predictions: {ROWS} records of 1 segments put away; 0 still written" in done.output
    for words in ("cut a torn line of 5 bytes", f"line {ROWS + 1}: JSON", "damaged.jsonl"):
        assert words in done.output


COMMANDS = [
    ("log", "compact"),
    ("log", "query", "SELECT 1"),
    ("outcomes", "import", "labels.csv"),
]


@pytest.mark.parametrize("words", COMMANDS)
@pytest.mark.parametrize(("place", "status"), [("stdout", 1), ("absent", 2)])
def test_a_log_that_lies_in_no_folder_is_told_and_nothing_is_made(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    place: str,
    status: int,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PREFLIGHT_LOG", place)
    Path("labels.csv").write_text(f"prediction_id,value\n{GOOD},1.0\n")
    done = run(*words)
    assert (done.exit_code, Path(place).exists()) == (status, False)
    assert "PREFLIGHT_LOG" in done.output


def test_a_log_of_somebody_else_is_an_error_in_one_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise PermissionError(13, "Permission denied", str(folder / "predictions"))

    monkeypatch.setattr("preflight.log.compaction.inventory.of", refuse)
    done = run("log", "compact")
    assert done.exit_code == 1
    assert f"error: {folder / 'predictions'}: found no right to it" in done.output
    assert "Traceback" not in done.output


def test_a_reader_keeps_no_other_user_from_compacting(folder: Path) -> None:
    connect(folder).close()
    assert (folder / ".reading").stat().st_mode & 0o444 == 0o444


def test_a_damaged_file_of_parquet_is_an_error_in_one_line_that_names_it(folder: Path) -> None:
    assert run("log", "compact").exit_code == 0
    (path,) = folder.rglob("*.parquet")
    path.write_bytes(path.read_bytes()[:-9])
    done = run("log", "query", "SELECT count(*) FROM predictions")
    assert done.exit_code == 1
    assert done.stderr.startswith("error: the log: found ")
    assert str(path) in done.stderr


def test_a_query_of_too_many_rows_says_so(folder: Path) -> None:
    done = run("log", "query", "SELECT a.id FROM predictions a, predictions b")
    assert len(done.stdout.splitlines()) == 1_001
    assert "first 1,000 rows" in done.stderr
