"""The metrics, against values worked out by hand."""

import numpy as np
import pytest

from preflight import metrics
from preflight.metrics import Floors, Line, Scored

ROWS = Scored(
    target=np.array([1.0, 2.0, 3.0, 4.0]),
    value=np.array([2.0, 2.0, 3.0, 2.0]),
    baseline=np.array([2.5, 2.5, 2.5, 2.5]),
    lower=np.array([0.0, 1.0, 2.0, 1.0]),
    upper=np.array([3.0, 4.0, 4.0, 3.0]),
)
LIMITS = Floors(max_rmse=2.0, max_baseline_ratio=1.2, min_coverage=0.7, max_coverage=0.8)


def test_errors_and_coverage_by_hand() -> None:
    found = metrics.summary(ROWS)
    assert found["rmse"] == pytest.approx((5 / 4) ** 0.5)
    assert found["mae"] == 0.75
    assert found["bias"] == -0.25
    assert found["baseline_rmse"] == pytest.approx(1.25**0.5)
    assert found["baseline_ratio"] == pytest.approx(1.0)
    assert found["coverage"] == 0.75
    assert found["width"] == 2.5
    assert found["rows"] == 4


def test_a_model_without_intervals_has_no_coverage() -> None:
    found = metrics.summary(Scored(ROWS.target, ROWS.value, ROWS.baseline, None, None))
    assert "coverage" not in found
    assert "width" not in found


def test_bootstrap_intervals_hold_the_true_value_seed_1() -> None:
    random = np.random.default_rng(1)
    held = 0
    for seed in range(60):
        target = random.normal(0, 1, 400)
        rows = Scored(target, np.zeros(400), np.ones(400), None, None)
        found = metrics.with_intervals(rows, 100, seed)
        held += found["rmse_low"] <= 1.0 <= found["rmse_high"]
    assert held >= 50


def test_a_mask_keeps_its_rows() -> None:
    kept = ROWS.where(ROWS.target > 2)
    assert len(kept) == 2
    assert kept.lower is not None
    assert kept.lower.tolist() == [2.0, 1.0]


def test_limits_are_judged_line_by_line() -> None:
    lines = metrics.judged(metrics.summary(ROWS), LIMITS)
    assert {line.name: line.status for line in lines} == {
        "rmse": "pass",
        "baseline_ratio": "pass",
        "coverage": "pass",
    }


@pytest.mark.parametrize(
    ("measured", "status"),
    [(0.69, "fail"), (0.7, "pass"), (0.8, "pass"), (0.81, "fail"), (None, "no-data")],
)
def test_both_ends_of_a_limit_hold(measured: float | None, status: str) -> None:
    assert Line("coverage", measured, 0.7, 0.8).status == status


def test_a_figure_that_is_no_number_is_no_data() -> None:
    assert Line("rmse", float("nan"), most=2.0).status == "no-data"


def test_a_limit_is_shown_in_words() -> None:
    assert Line("coverage", 0.7, 0.5, 0.8).limit == ">= 0.5 and <= 0.8"
    assert Line("rmse", 0.7, most=0.8).limit == "<= 0.8"
