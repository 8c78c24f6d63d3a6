"""Row rules send rows to quarantine by name; table rules stop the pipeline by name."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from preflight import table
from preflight.errors import Problem
from preflight.params import Params
from preflight.stages.validate import Checked, check_table, validate
from taxi.contract import CONTRACT

Load = Callable[..., Params]


def month_frame(rows: int, month: str = "2021-01") -> pl.DataFrame:
    """Clean trips, an hour apart, of rising duration."""
    start = datetime.fromisoformat(f"{month}-01")
    pickup = [start + timedelta(minutes=5 * number) for number in range(rows)]
    minutes = [2.0 + number % 50 for number in range(rows)]
    frame = pl.DataFrame(
        {
            "pickup_at": pickup,
            "dropoff_at": [
                at + timedelta(minutes=m) for at, m in zip(pickup, minutes, strict=True)
            ],
            "duration_minutes": minutes,
        }
    ).with_columns(
        pickup_zone=pl.lit(74),
        dropoff_zone=pl.lit(75),
        trip_distance=pl.lit(2.5),
        rider_id=pl.lit(1),
        vendor=pl.lit(2),
        passenger_count=pl.lit(None),
        rate_code=pl.lit(1),
        payment_type=pl.lit(1),
        trip_type=pl.lit(1),
        fare_amount=pl.lit(9.0),
        total_amount=pl.lit(9.8),
    )
    return frame.select(pl.col(name).cast(kind) for name, kind in table.schema(CONTRACT).items())


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to run the stage in."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data/raw").mkdir(parents=True)
    return tmp_path


def ingested(frames: dict[str, pl.DataFrame]) -> None:
    """Write months as ingest would."""
    for month, frame in frames.items():
        frame.write_parquet(f"data/raw/{month}.parquet")


def months(small_params: Load, *names: str, **limits: object) -> Params:
    """Parameters with these months and validation limits."""
    return small_params(data={"months": list(names)}, validate=limits)


def refusal(params: Params) -> str:
    """Why the stage stops."""
    with pytest.raises(Problem) as caught:
        validate(params)
    return str(caught.value)


TWO = ("2021-01", "2021-02")


def run_with(small_params: Load, broken: pl.DataFrame, **limits: object) -> str:
    """Why the stage stops when February is `broken`."""
    ingested({"2021-01": month_frame(400), "2021-02": broken})
    return refusal(months(small_params, *TWO, **limits))


def test_clean_months_pass_whole(place: Path, small_params: Load) -> None:
    ingested({month: month_frame(400, month) for month in TWO})
    validate(months(small_params, *TWO))
    for month in TWO:
        assert pl.read_parquet(f"data/valid/{month}.parquet").equals(month_frame(400, month))
        assert not len(pl.read_parquet(f"data/quarantine/{month}.parquet"))


@pytest.mark.parametrize(
    ("column", "value", "rule"),
    [
        ("pickup_zone", None, "pickup_zone.missing"),
        ("pickup_zone", 266, "pickup_zone.range"),
        ("trip_distance", float("nan"), "trip_distance.range"),
        ("trip_distance", 0.0, "trip_distance.range"),
        ("trip_distance", 293_931.0, "trip_distance.range"),
        ("duration_minutes", 0.0, "duration_minutes.range"),
        ("duration_minutes", -3.0, "duration_minutes.range"),
        ("duration_minutes", 1_440.0, "duration_minutes.range"),
        ("vendor", 9, "vendor.allowed"),
        ("rate_code", 42, "rate_code.allowed"),
        ("fare_amount", -9.0, "reversed_charge"),
        ("pickup_at", datetime(2008, 12, 31), "outside_month"),
        ("pickup_at", datetime(2021, 3, 1), "outside_month"),
    ],
)
def test_a_row_that_breaks_a_rule_is_quarantined_under_its_name(
    place: Path, small_params: Load, column: str, value: object, rule: str
) -> None:
    kind = table.schema(CONTRACT)[column]
    dirty = month_frame(400, "2021-02").with_row_index("row")
    dirty = dirty.with_columns(
        pl.when(pl.col("row") == 7).then(pl.lit(value, dtype=kind)).otherwise(column).alias(column)
    ).drop("row")
    ingested({"2021-01": month_frame(400), "2021-02": dirty})
    validate(months(small_params, *TWO))
    quarantined = pl.read_parquet("data/quarantine/2021-02.parquet")
    assert quarantined["rule"].to_list() == [rule]
    assert len(pl.read_parquet("data/valid/2021-02.parquet")) == 399


def test_missing_values_that_the_contract_allows_stay(place: Path, small_params: Load) -> None:
    """Dropping block-missing rows would halve a month, and bias it."""
    gaps = month_frame(400, "2021-02").with_columns(
        pl.lit(None, pl.Int64).alias(name) for name in ("rate_code", "payment_type", "trip_type")
    )
    ingested({"2021-01": month_frame(400), "2021-02": gaps})
    validate(months(small_params, *TWO))
    assert len(pl.read_parquet("data/valid/2021-02.parquet")) == 400


def test_of_equal_trips_the_first_stays(place: Path, small_params: Load) -> None:
    twice = pl.concat([month_frame(400, "2021-02"), month_frame(5, "2021-02")])
    ingested({"2021-01": month_frame(400), "2021-02": twice})
    validate(months(small_params, *TWO))
    assert pl.read_parquet("data/valid/2021-02.parquet").equals(month_frame(400, "2021-02"))
    assert pl.read_parquet("data/quarantine/2021-02.parquet")["rule"].to_list() == ["duplicate"] * 5


def test_a_reversed_charge_before_its_trip_does_not_cost_the_trip(
    place: Path, small_params: Load
) -> None:
    clean = month_frame(400, "2021-02")
    twin = clean.head(1).with_columns(fare_amount=pl.lit(-9.0))
    ingested({"2021-01": month_frame(400), "2021-02": pl.concat([twin, clean])})
    validate(months(small_params, *TWO))
    assert len(pl.read_parquet("data/valid/2021-02.parquet")) == 400


def test_only_the_chosen_rules_hold(place: Path, small_params: Load) -> None:
    far = month_frame(400, "2021-02").with_columns(trip_distance=pl.lit(0.0))
    ingested({"2021-01": month_frame(400), "2021-02": far})
    validate(months(small_params, *TWO, row_rules=["duration_minutes.range"]))
    assert len(pl.read_parquet("data/valid/2021-02.parquet")) == 400


def test_an_unknown_rule_is_refused(place: Path, small_params: Load) -> None:
    said = run_with(small_params, month_frame(400, "2021-02"), row_rules=["no_such_rule"])
    assert "validate.row_rules: found no_such_rule" in said


def test_an_empty_month_stops_the_pipeline(place: Path, small_params: Load) -> None:
    said = run_with(small_params, month_frame(0, "2021-02"))
    assert "data/raw/2021-02.parquet: table rule volume: found an empty month" in said


def test_a_month_of_other_volume_stops_the_pipeline(place: Path, small_params: Load) -> None:
    said = run_with(small_params, month_frame(120, "2021-02"))
    assert "volume against the month before: found 0.30 times the 400 rows of 2021-01" in said


def test_a_month_whose_rows_belong_to_another_stops_the_pipeline(
    place: Path, small_params: Load
) -> None:
    said = run_with(small_params, month_frame(400, "2021-01"))
    assert "table rule month: found 100.0% of the rows in another month" in said


def test_a_month_with_all_rows_quarantined_stops_the_pipeline(
    place: Path, small_params: Load
) -> None:
    said = run_with(
        small_params, month_frame(400, "2021-02").with_columns(vendor=pl.lit(9, pl.Int64))
    )
    assert "table rule quarantined: found 100.0% of the rows (vendor.allowed 400)" in said


def test_a_month_that_holds_everything_twice_stops_the_pipeline(
    place: Path, small_params: Load
) -> None:
    twice = pl.concat([month_frame(400, "2021-02")] * 2)
    said = run_with(small_params, twice, max_quarantined=1.0)
    assert "table rule duplicates: found 50.0% of the rows" in said


def test_a_month_of_equal_labels_stops_the_pipeline(place: Path, small_params: Load) -> None:
    same = month_frame(400, "2021-02").with_columns(duration_minutes=pl.lit(7.0))
    assert "table rule label balance: found 100.0%" in run_with(small_params, same)


def test_other_columns_stop_the_pipeline(place: Path, small_params: Load) -> None:
    said = run_with(small_params, month_frame(400, "2021-02").drop("vendor"))
    assert "data/raw/2021-02.parquet: found other columns or types (vendor)" in said


def test_a_truncated_file_stops_the_pipeline(place: Path, small_params: Load) -> None:
    ingested({month: month_frame(400, month) for month in TWO})
    path = Path("data/raw/2021-02.parquet")
    path.write_bytes(path.read_bytes()[:-100])
    assert "found no readable Parquet" in refusal(months(small_params, *TWO))


def test_a_missing_file_stops_the_pipeline(place: Path, small_params: Load) -> None:
    ingested({"2021-01": month_frame(400)})
    assert "2021-02.parquet: found no file" in refusal(months(small_params, *TWO))


def test_a_left_over_month_is_refused_by_name(place: Path, small_params: Load) -> None:
    ingested({month: month_frame(400, month) for month in (*TWO, "2021-03")})
    said = refusal(months(small_params, *TWO))
    assert "data/raw/2021-03.parquet: found a left-over month" in said


def test_limits_pass_at_their_value(small_params: Load) -> None:
    """A limit is the last value that passes."""
    limits = small_params().validate_
    labels = (400, *[0] * 3, 400)
    fine = Checked("2021-02", 1_000, {"duplicate": 20, "other": 180}, 50, labels)
    check_table(fine, Checked("2021-01", 3_000, {}, 0, labels), limits)
