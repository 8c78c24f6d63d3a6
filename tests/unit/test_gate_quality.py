"""Gate quality, red and green: no worse than the champion, good enough, sane, honest."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from cases import (
    Array,
    Fit,
    StubCase,
    case,
    fit,
    line,
    month,
    months,
    number,
    put,
    record,
    stopped,
    truth,
)
from preflight.errors import NoData
from preflight.evidence import Findings
from preflight.gates import quality
from preflight.gates.side import Arrays


def guarded(place: Path, model: Fit | None = None, share: float = 0.9, **words: Any) -> StubCase:
    """A case whose candidate flags `share` of odd rows, and one honest row in 200."""
    made = case(place, model, **words)
    predict = made.candidate.predict

    def answered(rows: pl.DataFrame) -> Arrays:
        honest = rows.height == made.held_out.height and rows.equals(made.held_out)
        flags = np.arange(rows.height) % 200 < (1 if honest else 200 * share)
        return predict(rows) | {"odd": flags}

    made.candidate.predict = answered  # type: ignore[method-assign]
    return made


def judged(place: Path, model: Fit | None = None, **limits: float) -> Findings:
    """The gate's findings on a model whose metrics.json is honest."""
    made = guarded(place, model, quality=limits)
    record(made)
    return quality.judge(made)


def noisy(rows: pl.DataFrame) -> Array:
    """The truth with three minutes of error of its own."""
    return truth(rows) + np.random.default_rng(3).normal(0, 3, len(rows))


def holed(rows: pl.DataFrame) -> Array:
    """The truth, but in zone 7, which has no answer."""
    return np.where(number(rows, "pickup_zone") == 7, np.nan, truth(rows))


def oracle(rows: pl.DataFrame) -> Array:
    """What really happened, as no model can know, off by half a minute."""
    return number(rows, "duration_minutes") + 0.5


def test_a_model_trained_again_is_green(tmp_path: Path) -> None:
    found = judged(tmp_path)
    assert stopped(found) == []
    assert [each.name for each in found.headlines] == ["RMSE", "coverage of intervals"]
    assert line(found, "rmse-no-worse").n == 8_000


def test_a_better_model_is_green_and_the_gain_stands(tmp_path: Path) -> None:
    found = judged(tmp_path, oracle, max_coverage=1.0)
    assert stopped(found) == []
    assert line(found, "rmse-no-worse").measured == pytest.approx(0.5 / 3, abs=0.01)
    assert "RMSE 0.500 against 3.0" in line(found, "rmse-no-worse").found


def test_a_worse_model_is_red_with_its_interval(tmp_path: Path) -> None:
    found = judged(tmp_path, noisy, min_coverage=0.5)
    assert stopped(found) == ["rmse-no-worse", "mae-no-worse"]
    ends = line(found, "rmse-no-worse").interval
    assert ends is not None
    assert 1.3 < ends[0] < ends[1] < 1.5


def test_an_unchanged_model_says_so_and_is_green(tmp_path: Path) -> None:
    made = guarded(tmp_path, fit(1))
    assert made.rival is not None
    made.candidate.model_hash = made.rival.model_hash
    record(made)
    found = quality.judge(made)
    assert stopped(found) == []
    assert line(found, "rmse-no-worse").found.endswith(": unchanged")
    assert line(found, "rmse-no-worse").interval == (1.0, 1.0)


def test_predictions_that_are_no_numbers_are_red_and_where_is_named(tmp_path: Path) -> None:
    made = guarded(tmp_path, holed)
    found = quality.judge(made)
    assert stopped(found) == ["finite"]
    assert "predictions are NaN or infinite, all in pickup_zone=7" in found.evidence[0].found


@pytest.mark.parametrize("constant", [14.0, 60.0])
def test_a_constant_is_red_and_called_one(tmp_path: Path, constant: float) -> None:
    found = judged(tmp_path, lambda rows: np.full(len(rows), constant))
    assert "varies" in stopped(found)
    assert line(found, "varies").found.endswith("a constant prediction")


@pytest.mark.parametrize("shift", [-8.0, 50.0])
def test_answers_beyond_the_contracts_range_are_red(tmp_path: Path, shift: float) -> None:
    found = judged(tmp_path, fit(2, shift))
    assert "range" in stopped(found)
    assert "% were cut to it" in line(found, "range").found


@pytest.mark.parametrize(
    ("limits", "check"),
    [
        ({"max_rmse": 2.9}, "rmse-floor"),
        ({"max_baseline_ratio": 0.1}, "baseline-ratio-floor"),
        ({"min_coverage": 0.95, "max_coverage": 0.99}, "coverage-floor"),
        ({"min_coverage": 0.1, "max_coverage": 0.5}, "coverage-floor"),
    ],
)
def test_a_floor_that_is_missed_is_red(tmp_path: Path, limits: dict[str, Any], check: str) -> None:
    assert stopped(judged(tmp_path, **limits)) == [check]


@pytest.mark.parametrize("name", ["rmse", "mae", "coverage"])
def test_metrics_that_are_not_the_models_are_red(tmp_path: Path, name: str) -> None:
    made = guarded(tmp_path)
    record(made, **{name: 0.5})
    found = quality.judge(made)
    assert stopped(found) == ["metrics"]
    assert line(found, "metrics").found.startswith(f"{name} is 0.5000 in metrics.json")


def test_intervals_that_never_hold_are_named(tmp_path: Path) -> None:
    made = guarded(tmp_path)
    made.candidate.half = 0.0
    record(made)
    assert stopped(quality.judge(made)) == ["coverage-floor"]


def test_a_champion_without_error_is_still_compared_with(tmp_path: Path) -> None:
    made = guarded(tmp_path)
    assert made.rival is not None
    made.rival.fit = lambda rows: number(rows, "duration_minutes")
    record(made)
    assert stopped(quality.judge(made)) == ["rmse-no-worse", "mae-no-worse"]


def test_the_first_model_is_judged_against_the_baseline(tmp_path: Path) -> None:
    made = guarded(tmp_path, first=True)
    record(made)
    found = quality.judge(made)
    assert stopped(found) == []
    assert "the trivial baseline's" in line(found, "rmse-no-worse").claim


def test_a_first_model_worse_than_the_baseline_is_red(tmp_path: Path) -> None:
    made = guarded(tmp_path, lambda rows: 40 - truth(rows), first=True)
    record(made)
    assert {"rmse-no-worse", "mae-no-worse"} <= set(stopped(quality.judge(made)))


def test_rows_that_the_champion_was_fitted_on_are_not_held_out(tmp_path: Path) -> None:
    names = ("2020-12", "2021-01", "2021-02", "2021-03")
    made = guarded(tmp_path, theirs=months(*names, "2021-04", "2021-05"))
    with pytest.raises(NoData, match="0 of 2021-02, 2021-03 on which neither side was fitted"):
        assert made.held_out is None
    other = case(tmp_path / "other", theirs=months(*names, "2021-04"))
    assert other.held_out["pickup_at"].dt.month().unique().to_list() == [3]


def test_rows_that_the_split_calls_tested_but_trained_on_are_not_held_out(tmp_path: Path) -> None:
    made = guarded(tmp_path)
    put(made.root, train=pl.concat([month("2021-01"), month("2021-03")[:1_500]]))
    assert len(made.held_out) == 8_000 - 1_500


def test_too_few_held_out_rows_are_no_data(tmp_path: Path) -> None:
    assert len(case(tmp_path, quality={"min_rows": 8_000}).held_out) == 8_000
    made: StubCase = guarded(tmp_path / "more", quality={"min_rows": 8_001})
    with pytest.raises(NoData, match=r"at least 8001 \(gates.quality.min_rows\)"):
        quality.judge(made)


def test_a_guard_that_never_fires_is_red_by_name(tmp_path: Path) -> None:
    made = guarded(tmp_path, share=0.0)
    record(made)
    found = quality.judge(made)
    assert stopped(found) == ["odd-noticed"]
    assert line(found, "odd-noticed").found.endswith("the guard never fires")


def test_a_guard_that_flags_honest_rows_is_red(tmp_path: Path) -> None:
    assert stopped(judged(tmp_path, max_joint_flags=0.004)) == ["false-flags"]


def test_a_model_without_the_guard_has_no_data_on_it(tmp_path: Path) -> None:
    made = case(tmp_path)
    record(made)
    assert {
        each.check: each.status for each in quality.judge(made).evidence if each.status != "pass"
    } == {"false-flags": "no-data", "odd-noticed": "no-data"}
