"""Seeded integers: those of SplitMix64 worked out in plain Python, at any position."""

import numpy as np
import pytest

from taxi.hashing import RIDERS, Words, below, choose, draw, integers, riders

GAMMA, MASK = 0x9E3779B97F4A7C15, 2**64 - 1
EDGES = [0, 1, 2**32 - 1, 2**32, 2**63, 2**64 - 1]


def mixed(word: int) -> int:
    """SplitMix64's step in unbounded integers, masked to 64 bits."""
    word = (word + GAMMA) & MASK
    word = ((word ^ (word >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    word = ((word ^ (word >> 27)) * 0x94D049BB133111EB) & MASK
    return word ^ (word >> 31)


def words(*values: int) -> Words:
    """64-bit words from plain integers."""
    return np.array(values, dtype=np.uint64)


def test_integers_are_the_published_first_values_of_splitmix64_with_seed_1234567() -> None:
    states = [(1234567 + step * GAMMA) & MASK for step in range(5)]
    assert integers(words(*states)).tolist() == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]


def test_integers_wrap_as_arithmetic_in_64_bits_does() -> None:
    assert integers(words(*EDGES)).tolist() == [mixed(word) for word in EDGES]


def test_integers_leave_their_argument_alone() -> None:
    given = words(*EDGES)
    integers(given)
    assert given.tolist() == EDGES


def test_integers_keep_the_shape() -> None:
    assert integers(np.zeros((2, 3), dtype=np.uint64)).shape == (2, 3)


def test_a_drawn_word_is_mixed_from_key_and_position_with_seed_7() -> None:
    key = mixed(7 * 2**16 + 3)
    expected = [mixed((key + position) & MASK) for position in range(5, 9)]
    assert draw(7, 3, 5, 4).tolist() == expected


def test_a_draw_from_a_position_is_the_slice_of_a_longer_draw_with_seed_7() -> None:
    assert draw(7, 3, 40, 10).tolist() == draw(7, 3, 0, 100)[40:50].tolist()


def test_a_draw_of_no_rows_is_empty() -> None:
    assert draw(7, 3, 40, 0).shape == (0,)


def test_streams_of_one_seed_share_no_word_with_seed_7() -> None:
    assert not np.intersect1d(draw(7, 1, 0, 1_000), draw(7, 2, 0, 1_000)).size


def test_seeds_7_and_8_share_no_word() -> None:
    assert not np.intersect1d(draw(7, 1, 0, 1_000), draw(8, 1, 0, 1_000)).size


@pytest.mark.parametrize("bound", [1, 2, 263, 100_000, 2**32 - 1])
def test_below_stays_in_range_and_reaches_both_ends(bound: int) -> None:
    found = below(words(*EDGES), bound).tolist()
    assert found == [(word >> 32) * bound >> 32 for word in EDGES]
    assert (min(found), max(found)) == (0, bound - 1)


def test_below_hits_every_number_about_equally_often_with_seed_7() -> None:
    counts = np.bincount(below(draw(7, 1, 0, 20_000), 10), minlength=10)
    assert counts.min() > 1_800
    assert counts.max() < 2_200


def test_choose_follows_the_weights_with_seed_7() -> None:
    weights = np.array([60, 0, 30, 10], dtype=np.int64)
    shares = np.bincount(choose(draw(7, 1, 0, 20_000), weights), minlength=4) / 20_000
    assert shares[1] == 0
    np.testing.assert_allclose(shares, weights / 100, atol=0.015)


def test_choose_takes_the_first_position_at_the_least_word_and_the_last_at_the_greatest() -> None:
    assert choose(words(0, MASK), np.array([1, 5, 1], dtype=np.int64)).tolist() == [0, 2]


def test_riders_are_the_contracts() -> None:
    assert riders(words(0, MASK)).tolist() == [0, RIDERS - 1]
    assert RIDERS == 5_000


def test_riders_ride_unequally_with_seed_7() -> None:
    trips = np.bincount(riders(draw(7, 1, 0, 100_000)), minlength=RIDERS)
    assert len(trips) == RIDERS
    assert trips.max() > 20 * np.median(trips)


def test_riders_are_the_same_on_every_machine_with_seed_7() -> None:
    assert riders(draw(7, 1, 0, 6)).tolist() == [387, 23, 299, 1175, 4674, 4594]
