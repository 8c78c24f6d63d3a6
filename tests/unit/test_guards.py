"""The guards' limits, from the parameters through calibration into the packaged model."""

import json
from collections.abc import Callable
from math import inf
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from preflight.errors import Problem
from preflight.guards import Guards, flagged, joint_limit
from preflight.layout import FITTED, METRICS, PACKAGED, SPLIT
from preflight.params import Params
from preflight.predictor import Predictor
from preflight.stages.calibrate import calibrate
from preflight.stages.train import train

Load = Callable[..., Params]


@pytest.fixture
def place(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with its pipeline run, to run stages in."""
    monkeypatch.chdir(checkout)
    return checkout


def test_an_unknown_feature_among_the_refused_is_named(place: Path, small_params: Load) -> None:
    with pytest.raises(Problem, match=r"guards\.refuse: found 'zone'.*pickup_zone"):
        train(small_params(guards={"refuse": ["zone"]}))


def test_refused_features_reach_the_packaged_model(place: Path, small_params: Load) -> None:
    calibrate(small_params(guards={"refuse": ["pickup_zone", "weekday"]}))
    model = Predictor(PACKAGED)
    assert [model.model.features[place] for place in model.refused] == ["pickup_zone", "weekday"]


def test_training_again_gives_the_same_bytes(place: Path, small_params: Load) -> None:
    before = {path.name: path.read_bytes() for path in FITTED.iterdir()}
    train(small_params())
    assert {path.name: path.read_bytes() for path in FITTED.iterdir()} == before


def test_without_calibration_rows_nothing_is_flagged_and_the_manifest_says_so(
    place: Path, small_params: Load
) -> None:
    rows = pl.read_parquet(SPLIT / "calibrate.parquet")
    (SPLIT / "calibrate.parquet").unlink()
    rows.clear().write_parquet(SPLIT / "calibrate.parquet")
    calibrate(small_params())
    assert Predictor(PACKAGED).joint_limit == inf
    said = json.loads((PACKAGED / "manifest.json").read_text())["guards"]["joint"]
    assert said == {"limit": None, "reason": "0 calibration rows are too few for one"}


def test_calibration_rows_are_flagged_as_often_as_the_parameter_says(built: Path) -> None:
    measured = json.loads((built / PACKAGED / "guards.json").read_text())["calibration"]
    assert measured["rows"] > 500
    assert 0 < measured["joint"] <= 0.0065


def test_the_metrics_say_how_many_honest_rows_each_guard_flags(built: Path) -> None:
    found = json.loads((built / METRICS).read_text())["guards"]
    assert set(found) == {"2021-02", "2021-03", "test"}
    assert set(found["test"]) == {"unseen", "joint", "wide"}
    for guard, share in found["test"].items():
        ends = sorted(found[month][guard] for month in ("2021-02", "2021-03"))
        assert ends[0] <= share <= ends[1]


def test_at_most_the_asked_share_of_calibration_rows_is_over_the_limit() -> None:
    scores = np.random.default_rng(1).normal(0, 1, 999)
    limit = joint_limit(scores, 0.01)
    assert (scores > limit).sum() == 9
    assert limit in scores


def test_too_few_rows_have_no_limit_and_the_file_says_so(tmp_path: Path) -> None:
    assert joint_limit(np.zeros(98), 0.01) == inf
    assert joint_limit(np.zeros(99), 0.01) == 0.0
    Guards((), inf, 45.0).save(tmp_path, 98, {})
    assert "98 calibration rows are too few" in (tmp_path / "guards.json").read_text()
    assert Guards.load(tmp_path) == Guards((), inf, 45.0)


def test_guards_are_whole_after_saving(tmp_path: Path) -> None:
    guards = Guards(("zone",), 0.1 + 0.2, 45.0)
    guards.save(tmp_path, 1_000, {"joint": 0.005})
    assert Guards.load(tmp_path) == guards


def test_a_folder_without_guards_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(Problem, match=r"guards\.json: found no guards.*make repro"):
        Guards.load(tmp_path)


def test_shares_count_a_row_once_however_many_of_its_values_are_unseen() -> None:
    outside = np.array([[True, True], [False, False], [False, True], [False, False]])
    odd, wide = np.array([True, False, False, False]), np.zeros(4, dtype=bool)
    assert flagged(outside, odd, wide) == {"unseen": 0.5, "joint": 0.25, "wide": 0.0}
