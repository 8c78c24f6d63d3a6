"""TLC's monthly files: both schema generations read into the contract's columns."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from preflight.errors import Problem
from preflight.table import TYPES, opened
from taxi.contract import CONTRACT
from taxi.hashing import integers, riders

RENAMED = {
    "lpep_pickup_datetime": "pickup_at",
    "lpep_dropoff_datetime": "dropoff_at",
    "PULocationID": "pickup_zone",
    "DOLocationID": "dropoff_zone",
    "trip_distance": "trip_distance",
    "VendorID": "vendor",
    "passenger_count": "passenger_count",
    "RatecodeID": "rate_code",
    "payment_type": "payment_type",
    "trip_type": "trip_type",
    "fare_amount": "fare_amount",
    "total_amount": "total_amount",
}
# In the files, of no use here; the last one came in 2025.
DROPPED = {
    "store_and_fwd_flag",
    "extra",
    "mta_tax",
    "tip_amount",
    "tolls_amount",
    "ehail_fee",
    "improvement_surcharge",
    "congestion_surcharge",
    "cbd_congestion_fee",
}
KEY = ("pickup_at", "dropoff_at", "pickup_zone", "dropoff_zone")


def scan(path: Path) -> pl.LazyFrame:
    """A TLC Parquet file as a lazy frame; raises Problem when it is not one."""
    remedy = "Put the whole file there, or take the month out of data.months."
    frame, found = opened(path, "a TLC month as Parquet", remedy)
    check_columns(set(found), str(path))
    return frame


def check_columns(names: set[str], where: str) -> None:
    """Refuse a table that lacks a column or has one that nobody decided about."""
    if missing := sorted(set(RENAMED) - names):
        raise Problem(
            where, f"no column {', '.join(missing)}", "TLC's columns", "Is it a green-taxi month?"
        )
    if unknown := sorted(names - set(RENAMED) - DROPPED):
        raise Problem(
            where,
            f"an unknown column {', '.join(unknown)}",
            "columns that src/taxi/tlc.py names",
            "Add it to RENAMED, with a line in the contract, or to DROPPED.",
        )


def canonical(raw: pl.LazyFrame, seed: int) -> pl.LazyFrame:
    """Raw records in the contract's columns and types, with a rider assigned to each.

    Both generations of types (doubles and nullable integers) come out alike; missing stays
    missing. TLC has no rider: a seeded hash of the trip chooses one.
    """
    chosen = [
        pl.col(old).cast(TYPES[CONTRACT[new].kind]).alias(new) for old, new in RENAMED.items()
    ]
    duration = (pl.col("dropoff_at") - pl.col("pickup_at")).dt.total_seconds() / 60.0
    rider = pl.struct(KEY).map_batches(
        lambda keys: pl.Series(riders(_row_hash(keys, seed))),
        return_dtype=pl.Int64,
        is_elementwise=True,
    )
    return (
        raw.select(chosen)
        .with_columns(duration.alias("duration_minutes"), rider.alias("rider_id"))
        .select(CONTRACT.names)
    )


def sampled(frame: pl.LazyFrame, share: float, seed: int) -> pl.LazyFrame:
    """A share of the rows, chosen by a hash of the trip."""
    if share == 1.0:
        return frame
    limit = np.uint64(int(share * 2**32))
    keep = pl.struct(KEY).map_batches(
        lambda keys: pl.Series(_row_hash(keys, seed + 1) >> np.uint64(32) < limit),
        return_dtype=pl.Boolean,
        is_elementwise=True,
    )
    return frame.filter(keep)


def _row_hash(keys: pl.Series, seed: int) -> NDArray[np.uint64]:
    fields: list[NDArray[Any]] = [
        keys.struct.field(name).cast(pl.Int64).fill_null(-1).to_numpy() for name in KEY
    ]
    hashed = np.full(len(keys), np.uint64(seed), dtype=np.uint64)
    for field in fields:
        hashed = integers(hashed ^ field.view(np.uint64))
    return hashed
