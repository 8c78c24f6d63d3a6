"""Synthetic months: the same bytes everywhere, and as dirty as real ones."""

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import date
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from conftest import ROOT
from preflight.files import sha256
from preflight.params import Params
from taxi import data, synthetic, tlc
from taxi.synthetic import BATCH, BLOCK, DAY, DIRT, SEASON

# Changes only when the generator or Polars' Parquet writer does; on one machine alone: a bug.
SHA256 = (
    "be528147914cddd8cd22fd0fb1862b09c07cb6c6f9bf9dbcb02187add35870c7"  # pragma: allowlist secret
)

WRITE = """
import sys
from pathlib import Path
from preflight import params
from preflight.files import sha256
from taxi import data

raw = params.merged(Path("params.yaml"), Path("tests/small.yaml"))
target = Path(sys.argv[1])
for rows, sample in ((3_000, 1.0), (120_000, 1.0), (120_000, 0.9)):
    raw["generator"]["rows"], raw["data"]["sample"] = rows, sample
    data.ingest(params.parse(raw, "params.yaml"), "2021-01", target)
    sys.stdout.write(sha256(target) + "\\n")
"""

SECONDS = (pl.col("lpep_dropoff_datetime") - pl.col("lpep_pickup_datetime")).dt.total_seconds()
MONTH = pl.col("lpep_pickup_datetime").dt.strftime("%Y-%m")
# Signs by which each kind of dirt is known in the records of 2021-01.
SIGNS = {
    "zero_duration": SECONDS == 0,
    "day_long": SECONDS.is_between(DAY - 600, DAY + 400),
    "long": SECONDS.is_between(3_660, 3_660 + 10_000),
    "negative_duration": SECONDS < 0,
    "zero_distance": pl.col("trip_distance") == 0,
    "far": pl.col("trip_distance") > 100,
    "wrong_month": MONTH != "2021-01",
    "unknown_zone": pl.col("DOLocationID") > 263,
    "reversal": pl.col("fare_amount") < 0,
    "duplicate": pl.all_horizontal(pl.all().eq_missing(pl.all().shift(1))),
}
# Columns of a batch that no dirt touches after rows were copied.
UNTOUCHED = ("vendor", "from", "passengers", "payment", "gap")


@pytest.fixture(scope="module")
def january() -> pl.DataFrame:
    """A raw month of more than one batch."""
    return synthetic.scan("2021-01", 120_000, seed=7).collect()


@pytest.fixture(scope="module")
def digests(tmp_path_factory: pytest.TempPathFactory) -> dict[int, list[str]]:
    """What ingest wrote, by threads: a small month, one of two batches, and a sample of that."""
    folder = tmp_path_factory.mktemp("threads")
    return {threads: _written(folder / f"{threads}.parquet", threads) for threads in (1, 2, 8)}


def _written(target: Path, threads: int) -> list[str]:
    """Digests from a fresh process; Polars reads its number of threads once."""
    command = [sys.executable, "-c", WRITE, str(target)]
    environment = os.environ | {"PYTHONPATH": "src", "POLARS_MAX_THREADS": str(threads)}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.split()


def raw(month: str, rows: int = 3_000, seed: int = 7) -> pl.DataFrame:
    """A month's raw records."""
    return synthetic.scan(month, rows, seed).collect()


def test_a_month_has_the_same_bytes_with_1_and_2_and_8_threads_and_seed_7(
    digests: dict[int, list[str]],
) -> None:
    assert len(set(digests[1])) == 3
    assert digests[1] == digests[2] == digests[8]


def test_the_bytes_of_a_small_month_are_pinned_with_seed_7(
    small_params: Callable[..., Params], tmp_path: Path
) -> None:
    params = small_params(generator={"rows": 3_000, "seed": 7})
    data.ingest(params, "2021-01", tmp_path / "month.parquet")
    assert sha256(tmp_path / "month.parquet") == SHA256


def test_a_row_depends_on_its_number_alone_with_seed_7() -> None:
    month = synthetic._Month("2021-01", 10_000, 7)
    whole, part = month.batch(0, 200), month.batch(100, 100)
    for name, column in part.items():
        assert column.tolist() == whole[name][100:].tolist(), name


def test_wherever_a_batch_starts_its_rows_from_the_third_on_are_the_same_with_seed_7() -> None:
    """The first may be a copy of a row that the batch lacks, and the second copy that one."""
    month = synthetic._Month("2021-01", 10_000, 7)
    whole = month.batch(0, 1_000)
    for start in range(1, 900, 15):
        for name, column in month.batch(start, 60).items():
            assert (column[2:] == whole[name][start + 2 : start + 60]).all(), (start, name)


def test_only_a_copy_of_the_row_before_changes_where_a_batch_starts_with_seed_7() -> None:
    month = synthetic._Month("2021-01", 10_000, 7)
    whole = month.batch(0, 700)
    changed = [
        start
        for start in range(1, 700)
        if any(column[0] != whole[name][start] for name, column in month.batch(start, 1).items())
    ]
    assert changed
    for start in changed:
        for name in UNTOUCHED:
            assert whole[name][start] == whole[name][start - 1]


def test_a_longer_month_begins_with_the_rows_of_a_shorter_one_with_seed_7(
    january: pl.DataFrame,
) -> None:
    assert_frame_equal(raw("2021-01"), january.head(3_000))


def test_a_month_of_several_batches_has_all_its_rows_and_repeats_none_with_seed_7(
    january: pl.DataFrame,
) -> None:
    assert january.height == 120_000 > BATCH
    assert not january.slice(BATCH, 100).equals(january.head(100))


def test_reading_a_part_of_a_month_gives_that_part_with_seed_7() -> None:
    far = pl.col("trip_distance") > 3
    lazy = synthetic.scan("2021-01", 3_000, 7).filter(far).select("VendorID").head(50)
    assert_frame_equal(lazy.collect(), raw("2021-01").filter(far).select("VendorID").head(50))


def test_a_month_may_have_no_rows() -> None:
    """One row in an ordinary month is none in a weaker one."""
    assert raw("2021-02", rows=1).height == 0


def test_every_kind_of_dirt_has_a_sign_here() -> None:
    assert set(SIGNS) == {name for name, _ in DIRT}


@pytest.mark.parametrize(("kind", "share"), DIRT)
def test_dirt_is_as_frequent_as_it_says_with_seed_7(
    january: pl.DataFrame, kind: str, share: int
) -> None:
    # A clean trip may last over an hour too, but not one of under 3 miles.
    among = january.filter(pl.col("trip_distance") < 3) if kind == "long" else january
    found = among.filter(SIGNS[kind]).height
    assert found == pytest.approx(share * among.height / 100_000, rel=0.35)


def test_a_reversal_takes_back_the_charge_before_it_with_seed_7(january: pl.DataFrame) -> None:
    amounts = ["fare_amount", "total_amount"]
    names = ["lpep_pickup_datetime", "PULocationID", "DOLocationID", *amounts]
    pairs = january.select(names).with_columns(pl.all().shift(1).name.prefix("before_"))
    back = pairs.filter(pl.col("fare_amount") < 0)
    mirrored = back.filter(
        *(
            pl.col(name) == pl.col(f"before_{name}") * (-1 if name in amounts else 1)
            for name in names[1:]
        ),
        pl.col(names[0]) == pl.col(f"before_{names[0]}"),
    )
    assert mirrored.height > 0.95 * back.height


def test_nearly_half_of_the_rows_of_january_2021_lack_a_block_of_columns_with_seed_7(
    january: pl.DataFrame,
) -> None:
    assert january[BLOCK[0]].null_count() / january.height == pytest.approx(0.47, abs=0.01)


@pytest.mark.parametrize("month", ["2021-02", "2023-01", "2023-02"])
def test_few_rows_of_another_month_lack_the_block_with_seed_7(month: str) -> None:
    frame = raw(month)
    assert 0.04 < frame[BLOCK[0]].null_count() / frame.height < 0.12


@pytest.mark.parametrize("month", ["2021-01", "2023-02"])
def test_the_columns_of_the_block_are_missing_together_with_seed_7(month: str) -> None:
    missing = raw(month).select(pl.col(BLOCK).is_null())
    assert missing.select(pl.sum_horizontal(BLOCK)).to_series().unique().sort().to_list() == [0, 4]


def test_no_other_column_has_gaps_with_seed_7(january: pl.DataFrame) -> None:
    assert january.drop(BLOCK).null_count().sum_horizontal().item() == 0


@pytest.mark.parametrize(
    ("month", "kind"),
    [
        ("2022-12", pl.Float64),
        ("2023-01", pl.Float64),
        ("2023-02", pl.Int64),
        ("2024-01", pl.Int64),
    ],
)
def test_the_block_is_doubles_until_2023_01_and_integers_after(
    month: str, kind: type[pl.DataType]
) -> None:
    schema = synthetic.scan(month, 10, seed=7).collect_schema()
    assert {schema[name] for name in BLOCK} == {kind()}


@pytest.mark.parametrize("month", ["2021-01", "2023-02"])
def test_a_month_has_the_types_that_it_announces_with_seed_7(month: str) -> None:
    lazy = synthetic.scan(month, 10, 7)
    assert lazy.collect().schema == lazy.collect_schema()


def test_a_month_has_columns_that_tlc_s_reader_takes() -> None:
    tlc.check_columns(set(synthetic.scan("2021-01", 10, seed=7).collect_schema()), "2021-01")


def test_months_differ_in_volume() -> None:
    heights = [raw(f"2021-{number:02}", rows=1_000).height for number in range(1, 13)]
    assert heights == list(SEASON)
    assert all(one != next_one for one, next_one in pairwise(heights))


@pytest.mark.parametrize(
    ("month", "days"),
    [("2009-01", 31), ("2020-02", 29), ("2021-02", 28), ("2021-12", 31), ("2099-12", 31)],
)
def test_trips_fill_the_days_of_any_month_with_seed_7(month: str, days: int) -> None:
    starts = raw(month, rows=4_000).filter(
        pl.col("lpep_pickup_datetime").dt.strftime("%Y-%m") == month
    )
    found = starts["lpep_pickup_datetime"].dt.date().unique().sort().to_list()
    assert found[0] == date.fromisoformat(f"{month}-01")
    assert len(found) == days


def test_another_seed_gives_other_rows() -> None:
    same = (raw("2021-01", seed=7)["PULocationID"] == raw("2021-01", seed=8)["PULocationID"]).mean()
    assert isinstance(same, float)
    assert same < 0.1


def test_another_month_gives_other_rows_with_seed_7() -> None:
    zones = [raw(month)["PULocationID"].head(1_000) for month in ("2021-01", "2022-01")]
    same = (zones[0] == zones[1]).mean()
    assert isinstance(same, float)
    assert same < 0.1


def test_the_greatest_seed_that_params_allow_makes_a_month() -> None:
    assert raw("2021-01", rows=100, seed=2**32 - 1).height == 100


@pytest.mark.parametrize("zone", ["PULocationID", "DOLocationID"])
def test_zones_are_the_lookups_with_seed_7(january: pl.DataFrame, zone: str) -> None:
    known = [row[0] for row in synthetic.zone_table()]
    assert known == list(range(1, 266))
    assert january[zone].is_in(known).all()


def test_all_zones_see_trips_with_seed_7(january: pl.DataFrame) -> None:
    assert january["PULocationID"].n_unique() == synthetic.ZONES


def test_longer_trips_take_longer_with_seed_7(january: pl.DataFrame) -> None:
    clean = january.filter(
        SECONDS.is_between(60, 3_600), pl.col("trip_distance").is_between(0.01, 100)
    )
    numbers = clean.select(SECONDS.alias("seconds"), "trip_distance").to_numpy()
    assert np.corrcoef(numbers.T)[0, 1] > 0.8


def test_riders_ride_unequally_with_seed_7(january: pl.DataFrame) -> None:
    trips = tlc.canonical(january.lazy(), 7).collect()["rider_id"].value_counts()["count"]
    assert trips.max() > 20 * trips.median()  # type: ignore[operator]


def test_the_zone_tables_names_repeat_and_some_are_na() -> None:
    names = [name for _, _, name, _ in synthetic.zone_table()]
    assert len(set(names)) < len(names)
    assert names[-1] == "NA"
