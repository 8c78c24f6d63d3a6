"""E-processes against exact enumeration, exact integrals, and another implementation."""

from itertools import product

import numpy as np
import pytest
import ville

from preflight.rollout import shares
from preflight.rollout.intervals import half
from preflight.rollout.limits import Worse
from preflight.rollout.observed import Array, Counts
from preflight.rollout.paired import capital
from preflight.rollout.sequential import beyond

MARGIN = Worse(max_ratio=2.0, max_amount=0.01)
ALPHA = 0.05


def trees(values: tuple[float, ...], chances: tuple[float, ...], long: int) -> tuple[Array, Array]:
    """Every sequence of so many draws, (sequences, draws), and its probability."""
    every = np.array(list(product(range(len(values)), repeat=long)))
    return np.array(values)[every], np.array(chances)[every].prod(axis=-1)


def fallen(arms: Array, canary: float) -> Counts:
    """A failure between any two looks, 1 on the canary and 0 on stable, at a share of traffic."""
    hits = np.stack([1 - arms, arms], axis=-1)[..., np.newaxis].cumsum(axis=-3)
    total = np.array([1 - canary, canary])[:, np.newaxis] * np.ones_like(hits)
    return Counts(hits, 1000 * total.cumsum(axis=-3))


@pytest.mark.parametrize("canary", [0.1, 0.3, 0.5])
@pytest.mark.parametrize("ratio", [1.0, 0.7])
def test_worse_is_1_in_the_mean_where_the_canary_is_no_worse(canary: float, ratio: float) -> None:
    share = canary * ratio / (canary * ratio + 1 - canary)
    arms, chance = trees((0.0, 1.0), (1 - share, share), 10)
    found = shares.evidence(fallen(arms, canary), MARGIN, np.ones(arms.shape))
    mean = chance @ np.exp(found.worse)
    assert (mean <= 1 + 1e-9).all()
    assert ratio < 1 or mean == pytest.approx(1.0)
    ever = chance @ (found.worse >= np.log(1 / ALPHA)).any(axis=-1)
    assert ever <= ALPHA


def test_a_higher_ratio_in_the_canary_gives_more_than_1_in_the_mean() -> None:
    share = 0.3 * 3 / (0.3 * 3 + 0.7)
    arms, chance = trees((0.0, 1.0), (1 - share, share), 10)
    found = shares.evidence(fallen(arms, 0.3), MARGIN, np.ones(arms.shape))
    assert chance @ np.exp(found.worse[:, -1]) > 2


@pytest.mark.parametrize("rate", [0.001, 0.01, 0.05])
def test_fine_is_1_at_most_in_the_mean_where_the_canary_is_worse_by_the_margin(rate: float) -> None:
    worse = max(MARGIN.max_ratio * rate, rate + MARGIN.max_amount)
    both = tuple(
        (rate if one else 1 - rate) * (worse if other else 1 - worse)
        for one in (0, 1)
        for other in (0, 1)
    )
    drawn, chance = trees((0.0, 1.0, 2.0, 3.0), both, 6)  # a request of each arm between two looks
    hits = np.stack([drawn // 2, drawn % 2], axis=-1)[..., np.newaxis].cumsum(axis=-3)
    total = np.ones_like(hits).cumsum(axis=-3)
    found = shares.evidence(Counts(hits, total), MARGIN, np.ones(drawn.shape))
    assert (chance @ np.exp(found.fine) <= 1 + 1e-9).all()


@pytest.mark.parametrize(
    ("chances", "mean"),
    [((0.3, 0.4, 0.3), 1.0), ((0.02, 0.96, 0.02), 1.0), ((0.3, 0.5, 0.2), None)],
)
def test_capital_is_1_in_the_mean_where_losses_are_equal(
    chances: tuple[float, ...], mean: float | None
) -> None:
    lost, chance = trees((-1.0, 0.0, 1.0), chances, 8)
    logs = capital(lost, np.arange(1, 9))
    found = chance @ np.exp(logs)
    assert (found <= 1 + 1e-9).all()
    assert mean is None or found == pytest.approx(mean)
    assert chance @ (logs >= np.log(1 / ALPHA)).any(axis=-1) <= ALPHA


def test_capital_is_1_in_the_mean_where_the_candidate_is_worse_by_the_margin() -> None:
    lost, chance = trees((-1.0, 0.0, 1.0), (0.2, 0.58, 0.22), 8)
    assert chance @ np.exp(capital(0.02 - lost, np.arange(1, 9))) == pytest.approx(1.0)


@pytest.mark.parametrize("scale", [0.3, 1.0, 5.0])
def test_the_one_sided_mixture_is_1_in_the_mean_of_a_normal_estimate(scale: float) -> None:
    at = np.linspace(-60, 60, 200_001)
    logs = beyond(at, np.ones_like(at), scale) - at**2 / 2 - np.log(2 * np.pi) / 2
    assert np.trapezoid(np.exp(logs), at) == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("scale", [0.1, 0.5, 2.0])
def test_the_one_sided_mixture_reaches_its_level_at_the_boundary_of_ville(scale: float) -> None:
    many = np.array([5.0, 50.0, 500.0, 5000.0])
    top = ville.normal_mixture(many, ALPHA, 1 / scale**2, one_sided=True)
    found = beyond(top / many, 1 / many, scale)
    assert found == pytest.approx(np.log(1 / ALPHA))


@pytest.mark.parametrize("scale", [0.1, 0.5, 2.0])
def test_intervals_are_as_wide_as_those_of_ville(scale: float) -> None:
    many = np.array([5.0, 50.0, 500.0, 5000.0])
    expected = ville.normal_mixture(many, ALPHA, 1 / scale**2) / many
    assert half(1 / many, scale, ALPHA) == pytest.approx(expected)


def test_the_test_of_two_rates_is_that_of_a_proportion_in_ville(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    share = np.linspace(0.0005, 0.9995, 1000)  # with halves of the traffic: p = r / (1 + r)
    monkeypatch.setattr(shares, "RATIOS", share / (1 - share))
    for name in ("WORSE", "NO_WORSE"):
        monkeypatch.setattr(shares, name, np.ones_like(share))
    arms = np.random.default_rng(1).choice([0.0, 1.0], 60, p=[0.3, 0.7])
    found = shares.evidence(fallen(arms, 0.5), MARGIN, np.ones(60))
    expected = ville.BernoulliTest(0.5, prior=(1, 1)).fit(arms).log_e_values_
    assert found.worse == pytest.approx(expected, abs=1e-2)


def test_capital_of_one_stake_is_that_of_ville(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("preflight.rollout.paired.STAKES", np.array([0.5]))
    lost = np.random.default_rng(2).choice([-1.0, 0.0, 1.0], 300, p=[0.1, 0.7, 0.2])
    monkeypatch.setattr(
        "ville.sequential._plugin_lambda", lambda i, _variance, _alpha: np.full(len(i), 1e9)
    )
    # Its bets are capped at c / m, on values from 0 to 1: twice ours, on values from -1 to 1.
    test = ville.BettingTest(0.0, bounds=(-1, 1), alternative="greater", c=0.5)
    assert capital(lost, np.arange(1, 301)) == pytest.approx(test.fit(lost).log_e_values_)


def test_the_mixture_of_stakes_is_about_as_strong_as_the_bets_of_ville_seed_3() -> None:
    random = np.random.default_rng(3)
    ours, theirs = [], []
    for _ in range(20):
        lost = random.choice([-1.0, 0.0, 1.0], 3000, p=[0.02, 0.94, 0.04])
        ours.append(capital(lost, np.arange(1, 3001))[-1])
        test = ville.BettingTest(0.0, bounds=(-1, 1), alternative="greater").fit(lost)
        theirs.append(test.log_e_values_[-1])
    assert np.mean(ours) >= 0.9 * np.mean(theirs)
