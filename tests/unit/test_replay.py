"""`preflight replay`: nothing differs for the same model, to the last bit, and the rest is told."""

import io
import json
import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner, Result

import logged
from preflight import reference, windows, workspace
from preflight.cli import Commands
from preflight.errors import NoData, Problem
from preflight.explanation import Arrays
from preflight.layout import PACKAGED
from preflight.log import view
from preflight.project import Columns
from preflight.watch import commands, models, progress
from preflight.watch.models import Here
from preflight.watch.replay import Replay, Slice, replay, require_same, shown
from taxi.contract import CONTRACT

ROWS = 400
BEYOND = 2.0
REQUESTS = reference.columns(CONTRACT, ROWS)
Record = dict[str, Any]


class Other(Here):
    """The small model under another hash, which answers otherwise in one pick-up zone."""

    def __init__(self, folder: Path, zones: int) -> None:
        super().__init__(folder)
        self.model_hash, self._zones = "2" * 64, zones

    def answers(self, columns: Columns) -> Arrays:
        found = super().answers(columns)
        moved = np.where(columns["pickup_zone"] <= self._zones, 3.0, 0.0)
        return found | {"given": found["given"] + moved}


@pytest.fixture
def model(built: Path) -> Here:
    """The small repository's model, which a test may change."""
    return Here(built / PACKAGED)


def records(model: Here, **fixed: Any) -> list[Record]:
    """What a service with this model would have logged, each tenth a fallback."""
    found = model.answers(REQUESTS)
    made = logged.predictions(ROWS, model_hash=model.model_hash, **fixed)
    inputs = reference.instances(REQUESTS)
    for place, (each, row) in enumerate(zip(made, inputs, strict=True)):
        each |= {"input": row}
        each |= {end: found[end][place].item() for end in ("value", "lower", "upper")}
        if place % 10 == 0:
            value = found["baseline"][place].item()
            each |= {"value": value, "lower": None, "upper": None}
            each |= {"mode": "fallback", "flags": ["fallback.mode"]}
    return made


@pytest.fixture
def again(tmp_path: Path) -> Callable[..., Replay]:
    """Log records and replay them, some at once."""

    def run(model: Here, made: list[Record], rows: int = 150) -> Replay:
        logged.write(tmp_path, "predictions", made)
        end = logged.START + timedelta(hours=1)
        return replay(model, view.window(tmp_path, logged.START, end, rows=rows), BEYOND)

    return run


def part(found: Replay, name: str) -> Slice:
    """One slice."""
    (one,) = (each for each in found.slices if each.name == name)
    return one


Again = Callable[..., Replay]


def test_the_same_model_differs_nowhere_to_the_last_bit(model: Here, again: Again) -> None:
    found = again(model, records(model))
    assert (found.rows, found.same, found.differ, found.same_differ) == (ROWS, ROWS, 0, 0)
    assert found.same_examples == found.examples == []
    assert part(found, "all") == Slice("all", ROWS, 0, 0, 0.0, 0.0)
    require_same(found)


@pytest.mark.parametrize("end", ["value", "lower", "upper"])
def test_a_last_bit_that_was_tampered_with_is_found(model: Here, again: Again, end: str) -> None:
    made = records(model)
    made[207][end] = math.nextafter(made[207][end], 0.0)
    found = again(model, made)
    assert (found.differ, found.same_differ) == (1, 1)
    assert [each["id"] for each in found.same_examples] == [made[207]["id"]]
    with pytest.raises(Problem, match=f"1 of 400 of its own.*{made[207]['id']}"):
        require_same(found)


def test_a_fallback_that_was_tampered_with_is_found(model: Here, again: Again) -> None:
    made = records(model)
    made[10]["value"] += 1
    made[20]["upper"] = 30.0
    assert again(model, made).same_differ == 2


def test_an_output_that_cannot_be_right_is_the_baselines_again(
    model: Here, again: Again, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = records(model)
    inner = model._model.model
    monkeypatch.setattr(inner, "predict", lambda matrix: np.full(len(matrix), 99.0))
    baseline = inner.baseline(REQUESTS).tolist()
    for each, value in zip(made, baseline, strict=True):
        each |= {"value": value, "lower": None, "upper": None, "mode": "normal"}
    assert again(model, made).differ == 0


def test_another_model_is_compared_by_slice(model: Here, built: Path, again: Again) -> None:
    made = records(model)
    found = again(Other(built / PACKAGED, 265), made)
    assert (found.rows, found.same, found.differ) == (ROWS, 0, ROWS * 9 // 10)
    everything = part(found, "all")
    assert everything.mean == pytest.approx(2.7)
    assert everything.largest == pytest.approx(3.0)
    assert everything.moved == everything.differ == ROWS * 9 // 10
    require_same(found)


def test_differences_are_told_where_they_are(model: Here, built: Path, again: Again) -> None:
    made = records(model)
    for place, each in enumerate(made):
        each["arm"] = "canary" if place % 4 == 0 else None
    other = Other(built / PACKAGED, 100)
    found = again(other, made)
    borough = other.labels(REQUESTS)["pickup_borough"]
    for name in np.unique(borough).tolist():
        rows = (borough == name) & (np.arange(ROWS) % 10 != 0)
        expected = int((REQUESTS["pickup_zone"][rows] <= 100).sum())
        assert part(found, f"pickup_borough={name}").differ == expected
    assert part(found, "arm=canary").rows == ROWS // 4
    assert part(found, "arm=none").rows == ROWS * 3 // 4
    assert part(found, "model_version=3").rows == ROWS
    assert not [each for each in found.slices if each.name.startswith("vendor")]


def test_answers_of_two_models_are_told_apart(model: Here, built: Path, again: Again) -> None:
    made = records(model)
    for each in made[:100]:
        each["model_hash"] = "3" * 64
        each["value"] += 1
    found = again(model, made)
    assert (found.same, found.differ, found.same_differ) == (300, 100, 0)
    require_same(found)


def test_a_difference_of_the_very_model_is_named_though_others_came_first(
    model: Here, again: Again
) -> None:
    made = records(model)
    for each in made[:150]:
        each |= {"model_hash": "3" * 64, "value": each["value"] + 1}
    made[301]["value"] += 1
    found = again(model, made)
    assert [each["id"] for each in found.examples] == [each["id"] for each in made[:10]]
    with pytest.raises(Problem, match=made[301]["id"]):
        require_same(found)


def test_an_input_that_breaks_the_models_contract_counts_as_differing(
    model: Here, again: Again
) -> None:
    made = records(model)
    made[5]["input"]["trip_distance"] = 101.0
    made[6] |= {"model_hash": "3" * 64, "input": {"pickup_zone": 1}}
    found = again(model, made)
    assert (found.refused, found.differ, found.same_differ) == (2, 2, 1)
    assert found.same_examples[0]["replayed"] == "trip_distance: 101.0"
    assert part(found, "all").rows == ROWS - 2


def test_inputs_that_all_break_the_contract_are_told_without_slices(
    model: Here, again: Again
) -> None:
    made = [each | {"input": {}} for each in records(model)]
    found = again(model, made)
    assert (found.refused, found.slices) == (ROWS, [])
    assert "400 do not keep its contract" in shown(found, "minute")


def test_an_empty_stretch_is_no_data(model: Here) -> None:
    with pytest.raises(NoData, match="no prediction in this stretch"):
        replay(model, [], BEYOND)


def test_a_sensitive_column_that_the_model_needs_is_refused_by_name(
    model: Here, again: Again
) -> None:
    made = records(model)
    columns = tuple(
        replace(column, sensitive=column.sensitive or column.name == "pickup_zone")
        for column in CONTRACT.columns
    )
    model.contract = replace(CONTRACT, columns=columns)
    for each in made:
        each["input"]["pickup_zone"] = "hash:0123"
    with pytest.raises(Problem, match="column pickup_zone: found a keyed hash"):
        again(model, made)


def test_the_table_names_rows_means_and_shares(model: Here, built: Path, again: Again) -> None:
    lines = shown(again(Other(built / PACKAGED, 265), records(model)), "minute").splitlines()
    assert (
        lines[0] == "400 predictions again by model 222222222222: 360 differ; 0 were its own, "
        "of which 0 differ"
    )
    assert lines[1].split() == ["slice", "rows", "differ", "mean", "minutes", "largest", ">", "2"]
    assert lines[2].split() == ["all", "400", "90.0%", "+2.700", "3.000", "90.0%"]


@pytest.fixture
def asked(
    built: Path, model: Here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Result]:
    """Ask `preflight replay` in a checkout of the small model, for records as they are changed."""
    root = tmp_path / "checkout"
    for name in ("models/packaged", "params.yaml"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).symlink_to(built / name)
    monkeypatch.setattr(workspace, "root", lambda: root)
    monkeypatch.setenv("PREFLIGHT_LOG", str(tmp_path))
    group = Commands()
    group.add_command(commands.replay)

    def ask(made: list[Record], *words: str) -> Result:
        logged.write(tmp_path, "predictions", made)
        stretch = ("--from", "2021-02-03", "--to", "2021-02-04")
        return CliRunner().invoke(group, ["replay", *stretch, *words])

    return ask


def told(tmp_path: Path) -> dict[str, Any]:
    """What reports/replay.json says."""
    found: dict[str, Any] = json.loads((tmp_path / "checkout/reports/replay.json").read_text())
    return found


def test_the_command_is_green_where_nothing_differs(
    asked: Callable[..., Result], model: Here, tmp_path: Path
) -> None:
    done = asked(records(model))
    assert done.exit_code == 0
    assert done.stdout.startswith("400 predictions again by model")
    assert (told(tmp_path)["rows"], told(tmp_path)["differ"]) == (ROWS, 0)
    assert told(tmp_path)["slices"][0]["name"] == "all"


def test_the_command_fails_where_a_model_differs_from_itself(
    asked: Callable[..., Result], model: Here, tmp_path: Path
) -> None:
    made = records(model)
    made[3]["lower"] += 1
    done = asked(made)
    assert done.exit_code == 1
    assert f"first prediction {made[3]['id']}" in done.stderr
    assert [each["id"] for each in told(tmp_path)["same_examples"]] == [made[3]["id"]]


def test_the_command_is_green_where_another_model_differs(
    asked: Callable[..., Result], model: Here, built: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def version(root: Path, name: str | None) -> Iterator[Here]:
        assert name == "7"
        yield Other(built / PACKAGED, 265)

    monkeypatch.setattr(models, "of_version", version)
    done = asked(records(model), "--model", "7")
    assert done.exit_code == 0
    assert "360 differ; 0 were its own" in done.stdout


def test_the_command_saves_the_inputs_to_be_tracked(
    asked: Callable[..., Result], model: Here, tmp_path: Path
) -> None:
    done = asked(records(model), "--save", "rush")
    assert "400 inputs kept, 0 left out" in done.stdout
    assert done.stdout.strip().endswith("dvc add data/windows/rush.parquet")
    assert len(windows.read(tmp_path / "checkout", "rush", CONTRACT)) == ROWS


def test_a_long_walk_shows_how_far_it_is(
    model: Here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(progress, "EVERY", 0.0)
    walk = frames(tmp_path, records(model))
    start, end = datetime(2021, 2, 3, 8), datetime(2021, 2, 3, 9)
    with caplog.at_level("INFO", logger="preflight"):
        assert sum(map(len, progress.followed(walk, "replay", start, end))) == ROWS
    assert [record.getMessage() for record in caplog.records] == [
        "replay: 150 rows, to 2021-02-03 08:02:29 of 2021-02-03 09:00:00",
        "replay: 300 rows, to 2021-02-03 08:04:59 of 2021-02-03 09:00:00",
        "replay: 400 rows, to 2021-02-03 08:06:39 of 2021-02-03 09:00:00",
    ]


def test_a_long_walk_on_a_terminal_shows_a_bar(
    model: Here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    shown_there = Terminal()
    monkeypatch.setattr(sys, "stderr", shown_there)
    walk = frames(tmp_path, records(model))
    start, end = datetime(2021, 2, 3, 8), datetime(2021, 2, 3, 9)
    assert sum(map(len, progress.followed(walk, "replay", start, end))) == ROWS
    assert "100%" in shown_there.getvalue()


def frames(place: Path, made: list[Record]) -> Any:
    """The records as frames of a log."""
    logged.write(place, "predictions", made)
    return view.window(place, logged.START, logged.START + timedelta(hours=1), rows=150)


def test_a_saved_window_holds_the_inputs_as_the_contract_types_them(
    model: Here, tmp_path: Path
) -> None:
    target = windows.place(tmp_path, "rush-hour")
    made = records(model)
    made[7]["input"] = {"pickup_zone": 1}
    assert windows.write(target, CONTRACT, frames(tmp_path, made)) == (ROWS - 1, 1)
    kept = windows.read(tmp_path, "rush-hour", CONTRACT)
    expected = pl.DataFrame(REQUESTS).with_row_index().filter(pl.col("index") != 7).drop("index")
    assert kept.equals(expected)


def test_a_window_with_a_sensitive_column_is_refused_by_name(tmp_path: Path) -> None:
    columns = tuple(replace(column, known=True) for column in CONTRACT.columns)
    with pytest.raises(Problem, match="column rider_id: found a sensitive column"):
        windows.write(tmp_path / "any.parquet", replace(CONTRACT, columns=columns), [])
    assert not (tmp_path / "any.parquet").exists()


def test_a_window_of_nothing_is_no_data_and_no_file(tmp_path: Path) -> None:
    with pytest.raises(NoData, match="no input in this stretch"):
        windows.write(tmp_path / "any.parquet", CONTRACT, [])
    assert not (tmp_path / "any.parquet").exists()


@pytest.mark.parametrize("name", ["../out", "Rush", "", "a" * 26])
def test_a_window_of_an_odd_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(Problem, match="an odd name"):
        windows.place(tmp_path, name)


def test_a_window_of_other_columns_is_refused(tmp_path: Path) -> None:
    target = windows.place(tmp_path, "odd")
    target.parent.mkdir(parents=True)
    pl.DataFrame({"pickup_zone": [1]}).write_parquet(target)
    with pytest.raises(Problem, match="found columns pickup_zone; expected those of a request"):
        windows.read(tmp_path, "odd", CONTRACT)
