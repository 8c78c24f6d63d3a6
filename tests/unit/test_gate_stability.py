"""Gate stability, red and green: a small change of an input changes the answer a little."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from cases import Array, case, fit, line, minutes, number, stopped
from preflight.evidence import Findings
from preflight.gates import stability


def judged(place: Path, shift: Any = 0.0, **limits: Any) -> Findings:
    """The gate's findings on a model trained again, with a shift on top."""
    return stability.judge(case(place, fit(2, shift), stability=limits))


def jagged(rows: pl.DataFrame) -> Array:
    """A wave in the distance that is far too short."""
    return 2 * np.sin(number(rows, "trip_distance") * 300)


def steep(rows: pl.DataFrame) -> Array:
    """One high step, near which few rows lie."""
    return np.where(number(rows, "trip_distance") > 2.0, 6.0, 0.0)


def test_a_smooth_model_is_green(tmp_path: Path) -> None:
    found = judged(tmp_path)
    assert [each.check for each in found.evidence] == [
        "small-pickup-at",
        "small-trip-distance",
        "direction-trip-distance",
    ]
    assert stopped(found) == []
    assert found.evidence[0].n == 5_000


def test_answers_that_change_a_lot_on_average_are_red(tmp_path: Path) -> None:
    found = judged(tmp_path, jagged, max_reversed=1.0)
    assert stopped(found) == ["small-trip-distance"]
    assert line(found, "small-trip-distance").claim.endswith("trip_distance changes by 1%.")


def test_answers_that_depend_on_the_very_minute_are_red(tmp_path: Path) -> None:
    found = judged(tmp_path, lambda rows: minutes(rows) % 2)
    assert stopped(found) == ["small-pickup-at"]


def test_a_jump_of_some_rows_is_red(tmp_path: Path) -> None:
    found = judged(tmp_path / "red", steep)
    assert stopped(found) == ["small-trip-distance"]
    assert line(found, "small-trip-distance").measured < 0.3  # type: ignore[operator]
    assert stopped(judged(tmp_path / "green", steep, max_jump_rows=0.05)) == []


def test_an_answer_that_goes_the_other_way_is_red(tmp_path: Path) -> None:
    found = judged(tmp_path, lambda rows: 40 - 8 * number(rows, "trip_distance"))
    assert stopped(found) == ["direction-trip-distance"]
    assert line(found, "direction-trip-distance").measured > 0.5  # type: ignore[operator]


def test_a_direction_holds_as_it_is_declared(tmp_path: Path) -> None:
    falling = {"trip_distance": "decreasing"}
    assert stopped(judged(tmp_path / "red", monotone=falling)) == ["direction-trip-distance"]
    made = case(tmp_path / "green", lambda rows: 40 - 2 * number(rows, "trip_distance"))
    section = made.limits.stability.model_copy(update={"monotone": falling})
    made.limits = made.limits.model_copy(update={"stability": section})
    assert stopped(stability.judge(made)) == []


def test_a_direction_of_what_is_no_number_has_no_data(tmp_path: Path) -> None:
    found = judged(tmp_path, monotone={"colour": "increasing", "pickup_zone": "increasing"})
    lines = {check: line(found, check) for check in ("direction-colour", "direction-pickup-zone")}
    assert {each.status for each in lines.values()} == {"no-data"}


def test_without_directions_only_changes_are_judged(tmp_path: Path) -> None:
    made = case(tmp_path)
    section = made.limits.stability.model_copy(update={"monotone": {}})
    made.limits = made.limits.model_copy(update={"stability": section})
    assert len(stability.judge(made).evidence) == 2


def test_predictions_that_are_no_numbers_are_red(tmp_path: Path) -> None:
    assert stopped(judged(tmp_path, np.nan)) == ["finite"]


def test_a_number_that_is_lost_by_a_small_change_is_red_and_the_input_named(
    tmp_path: Path,
) -> None:
    def lost(rows: pl.DataFrame) -> Array:
        distance = number(rows, "trip_distance")
        return np.where(np.isclose(distance, np.round(distance, 2)), 0.0, np.nan)

    assert "small-trip-distance" in stopped(judged(tmp_path, lost))
