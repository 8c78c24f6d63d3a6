"""Slices: their names, their sums, and those that are too small."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from preflight.contract import Column, Contract
from preflight.gates.slicing import Slices, dimensions

LETTERS = np.array(list("aaabbc"))


def contract(*columns: Column) -> Contract:
    """A contract of known columns."""
    return Contract("test", 1, columns, (), (), ())


def known(name: str, kind: Any) -> Column:
    """A column of a request."""
    return Column(name, kind, "", known=True)


def parts_of(values: NDArray[np.float64]) -> NDArray[np.str_]:
    """The parts of a number."""
    return dimensions(contract(known("size", "number")), {"size": values}, {})["size"]


def test_means_and_errors_by_hand() -> None:
    slices = Slices({"letter": LETTERS}, 2)
    values = np.array([1.0, 2.0, 3.0, 10.0, 20.0, 99.0])
    assert slices.names == ["letter=a", "letter=b"]
    assert slices.rows.tolist() == [3, 2]
    assert slices.means(values).tolist() == [2.0, 15.0]
    assert slices.errors(values) == pytest.approx([(2 / 3 / 3) ** 0.5, (25 / 2) ** 0.5])


def test_equal_values_have_no_error() -> None:
    found = Slices({"letter": LETTERS}, 1).errors(np.full(6, 0.1))
    assert found == pytest.approx([0, 0, 0], abs=1e-8)


def test_small_slices_are_left_out_and_listed() -> None:
    slices = Slices({"letter": LETTERS, "all": np.full(6, "x")}, 3)
    assert slices.names == ["letter=a", "all=x"]
    assert slices.small == {"letter=b": 2, "letter=c": 1}
    assert len(slices) == 2


def test_a_slice_of_just_enough_rows_is_kept() -> None:
    assert Slices({"letter": LETTERS}, 2).small == {"letter=c": 1}
    assert Slices({"letter": LETTERS}, 1).small == {}


def test_no_slice_may_be_large_enough() -> None:
    slices = Slices({"letter": LETTERS}, 7)
    assert len(slices) == 0
    assert slices.means(np.ones(6)).shape == slices.errors(np.ones(6)).shape == (0,)


def test_a_project_may_have_no_slices() -> None:
    slices = Slices({}, 1)
    assert len(slices) == 0
    assert slices.means(np.ones(6)).shape == (0,)


def test_names_fit_evidence() -> None:
    assert [len(name) for name in Slices({"letter": np.array(["x" * 300])}, 1).names] == [120]


def test_pairs_of_slices_are_slices() -> None:
    labels = {"one": np.array(["x", "x", "y"]), "two": np.array(["p", "q", "q"])}
    found = dimensions(contract(), {}, labels)
    assert Slices(found, 1).names == [
        *("one=x", "one=y", "two=p", "two=q"),
        *("one=x, two=p", "one=x, two=q", "one=y, two=q"),
    ]


def test_hours_and_weekdays_are_those_of_the_calendar() -> None:
    times = np.array(
        ["2021-02-03T08:15", "2021-02-07T23:59:59", "2020-02-29T00:00", "1969-12-31T05:00"],
        dtype="datetime64[us]",
    )
    found = dimensions(contract(known("at", "time")), {"at": times}, {})
    assert found["hour of at"].tolist() == ["08", "23", "00", "05"]
    assert found["weekday of at"].tolist() == ["Wed", "Sun", "Sat", "Wed"]


def test_codes_and_texts_are_slices_by_value() -> None:
    columns = {"zone": np.array([3, 4]), "kind": np.array(["u", "v"], dtype=object)}
    found = dimensions(contract(known("zone", "integer"), known("kind", "text")), columns, {})
    assert found["zone"].tolist() == ["3", "4"]
    assert found["kind"].tolist() == ["u", "v"]


def test_columns_that_no_caller_knows_are_no_slices() -> None:
    hidden = Column("fare", "number", "")
    assert dimensions(contract(hidden), {"fare": np.ones(3)}, {}) == {}


def test_a_number_is_cut_into_ten_parts_of_equal_size_seed_1() -> None:
    values = np.random.default_rng(1).gamma(2, 1.5, 5_000)
    labels, counts = np.unique(parts_of(values), return_counts=True)
    assert counts.tolist() == [500] * 10
    lowest = min(float(label.split()[0]) for label in labels)
    assert lowest == pytest.approx(values.min(), rel=0.01)


def test_parts_of_a_number_that_hardly_varies_stay_apart_seed_2() -> None:
    values = np.random.default_rng(2).uniform(40.70, 40.75, 5_000)
    assert len(np.unique(parts_of(values))) == 10


def test_a_number_that_repeats_has_fewer_parts() -> None:
    values = np.repeat([1.0, 2.0], [900, 100])
    _, counts = np.unique(parts_of(values), return_counts=True)
    assert counts.tolist() == [900, 100]
    assert len(np.unique(parts_of(np.ones(50)))) == 1
