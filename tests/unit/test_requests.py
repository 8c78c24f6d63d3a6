"""Requests are checked by the contract, and a refusal names field, found and expected."""

import json
from datetime import datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from preflight.contract import Column, Contract
from preflight.serving.compiled import Columns, Refused
from preflight.serving.requests import Decoder, Invalid, parse
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


def contract(*columns: Column) -> Contract:
    """A contract whose callers know these columns."""
    others = (
        Column("y", "number", "", minimum=0, maximum=9, role="target"),
        Column("e", "integer", "", role="entity"),
    )
    return Contract("any", 1, (*columns, *others), (), (), (5.0,))


CONTRACTS = {
    "trips": CONTRACT,
    "kinds": contract(
        Column("word", "text", "", known=True),
        Column("size", "text", "", allowed=("small", "large"), known=True),
        Column("tariff", "integer", "", allowed=(0, 2, 5), known=True),
        Column("count", "integer", "", known=True),
        Column("weight", "number", "", known=True),
        Column("at", "time", "", known=True, role="time"),
    ),
    "single": contract(Column("count", "integer", "", minimum=-3, maximum=3, known=True)),
    "text": contract(Column("word", "text", "", known=True)),
}
DECODERS = {name: Decoder(chosen, 3) for name, chosen in CONTRACTS.items()}
USUAL = {"integer": "2", "number": "1.5", "text": '"small"', "time": '"2021-02-03T08:15:00"'}
# How JSON may spell what a caller means, and what it must not mean.
SPELT = {
    "integer": "0 1 2 3 5 -0 -3 74 265 266 1.0 74.0 1e0 2E0 0.5 true false null"
    " 9223372036854775807 9223372036854775808 -9223372036854775808 1e400 NaN [1]"
    f' "1" {10**30} 01 +1 --1 1.'.split(),
    "number": "0 -0 0.0 -0.0 0.01 0.00999999999999999999 1 1.9 100 100.00000000000001 1e2 1e-320"
    " 5e-324 1e308 1e309 -1e309 1.7976931348623157e308 123456789012345678901234567890 NaN"
    f' Infinity "1.9" true null {10**400} .5 5. 0.1234567890123456789012345678901'.split(),
    "text": [
        *('"small"', '"large"', '""', '"\\u0073mall"', '"\\ud800"', '"\\ud83d\\ude00"', "null"),
        *('"\\u0000"', '"é😀"', "3", '"a\tb"', '"a\\tb"', '["small"]', '"small "', "true"),
    ],
    "time": [
        *('"2021-02-03T08:15:00"', '"2021-02-03T08:15"', '"2021-02-03T08:15:00.123456"'),
        *('"2021-02-29T08:15:00"', '"2020-02-29T23:59:59"', '"2021-02-03T24:00:00"'),
        *('"2021-02-03T08:15:60"', '"2021-02-03 08:15:00"', '"2021-W05-3T08:15:00"'),
        *('"2021-02-03t08:15:00"', '"2021-02-03T08:15:0\u0665"', '"0000-01-01T00:00:00"'),
        *('"0001-01-01T00:00:00"', '"9999-12-31T23:59:59"', '"2008-12-31T23:59:59"'),
        *('"2021-02-03T08:15:00\\n"', '"2021-02-03T08:15:0\\u0000"', '"2021-02-03T08:15+01:00"'),
        *('"2021\\u002d02-03T08:15:00"', "1612340100", "null", '"2021-02-03T08:15:0 "'),
        *('"-021-02-03T08:15:00"', '"2021-02-03T08:15:-1"', '"2021-13-03T08:15:00"'),
    ],
}


def spelt(chosen: Contract) -> st.SearchStrategy[str]:
    """JSON texts near to a row of a contract."""
    fields = [
        st.tuples(
            st.just(f'"{column.name}"'),
            # One odd value among usual ones says most.
            st.sampled_from([USUAL[column.kind]] * 60 + SPELT[column.kind]),
        )
        for column in chosen.known
    ]
    odd = st.tuples(st.sampled_from(['"word"', '"count"', '"x"', '"\\ud800"']), st.just("1"))
    pairs = st.tuples(*fields).map(list)
    more = st.one_of(pairs, pairs, pairs.flatmap(st.permutations), st.lists(odd).map(list))
    blank = st.sampled_from(["", "", " ", "\n", "\r\n\t", "\ufeff", "x"])
    return st.builds(
        lambda found, head, tail: f"{head}{{{', '.join(f'{n}: {v}' for n, v in found)}}}{tail}",
        more,
        blank,
        blank,
    )


def slow(decoder: Decoder, lines: list[bytes], whole: bytes | None = None) -> Columns | None:
    """What value by value is made of rows, or of a batch; None where it refuses."""
    try:
        if whole is not None:
            return decoder._arrays(decoder._rows(parse(whole)))
        return decoder._arrays([decoder._row(parse(line), "") for line in lines])
    except Invalid:
        return None


def fast(decode: Any, *given: Any) -> Columns | None:
    """What the compiled decoder makes; None where it refuses."""
    try:
        found: Columns = decode(*given)
    except Refused:
        return None
    return found


def require_subset(found: Columns | None, expected: Columns | None) -> None:
    """What was accepted must be accepted by the definition, with equal arrays."""
    if found is None:
        return
    assert expected is not None
    assert list(found) == list(expected)
    for name, values in expected.items():
        assert found[name].dtype == values.dtype
        assert found[name].tolist() == values.tolist()


@pytest.mark.parametrize("name", list(CONTRACTS))
@settings(PATIENT, max_examples=150)
@given(data=st.data())
def test_the_compiled_decoder_accepts_no_more_than_the_definition(
    name: str, data: st.DataObject
) -> None:
    decoder, compiled = DECODERS[name], DECODERS[name]._compiled
    rows = data.draw(st.lists(spelt(CONTRACTS[name]), min_size=1, max_size=4))
    lines = [row.encode() for row in rows]
    require_subset(fast(compiled.one, lines[0]), slow(decoder, lines[:1]))
    whole = b'{"instances": [' + b", ".join(lines) + b"]}"
    require_subset(fast(compiled.batch, whole), slow(decoder, [], whole))
    columns, refused = decoder.lines(lines)
    kept = [line for place, line in enumerate(lines) if place not in refused]
    assert all(slow(decoder, [lines[place]]) is None for place in refused)
    if columns is None:
        assert not kept
    else:
        require_subset(columns, slow(decoder, kept))


@pytest.mark.parametrize("name", list(CONTRACTS))
def test_the_compiled_decoder_accepts_what_callers_usually_send(name: str) -> None:
    """Or every request would be looked at value by value."""
    fields = [f'"{column.name}": {USUAL[column.kind]}' for column in CONTRACTS[name].known]
    row = f"{{{', '.join(fields)}}}".encode()
    compiled = DECODERS[name]._compiled
    expected = slow(DECODERS[name], [row])
    assert expected is not None
    for found in (fast(compiled.one, row), fast(compiled.batch, b'{"instances": [' + row + b"]}")):
        assert found is not None
        require_subset(found, expected)
    assert DECODERS[name].lines([row, row])[0] is not None


@pytest.mark.parametrize("name", list(CONTRACTS))
@settings(PATIENT, max_examples=100)
@given(data=st.data())
def test_odd_rows_are_refused_in_words_that_json_can_carry(name: str, data: st.DataObject) -> None:
    body = data.draw(spelt(CONTRACTS[name])).encode()
    try:
        DECODERS[name].one(body)
    except Invalid as invalid:
        str(invalid).encode()


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
