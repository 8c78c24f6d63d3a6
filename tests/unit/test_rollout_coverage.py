"""Labels of two arms are compared only where outcomes come for both alike."""

from pathlib import Path

import numpy as np
import pytest
from numpy.random import default_rng

from preflight.rollout import limits
from preflight.rollout.coverage import compared
from preflight.rollout.observed import Counts

LIMITS = limits.load(Path("params.yaml"))
LOOKS, BLOCKS = 50, 32


def counted(stable: float, canary: float, seed: int, clumped: float = 0.0) -> Counts:
    """Labelled among mature predictions, a tenth of them the canary's, at shares of the arms.

    `clumped` is by how much the share differs from block to block, on either arm by itself.
    """
    random = default_rng(seed)
    total = random.poisson(np.array([90.0, 10.0])[:, None] * np.ones((LOOKS, 2, BLOCKS)) / 8)
    of_block = np.array([stable, canary])[:, None] + random.normal(0, clumped, (2, BLOCKS))
    hits = random.binomial(total, np.broadcast_to(of_block.clip(0, 1), total.shape))
    return Counts(hits.cumsum(axis=0).astype(float), total.cumsum(axis=0).astype(float))


def test_arms_with_the_same_coverage_are_comparable() -> None:
    states = [compared(counted(0.8, 0.8, seed), LIMITS).state for seed in range(40)]
    assert states.count("worse") <= 2


def test_blocks_that_seldom_tell_outcomes_do_not_part_the_arms() -> None:
    states = [compared(counted(0.7, 0.7, seed, 0.1), LIMITS).state for seed in range(40)]
    assert states.count("worse") <= 2


@pytest.mark.parametrize(
    ("stable", "canary"), [(0.8, 0.6), (0.6, 0.8), (0.98, 0.94), (0.94, 0.98), (0.3, 0.15)]
)
def test_a_difference_either_way_says_that_labels_are_not_comparable(
    stable: float, canary: float
) -> None:
    found = compared(counted(stable, canary, 1), LIMITS)
    assert found.state == "worse"
    assert "the labels of the arms are not comparable" in found.said


def test_an_arm_without_predictions_shows_no_difference() -> None:
    both = counted(0.8, 0.8, 1)
    none = Counts(both.hits * [[1.0], [0.0]], both.total * [[1.0], [0.0]])
    found = compared(none, LIMITS)
    assert (found.state, found.canary, found.ratio) == ("open", None, None)
