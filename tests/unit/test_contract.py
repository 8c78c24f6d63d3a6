"""The contract: stated once, from which the rest derives."""

from dataclasses import replace

import polars as pl
import pytest

from conftest import ROOT
from preflight import params, table
from preflight.contract import Column, Contract
from preflight.serving import openapi
from preflight.serving.requests import Decoder, Invalid
from taxi.contract import CONTRACT


def test_it_says_which_columns_are_target_time_and_entity() -> None:
    assert CONTRACT.target.name == "duration_minutes"
    assert CONTRACT.time.name == "pickup_at"
    assert CONTRACT.entity.name == "rider_id"


def test_neither_target_nor_entity_is_known_when_asked() -> None:
    known = [column.name for column in CONTRACT.known]
    assert known == ["pickup_at", "pickup_zone", "dropoff_zone", "trip_distance"]


def test_every_known_column_has_an_example_and_a_range() -> None:
    for column in CONTRACT.known:
        assert column.example is not None
        assert column.allowed or column.minimum is not None


def test_its_hash_follows_every_statement() -> None:
    """Widening one range is another contract."""
    wider = replace(CONTRACT["trip_distance"], maximum=200.0)
    columns = tuple(wider if c.name == wider.name else c for c in CONTRACT.columns)
    assert replace(CONTRACT, columns=columns).hash != CONTRACT.hash
    assert replace(CONTRACT).hash == CONTRACT.hash


def small(column: Column) -> Contract:
    """A contract with one column of interest, known when asked."""
    others = (
        Column("t", "time", "When", role="time"),
        Column("y", "number", "What", role="target", unit="minute", minimum=0, maximum=9),
        Column("e", "integer", "Who", role="entity"),
    )
    return Contract("small", 1, (column, *others), ("x",), (), (5.0,))


@pytest.mark.parametrize(
    ("column", "good", "bad"),
    [
        (Column("x", "integer", "", minimum=1, maximum=3, known=True), b"3", b"4"),
        (Column("x", "number", "", minimum=0.5, maximum=3.0, known=True), b"0.5", b"0.49"),
        (Column("x", "integer", "", allowed=(1, 5), known=True), b"5", b"3"),
        (Column("x", "text", "", allowed=("a", "b"), known=True), b'"a"', b'"c"'),
    ],
)
def test_one_statement_guards_table_request_and_openapi(
    column: Column, good: bytes, bad: bytes
) -> None:
    contract = small(column)
    decoder = Decoder(contract, 10)
    kept = decoder.one(b'{"x": ' + good + b"}")["x"][0]
    with pytest.raises(Invalid, match=r"^x: "):
        decoder.one(b'{"x": ' + bad + b"}")
    frame = pl.DataFrame({"x": [kept, eval(bad)]})  # noqa: S307 (literals of this test)
    rules = [rule for name, rule in table.row_rules(contract).items() if name.startswith("x.")]
    broken = frame.select(pl.any_horizontal(rules).alias("broken"))["broken"].to_list()
    assert broken == [False, True]
    limits = params.load(ROOT / "params.yaml").serving
    stated = openapi.document(contract, limits)["components"]["schemas"]["Instance"]
    assert stated["required"] == ["x"]
    if column.allowed:
        assert stated["properties"]["x"]["enum"] == list(column.allowed)
    else:
        assert stated["properties"]["x"]["maximum"] == column.maximum


def test_a_value_that_is_no_number_breaks_the_range() -> None:
    rules = table.row_rules(CONTRACT)
    frame = pl.DataFrame({"trip_distance": [1.0, float("nan"), float("inf")]})
    broken = frame.select(broken=rules["trip_distance.range"])["broken"].to_list()
    assert broken == [False, True, True]
