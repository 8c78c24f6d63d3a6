"""Values that training did not see are named by feature."""

from itertools import product

import numpy as np

from preflight.ranges import Ranges

MATRIX = np.array([[3.0, 1.5, 0.0], [7.0, 2.5, 1.0], [3.0, 9.0, 1.0]])
ODD = (float("nan"), float("inf"), -float("inf"))
RANGES = Ranges.fit(MATRIX, ("zone", "miles", "flag"), [0])


def test_training_rows_lie_inside() -> None:
    assert not RANGES.outside(MATRIX).any()


def test_a_code_between_two_seen_ones_is_outside() -> None:
    assert RANGES.outside(np.array([[5.0, 2.0, 0.0]])).tolist() == [[True, False, False]]


def test_codes_above_all_seen_ones_are_outside() -> None:
    rows = np.array([[8.0, 2.0, 0.0], [9_999.0, 2.0, 0.0]])
    assert RANGES.outside(rows)[:, 0].all()


def test_numbers_are_inside_up_to_both_ends() -> None:
    rows = np.array([[3, 1.5, 0], [3, 9.0, 0], [3, 1.49, 0], [3, 9.01, 0]], dtype=float)
    assert RANGES.outside(rows)[:, 1].tolist() == [False, False, True, True]


def test_one_row_is_judged_as_an_array_of_it() -> None:
    zones, miles, flags = (-9, -2, -0.0, 3, 3.5, 8, 1e30, *ODD), (1.49, 1.5, 9, 9.01, *ODD), (0, 1)
    for row in product(zones, miles, flags):
        expected = np.flatnonzero(RANGES.outside(np.array([row], dtype=float))[0]).tolist()
        assert RANGES.one([float(value) for value in row]) == expected


def test_they_survive_json_in_the_features_order() -> None:
    again = Ranges(RANGES.seen)
    assert [found["feature"] for found in again.seen] == ["zone", "miles", "flag"]
    rows = np.array([[5.0, 99.0, 7.0]])
    assert again.outside(rows).tolist() == [[True, True, True]]
