"""Policy, contract: whatever it newly admits is named."""

from dataclasses import replace
from typing import Any

import pytest

from preflight import project
from preflight.contract import Column, Contract
from preflight.policy import widening

SHIPPED = project.contract("taxi")


def named(now: Contract) -> list[str]:
    """What is said about a change of the shipped contract."""
    return [str(each) for each in widening.widened((SHIPPED.as_dict(), now.as_dict()))]


def having(name: str, **fields: Any) -> Contract:
    """The shipped contract with one column changed."""
    columns = [replace(each, **fields) if each.name == name else each for each in SHIPPED.columns]
    return replace(SHIPPED, columns=tuple(columns))


@pytest.mark.parametrize(
    ("column", "fields", "said"),
    [
        ("trip_distance", {"maximum": 1000.0}, "trip_distance.maximum 100.0 -> 1000.0"),
        ("trip_distance", {"maximum": None}, "trip_distance.maximum 100.0 -> null"),
        ("trip_distance", {"minimum": 0}, "trip_distance.minimum 0.01 -> 0"),
        ("pickup_at", {"minimum": None}, "pickup_at.minimum 2009-01-01T00:00:00 -> null"),
        ("vendor", {"allowed": (1, 2, 5, 6, 7)}, "vendor.allowed [1, 2, 5, 6] -> [1, 2, 5, 6, 7]"),
        ("vendor", {"allowed": None}, "vendor.allowed [1, 2, 5, 6] -> null"),
        ("trip_distance", {"nullable": True}, "trip_distance.nullable False -> True"),
        ("fare_amount", {"known": True}, "fare_amount.known False -> True"),
        ("fare_amount", {"kind": "integer"}, "fare_amount.kind number -> integer"),
        ("rider_id", {"role": "attribute"}, "rider_id.role entity -> attribute"),
        ("rider_id", {"sensitive": False}, "rider_id.sensitive True -> False"),
    ],
)
def test_a_wider_column_is_named(column: str, fields: dict[str, Any], said: str) -> None:
    assert named(having(column, **fields)) == [f"contract widened: {said}"]


@pytest.mark.parametrize(
    ("column", "fields"),
    [
        ("trip_distance", {"maximum": 50.0, "minimum": 1.0, "description": "Shorter"}),
        ("vendor", {"allowed": (2, 1)}),
        ("passenger_count", {"nullable": False, "allowed": (1, 2)}),
        ("fare_amount", {"sensitive": True}),
    ],
)
def test_a_narrower_column_is_not_named(column: str, fields: dict[str, Any]) -> None:
    assert named(having(column, **fields)) == []


def test_a_removed_column_is_named_with_its_use() -> None:
    now = replace(SHIPPED, columns=SHIPPED.columns[1:])
    assert named(now) == ["column removed: pickup_at known to a caller -> absent"]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"identity": SHIPPED.identity[:-1]}, "identity"),
        ({"identity": (*SHIPPED.identity, "vendor")}, "identity"),
        ({"slices": SHIPPED.slices[:-1]}, "slices"),
        ({"target_bins": (1.0,)}, "target_bins"),
    ],
)
def test_a_changed_table_is_named(fields: dict[str, Any], said: str) -> None:
    (found,) = named(replace(SHIPPED, **fields))
    assert found.startswith(f"contract widened: {said} ")


def test_order_version_and_what_is_added_are_not_named() -> None:
    now = replace(
        SHIPPED,
        version=2,
        columns=(Column("tip", "number", "A tip"), *reversed(SHIPPED.columns)),
        identity=tuple(reversed(SHIPPED.identity)),
        slices=(*SHIPPED.slices, "dropoff_borough"),
    )
    assert named(now) == []
