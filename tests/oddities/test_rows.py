"""One odd row among honest ones is quarantined under its rule's name, and they stay."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from preflight import params, project, table
from preflight.contract import Column
from preflight.layout import QUARANTINE, RAW, VALID
from preflight.stages.validate import DUPLICATE, OUTSIDE, check_month

PROJECT = params.load().project
CONTRACT = project.contract(PROJECT)
MONTH, ROWS, ODD = "2021-02", 40, 17
START = datetime.fromisoformat(f"{MONTH}-01")

# Rules of the project that a value breaks before it breaks the contract's: YOURS to state.
FIRST = {
    ("fare_amount", "below_minimum"): "reversed_charge",
    ("total_amount", "below_minimum"): "reversed_charge",
    ("fare_amount", "minus_infinity"): "reversed_charge",
    ("total_amount", "minus_infinity"): "reversed_charge",
}


@dataclass(frozen=True)
class OddRow:
    """One value that one row has, and the rule that must catch it; None where none may."""

    column: str
    kind: str
    value: Any
    rule: str | None


def odd_rows() -> Iterator[OddRow]:
    """Each kind of oddity that the contract implies for a row, column by column."""
    for column in CONTRACT.columns:
        missing = None if column.nullable else f"{column.name}.missing"
        yield OddRow(column.name, "missing", None, missing)
        for kind, value in _outside(column):
            rule = OUTSIDE if column.role == "time" else f"{column.name}.range"
            yield OddRow(column.name, kind, value, FIRST.get((column.name, kind), rule))
        if column.allowed is not None:
            unknown = 10**6 if column.kind == "integer" else "no such category"
            yield OddRow(column.name, "unknown_category", unknown, f"{column.name}.allowed")
    time = CONTRACT.time.name
    yield OddRow(time, "month_before", START - timedelta(seconds=1), OUTSIDE)
    yield OddRow(time, "month_after", datetime(2021, 3, 1), OUTSIDE)


def _outside(column: Column) -> Iterator[tuple[str, Any]]:
    for kind, end, way in (
        ("below_minimum", column.minimum, -1),
        ("above_maximum", column.maximum, 1),
    ):
        if isinstance(end, datetime):
            yield kind, end + timedelta(seconds=way)
        elif end is not None:
            far = math.nextafter(end, way * math.inf)
            yield kind, int(end) + way if column.kind == "integer" else far
    if column.kind == "number" and column.minimum is not None:
        yield from (("nan", math.nan), ("infinity", math.inf), ("minus_infinity", -math.inf))


def honest() -> pl.DataFrame:
    """Rows of February that keep every rule, five minutes apart."""
    times = [START + timedelta(minutes=5 * row) for row in range(ROWS)]
    columns = {
        column.name: times if column.kind == "time" else [_honest(column)] * ROWS
        for column in CONTRACT.columns
    }
    return pl.DataFrame(columns, schema=table.schema(CONTRACT))


def _honest(column: Column) -> Any:
    if column.allowed is not None:
        return column.allowed[0]
    if column.kind == "text":
        return "text"
    low, high = column.minimum, column.maximum
    assert not isinstance(low, datetime) and not isinstance(high, datetime)
    inside = (0 if low is None else low) + 1
    return int(inside) if column.kind == "integer" else float(inside)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder for the stage's files."""
    monkeypatch.chdir(tmp_path)
    RAW.mkdir(parents=True)
    return tmp_path


def checked(frame: pl.DataFrame) -> tuple[pl.DataFrame, list[str]]:
    """The rows that stay, and the rules under which the others went."""
    table.write_parquet(frame.lazy(), RAW / f"{MONTH}.parquet")
    rules = project.data(PROJECT).row_rules(MONTH) | table.row_rules(CONTRACT)
    check_month(MONTH, CONTRACT, rules, None)
    quarantined = pl.read_parquet(QUARANTINE / f"{MONTH}.parquet")
    return pl.read_parquet(VALID / f"{MONTH}.parquet"), quarantined["rule"].to_list()


def with_value(frame: pl.DataFrame, odd: OddRow) -> pl.DataFrame:
    """The rows with one value replaced in one of them."""
    value = pl.lit(odd.value, dtype=frame.schema[odd.column])
    here = pl.int_range(pl.len()) == ODD
    return frame.with_columns(pl.when(here).then(value).otherwise(odd.column).alias(odd.column))


def test_honest_rows_stay(place: Path) -> None:
    stay, rules = checked(honest())
    assert rules == []
    assert stay.equals(honest())


@pytest.mark.parametrize(
    "odd", [pytest.param(each, id=f"{each.column}-{each.kind}") for each in odd_rows()]
)
def test_it_is_quarantined_under_its_rule(place: Path, odd: OddRow) -> None:
    frame = with_value(honest(), odd)
    stay, rules = checked(frame)
    assert rules == ([] if odd.rule is None else [odd.rule])
    others = pl.int_range(pl.len()) != ODD
    assert stay.equals(frame if odd.rule is None else frame.filter(others))


@pytest.mark.parametrize(
    "copies", [pytest.param(1, id="duplicate"), pytest.param(3, id="repeated")]
)
def test_of_equal_rows_the_first_stays(place: Path, copies: int) -> None:
    again = pl.concat([honest().slice(ODD, 1)] * copies)
    stay, rules = checked(pl.concat([honest(), again]))
    assert rules == [DUPLICATE] * copies
    assert stay.equals(honest())


def test_a_row_that_differs_outside_the_identity_is_a_duplicate(place: Path) -> None:
    (other, *_) = (name for name in CONTRACT.names if name not in CONTRACT.identity)
    changed = honest().slice(ODD, 1)
    changed = changed.with_columns(
        pl.lit(CONTRACT[other].maximum).cast(changed.schema[other]).alias(other)
    )
    stay, rules = checked(pl.concat([honest(), changed]))
    assert rules == [DUPLICATE]
    assert stay.equals(honest())
