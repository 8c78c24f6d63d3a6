"""Rows are divided by time."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import polars as pl
import pytest

from preflight.errors import Problem
from preflight.params import Params
from preflight.stages.split import PARTS, split
from unit.test_validate import month_frame

Load = Callable[..., Params]
MONTHS = ("2021-01", "2021-02", "2021-03")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three valid months, five minutes between trips: each spans its first 28 days."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "data/valid"
    folder.mkdir(parents=True)
    for month in MONTHS:
        month_frame(8_000, month).write_parquet(folder / f"{month}.parquet")
    return tmp_path


def parts() -> dict[str, pl.DataFrame]:
    """What the stage wrote."""
    return {name: pl.read_parquet(f"data/split/{name}.parquet") for name in PARTS}


def params(small_params: Load, *months: str, **split: int) -> Params:
    """Parameters with these months and division."""
    return small_params(data={"months": list(months)}, split=split)


def test_no_row_of_a_part_is_older_than_the_part_before(place: Path, small_params: Load) -> None:
    split(params(small_params, *MONTHS, test_months=1, calibrate_days=7))
    train, calibrate, test = (parts()[name]["pickup_at"] for name in PARTS)
    assert train.max() < calibrate.min()  # type: ignore[operator]
    assert calibrate.max() < test.min()  # type: ignore[operator]
    assert calibrate.min() == datetime(2021, 2, 22)
    assert test.min() == datetime(2021, 3, 1)


def test_every_row_is_in_exactly_one_part(place: Path, small_params: Load) -> None:
    split(params(small_params, *MONTHS, test_months=2, calibrate_days=3))
    assert sum(len(part) for part in parts().values()) == 24_000


def test_months_are_divided_by_date_whatever_their_order(place: Path, small_params: Load) -> None:
    split(params(small_params, *reversed(MONTHS), test_months=1, calibrate_days=7))
    assert parts()["test"]["pickup_at"].dt.month().unique().to_list() == [3]


def test_without_calibration_days_all_earlier_rows_train(place: Path, small_params: Load) -> None:
    split(params(small_params, *MONTHS, test_months=2, calibrate_days=0))
    assert not len(parts()["calibrate"])
    assert len(parts()["train"]) == 8_000


def test_a_left_over_month_is_refused_by_name(place: Path, small_params: Load) -> None:
    with pytest.raises(Problem, match=r"data/valid/2021-03\.parquet: found a left-over month"):
        split(params(small_params, *MONTHS[:2], test_months=1))


def test_no_month_left_to_train_is_refused(place: Path, small_params: Load) -> None:
    with pytest.raises(Problem, match=r"split\.test_months: found 3"):
        split(params(small_params, *MONTHS, test_months=3))


def test_calibration_that_takes_every_row_is_refused(place: Path, small_params: Load) -> None:
    with pytest.raises(Problem, match="no rows"):
        split(params(small_params, *MONTHS, test_months=2, calibrate_days=31))


def stray() -> None:
    """Put a March trip into January."""
    path = Path("data/valid/2021-01.parquet")
    late = month_frame(1, "2021-03")
    pl.concat([pl.read_parquet(path), late]).write_parquet(path)


def test_a_row_outside_its_month_is_refused(place: Path, small_params: Load) -> None:
    stray()
    with pytest.raises(Problem, match="found a row of 2021-02-01"):
        split(params(small_params, *MONTHS, test_months=2, calibrate_days=0))


def test_a_profile_that_keeps_every_row_may_keep_strays(place: Path, small_params: Load) -> None:
    stray()
    rules = {"row_rules": ["duration_minutes.range"]}
    chosen = small_params(
        data={"months": list(MONTHS)}, split={"calibrate_days": 0}, validate=rules
    )
    split(chosen)
    assert len(parts()["train"]) == 8_001
