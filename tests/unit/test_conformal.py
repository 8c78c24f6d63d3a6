"""Intervals keep their promise on exchangeable rows."""

import numpy as np
import pytest

from preflight.conformal import Interval
from preflight.errors import Problem


def sample(seed: int, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Predictions and skewed outcomes whose spread grows with the prediction."""
    random = np.random.default_rng(seed)
    predicted = random.uniform(2, 40, rows)
    return predicted, predicted + (random.gamma(2, 1, rows) - 2) * predicted / 6


def test_coverage_is_nominal_overall_and_in_each_group_seed_1() -> None:
    predicted, target = sample(1, 40_000)
    interval = Interval.fit(predicted, target, 0.9, 10)
    predicted, target = sample(2, 40_000)
    lower, upper = interval.bounds(predicted, -1e9, 1e9)
    inside = (target >= lower) & (target <= upper)
    assert inside.mean() == pytest.approx(0.9, abs=0.01)
    for part in np.array_split(np.argsort(predicted), 10):
        assert inside[part].mean() == pytest.approx(0.9, abs=0.03)


def test_each_tail_holds_its_half_seed_3() -> None:
    predicted, target = sample(3, 40_000)
    interval = Interval.fit(predicted, target, 0.9, 10)
    predicted, target = sample(4, 40_000)
    lower, upper = interval.bounds(predicted, -1e9, 1e9)
    assert (target < lower).mean() == pytest.approx(0.05, abs=0.01)
    assert (target > upper).mean() == pytest.approx(0.05, abs=0.01)


def test_ends_stay_within_the_targets_range_seed_5() -> None:
    interval = Interval.fit(*sample(5, 1_000), 0.9, 2)
    lower, upper = interval.bounds(np.array([2.0, 59.0]), 1.0, 60.0)
    assert lower.min() >= 1.0
    assert upper.max() <= 60.0


def test_one_prediction_has_the_ends_of_an_array_of_it_seed_8() -> None:
    interval = Interval.fit(*sample(8, 2_000), 0.9, 5)
    edges = np.array(interval.edges)
    beside = [np.nextafter(edges, -np.inf), edges, np.nextafter(edges, np.inf)]
    odd = [np.nan, np.inf, -np.inf, 0.0, 1.0, 60.0, 1e12, -1e12]
    predicted = np.concatenate([sample(9, 500)[0], *beside, odd])
    lower, upper = interval.bounds(predicted, 1.0, 60.0)
    found = np.array([interval.one(each, 1.0, 60.0) for each in predicted.tolist()])
    np.testing.assert_array_equal(found, np.column_stack([lower, upper]))


def test_too_few_rows_are_refused_with_the_number_needed_seed_6() -> None:
    with pytest.raises(Problem, match="at least 19 in each group"):
        Interval.fit(*sample(6, 36), 0.9, 2)
    Interval.fit(*sample(6, 38), 0.9, 2)


def test_it_survives_json_seed_7() -> None:
    interval = Interval.fit(*sample(7, 500), 0.8, 3)
    assert Interval.from_dict(interval.as_dict()) == interval
