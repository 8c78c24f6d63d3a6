"""TLC's files: both schema generations come out alike, and odd files are refused."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from preflight import table
from preflight.errors import Problem
from preflight.params import Params
from taxi import data, synthetic, tlc
from taxi.contract import CONTRACT

START = datetime(2021, 1, 31, 23, 50)
ROWS: dict[str, list[Any]] = {
    "VendorID": [1, 2, 2],
    "lpep_pickup_datetime": [START] * 3,
    "lpep_dropoff_datetime": [START + timedelta(seconds=s) for s in (750, 0, -120)],
    "store_and_fwd_flag": ["N", None, "Y"],
    "RatecodeID": [1, None, 99],
    "PULocationID": [74, 264, 1],
    "DOLocationID": [75, 265, 1],
    "passenger_count": [2, None, 0],
    "trip_distance": [1.9, 0.0, 293_931.0],
    "fare_amount": [9.5, -3.0, 0.0],
    "extra": [0.5] * 3,
    "mta_tax": [0.5] * 3,
    "tip_amount": [0.0] * 3,
    "tolls_amount": [0.0] * 3,
    "improvement_surcharge": [0.3] * 3,
    "total_amount": [10.8, -3.8, 0.3],
    "payment_type": [1, None, 6],
    "trip_type": [2, None, 1],
    "congestion_surcharge": [None, None, 2.75],
}
BLOCK = ("RatecodeID", "passenger_count", "payment_type", "trip_type")


def old(unit: Literal["ns", "us"] = "us") -> pl.DataFrame:
    """Rows in the types until 2023-01: wide integers, doubles for columns with gaps."""
    return pl.DataFrame(ROWS).with_columns(
        pl.col(*BLOCK).cast(pl.Float64),
        pl.col("lpep_pickup_datetime", "lpep_dropoff_datetime").cast(pl.Datetime(unit)),
        ehail_fee=pl.lit(None),
    )


def new() -> pl.DataFrame:
    """The same rows in the types since 2023-02: narrow integers, nullable integers."""
    return pl.DataFrame(ROWS).with_columns(
        pl.col("VendorID", "PULocationID", "DOLocationID").cast(pl.Int32),
        pl.col(*BLOCK).cast(pl.Int64),
        ehail_fee=pl.lit(None, dtype=pl.Float64),
    )


def since_2025() -> pl.DataFrame:
    """The newer types with the column that came in 2025."""
    return new().with_columns(cbd_congestion_fee=pl.lit(0.75))


def canonical(raw: pl.DataFrame, seed: int = 7) -> pl.DataFrame:
    """Rows in the contract's columns."""
    return tlc.canonical(raw.lazy(), seed).collect()


def sampled(share: float, seed: int = 7) -> pl.DataFrame:
    """A share of a synthetic month."""
    month = tlc.canonical(synthetic.scan("2021-02", 20_000, 7), 7)
    return tlc.sampled(month, share, seed).collect()


def refusal(path: Path) -> str:
    """What the reader says to a file."""
    with pytest.raises(Problem) as caught:
        tlc.scan(path)
    return str(caught.value)


@pytest.mark.parametrize("raw", [old(), new(), since_2025()], ids=["old", "new", "2025"])
def test_every_generation_gets_the_contracts_columns_and_types(raw: pl.DataFrame) -> None:
    assert dict(canonical(raw).schema) == table.schema(CONTRACT)
    assert tuple(canonical(raw).columns) == CONTRACT.names


@pytest.mark.parametrize("raw", [new(), since_2025(), old("ns")], ids=["new", "2025", "ns"])
def test_equal_trips_come_out_equal_in_every_generation(raw: pl.DataFrame) -> None:
    assert_frame_equal(canonical(raw), canonical(old()))


@pytest.mark.parametrize(("contracts", "files"), [(new, old) for old, new in tlc.RENAMED.items()])
def test_values_pass_unchanged_and_missing_stays_missing(contracts: str, files: str) -> None:
    assert canonical(old())[contracts].to_list() == ROWS[files]


def test_duration_is_in_minutes_and_may_be_zero_or_negative() -> None:
    assert canonical(old())["duration_minutes"].to_list() == [12.5, 0.0, -2.0]


def test_timestamps_in_nanoseconds_are_read_as_the_same_times() -> None:
    assert canonical(old("ns"))["pickup_at"].to_list() == [START] * 3


def test_columns_may_stand_in_any_order() -> None:
    assert_frame_equal(canonical(old().select(sorted(old().columns))), canonical(old()))


def test_a_file_on_disk_reads_as_the_frame_that_was_written(tmp_path: Path) -> None:
    since_2025().write_parquet(tmp_path / "month.parquet")
    read = tlc.canonical(tlc.scan(tmp_path / "month.parquet"), seed=7)
    assert_frame_equal(read.collect(), canonical(old()))


def test_riders_are_the_same_on_every_machine_with_seed_7() -> None:
    assert canonical(old())["rider_id"].to_list() == [1160, 2233, 1325]


def test_a_trip_has_one_rider_wherever_it_stands_with_seed_7() -> None:
    twice = pl.concat([old().reverse(), old()])
    riders = canonical(twice)["rider_id"].to_list()
    assert riders == [*riders[3:][::-1], *canonical(old())["rider_id"]]


def test_another_seed_assigns_other_riders() -> None:
    assert not (canonical(old(), seed=7)["rider_id"] == canonical(old(), seed=8)["rider_id"]).all()


def test_a_trip_without_a_zone_still_has_a_rider() -> None:
    raw = old().with_columns(PULocationID=pl.lit(None, dtype=pl.Int64))
    found = canonical(raw)
    assert found["pickup_zone"].null_count() == 3
    assert found["rider_id"].is_between(0, 4_999).all()


def test_no_rows_are_a_table_of_no_rows() -> None:
    assert dict(canonical(old().clear()).schema) == table.schema(CONTRACT)


def test_a_missing_column_is_refused_by_name_and_file(tmp_path: Path) -> None:
    path = tmp_path / "green_tripdata_2021-01.parquet"
    old().drop("trip_distance", "PULocationID").write_parquet(path)
    assert f"{path}: found no column PULocationID, trip_distance;" in refusal(path)


def test_an_unknown_column_is_refused_by_name_and_file(tmp_path: Path) -> None:
    path = tmp_path / "green_tripdata_2026-01.parquet"
    old().with_columns(night_fee=pl.lit(1.0)).write_parquet(path)
    assert f"{path}: found an unknown column night_fee;" in refusal(path)


def test_a_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "green_tripdata_2021-04.parquet"
    assert f"{path}: found no file;" in refusal(path)


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_a_truncated_file_is_refused_by_name(tmp_path: Path, share: float) -> None:
    path = tmp_path / "green_tripdata_2021-01.parquet"
    old().write_parquet(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    assert f"{path}: found no readable Parquet" in refusal(path)


def test_a_file_damaged_before_a_whole_footer_is_refused_by_name(
    small_params: Callable[..., Params], tmp_path: Path
) -> None:
    path = tmp_path / "green_tripdata_2021-01.parquet"
    old().write_parquet(path)
    content = path.read_bytes()
    path.write_bytes(content[:4] + b"\xff" * 40 + content[44:])
    with pytest.raises(Problem) as caught:
        data.ingest(small_params(data={"source": str(tmp_path)}), "2021-01", tmp_path / "out")
    assert str(path) in str(caught.value)


def test_a_refusal_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "green_tripdata_2021-01.parquet"
    path.write_text("VendorID,lpep_pickup_datetime\n1,2021-01-01\n")
    assert len(refusal(path).splitlines()) == 1


def test_a_column_of_another_type_is_refused_by_name_and_file(
    small_params: Callable[..., Params], tmp_path: Path
) -> None:
    path = tmp_path / "green_tripdata_2021-01.parquet"
    old().with_columns(passenger_count=pl.lit("two")).write_parquet(path)
    with pytest.raises(Problem, match="passenger_count") as caught:
        data.ingest(small_params(data={"source": str(tmp_path)}), "2021-01", tmp_path / "out")
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_sample_keeps_about_its_share_with_seed_7(share: float) -> None:
    assert sampled(share).height / sampled(1.0).height == pytest.approx(share, abs=0.02)


def test_a_sample_is_the_same_each_time_with_seed_7() -> None:
    assert_frame_equal(sampled(0.3), sampled(0.3))


def test_a_share_of_one_keeps_every_row_with_seed_7() -> None:
    month = tlc.canonical(synthetic.scan("2021-02", 20_000, 7), 7).collect()
    assert_frame_equal(sampled(1.0), month)


def test_a_larger_sample_contains_a_smaller_one_with_seed_7() -> None:
    small, large = (sampled(share).select(tlc.KEY) for share in (0.2, 0.6))
    assert small.join(large, on=tlc.KEY, how="anti").height == 0


def test_seeds_7_and_8_sample_other_rows() -> None:
    assert not sampled(0.3, seed=7).equals(sampled(0.3, seed=8))


def test_a_sample_keeps_a_charge_and_its_reversal_together() -> None:
    """They share the trip's key, so that duplicates are as frequent as in the whole."""
    trip = old().head(1)
    back = trip.with_columns(-pl.col("fare_amount"), -pl.col("total_amount"))
    both = tlc.canonical(pl.concat([trip, back]).lazy(), seed=7)
    kept = [tlc.sampled(both, 0.5, seed).collect().height for seed in range(20)]
    assert set(kept) == {0, 2}


def test_a_sample_has_the_riders_of_the_whole_with_seed_7() -> None:
    """What chooses a trip is independent of what chooses its rider."""
    busy = [
        frame.filter(pl.col("rider_id") < 500).height / frame.height
        for frame in (sampled(0.3), sampled(1.0))
    ]
    assert busy[0] == pytest.approx(busy[1], rel=0.05)
