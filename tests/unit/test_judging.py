"""A small, seeded part of the study of the judge; `make judge-study` runs all of it.

A share that is 5% is seen above `most(runs)` once in a thousand studies, whatever the seed.
"""

from collections.abc import Callable
from functools import partial
from xml.etree import ElementTree

import numpy as np
import pytest
from numpy.random import default_rng
from scipy.stats import binom

from judging import parts, plots, rivals, scenarios, whole
from judging.figures import after, quantile
from judging.labels import Labels
from judging.reaches import Reach
from judging.rivals import Course, Rival
from judging.scenarios import Rollouts
from judging.shifts import Predictions, Widths
from judging.study import Part, Shares, interval, joined, load_limits, ran
from preflight.rollout.simulation import NEVER

LIMITS = load_limits()
RUNS, LOOKS = 300, 100
SHORT = scenarios.load(looks=LOOKS)
SEED = 7


def most(runs: int, share: float = 0.05) -> int:
    """How many there may be of what has this chance: exceeded with a chance below 0.1%."""
    return int(binom.isf(1e-3, runs, share))


def course(rival: Rival, rollouts: Rollouts) -> Course:
    """One rival's course of rollouts that are made."""
    return Shares(lambda *_: rollouts, {"one": rival}, LIMITS)(0, default_rng(SEED))["one"]


def level_is_held(rival: Rival, rollouts: Rollouts) -> None:
    """The study's check of a level: false aborts of identical arms, of all metrics together."""
    found = course(rival, rollouts)
    assert found.falsely() <= most(len(found.aborts))


@pytest.fixture(scope="module")
def independent() -> Rollouts:
    return scenarios.plain(RUNS, default_rng(SEED), expected=SHORT)


@pytest.fixture(scope="module")
def clumped() -> Rollouts:
    return scenarios.plain(RUNS, default_rng(SEED), clump=5.0, expected=SHORT)


def test_three_hundred_runs_allow_28_false_aborts() -> None:
    assert most(RUNS) == 28


def test_identical_arms_are_aborted_as_seldom_as_promised_seed_7(independent: Rollouts) -> None:
    level_is_held(rivals.judge, independent)


def test_identical_arms_with_clumps_are_aborted_as_seldom_seed_7(clumped: Rollouts) -> None:
    level_is_held(rivals.judge, clumped)


def test_the_check_is_red_with_the_peeking_test_in_the_judges_place(independent: Rollouts) -> None:
    with pytest.raises(AssertionError):
        level_is_held(rivals.peeking, independent)


def test_the_check_is_red_where_clumps_are_not_known(clumped: Rollouts) -> None:
    with pytest.raises(AssertionError):
        level_is_held(rivals.by_request, clumped)


@pytest.mark.parametrize(
    "name",
    ["incidents common to both arms", "bursts of single entities", parts.STEPS, parts.GAPS],
)
def test_what_goes_on_in_production_aborts_no_identical_arms_seed_7(name: str) -> None:
    level_is_held(rivals.judge, scenarios.IDENTICAL[name](100, default_rng(SEED)))


def test_a_tripled_error_rate_is_found_within_the_promised_requests_seed_7() -> None:
    found = course(
        rivals.judge,
        scenarios.plain(100, default_rng(SEED), rates=scenarios.regressed(3.0)),
    )
    aborted = after(found, "aborted")
    assert np.median(aborted) <= 600
    assert np.isinf(aborted).sum() <= most(100, 0.01)


def test_a_doubled_rate_the_margin_is_not_promoted_seed_7() -> None:
    rates = scenarios.regressed(2.0)
    found = course(rivals.judge, scenarios.plain(100, default_rng(SEED), rates=rates))
    assert np.isfinite(after(found, "promoted")).sum() <= most(100)


def test_no_failure_at_all_promotes_after_a_thousand_requests_seed_7() -> None:
    rates = ((0.0, 0.0),) * scenarios.METRICS
    found = course(rivals.judge, scenarios.plain(50, default_rng(SEED), rates=rates))
    assert np.isfinite(after(found, "promoted")).all()
    assert np.median(after(found, "promoted")) < 1100


@pytest.mark.parametrize(("made", "bound"), [(Predictions, LIMITS.max_shift), (Widths, 1.2)])
def test_what_is_worse_by_just_the_bound_is_neither_aborted_nor_promoted_seed_7(
    made: Callable[..., Predictions | Widths], bound: float
) -> None:
    found = made(bound, LIMITS)(60, default_rng(SEED))["judge"]
    assert found.falsely() <= most(60)
    assert np.isfinite(after(found, "promoted")).sum() <= most(60)


def test_late_labels_mislead_in_the_order_of_arrival_and_not_of_predictions_seed_7() -> None:
    lowered = Labels(1.0, (0.5, 0.25, 0.05), LIMITS)(60, default_rng(SEED))
    assert lowered["prediction order"].falsely() <= most(60)
    assert lowered["arrival order"].falsely() > most(60)


def test_restarts_and_gaps_abort_no_honest_canary_seed_7() -> None:
    found = whole.results(30, default_rng(SEED), LIMITS, whole.restarting)
    assert found["abort"] <= most(30)


@pytest.mark.parametrize("rounds", [whole.frozen, whole.without_proxy(whole.frozen)])
def test_a_frozen_metrics_endpoint_decides_nothing_seed_7(rounds: whole.Rounds) -> None:
    found = whole.results(5, default_rng(SEED), LIMITS, rounds)
    assert found == {"promote": 0, "abort": 0, "continue": 5}


def test_the_documented_threshold_misses_most_canaries_with_a_tripled_rate() -> None:
    assert rivals.threshold_power(0.03) == pytest.approx(0.076, abs=0.001)
    assert rivals.threshold_power(0.1) > 0.999


def test_the_threshold_aborts_at_the_fourth_bad_interval() -> None:
    asked = np.zeros((1, 10, 2, 1))
    asked[:, :, 1] = 100  # two looks an interval
    failed = asked * np.array([0.2] * 6 + [0.0, 0.0, 0.2, 0.2])[:, np.newaxis, np.newaxis]
    worse, _ = rivals.threshold(asked, failed, 6, LIMITS)
    assert worse[0].tolist() == [False] * 9 + [True]


def test_an_interval_is_wilsons() -> None:
    assert interval(5, 100) == pytest.approx((0.0215, 0.1118), abs=1e-4)
    assert interval(0, 100)[0] == 0


def test_chunks_are_joined_in_their_order_whoever_is_done_first() -> None:
    made = Shares(partial(scenarios.plain, expected=SHORT[:20]), {"one": rivals.judge}, LIMITS)
    (first,), (second,) = (ran([Part("some", 6, made, chunk=2)], jobs) for jobs in (1, 2))
    assert np.array_equal(first[1]["one"].sent, second[1]["one"].sent)
    assert len(first[1]["one"].sent) == 6


def test_what_came_first_counts() -> None:
    found = joined([{"one": Course(np.array([5, 2, NEVER]), np.array([3, 2, 1]), np.ones((3, 9)))}])
    decided = found["one"].decided()
    assert decided.aborted.tolist() == [NEVER, 2, NEVER]
    assert decided.promoted.tolist() == [3, NEVER, 1]
    assert found["one"].falsely() == 2


def test_a_quantile_that_too_few_reached_is_a_dash() -> None:
    found = np.array([1.0, 2.0, np.inf, np.inf])
    assert (quantile(found, 0.5), quantile(found, 0.9)) == ("2", "-")


def test_a_reach_that_is_missed_is_told() -> None:
    assert Reach("aborted", 0.94, 0.95, least=True).row()[-1] == "**no**"
    assert Reach("time", 10, 50, "ms").row() == ("time", "10 ms", "at most 50 ms", "yes")


def test_a_plot_is_the_same_bytes_again_and_no_label_covers_another() -> None:
    axis = plots.Axis("looks", ((0.0, "0"), (10.0, "10")))
    x = np.array([0.0, 10.0])
    lines = [plots.Line(name, x, np.array([0.0, y])) for name, y in (("a", 0.0), ("b", 0.1))]
    plot = plots.Plot("aborted", axis, axis, lines)
    assert plot.svg() == plot.svg()
    assert ElementTree.fromstring(plot.svg()).tag.endswith("svg")  # noqa: S314
    places = plots.apart([100.0, 101.0, 99.0])
    assert min(abs(a - b) for a in places for b in places if a != b) >= plots.APART
