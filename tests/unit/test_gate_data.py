"""Gate data, red and green: the candidate's rows against those the champion learned from."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from cases import MONTHS, borough, case, line, month, months, stopped
from preflight.evidence import Findings
from preflight.gates import data

NEXT = "2021-04"


def judged(place: Path, **ours: pl.DataFrame) -> Findings:
    """The gate's findings with some of the candidate's months (`m2021_01`) replaced or added."""
    changed = {name[1:].replace("_", "-"): rows for name, rows in ours.items()}
    return data.judge(case(place, ours=months() | changed))


def longer(rows: pl.DataFrame, column: str, by: float) -> pl.DataFrame:
    """Rows with a column that is larger by a factor."""
    return rows.with_columns((pl.col(column) * by).clip(0.01, 60))


def test_the_same_data_is_green(tmp_path: Path) -> None:
    found = judged(tmp_path)
    assert stopped(found) == []
    assert line(found, "same-months").found == "3 months in common, all equal"
    assert found.tables[0].rows[0] == ("2021-01", 4_000, 4_000, 0)


def test_one_more_month_of_the_same_kind_is_green(tmp_path: Path) -> None:
    assert stopped(judged(tmp_path, m2021_04=month(NEXT))) == []


def test_the_first_model_has_no_champions_data_to_fall_behind(tmp_path: Path) -> None:
    found = data.judge(case(tmp_path, first=True))
    assert [each.status for each in found.evidence] == ["pass", "pass"]
    assert "2021-01, 2021-02, 2021-03" in found.evidence[0].found


def test_outdated_data_is_red_and_by_how_much(tmp_path: Path) -> None:
    found = data.judge(case(tmp_path, ours=months("2020-11", "2020-12", "2021-01")))
    assert stopped(found) == ["freshness"]
    assert line(found, "freshness").found.endswith(": outdated by 2 months")


def test_data_outdated_by_no_more_than_allowed_is_green(tmp_path: Path) -> None:
    ours = months("2020-11", "2020-12", "2021-01")
    assert stopped(data.judge(case(tmp_path, ours=ours, data={"max_months_older": 2}))) == []


@pytest.mark.parametrize(("count", "red"), [(1_900, True), (2_100, False), (8_100, True)])
def test_a_month_of_unusual_size_is_red(tmp_path: Path, count: int, red: bool) -> None:
    found = judged(tmp_path, m2021_04=month(NEXT, 1, count))
    assert stopped(found) == (["volume"] if red else [])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda rows: longer(rows, "trip_distance", 1.05), "trip_distance in 2021-02"),
        (lambda rows: longer(rows, "duration_minutes", 1.05), "duration_minutes in 2021-02"),
        (lambda rows: rows[:3_800], "the number of rows in 2021-02 moved by 5.0%"),
        (lambda rows: rows.with_columns(vendor=pl.lit(1, pl.Int64)), "vendor in 2021-02"),
        (
            lambda rows: rows.with_columns(passenger_count=pl.lit(None, pl.Int64)),
            "passenger_count in 2021-02 moved by 100.0%",
        ),
    ],
)
def test_a_month_that_holds_other_rows_than_before_is_red(
    tmp_path: Path, change: Callable[[pl.DataFrame], pl.DataFrame], said: str
) -> None:
    found = judged(tmp_path, m2021_02=change(month("2021-02")))
    assert stopped(found) == ["same-months"]
    assert said in line(found, "same-months").found


def test_the_same_rows_in_another_order_are_green(tmp_path: Path) -> None:
    shuffled = month("2021-02").sample(fraction=1, shuffle=True, seed=1)
    assert stopped(judged(tmp_path, m2021_02=shuffled)) == []


def test_outcomes_of_another_kind_are_red(tmp_path: Path) -> None:
    found = judged(tmp_path, m2021_04=longer(month(NEXT), "duration_minutes", 1.4))
    assert stopped(found) == ["label-shift"]
    assert line(found, "label-shift").found.startswith("duration_minutes moved by 0.")


def test_inputs_of_another_kind_are_red_and_the_column_named(tmp_path: Path) -> None:
    found = judged(tmp_path, m2021_04=longer(month(NEXT), "trip_distance", 1.5))
    assert stopped(found) == ["feature-shift"]
    (worst,) = (each for each in line(found, "feature-shift").slices if each.status == "fail")
    assert worst.name == "trip_distance"


def test_trips_at_other_times_of_the_day_are_red_and_on_other_days_are_not(tmp_path: Path) -> None:
    night = pl.col("pickup_at").dt.truncate("1d") + pl.duration(hours=2)
    found = judged(tmp_path / "red", m2021_04=month(NEXT).with_columns(pickup_at=night))
    assert stopped(found) == ["feature-shift"]
    assert "pickup_at moved most" in line(found, "feature-shift").found
    day = pl.col("pickup_at") + pl.duration(days=3)
    moved = month(NEXT).with_columns(pickup_at=day)
    assert stopped(judged(tmp_path / "green", m2021_04=moved)) == []


def test_a_slice_that_is_gone_is_red_and_named(tmp_path: Path) -> None:
    rows = month("2021-01")
    found = judged(tmp_path, m2021_01=rows.filter(pl.Series(borough(rows) != "South")))
    assert "slice-shares" in stopped(found)
    assert "pickup_borough=South all but gone" in line(found, "slice-shares").found


def test_a_slice_that_lost_some_of_its_share_is_red_by_the_limit(tmp_path: Path) -> None:
    rows = month("2021-01")
    thinner = {
        "2021-01": rows.filter(pl.Series(borough(rows) != "South") | (pl.col("vendor") == 1))
    }
    limits: dict[str, Any] = {"max_same_month_shift": 0.5}
    for most, expected in ((0.05, ["slice-shares"]), (0.5, [])):
        changed = limits | {"max_slice_share": most}
        made = case(tmp_path / str(most), ours=months() | thinner, data=changed)
        assert stopped(data.judge(made)) == expected


def test_months_are_counted_on_both_sides(tmp_path: Path) -> None:
    found = data.judge(case(tmp_path, theirs=months(*MONTHS[1:], NEXT)))
    assert found.tables[0].rows[0] == ("2021-01", None, 4_000, 0)
    assert found.tables[0].rows[-1] == (NEXT, 4_000, None, 0)


def test_a_split_that_changes_a_row_is_red(tmp_path: Path) -> None:
    judged = case(tmp_path)
    path = judged.root / "data/split/train.parquet"
    rows = pl.read_parquet(path)
    doubled = pl.concat([rows, rows.head(200)])
    path.unlink()
    doubled.write_parquet(path)
    found = data.judge(judged)
    assert "whole-split" in stopped(found)
    assert "the number of rows in the parts moved by" in line(found, "whole-split").found


def test_values_paired_otherwise_are_red_though_no_column_alone_tells(tmp_path: Path) -> None:
    judged = case(tmp_path)
    path = judged.root / "data/split/train.parquet"
    rows = pl.read_parquet(path)
    path.unlink()
    rows.with_columns(pl.col("trip_distance").reverse()).write_parquet(path)
    found = data.judge(judged)
    assert "paired otherwise" in line(found, "whole-split").found
