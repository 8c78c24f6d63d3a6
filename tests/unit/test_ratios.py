"""Ratios of times: an interval over sets, and what it says of a limit."""

import numpy as np
import pytest

from preflight.gates.ratios import ratio


def test_equal_times_pass_and_slower_ones_fail() -> None:
    assert ratio([0.01, -0.01, 0.005, -0.004, 0.0]).at_most(1.07) == "pass"
    assert ratio([0.15, 0.13, 0.145, 0.136, 0.14]).at_most(1.07) == "fail"


def test_sets_that_disagree_cannot_tell_and_say_how_many_would() -> None:
    found = ratio([0.2, -0.2, 0.1, -0.15, 0.05])
    assert found.at_most(1.07) == "no-data"
    assert found.needed(1.07) == 49


def test_a_ratio_at_its_limit_would_need_hardly_any_number() -> None:
    assert ratio([0.3, -0.3, 0.0677 * 3], 0.05).needed(1.0700) is None


def test_an_interval_holds_the_truth_as_often_as_it_says() -> None:
    random = np.random.default_rng(1)
    found = [ratio(list(random.normal(0.1, 0.02, 5))) for _ in range(2_000)]
    held = np.mean([each.low <= np.exp(0.1) <= each.high for each in found])
    assert 0.935 <= held <= 0.965


def test_two_sets_are_refused() -> None:
    with pytest.raises(ValueError, match="2 sets; at least 3"):
        ratio([0.0, 0.1])
