"""Features: each formula against plain Python, for one row as for many."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from preflight.errors import Problem
from preflight.project import Columns
from taxi import params
from taxi.features import CATALOGUE, Zones, categorical, compute, read_lookup, slices

NAMES = tuple(CATALOGUE)
# Boroughs are out of order, a zone is absent (4), and "NA" is a borough of its own.
LOOKUP = """zone,borough,name,service_zone
1,Queens,Astoria,Boro Zone
2,Bronx,Belmont,Boro Zone
3,Queens,Corona,Boro Zone
5,NA,Outside of NYC,N/A
264,Unknown,NV,N/A
265,Unknown,NA,N/A
"""
BOROUGHS = {1: "Queens", 2: "Bronx", 3: "Queens", 5: "NA"}
ORDER = ("Unknown", "Bronx", "NA", "Queens")

Trip = tuple[datetime, int, int, float]
TRIPS: list[Trip] = [
    (datetime(2021, 1, 1, 0, 0, 59), 1, 2, 1.9),
    (datetime(2021, 2, 28, 5, 59, 59), 3, 3, 0.01),
    (datetime(2021, 3, 1, 6, 0, 0), 264, 265, 100.0),
    (datetime(2024, 2, 29, 12, 34, 56, 789_000), 4, 4, 7.25),
    (datetime(2024, 12, 31, 23, 59, 59), 265, 1, 12.0),
    (datetime(2023, 7, 9, 18, 0, 0), 5, 2, 3.5),
]
PLAIN: dict[str, Callable[[Trip], float]] = {
    "pickup_zone": lambda trip: trip[1],
    "dropoff_zone": lambda trip: trip[2],
    "trip_distance": lambda trip: trip[3],
    "minute_of_day": lambda trip: trip[0].hour * 60 + trip[0].minute,
    "weekday": lambda trip: trip[0].weekday(),
    "same_zone": lambda trip: float(trip[1] == trip[2]),
    "pickup_borough": lambda trip: ORDER.index(BOROUGHS.get(trip[1], "Unknown")),
    "dropoff_borough": lambda trip: ORDER.index(BOROUGHS.get(trip[2], "Unknown")),
}


@pytest.fixture
def zones(tmp_path: Path) -> Zones:
    """The small lookup, read from disk."""
    (tmp_path / "lookup.csv").write_text(LOOKUP)
    return read_lookup(tmp_path / "lookup.csv")


def columns_of(trips: list[Trip], unit: str = "us") -> dict[str, Any]:
    """Trips as column arrays."""
    times, pickups, dropoffs, distances = zip(*trips, strict=True)
    return {
        "pickup_at": np.array(times, dtype="datetime64[us]").astype(f"datetime64[{unit}]"),
        "pickup_zone": np.array(pickups, dtype=np.int64),
        "dropoff_zone": np.array(dropoffs, dtype=np.int64),
        "trip_distance": np.array(distances, dtype=np.float64),
    }


def at(*times: str) -> Columns:
    """Trips that differ in their start alone."""
    return columns_of([(datetime.fromisoformat(time), 1, 2, 1.0) for time in times])


@pytest.mark.parametrize("name", NAMES)
def test_a_feature_is_what_plain_python_gives(zones: Zones, name: str) -> None:
    found = compute(columns_of(TRIPS), zones, [name])
    assert found[:, 0].tolist() == [PLAIN[name](trip) for trip in TRIPS]


def test_parameters_may_choose_exactly_the_features_of_the_catalogue() -> None:
    assert get_args(params.Feature) == NAMES


@pytest.mark.parametrize("row", range(len(TRIPS)))
def test_a_lone_row_has_the_features_that_it_has_in_a_batch(zones: Zones, row: int) -> None:
    lone = compute(columns_of(TRIPS[row : row + 1]), zones, NAMES)
    assert lone.tolist() == [compute(columns_of(TRIPS), zones, NAMES)[row].tolist()]


def test_features_come_in_the_order_asked_for(zones: Zones) -> None:
    found = compute(columns_of(TRIPS[:1]), zones, ["weekday", "pickup_zone"])
    assert found.tolist() == [[4.0, 1.0]]


def test_the_matrix_is_doubles_of_rows_by_features(zones: Zones) -> None:
    found = compute(columns_of(TRIPS), zones, NAMES)
    assert found.shape == (len(TRIPS), len(NAMES))
    assert found.dtype == np.float64


def test_no_rows_are_a_matrix_of_no_rows(zones: Zones) -> None:
    columns = {name: column[:0] for name, column in columns_of(TRIPS).items()}
    assert compute(columns, zones, NAMES).shape == (0, len(NAMES))


def test_features_leave_the_columns_alone(zones: Zones) -> None:
    columns = columns_of(TRIPS)
    compute(columns, zones, NAMES)
    for name, column in columns_of(TRIPS).items():
        np.testing.assert_array_equal(columns[name], column)


@pytest.mark.parametrize("unit", ["s", "ms", "ns"])
def test_times_of_another_unit_give_the_same_matrix(zones: Zones, unit: str) -> None:
    np.testing.assert_array_equal(
        compute(columns_of(TRIPS, unit), zones, NAMES), compute(columns_of(TRIPS), zones, NAMES)
    )


@pytest.mark.parametrize(
    ("day", "number"),
    [
        ("1969-12-31", 2),  # a Wednesday, before the epoch
        ("1970-01-01", 3),
        ("2009-01-01", 3),
        ("2021-01-01", 4),
        ("2024-02-29", 3),
        ("2026-06-01", 0),
        ("2099-12-27", 6),
    ],
)
def test_a_week_begins_on_monday(zones: Zones, day: str, number: int) -> None:
    assert compute(at(f"{day}T00:00:00", f"{day}T23:59:59"), zones, ["weekday"]).tolist() == [
        [number],
        [number],
    ]


def test_minutes_count_from_midnight_and_round_down(zones: Zones) -> None:
    times = ("2021-01-01T00:00:59", "2021-01-01T00:01:00", "2021-01-01T23:59:59")
    assert compute(at(*times), zones, ["minute_of_day"])[:, 0].tolist() == [0, 1, 1_439]


@pytest.mark.parametrize("zone", [264, 265, 4, 200])
def test_a_zone_unknown_or_absent_has_borough_0(zones: Zones, zone: int) -> None:
    columns = columns_of([(datetime(2021, 1, 1), zone, zone, 1.0)])
    assert compute(columns, zones, ["pickup_borough", "dropoff_borough"]).tolist() == [[0, 0]]
    assert slices(columns, zones, ["pickup_borough"])["pickup_borough"].tolist() == ["Unknown"]


def test_the_unknown_and_then_sorted_boroughs_with_na_as_text(zones: Zones) -> None:
    assert zones.boroughs == ORDER


def test_the_order_of_a_lookups_rows_does_not_matter(tmp_path: Path, zones: Zones) -> None:
    header, *lines = LOOKUP.splitlines(keepends=True)
    (tmp_path / "reversed.csv").write_text("".join([header, *reversed(lines)]))
    found = read_lookup(tmp_path / "reversed.csv")
    assert found.boroughs == zones.boroughs
    assert found.borough_of.tolist() == zones.borough_of.tolist()


@pytest.mark.parametrize(
    "text",
    ["zone,name\n1,Astoria\n", "zone,borough\none,Queens\n", "zone,borough\n266,Queens\n"],
    ids=["no borough", "no number", "no such zone"],
)
def test_a_broken_lookup_is_refused_by_name(tmp_path: Path, text: str) -> None:
    (tmp_path / "lookup.csv").write_text(text)
    with pytest.raises(Problem, match=r"lookup\.csv"):
        read_lookup(tmp_path / "lookup.csv")


def test_categorical_positions_are_those_of_codes() -> None:
    assert categorical(NAMES) == [0, 1, 6, 7]


def test_categorical_positions_follow_the_order_of_names() -> None:
    assert categorical(["weekday", "dropoff_borough", "trip_distance", "pickup_zone"]) == [1, 3]


def test_there_may_be_no_categorical_feature() -> None:
    assert categorical(["weekday", "trip_distance"]) == []


def test_a_day_has_four_parts_of_six_hours(zones: Zones) -> None:
    hours = ("00:00", "05:59", "06:00", "11:59", "12:00", "17:59", "18:00", "23:59")
    found = slices(at(*(f"2021-01-01T{hour}:59" for hour in hours)), zones, ["day_part"])
    parts = ["night", "morning", "midday", "evening"]
    assert found["day_part"].tolist() == [part for part in parts for _ in range(2)]


def test_a_borough_slice_has_names(zones: Zones) -> None:
    found = slices(columns_of(TRIPS), zones, ["pickup_borough"])
    assert found["pickup_borough"].tolist() == [
        "Queens",
        "Queens",
        "Unknown",
        "Unknown",
        "Unknown",
        "NA",
    ]


def test_a_slice_without_a_rule_is_the_column_as_text(zones: Zones) -> None:
    columns = columns_of(TRIPS[:2]) | {"vendor": np.array([1, 2])}
    assert slices(columns, zones, ["vendor"])["vendor"].tolist() == ["1", "2"]


def test_slices_are_only_those_asked_for(zones: Zones) -> None:
    assert list(slices(columns_of(TRIPS), zones, ["day_part"])) == ["day_part"]
