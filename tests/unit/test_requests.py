"""Requests are checked by the contract, and a refusal names field, found and expected."""

import json
from datetime import datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from preflight.serving.requests import Decoder, Invalid
from taxi.contract import CONTRACT

DECODER = Decoder(CONTRACT, max_batch=3)
TRIP = {column.name: column.example for column in CONTRACT.known}


def refusal(body: bytes, *, batch: bool = False) -> Invalid:
    """Why a body is refused."""
    with pytest.raises(Invalid) as caught:
        (DECODER.batch if batch else DECODER.one)(body)
    return caught.value


def encoded(**fields: Any) -> bytes:
    """The example trip with fields laid over it."""
    return json.dumps(TRIP | fields).encode()


def test_the_example_trip_becomes_arrays_of_one_row() -> None:
    columns = DECODER.one(encoded())
    assert columns["pickup_at"].tolist() == [datetime(2021, 2, 3, 8, 15)]
    assert columns["pickup_zone"].dtype == np.int64
    assert columns["trip_distance"].tolist() == [1.9]


def test_a_whole_number_may_stand_for_a_number() -> None:
    assert DECODER.one(encoded(trip_distance=2))["trip_distance"].tolist() == [2.0]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("pickup_zone", 0),
        ("pickup_zone", 266),
        ("pickup_zone", 999),
        ("pickup_zone", 74.0),
        ("pickup_zone", "74"),
        ("pickup_zone", True),
        ("pickup_zone", None),
        ("pickup_zone", [74]),
        ("dropoff_zone", 10**400),
        ("trip_distance", 0),
        ("trip_distance", -1.0),
        ("trip_distance", 100.1),
        ("trip_distance", 10**400),
        ("trip_distance", "1.9"),
        ("pickup_at", "yesterday"),
        ("pickup_at", "2021-02-30T08:15:00"),
        ("pickup_at", "2021-02-03"),
        ("pickup_at", "2021-W05-3T08:15"),
        ("pickup_at", "20210203T081500"),
        ("pickup_at", "2021-02-03T08:15:00\n"),
        ("pickup_at", "2021-02-03T08:15:00Z"),
        ("pickup_at", "2021-02-03T08:15:00+01:00"),
        ("pickup_at", "1999-02-03T08:15:00"),
        ("pickup_at", 1612340100),
    ],
)
def test_a_value_outside_the_contract_is_refused_by_name(field: str, value: Any) -> None:
    invalid = refusal(encoded(**{field: value}))
    assert invalid.field == field
    assert "from" in invalid.expected
    assert len(invalid.found) < 80


@pytest.mark.parametrize("field", list(TRIP))
def test_a_missing_field_is_named(field: str) -> None:
    trip = {name: value for name, value in TRIP.items() if name != field}
    invalid = refusal(json.dumps(trip).encode())
    assert (invalid.field, invalid.found) == (field, "no such field")


def test_an_unknown_field_is_named() -> None:
    invalid = refusal(encoded(rider_id=3))
    assert (invalid.field, invalid.found) == ("rider_id", "an unknown field")


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"trip", b"\xff\xfe", b'{"a": NaN}', b"[Infinity]", b"[" * 100_000, b"-Infinity"],
    ids=["empty", "cut", "word", "utf-16", "nan", "infinity", "deep", "minus-infinity"],
)
def test_a_body_that_is_no_json_is_refused(body: bytes) -> None:
    assert refusal(body).field == "body"


@pytest.mark.parametrize("body", [b"3", b'"trip"', b"null", b"[]"])
def test_a_body_that_is_no_object_is_refused(body: bytes) -> None:
    assert refusal(body).expected == "an object"


def test_a_batch_of_one_decodes_as_one() -> None:
    one, batch = DECODER.one(encoded()), DECODER.batch(json.dumps({"instances": [TRIP]}).encode())
    assert {name: values.tolist() for name, values in one.items()} == {
        name: values.tolist() for name, values in batch.items()
    }


@pytest.mark.parametrize("count", [0, 4, 100_000])
def test_a_batch_of_a_wrong_size_is_refused(count: int) -> None:
    invalid = refusal(json.dumps({"instances": [TRIP] * count}).encode(), batch=True)
    assert invalid.found == f"{count} instances"
    assert invalid.expected == "a list of 1 to 3"


@pytest.mark.parametrize("body", [b"[]", b"{}", b'{"instances": [], "more": 1}', b'{"rows": []}'])
def test_a_batch_needs_the_one_field(body: bytes) -> None:
    assert refusal(body, batch=True).field == "body"


def test_a_batch_names_the_instance_that_breaks_the_contract() -> None:
    rows = [TRIP, TRIP | {"pickup_zone": 999}]
    assert refusal(json.dumps({"instances": rows}).encode(), batch=True).field == (
        "instances[1].pickup_zone"
    )
    rows = [TRIP, 5]  # type: ignore[list-item]
    assert refusal(json.dumps({"instances": rows}).encode(), batch=True).field == "instances[1]"


# A busy machine may be slow; what is tested is that nothing crashes.
PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=10,
)


@PATIENT
@given(JSON | st.fixed_dictionaries(dict.fromkeys(TRIP, JSON)))
def test_any_json_is_decoded_or_refused_and_never_crashes(value: Any) -> None:
    body = json.dumps(value).encode()
    for decode in (DECODER.one, DECODER.batch):
        try:
            decode(body)
        except Invalid as invalid:
            assert len(str(invalid)) < 600


@PATIENT
@given(st.binary(max_size=200))
def test_any_bytes_are_decoded_or_refused_and_never_crash(body: bytes) -> None:
    with pytest.raises(Invalid):
        DECODER.one(body)


def test_lines_are_decoded_together_and_the_refused_told_apart() -> None:
    columns, refused = DECODER.lines([encoded(), encoded(pickup_zone=999), encoded(), b"{"])
    assert columns is not None
    assert columns["pickup_zone"].tolist() == [74, 74]
    assert {place: invalid.field for place, invalid in refused.items()} == {
        1: "pickup_zone",
        3: "body",
    }


def test_lines_that_are_all_refused_give_no_arrays() -> None:
    columns, refused = DECODER.lines([b"{", b"[]"])
    assert columns is None
    assert list(refused) == [0, 1]


@pytest.mark.parametrize(
    "lines",
    [
        [encoded() + b" " + encoded()],
        [encoded() + encoded(), b"{"],
        [encoded()[:1], encoded()[1:]],
        encoded().replace(b", ", b",\n").split(b"\n"),
    ],
    ids=["two-rows", "two-rows-and-a-half", "two-parts", "four-parts"],
)
def test_each_line_stands_alone(lines: list[bytes]) -> None:
    columns, refused = DECODER.lines(lines)
    assert columns is None
    assert list(refused) == list(range(len(lines)))
    assert {invalid.field for invalid in refused.values()} == {"body"}


@pytest.mark.parametrize("name", ["\\ud800", "\\udfff" * 70, "a\\ud83d"])
def test_a_name_that_is_no_text_is_told_in_words_that_json_can_carry(name: str) -> None:
    invalid = refusal(encoded()[:-1] + f', "{name}": 1}}'.encode())
    assert invalid.found == "an unknown field"
    str(invalid).encode()
