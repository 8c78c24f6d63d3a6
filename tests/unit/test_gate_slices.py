"""Gate slices, red and green: what holds overall holds in each slice."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from cases import (
    Array,
    Fit,
    borough,
    case,
    failing,
    fit,
    line,
    month,
    number,
    stopped,
    truth,
)
from preflight.gates import slices

ONE = fit(2)


def in_zone(zone: int, change: Fit) -> Fit:
    """A model that answers otherwise in one pick-up zone."""

    def predict(rows: pl.DataFrame) -> Array:
        return np.where(number(rows, "pickup_zone") == zone, change(rows), ONE(rows))

    return predict


def noisy(rows: pl.DataFrame) -> Array:
    """The truth with errors of its own that make RMSE about 1.5 times as large."""
    return truth(rows) + np.random.default_rng(4).normal(0, 3.4, len(rows))


def test_a_model_trained_again_is_green(tmp_path: Path) -> None:
    found = slices.judge(case(tmp_path))
    assert stopped(found) == []
    assert {each.check for each in found.evidence} == {
        "present",
        "error",
        "bias",
        "coverage",
        "fairness-pickup-borough",
    }
    assert found.tables[0].rows[0][0] == "pickup_borough=Harbour"


def test_a_slice_with_a_larger_error_is_named(tmp_path: Path) -> None:
    found = slices.judge(case(tmp_path, in_zone(7, noisy)))
    assert stopped(found) == ["error"]
    assert "pickup_zone=7" in failing(line(found, "error"))
    assert "worst pickup_zone=7, RMSE 1." in line(found, "error").found


def test_a_slice_with_a_bias_is_named(tmp_path: Path) -> None:
    found = slices.judge(case(tmp_path, in_zone(7, lambda rows: ONE(rows) + 3.0)))
    assert "bias" in stopped(found)
    assert failing(line(found, "bias")) == ["pickup_zone=7"]
    assert line(found, "bias").measured == pytest.approx(3, abs=0.5)


def test_a_bias_that_may_be_chance_is_green(tmp_path: Path) -> None:
    found = slices.judge(case(tmp_path, in_zone(7, lambda rows: ONE(rows) + 1.4)))
    assert line(found, "bias").status == "pass"


def test_a_slice_whose_intervals_do_not_hold_is_named(tmp_path: Path) -> None:
    made = case(tmp_path)
    made.candidate.half = lambda rows: np.where(number(rows, "pickup_zone") == 7, 2.0, 5.0)
    found = slices.judge(made)
    assert stopped(found) == ["coverage"]
    assert failing(line(found, "coverage")) == ["pickup_zone=7"]


def test_a_model_without_intervals_has_no_data_on_coverage(tmp_path: Path) -> None:
    made = case(tmp_path)
    made.answers = made.answers | {"lower": np.empty(0), "upper": np.empty(0)}
    assert line(slices.judge(made), "coverage").status == "no-data"


def test_a_group_served_worse_than_the_others_is_named(tmp_path: Path) -> None:
    model = fit(2, lambda rows: np.where(borough(rows) == "South", 1.8, 0.0))
    found = slices.judge(case(tmp_path, model, slices={"max_bias": 9.0, "max_rmse_ratio": 9.0}))
    assert stopped(found) == ["fairness-pickup-borough"]
    assert failing(line(found, "fairness-pickup-borough")) == ["pickup_borough=South"]


def test_all_groups_served_alike_are_green_though_all_are_off(tmp_path: Path) -> None:
    limits = {"max_bias": 9.0, "max_rmse_ratio": 9.0, "min_coverage": 0.0}
    found = slices.judge(case(tmp_path, fit(2, 1.8), slices=limits))
    assert stopped(found) == []


def test_fairness_over_a_slice_that_is_none_has_no_data(tmp_path: Path) -> None:
    found = slices.judge(case(tmp_path, slices={"fairness": ["colour"]}))
    assert line(found, "fairness-colour").status == "no-data"


def test_no_slice_with_enough_rows_is_no_data(tmp_path: Path) -> None:
    found = slices.judge(case(tmp_path, slices={"max_unjudged_rows": 9_000}))
    assert [(each.check, each.status) for each in found.evidence] == [("rows", "no-data")]


def test_predictions_that_are_no_numbers_are_red(tmp_path: Path) -> None:
    found = slices.judge(case(tmp_path, in_zone(7, lambda rows: np.full(len(rows), np.nan))))
    assert stopped(found) == ["finite"]


def test_a_slice_that_ran_empty_is_no_data_and_named(tmp_path: Path) -> None:
    whole = {name: month(name) for name in ("2021-01", "2021-02", "2021-03")}
    ours = {name: rows.filter(pl.Series(borough(rows) != "South")) for name, rows in whole.items()}
    found = slices.judge(case(tmp_path, ours=ours))
    assert line(found, "present").status == "no-data"
    assert "pickup_borough=South has 0 rows" in line(found, "present").found


def test_the_first_model_is_judged_against_the_baseline(tmp_path: Path) -> None:
    assert stopped(slices.judge(case(tmp_path / "good", first=True))) == []
    worse = in_zone(7, lambda rows: 50 - ONE(rows))
    found = slices.judge(case(tmp_path / "worse", worse, first=True))
    assert "pickup_zone=7" in failing(line(found, "error"))
