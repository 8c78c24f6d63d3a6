"""Outcomes: joined by the time of the prediction, the first received counts, others are shown."""

from datetime import datetime, timedelta
from math import sqrt
from pathlib import Path
from typing import Any

import pytest

from logged import MATURITY, START, outcomes, predictions, stamp, write
from preflight.contract import Column
from preflight.errors import NoData
from preflight.log.compaction import compact
from preflight.log.view import connect
from preflight.watch.outcomes import Tally, contradictions, joined, mature, quality, tally
from taxi.contract import CONTRACT

ROWS = 20
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
LATER = START + 30 * DAY  # when everything is old enough
UNKNOWN = "01776700-0000-7000-8000-000000000000"


def rows_of(
    folder: Path,
    start: datetime | None = None,
    end: datetime | None = None,
    now: datetime = LATER,
    target: Column = CONTRACT.target,
) -> tuple[Any, Any, Any]:
    """A connection, the window and the joined rows."""
    connection, window = connect(folder), mature(start, end, MATURITY, now)
    return connection, window, joined(connection, window, target)


def counted(folder: Path, **asked: Any) -> Tally:
    """The tally of a log, whose numbers of outcomes add up."""
    connection, window, rows = rows_of(folder, **asked)
    found = tally(connection, window, rows)
    parts = (found.labelled, found.late, found.out_of_range, found.duplicates, found.contradictory)
    assert sum(parts) == found.received
    return found


def measured(folder: Path, **asked: Any) -> list[dict[str, Any]]:
    """Quality as records, of which the last is over all."""
    _connection, _, rows = rows_of(folder, **asked)
    found = quality(rows)
    return [dict(zip(found.columns, row, strict=True)) for row in found.fetchall()]


@pytest.fixture
def asked(tmp_path: Path) -> list[dict[str, Any]]:
    """Predictions of a log, a minute apart."""
    records = predictions(ROWS, every=timedelta(minutes=1), value=10.0, lower=8.0, upper=12.0)
    write(tmp_path, "predictions", records)
    return records


def test_each_prediction_gets_its_outcome(tmp_path: Path, asked: list[dict[str, Any]]) -> None:
    write(tmp_path, "outcomes", told := outcomes(asked[:15]))
    _connection, _, rows = rows_of(tmp_path)
    found = {row[0]: row[-1] for row in rows.fetchall()}
    assert rows.columns[0] == "prediction_id"
    assert rows.columns[-1] == "outcome"
    assert found == {each["id"]: None for each in asked} | {
        each["prediction_id"]: each["value"] for each in told
    }
    assert counted(tmp_path).coverage == 0.75


def test_the_first_received_counts_whatever_the_order_of_the_files(
    tmp_path: Path, asked: list[dict[str, Any]]
) -> None:
    write(tmp_path, "outcomes", outcomes(asked, 2 * HOUR, value=30.0))
    write(tmp_path, "outcomes", outcomes(asked, HOUR, value=11.0))
    compact(tmp_path)
    write(tmp_path, "outcomes", outcomes(asked, 3 * HOUR, value=11.0))
    assert measured(tmp_path)[-1]["mae"] == 1.0
    found = counted(tmp_path)
    assert (found.labelled, found.contradictory, found.duplicates) == (ROWS, ROWS, ROWS)


def test_of_outcomes_received_at_once_the_smaller_id_counts(
    tmp_path: Path, asked: list[dict[str, Any]]
) -> None:
    first, second = outcomes(asked[:1], value=11.0)[0], outcomes(asked[:1], value=30.0)[0]
    write(tmp_path, "outcomes", [second | {"id": "b"}, first | {"id": "a"}])
    assert measured(tmp_path)[-1]["mae"] == 1.0


def test_a_contradiction_is_shown_with_both(tmp_path: Path, asked: list[dict[str, Any]]) -> None:
    write(tmp_path, "outcomes", outcomes(asked[3:4], HOUR, value=11.0))
    write(tmp_path, "outcomes", outcomes(asked[3:4], 2 * HOUR, value=30.0, client="other"))
    write(tmp_path, "outcomes", outcomes(asked[4:5], HOUR, value=11.0))
    _connection, _, rows = rows_of(tmp_path)
    found = contradictions(rows)
    (row,) = (dict(zip(found.columns, each, strict=True)) for each in found.fetchall())
    assert (row["prediction_id"], row["first"], row["other"]) == (asked[3]["id"], 11.0, 30.0)
    assert row["other_client"] == "other"
    assert row["other_at"] - row["first_at"] == HOUR


def test_the_same_value_again_is_a_duplicate_and_changes_nothing(
    tmp_path: Path, asked: list[dict[str, Any]]
) -> None:
    write(tmp_path, "outcomes", outcomes(asked, HOUR, value=11.0))
    before = measured(tmp_path)
    write(tmp_path, "outcomes", outcomes(asked, 40 * HOUR, value=11.0))
    found = counted(tmp_path)
    assert (found.duplicates, found.contradictory, found.late) == (ROWS, 0, 0)
    assert measured(tmp_path) == before


def test_a_late_outcome_is_counted_and_judges_nothing(
    tmp_path: Path, asked: list[dict[str, Any]]
) -> None:
    write(tmp_path, "outcomes", outcomes(asked[:5], MATURITY, value=11.0))
    write(
        tmp_path, "outcomes", outcomes(asked[5:], MATURITY + timedelta(microseconds=1), value=60.0)
    )
    found = counted(tmp_path)
    assert (found.labelled, found.late) == (5, 15)
    assert measured(tmp_path)[-1]["mae"] == 1.0


def test_an_early_outcome_is_accepted_and_counted(
    tmp_path: Path, asked: list[dict[str, Any]]
) -> None:
    write(tmp_path, "outcomes", outcomes(asked[:5], -timedelta(seconds=2)))
    found = counted(tmp_path)
    assert (found.labelled, found.early) == (5, 5)


def test_an_outcome_of_no_prediction_is_counted_as_unknown(
    tmp_path: Path, asked: list[dict[str, Any]]
) -> None:
    write(tmp_path, "outcomes", outcomes(asked[:5]) + outcomes(asked[:2], prediction_id=UNKNOWN))
    found = counted(tmp_path)
    assert (found.labelled, found.unknown) == (5, 2)


def test_a_value_outside_of_the_contract_is_apart(
    tmp_path: Path, asked: list[dict[str, Any]]
) -> None:
    write(tmp_path, "outcomes", outcomes(asked[:5], value=11.0))
    write(tmp_path, "outcomes", outcomes(asked[5:8], value=0.9) + outcomes(asked[8:9], value=61.0))
    write(tmp_path, "outcomes", outcomes(asked[9:10], value=1.0))
    found = counted(tmp_path)
    assert (found.labelled, found.out_of_range) == (6, 4)
    assert measured(tmp_path)[-1]["labelled"] == 6


def test_slow_outcomes_do_not_bias_quality_as_they_would_by_time_of_receipt(
    tmp_path: Path,
) -> None:
    """Short trips are told at once, long ones a day later and with larger errors."""
    week = [predictions(ROWS, START + place * DAY, place, value=10.0) for place in range(7)]
    for records in week:
        write(tmp_path, "predictions", records)
        write(tmp_path, "outcomes", outcomes(records[::2], HOUR, value=11.0))
        write(tmp_path, "outcomes", outcomes(records[1::2], 23 * HOUR, value=18.0))
    found = measured(tmp_path, start=START, end=START + DAY, now=START + 7 * DAY)[-1]
    assert (found["predictions"], found["label_coverage"]) == (ROWS, 1.0)
    assert (found["mae"], found["bias"]) == (4.5, -4.5)
    # Of the last two days only those are judged that all had as long.
    found = measured(tmp_path, start=START + 5 * DAY, now=START + 7 * DAY)[-1]
    assert (found["predictions"], found["mae"]) == (ROWS, 4.5)


def test_predictions_too_young_for_their_outcomes_are_not_judged(
    tmp_path: Path, asked: list[dict[str, Any]]
) -> None:
    write(tmp_path, "outcomes", outcomes(asked, timedelta(minutes=1)))
    ten = START + MATURITY + 10 * timedelta(minutes=1)
    assert counted(tmp_path, now=ten).predictions == 10
    assert counted(tmp_path, now=ten, end=START + DAY).predictions == 10
    with pytest.raises(NoData, match="older ones"):
        rows_of(tmp_path, start=START, now=START + MATURITY)


def test_no_prediction_is_no_data(tmp_path: Path) -> None:
    with pytest.raises(NoData, match="no prediction"):
        counted(tmp_path)


def test_quality_is_by_day_version_and_arm_and_over_all(tmp_path: Path) -> None:
    for place, (version, arm, real) in enumerate(
        [("3", "stable", 11.0), ("4", "canary", 7.0), ("4", None, 13.0)]
    ):
        records = predictions(
            4, START, place, value=10.0, lower=8.0, upper=12.0, model_version=version, arm=arm
        )
        write(tmp_path, "predictions", records)
        write(tmp_path, "outcomes", outcomes(records[:3], value=real))
    *parts, whole = measured(tmp_path)
    assert [(row["model_version"], row["arm"], row["bias"]) for row in parts] == [
        ("3", "stable", -1.0),
        ("4", "canary", 3.0),
        ("4", None, -3.0),
    ]
    assert [row["interval_coverage"] for row in parts] == [1.0, 0.0, 0.0]
    assert (whole["predictions"], whole["labelled"], whole["label_coverage"]) == (12, 9, 0.75)
    assert whole["mae"] == pytest.approx(7 / 3)
    assert whole["rmse"] == pytest.approx(sqrt(19 / 3))
    assert whole["interval_coverage"] == pytest.approx(1 / 3)


def test_answers_of_the_baseline_stand_apart_and_have_no_interval(tmp_path: Path) -> None:
    records = predictions(4, mode="fallback", lower=None, upper=None)
    write(tmp_path, "predictions", records)
    write(tmp_path, "outcomes", outcomes(records))
    first, _ = measured(tmp_path)
    assert (first["mode"], first["labelled"], first["interval_coverage"]) == ("fallback", 4, None)


def test_any_number_of_late_outcomes_count_as_late_and_label_nothing(tmp_path: Path) -> None:
    records = predictions(10_000, every=timedelta(seconds=1))
    write(tmp_path, "predictions", records)
    late = outcomes(records, 2 * DAY, value=10.0)
    for _ in range(100):  # a million, each told a hundred times
        write(tmp_path, "outcomes", late)
    compact(tmp_path)
    found = counted(tmp_path)
    assert (found.labelled, found.late, found.duplicates) == (0, 10_000, 990_000)


def test_outcomes_received_in_the_future_of_a_clock_that_was_set_back_are_joined(
    tmp_path: Path, asked: list[dict[str, Any]]
) -> None:
    write(tmp_path, "outcomes", outcomes(asked, at=stamp(START - DAY)))
    assert counted(tmp_path).early == ROWS
