"""Movement of predictions is told from the noise of training again."""

import numpy as np
import pytest
from numpy.typing import NDArray

from cases import known
from preflight.gates.movement import Movement, moved_share, slice_limits, usual_share
from preflight.gates.slicing import Slices

Array = NDArray[np.float64]
LIMITS = known().differential
ROWS = 12_000
# One zone in fifty: slices of 2% of the rows.
ZONES = np.arange(ROWS) % 50
SLICES = Slices({"zone": ZONES.astype(str), "half": (ZONES % 2).astype(str)}, 200)
SMALL = SLICES.names.index("zone=7")


def refit(seed: int) -> Array:
    """One more fit: noise of its own in each zone and each row."""
    random = np.random.default_rng(seed)
    found: Array = 12 + random.normal(0, 0.05, 50)[ZONES] + random.normal(0, 0.4, ROWS)
    return found


REFITS = np.array([refit(seed) for seed in range(5)])


def beyond(value: Array) -> list[str]:
    """The slices that moved too far."""
    moved = Movement.of(value - REFITS.mean(axis=0), REFITS, SLICES)
    sizes, most = np.abs(moved.slices), slice_limits(moved, LIMITS)
    return [SLICES.names[place] for place in np.flatnonzero(sizes > most)]


def test_a_shift_of_half_a_minute_in_a_small_slice_is_beyond_seeds_100_to_120() -> None:
    for seed in range(100, 120):
        shift = 0.5 if seed % 2 else -0.5
        assert beyond(refit(seed) + shift * (ZONES == 7)) == ["zone=7"]


def test_training_again_is_not_beyond_seeds_200_to_300() -> None:
    assert [seed for seed in range(200, 300) if beyond(refit(seed))] == []


def test_movement_by_hand() -> None:
    slices = Slices({"letter": np.array(list("aabb"))}, 1)
    refits = np.array([[0.0, 0, 0, 0], [2.0, 2, 0, 0], [4.0, 4, 0, 0]])
    found = Movement.of(np.array([1.0, 3.0, -1.0, 1.0]), refits, slices)
    factor = (1 + 1 / 3) ** 0.5
    assert found.mean == 1.0
    assert found.slices.tolist() == [2.0, 0.0]
    assert found.error == pytest.approx(factor * 1.0)
    assert found.errors == pytest.approx([factor * 2.0, 0.0])


def test_noise_comes_on_top_of_the_limit() -> None:
    moved = Movement(0.0, 0.0, np.zeros(2), np.array([0.0, 0.1]))
    expected = [LIMITS.max_slice_shift, LIMITS.max_slice_shift + 0.1 * LIMITS.max_noise]
    assert slice_limits(moved, LIMITS) == pytest.approx(expected)


def test_a_row_has_moved_when_it_moved_further_than_the_distance() -> None:
    one, other = np.array([0.0, 0.0, 0.0, 0.0]), np.array([1.0, 2.0, 2.5, -3.0])
    assert moved_share(one, other, 2.0) == 0.5


def test_the_usual_share_is_the_most_that_one_refit_moves() -> None:
    refits = np.zeros((5, 4))
    assert usual_share(refits, 2.0) == 0.0
    refits[2] = [3.0, 3.0, 0.0, 1.0]
    assert usual_share(refits, 2.0) == 0.5
