"""Gate leakage, red and green: nothing of a test row reached the training."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from cases import Array, Fit, StubCase, case, line, month, number, put, stopped
from preflight.errors import Problem
from preflight.gates import leakage


def outcome(rows: pl.DataFrame) -> Array:
    """A feature that knows what will happen, but for half a minute."""
    return number(rows, "duration_minutes") + np.random.default_rng(5).normal(0, 0.5, len(rows))


def holed(rows: pl.DataFrame) -> Array:
    """The same, with one value missing."""
    found = outcome(rows)
    found[3] = np.nan
    return found


def unknown(rows: pl.DataFrame) -> Array:
    """A feature of a column that no caller knows."""
    raise Problem("the candidate", "KeyError: 'fare_amount'", "an answer", "Mend its code.")


def learning(place: Path, feature: Fit) -> StubCase:
    """A candidate with one more feature."""
    made = case(place)
    made.candidate.learns(extra=feature)
    return made


def trained_on(place: Path, *more: pl.DataFrame) -> StubCase:
    """A candidate whose training rows hold some more."""
    made = case(place)
    put(made.root, train=pl.concat([made.train, *more]))
    del made.train
    return made


def test_a_sound_split_is_green(tmp_path: Path) -> None:
    found = leakage.judge(case(tmp_path))
    assert stopped(found) == []
    assert {each.check for each in found.evidence} == {
        "order",
        "overlap-test",
        "overlap-calibrate",
        "near-duplicates",
        "known",
        "alone",
        "missingness",
    }
    assert found.tables[0].rows[0][0] == "trip_distance"


def test_test_rows_that_were_trained_on_are_red(tmp_path: Path) -> None:
    found = leakage.judge(trained_on(tmp_path, month("2021-03")[:80]))
    assert stopped(found) == ["order", "overlap-test", "near-duplicates"]
    assert line(found, "overlap-test").measured == 0.01


def test_test_rows_that_calibrated_the_intervals_are_red(tmp_path: Path) -> None:
    made = case(tmp_path)
    put(made.root, calibrate=pl.concat([made.part("calibrate"), month("2021-02")[:80]]))
    assert stopped(leakage.judge(made)) == ["order", "overlap-test"]


def test_calibration_rows_that_were_trained_on_are_red(tmp_path: Path) -> None:
    found = leakage.judge(trained_on(tmp_path, case(tmp_path / "x").part("calibrate")[:50]))
    assert stopped(found) == ["overlap-calibrate"]


def test_a_split_without_calibration_is_green(tmp_path: Path) -> None:
    made = case(tmp_path)
    put(made.root, calibrate=made.part("calibrate")[:0])
    found = leakage.judge(made)
    assert stopped(found) == []
    assert "overlap-calibrate" not in {each.check for each in found.evidence}


def test_training_on_what_came_later_is_red(tmp_path: Path) -> None:
    found = leakage.judge(trained_on(tmp_path, month("2021-03", seed=9)[:100]))
    assert stopped(found) == ["order"]
    assert line(found, "order").found.endswith(": the split is not by time")


def test_test_rows_under_another_date_are_red(tmp_path: Path) -> None:
    back = [pl.col(name) - pl.duration(days=60) for name in ("pickup_at", "dropoff_at")]
    found = leakage.judge(trained_on(tmp_path, month("2021-03").with_columns(back)))
    assert stopped(found) == ["near-duplicates"]
    assert line(found, "near-duplicates").measured == 0.5


def test_a_feature_of_what_no_caller_knows_is_red_and_the_column_named(tmp_path: Path) -> None:
    found = leakage.judge(learning(tmp_path, unknown))
    assert stopped(found) == ["known"]
    assert "fare_amount" in line(found, "known").found


@pytest.mark.parametrize("feature", [outcome, holed])
def test_a_feature_that_predicts_too_well_alone_is_red(tmp_path: Path, feature: Fit) -> None:
    found = leakage.judge(learning(tmp_path, feature))
    assert stopped(found) == ["alone"]
    assert line(found, "alone").found.startswith("extra alone explains 9")


def test_a_code_that_predicts_too_well_alone_is_red(tmp_path: Path) -> None:
    made = learning(tmp_path, lambda rows: np.round(outcome(rows)))
    made.candidate.described["categorical"].append("extra")
    assert stopped(leakage.judge(made)) == ["alone"]


def test_a_feature_without_meaning_is_green(tmp_path: Path) -> None:
    made = learning(tmp_path, lambda rows: np.full(len(rows), np.nan))
    assert stopped(leakage.judge(made)) == []


@pytest.mark.parametrize("mark", [1.0, np.nan])
def test_a_feature_that_repeats_what_is_missing_is_red(tmp_path: Path, mark: float) -> None:
    made = learning(
        tmp_path,
        lambda rows: np.where(rows["passenger_count"].is_null().to_numpy(), mark, 0.0),
    )
    found = leakage.judge(made)
    assert stopped(found) == ["missingness"]
    assert line(found, "missingness").found.endswith("extra with missing passenger_count")


def test_a_feature_that_hardly_follows_what_is_missing_is_green(tmp_path: Path) -> None:
    def hardly(rows: pl.DataFrame) -> Array:
        missing = rows["passenger_count"].is_null().to_numpy().astype(np.float64)
        return missing + np.random.default_rng(6).normal(0, 1, len(rows))

    assert stopped(leakage.judge(learning(tmp_path, hardly))) == []
