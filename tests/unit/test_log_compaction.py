"""Compaction: each record stays in exactly one place, whatever interrupts it."""

import json
import os
import random
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from logged import START, outcomes, predictions, write
from preflight.errors import Problem
from preflight.log import inventory
from preflight.log.compaction import Compacted, compact
from preflight.log.view import connect, find

ROWS = 40
DEEP = b"[" * 3_000 + b"]" * 3_000
KILLED = """
import os, sys
from pathlib import Path
from preflight.log import compaction
name, left = sys.argv[2], [int(sys.argv[3])]
owner = Path if name == "unlink" else compaction
works = getattr(owner, name)
def dies(*given, **named):
    left[0] -= 1
    if not left[0]:
        os._exit(9)
    return works(*given, **named)
setattr(owner, name, dies)
compaction.compact(Path(sys.argv[1]))
"""
FULL = """
import resource, sys
from pathlib import Path
from preflight.errors import Problem
from preflight.log.compaction import compact
resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, 5_000))
try:
    compact(Path(sys.argv[1]))
except Problem as problem:
    print(problem)
"""


def ids(folder: Path) -> list[str]:
    """The ids of all predictions that a reader finds, in order."""
    found = connect(folder).execute("SELECT id FROM predictions ORDER BY id").fetchall()
    return [row[0] for row in found]


def of(records: list[dict[str, Any]]) -> list[str]:
    """Their ids, in order."""
    return sorted(record["id"] for record in records)


def done(folder: Path) -> Compacted:
    """What a compaction did with the predictions."""
    return compact(folder)[0]


def outside(folder: Path, code: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Run code in a process of its own."""
    command = (sys.executable, "-c", code, str(folder), *words)
    # A measurement that is killed, or may write no more, is a broken file.
    uncovered = {key: each for key, each in os.environ.items() if "COVERAGE" not in key}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=uncovered)


def test_records_are_the_same_to_the_last_bit_and_their_segments_are_gone(tmp_path: Path) -> None:
    chance = random.Random(3)  # noqa: S311 (no secret)
    records = predictions(ROWS)
    for record in records:
        record["input"]["trip_distance"] = chance.uniform(-1, 1) * 10.0 ** chance.randint(-300, 300)
        record["value"] = chance.uniform(-1, 1) * 10.0 ** chance.randint(-300, 300)
    records[0]["input"] |= {"text": 'Zürich "\\ \n 東京', "large": 2**62, "none": None}
    records[1] |= {"flags": ["range:trip_distance", "joint"], "explanation": {"a": 0.1}}
    write(tmp_path, "predictions", records)
    assert done(tmp_path).records == ROWS
    assert [find(tmp_path, record["id"]) for record in records] == records
    assert not list((tmp_path / "predictions").glob("*.jsonl"))


def test_files_are_of_utc_days(tmp_path: Path) -> None:
    midnight = datetime(2021, 2, 4, tzinfo=UTC)
    write(tmp_path, "predictions", predictions(2, midnight - timedelta(microseconds=1)))
    folder = done(tmp_path).folder
    assert folder
    days = sorted(path.parent.name for path in folder.rglob("*.parquet"))
    assert days == ["day=2021-02-03", "day=2021-02-04"]


def test_both_streams_are_put_away(tmp_path: Path) -> None:
    records = predictions(3)
    write(tmp_path, "predictions", records)
    write(tmp_path, "outcomes", outcomes(records[:2]))
    assert [(each.stream, each.records) for each in compact(tmp_path)] == [
        ("predictions", 3),
        ("outcomes", 2),
    ]


def test_a_live_segment_stays_until_its_process_ends(tmp_path: Path) -> None:
    records = predictions(ROWS)
    live = write(tmp_path, "predictions", records, live=True)
    first = done(tmp_path)
    assert (first.records, first.live) == (0, 1)
    assert ids(tmp_path) == of(records)
    live.close()
    assert done(tmp_path).records == ROWS


def test_a_torn_tail_is_cut_and_told(tmp_path: Path) -> None:
    write(tmp_path, "predictions", predictions(ROWS))
    (path,) = (tmp_path / "predictions").glob("*.jsonl")
    with path.open("ab") as file:
        file.write(b'{"id":"')
    found = done(tmp_path)
    assert (found.records, found.torn, found.damaged) == (ROWS, ((path.name, 7),), ())


def _lacking(line: bytes) -> bytes:
    return json.dumps(
        {key: value for key, value in json.loads(line).items() if key != "arm"}
    ).encode()


@pytest.mark.parametrize(
    "damage",
    [
        lambda line: line[:-20],
        lambda line: b"\0" * len(line),
        lambda line: b"",
        lambda line: b"[1]",
        _lacking,
        lambda line: line[:-1] + b',"new":1}',
        lambda line: line.replace(b'"at":"2021', b'"at":"soon'),
        lambda line: line.replace(b'"value":', b'"value":"high","was":'),
        lambda line: line.replace(b"dispatch", b"dis\xff\xfetch"),
        lambda line: line.replace(b'{"pickup_at"', b'{"\xff":1,"pickup_at"'),
        lambda line: line.replace(b'{"pickup_at"', b'{"deep":' + DEEP + b',"pickup_at"'),
    ],
    ids=[
        "cut",
        "zeros",
        "empty",
        "list",
        "lacking",
        "more",
        "time",
        "type",
        "bytes",
        "in input",
        "deep",
    ],
)
def test_a_damaged_line_is_kept_apart_and_told_and_all_others_are_put_away(
    tmp_path: Path, damage: Any
) -> None:
    records = predictions(ROWS)
    write(tmp_path, "predictions", records)
    write(tmp_path, "predictions", more := predictions(ROWS, seed=2))
    path = min((tmp_path / "predictions").glob("*.jsonl"))
    lines = path.read_bytes().splitlines()
    lost, lines[6] = json.loads(lines[6])["id"], damage(lines[6])
    path.write_bytes(b"\n".join(lines) + b"\n")
    found = done(tmp_path)
    assert [(each.segment, each.line) for each in found.damaged] == [(path.name, 7)]
    assert ids(tmp_path) == [each for each in of(records + more) if each != lost]
    assert found.apart
    (kept,) = map(json.loads, found.apart.read_text().splitlines())
    assert kept["text"].encode(errors="surrogateescape") == lines[6]
    assert (kept["segment"], kept["line"]) == (path.name, 7)


def test_a_segment_of_nothing_but_damage_is_kept_too(tmp_path: Path) -> None:
    place = tmp_path / "predictions"
    place.mkdir()
    (place / "odd.jsonl").write_text("no\nrecord\n")
    assert len(done(tmp_path).damaged) == 2
    assert ids(tmp_path) == []


@pytest.mark.parametrize(
    ("name", "call", "left"),
    [("write_json", "1", 3), ("_sync", "1", 3), ("_sync", "2", 3), ("unlink", "6", 2)],
    ids=["before the list", "before the rename", "before deleting", "while deleting"],
)
def test_a_kill_at_any_point_neither_loses_nor_doubles_a_record(
    tmp_path: Path, name: str, call: str, left: int
) -> None:
    records = predictions(3 * ROWS)
    for start in range(3):
        write(tmp_path, "predictions", records[start::3])
    assert outside(tmp_path, KILLED, name, call).returncode == 9
    assert len(list((tmp_path / "predictions").glob("*.jsonl"))) == left
    assert ids(tmp_path) == of(records)
    compact(tmp_path)
    assert ids(tmp_path) == of(records)
    assert not list((tmp_path / "predictions").glob("*.jsonl"))
    assert not list((tmp_path / "predictions/days").glob(".*"))


def test_a_full_disk_is_a_problem_and_no_record_is_lost(tmp_path: Path) -> None:
    write(tmp_path, "predictions", records := predictions(20 * ROWS))
    assert "no space left" in outside(tmp_path, FULL).stdout
    assert ids(tmp_path) == of(records)
    assert done(tmp_path).records == len(records)


def test_a_second_compaction_refuses_while_one_runs(tmp_path: Path) -> None:
    write(tmp_path, "predictions", predictions(1))
    with (
        inventory.alone(tmp_path / inventory.COMPACTING),
        pytest.raises(Problem, match="another compaction"),
    ):
        compact(tmp_path)
    assert done(tmp_path).records == 1


def test_what_a_reader_reads_is_deleted_after_it_has_left(tmp_path: Path) -> None:
    write(tmp_path, "predictions", predictions(ROWS))
    reader = connect(tmp_path)
    assert done(tmp_path).records == ROWS
    assert reader.execute("SELECT count(*) FROM predictions").fetchall() == [(ROWS,)]
    assert len(ids(tmp_path)) == ROWS
    del reader
    assert done(tmp_path).records == 0
    assert not list((tmp_path / "predictions").glob("*.jsonl"))
    assert len(ids(tmp_path)) == ROWS


def test_each_run_adds_to_what_was_there(tmp_path: Path) -> None:
    for seed in range(3):
        write(tmp_path, "predictions", predictions(ROWS, START, seed))
        compact(tmp_path)
    assert len(set(ids(tmp_path))) == 3 * ROWS


def test_nothing_to_do_is_no_run(tmp_path: Path) -> None:
    assert compact(tmp_path / "absent") == []
    assert done(tmp_path).folder is None


def test_an_empty_segment_goes_without_leaving_a_file(tmp_path: Path) -> None:
    (tmp_path / "predictions").mkdir()
    (tmp_path / "predictions/empty.jsonl").touch()
    assert (done(tmp_path).records, ids(tmp_path)) == (0, [])
    assert not list((tmp_path / "predictions").glob("*.jsonl"))
