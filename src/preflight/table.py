"""Tables on disk as the contract has them: types, row rules, and Parquet with stable bytes."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
from numpy.typing import NDArray

from preflight.contract import Column, Contract
from preflight.errors import Problem
from preflight.files import full_disk, replacing

TYPES = {
    "integer": pl.Int64(),
    "number": pl.Float64(),
    "text": pl.String(),
    "time": pl.Datetime("us"),
}
# Default row groups follow the number of threads, and the bytes with them.
ROW_GROUP = 100_000


def schema(contract: Contract) -> dict[str, pl.DataType]:
    """Polars types by column name, in order."""
    return {column.name: TYPES[column.kind] for column in contract.columns}


def write_parquet(frame: pl.LazyFrame, target: Path) -> None:
    """Stream a frame to a Parquet file: equal rows are equal bytes, whatever the threads.

    The file is whole or absent. Raises Problem when the disk is full.
    """
    with replacing(target) as partial:
        try:
            frame.sink_parquet(
                partial, compression="zstd", row_group_size=ROW_GROUP, maintain_order=True
            )
        except pl.exceptions.PolarsError as error:
            raise full_disk(OSError(str(error)), target) or error from error


def opened(path: Path, expected: str, remedy: str) -> tuple[pl.LazyFrame, dict[str, pl.DataType]]:
    """A Parquet file as a lazy frame, with its types; raises Problem when it is not one."""
    try:
        frame = pl.scan_parquet(path)
        return frame, dict(frame.collect_schema())
    except FileNotFoundError:
        raise Problem(str(path), "no file", expected, remedy) from None
    except (pl.exceptions.PolarsError, OSError) as error:
        found = f"no readable Parquet ({str(error).splitlines()[0]})"
        raise Problem(str(path), found, expected, remedy) from None


def scan(path: Path, contract: Contract) -> pl.LazyFrame:
    """A stage's output with the contract's columns; raises Problem when it is not one."""
    remedy = "Run `make repro`, or `make restore`; delete a damaged file first."
    frame, found = opened(path, "a stage's output", remedy)
    expected = schema(contract)
    if found != expected:
        odd = sorted(
            name for name in found.keys() | expected if found.get(name) != expected.get(name)
        )
        raise Problem(
            str(path),
            f"other columns or types ({', '.join(odd)})",
            f"the contract's: {', '.join(expected)}",
            "The contract and the data disagree; run `make repro`.",
        )
    return frame


def refuse_others(folder: Path, months: Sequence[str]) -> None:
    """Refuse a file of a month that was taken out: it would be easy to train on it unseen."""
    for path in sorted(folder.glob("*.parquet")):
        if path.stem not in months:
            raise Problem(
                str(path),
                "a left-over month",
                f"only data.months: {', '.join(months)}",
                "Delete the file (DVC's cache keeps it), or put the month back.",
            )


def arrays(frame: pl.DataFrame, names: Sequence[str] | None = None) -> dict[str, NDArray[Any]]:
    """Columns as arrays of shape (rows,); times are datetime64[us]."""
    return {name: frame[name].to_numpy() for name in names or frame.columns}


def row_rules(contract: Contract) -> dict[str, pl.Expr]:
    """The contract's rules by name, as in `trip_distance.range`: true where a row breaks one."""
    rules: dict[str, pl.Expr] = {}
    for column in contract.columns:
        value = pl.col(column.name)
        if not column.nullable:
            rules[f"{column.name}.missing"] = value.is_null()
        if column.minimum is not None or column.maximum is not None:
            rules[f"{column.name}.range"] = _outside(value, column)
        if column.allowed is not None:
            rules[f"{column.name}.allowed"] = ~value.is_in(list(column.allowed))
    return rules


def _outside(value: pl.Expr, column: Column) -> pl.Expr:
    outside = pl.lit(value=False)
    if column.kind == "number":
        outside = outside | ~value.is_finite()
    if column.minimum is not None:
        outside = outside | (value < pl.lit(column.minimum))
    if column.maximum is not None:
        outside = outside | (value > pl.lit(column.maximum))
    return outside
