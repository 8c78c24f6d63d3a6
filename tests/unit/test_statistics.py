"""The gates' statistics, by hand on small samples and by simulation on large ones."""

import numpy as np
import pytest

from preflight.gates.statistics import (
    Array,
    critical,
    kolmogorov_smirnov,
    paired_ratio,
    pooled_deviation,
    total_variation,
)


def numbers(*values: float) -> Array:
    """An array of numbers."""
    return np.array(values, dtype=np.float64)


def texts(letters: str) -> np.ndarray:
    """An array of one-letter labels."""
    return np.array(list(letters))


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (numbers(1, 2, 3, 4), numbers(1, 2, 3, 4), 0.0),
        (numbers(4, 3, 2, 1), numbers(1, 2, 3, 4), 0.0),
        (numbers(1, 2), numbers(3, 4), 1.0),
        (numbers(1, 2, 3, 4), numbers(3, 4, 5, 6), 0.5),
        (numbers(1, 1, 1, 2), numbers(1, 2, 2, 2), 0.5),
        (numbers(1), numbers(1, 2, 3, 4), 0.75),
    ],
)
def test_kolmogorov_smirnov_is_the_largest_gap(one: Array, other: Array, expected: float) -> None:
    assert kolmogorov_smirnov(one, other, chance=False) == pytest.approx(expected)
    assert kolmogorov_smirnov(other, one, chance=False) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("aabb", "abab", 0.0),
        ("aabb", "ab", 0.0),
        ("aaaa", "bbbb", 1.0),
        ("aabb", "aaab", 0.25),
        ("aabc", "aabb", 0.25),
    ],
)
def test_total_variation_is_the_share_that_moved(one: str, other: str, expected: float) -> None:
    assert total_variation(texts(one), texts(other), chance=False) == pytest.approx(expected)
    assert total_variation(texts(other), texts(one), chance=False) == pytest.approx(expected)


def test_samples_of_one_distribution_are_rarely_apart_seed_1() -> None:
    random = np.random.default_rng(1)
    far = [kolmogorov_smirnov(random.normal(size=500), random.normal(size=800)) for _ in range(200)]
    assert np.count_nonzero(far) <= 6
    labels = [random.choice(list("abcdefgh"), size) for size in (500, 800) * 200]
    far = [total_variation(*pair) for pair in zip(labels[::2], labels[1::2], strict=True)]
    assert np.count_nonzero(far) <= 20
    assert max(far) < 0.03


def test_equal_samples_are_not_apart() -> None:
    values = np.arange(50.0)
    assert kolmogorov_smirnov(values, values) == 0
    assert total_variation(texts("abcabc"), texts("abcabc")) == 0


def test_samples_of_other_distributions_are_apart_seed_2() -> None:
    random = np.random.default_rng(2)
    one, other = random.normal(0, 1, 2_000), random.normal(1, 1, 2_000)
    # Two normals one deviation apart: 2 Phi(1/2) - 1 = 0.383, less 0.052 for chance.
    assert kolmogorov_smirnov(one, other) == pytest.approx(0.383 - 0.052, abs=0.03)
    labels = [random.choice(list("ab"), 2_000, p=p) for p in ((0.8, 0.2), (0.4, 0.6))]
    assert total_variation(*labels) == pytest.approx(0.4, abs=0.06)


def test_the_room_for_chance_shrinks_with_rows_seed_3() -> None:
    random = np.random.default_rng(3)
    room = []
    for rows in (100, 10_000):
        one, other = random.normal(0, 1, rows), random.normal(1, 1, rows)
        room.append(kolmogorov_smirnov(one, other, chance=False) - kolmogorov_smirnov(one, other))
    assert room == pytest.approx([1.63 * (2 / 100) ** 0.5, 1.63 * (2 / 10_000) ** 0.5])


def test_a_ratio_of_means_by_hand() -> None:
    found = paired_ratio(numbers(2, 4), numbers(1, 2), root=False)
    assert (found.value, found.low, found.high) == (2.0, 2.0, 2.0)
    assert found.ends == (2.0, 2.0)
    assert paired_ratio(numbers(8, 8), numbers(2, 2), root=True).value == 2.0
    assert paired_ratio(numbers(1, 5), numbers(3, 1), root=False).value == 1.5


def test_a_ratio_of_equal_losses_is_exactly_one_seed_4() -> None:
    losses = np.random.default_rng(4).gamma(1, 1, 300)
    found = paired_ratio(losses, losses, root=True)
    assert (found.value, found.low, found.high) == (1.0, 1.0, 1.0)


@pytest.mark.parametrize(("loss", "expected"), [(0.0, 1.0), (1.0, np.inf)])
def test_a_champion_without_error_can_only_be_met(loss: float, expected: float) -> None:
    found = paired_ratio(np.full(20, loss), np.zeros(20), root=True)
    assert (found.value, found.low, found.high) == (expected, expected, expected)


def test_intervals_of_equal_models_hold_one_seed_5() -> None:
    random, held = np.random.default_rng(5), 0
    for _ in range(60):
        shared = random.normal(0, 3, 400)
        ours, theirs = ((shared + random.normal(0, 1, 400)) ** 2 for _ in range(2))
        found = paired_ratio(ours, theirs, root=True)
        held += found.low <= 1 <= found.high
    assert held >= 51  # 57 are expected


def test_a_model_that_is_worse_is_surely_so_seed_6() -> None:
    shared = np.random.default_rng(6).normal(0, 3, 2_000)
    found = paired_ratio((1.1 * shared) ** 2, shared**2, root=True)
    assert found.value == pytest.approx(1.1)
    assert found.low == pytest.approx(1.1)


def test_what_both_share_cancels_seed_7() -> None:
    random = np.random.default_rng(7)
    shared = random.normal(0, 3, 1_000)
    paired = paired_ratio((shared + 0.1) ** 2, shared**2, root=True)
    apart = paired_ratio(random.normal(0, 3, 1_000) ** 2, shared**2, root=True)
    assert paired.high - paired.low < (apart.high - apart.low) / 5


def test_the_same_seed_gives_the_same_ends() -> None:
    ours, theirs = np.arange(1.0, 50), np.arange(1.0, 50)[::-1].copy()
    one, other = (paired_ratio(ours, theirs, root=False, seed=2) for _ in range(2))
    assert one == other
    assert one != paired_ratio(ours, theirs, root=False, seed=3)


def test_more_intervals_need_wider_ones() -> None:
    assert critical(1) == pytest.approx(2.576, abs=0.001)
    assert critical(0) == critical(1)
    found = [critical(count) for count in (1, 2, 10, 100, 1_000)]
    assert found == sorted(set(found))


def repeats(deviations: Array, count: int, seed: int) -> Array:
    """Slice means of some refits, shape (repeats, slices)."""
    return np.random.default_rng(seed).normal(0, deviations, (count, len(deviations)))


def test_unsure_deviations_are_drawn_toward_those_of_their_size_seed_8() -> None:
    rows = np.geomspace(200, 20_000, 60).astype(np.int64)
    true = 2 / np.sqrt(rows)
    values = repeats(true, 5, seed=8)
    own, found = values.std(axis=0, ddof=1), pooled_deviation(values, rows)
    own_error, pooled_error = (np.abs(np.log(each / true)).mean() for each in (own, found))
    assert pooled_error < 0.6 * own_error
    assert np.median(found / true) == pytest.approx(1, abs=0.15)


def test_a_slice_that_chance_left_still_gets_noise_seed_9() -> None:
    rows = np.geomspace(200, 20_000, 30).astype(np.int64)
    values = repeats(2 / np.sqrt(rows), 5, seed=9)
    values[:, 3] = values[0, 3]
    found = pooled_deviation(values, rows)
    assert found[3] > 0.5 * 2 / np.sqrt(rows[3])


def test_fits_that_agree_entirely_have_no_noise() -> None:
    rows = np.array([200, 300, 400, 500])
    assert pooled_deviation(np.ones((5, 4)), rows).tolist() == [0, 0, 0, 0]


def test_two_slices_stand_for_themselves() -> None:
    found = pooled_deviation(np.array([[0.0, 1.0], [2.0, 1.0], [4.0, 4.0]]), np.array([200, 300]))
    assert found == pytest.approx([2.0, 3**0.5])


def test_slices_of_one_size_share_one_line_seed_10() -> None:
    values = repeats(np.full(20, 0.5), 5, seed=10)
    found = pooled_deviation(values, np.full(20, 400))
    assert np.median(found) == pytest.approx(0.5, rel=0.3)
