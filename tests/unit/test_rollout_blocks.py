"""Entity buckets as the unit: what counts how much, and how clumps are told."""

import numpy as np
import pytest

from preflight.rollout import blocks, means, shares
from preflight.rollout.observed import CANARY, STABLE, Counts
from preflight.rollout.simulation import failures, requests

LOOKS = 100


@pytest.fixture(scope="module")
def asked() -> np.ndarray:
    return requests(np.tile([270.0, 30.0], (LOOKS, 1)), 40, np.random.default_rng(1))


@pytest.mark.parametrize(("clump", "least", "most"), [(1, 1.0, 1.2), (5, 5.0, 13.0)])
def test_dispersion_is_that_of_clumps(
    asked: np.ndarray, clump: float, least: float, most: float
) -> None:
    # Of geometric clumps with mean m the variance is 2 m - 1 times the mean.
    failed = failures(asked, (0.02, 0.02), np.random.default_rng(2), clump)
    found = blocks.dispersion(Counts(failed.cumsum(axis=1), asked.cumsum(axis=1)))
    assert found.shape == (40, LOOKS)
    assert least <= np.median(found[:, -1]) <= most


def test_a_real_difference_between_arms_is_no_dispersion(asked: np.ndarray) -> None:
    failed = failures(asked, (0.01, 0.05), np.random.default_rng(3))
    found = blocks.dispersion(Counts(failed.cumsum(axis=1), asked.cumsum(axis=1)))
    assert np.median(found[:, -1]) < 1.2


def test_outages_are_dispersion_in_time() -> None:
    total = np.full((LOOKS, 2, 1), 30.0).cumsum(axis=0)
    steady = np.zeros((LOOKS, 2, 1))
    steady[::3] = 1
    burst = np.zeros((LOOKS, 2, 1))
    burst[50, STABLE], burst[90, CANARY] = steady.sum(axis=0)
    together = np.zeros((LOOKS, 2, 1))
    together[50] = steady.sum(axis=0)
    even, clumped, cancels = (
        blocks.dispersion_in_time(Counts(each.cumsum(axis=0), total))
        for each in (steady, burst, together)
    )
    assert even[-1] == cancels[-1] == 1
    assert clumped[-1] > 20


def test_where_nothing_fails_there_is_no_dispersion() -> None:
    total = np.full((5, 2, 32), 3.0).cumsum(axis=0)
    none = Counts(np.zeros_like(total), total)
    assert (blocks.dispersion(none) == 1).all()
    assert (blocks.dispersion_in_time(none) == 1).all()


def test_a_bucket_counts_no_more_than_a_few_times_the_medians_traffic() -> None:
    total = np.full((LOOKS, 2, 32), 10.0)
    total[:, CANARY, 5] = 1_000
    counts = Counts(total.cumsum(axis=0), total.cumsum(axis=0))
    found = blocks.capped(counts, most=3)
    share = found.total[-1, CANARY, 5] / found.total[-1, CANARY, 4]
    assert counts.total[-1, CANARY, 5] / counts.total[-1, CANARY, 4] == 100
    assert 2 < share < 6
    assert found.hits == pytest.approx(found.total)


def test_even_traffic_counts_in_full(asked: np.ndarray) -> None:
    assert (blocks.weights(asked.cumsum(axis=1), 3) == 1).mean() > 0.999


def test_weights_depend_on_the_past_alone(asked: np.ndarray) -> None:
    total = asked.cumsum(axis=1)
    then = blocks.weights(total[:, :50], 1.0)
    assert (blocks.weights(total, 1.0)[:, :50] == then).all()


def test_a_difference_of_means_is_found_with_its_error(asked: np.ndarray) -> None:
    random = np.random.default_rng(4)
    sums = asked * np.array([10.0, 11.0])[:, None]
    sums += 3 * np.sqrt(asked) * random.standard_normal(asked.shape)
    found = means.difference(Counts(sums.cumsum(axis=1), asked.cumsum(axis=1)))
    last = found.estimate[:, -1]
    assert last.mean() == pytest.approx(1, abs=0.03)
    assert 0.5 < last.std() / np.sqrt(found.variance[:, -1]).mean() < 1.1


def test_few_buckets_say_nothing() -> None:
    total = np.zeros((3, 2, 32))
    total[:, :, :5] = 10
    found = means.difference(Counts(total * 7, total))
    assert np.isinf(found.variance).all()
    worse, fine = means.above(found, 0.0, 1.0)
    assert (worse == 0).all()
    assert (fine == 0).all()


def test_predictions_at_the_bound_are_neither_within_nor_beyond(asked: np.ndarray) -> None:
    random = np.random.default_rng(5)
    low = np.stack(
        [random.binomial(asked[..., arm, :].astype(int), 0.5 + 0.1 * arm) for arm in (0, 1)],
        axis=-2,
    )
    bins = np.stack([low, asked - low], axis=-1).cumsum(axis=1)
    found = means.shifted(bins, bound=0.1)
    assert (found.worse.max(axis=1) > np.log(20)).mean() <= 0.1
    assert (found.fine.max(axis=1) > np.log(20)).mean() <= 0.1
    assert found.distance[:, -1].mean() == pytest.approx(0.1, abs=0.01)


def test_a_bin_that_nobody_is_in_holds_nothing_up(asked: np.ndarray) -> None:
    random = np.random.default_rng(6)
    low = random.binomial(asked.astype(int), 0.5)
    bins = np.stack([0 * low, low, asked - low, 0 * low], axis=-1).cumsum(axis=1)
    assert (means.shifted(bins, bound=0.1).fine[:, -1] > np.log(20)).all()


def test_an_interval_holds_the_ratio_and_narrows(asked: np.ndarray) -> None:
    random = np.random.default_rng(7)
    failed = failures(asked, (0.02, 0.03), random)
    counts = [
        Counts(hits.cumsum(axis=0), total.cumsum(axis=0))
        for hits, total in zip(failed, asked, strict=True)
    ]
    ends = np.array([shares.interval(each, 1.0) for each in counts])
    assert ((ends[:, 0] < 1.5) & (ends[:, 1] > 1.5)).mean() >= 0.95
    assert np.median(ends[:, 1] / ends[:, 0]) < 2.5
    early = [Counts(each.hits[:20], each.total[:20]) for each in counts]
    wide = np.array([shares.interval(each, 1.0) for each in early])
    assert np.median(wide[:, 1] / wide[:, 0]) > 4
