"""Gate differential, red and green: predictions move as declared, or hardly."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from cases import Array, Fit, StubCase, borough, case, failing, fit, line, month, number, stopped
from conftest import ROOT
from preflight import params, windows
from preflight.errors import Problem
from preflight.gates import differential, limits
from taxi.contract import CONTRACT

REASON = "The new route feature lengthens trips."
OWN = ["mean-shift", "slice-shift", "row-shift", "reference-shift"]
DATA = ["data-mean-shift", "data-slice-shift"]


def shifted(size: float, zone: int = 7) -> Any:
    """A model trained again that answers otherwise in one pick-up zone."""
    return fit(2, lambda rows: np.where(number(rows, "pickup_zone") == zone, size, 0.0))


def declared(size: float, *scope: str, champion: str = "d" * 12) -> dict[str, Any]:
    """Limits with one declared change."""
    one = {"champion": champion, "reason": REASON, "scope": list(scope), "size": size}
    return {"expected": [one]}


def later(minutes: float) -> dict[str, pl.DataFrame]:
    """Months whose outcomes in training are longer."""
    moved = (pl.col("duration_minutes") + minutes).clip(1, 60)
    found = {name: month(name) for name in ("2021-02", "2021-03")}
    return {"2021-01": month("2021-01").with_columns(moved)} | found


def learnt(made: StubCase) -> StubCase:
    """The candidate is what the champion's recipe gives on its rows."""
    assert made.rival is not None
    path = made.candidate.write(made.held_out)
    (value,), _ = made.rival.refit(made.root / "data/split/train.parquet", made.root, 77, [path])
    gap = float((value - fit(77)(made.held_out)).mean())
    made.candidate.fit = fit(77, gap)
    return made


def test_the_first_model_has_nothing_to_move_from(tmp_path: Path) -> None:
    found = differential.judge(case(tmp_path, first=True))
    assert [(each.check, each.status) for each in found.evidence] == [("first", "pass")]


def test_an_unchanged_model_is_told_by_its_hash(tmp_path: Path) -> None:
    made = case(tmp_path)
    made.candidate.model_hash = "d" * 64
    found = differential.judge(made)
    assert [(each.check, each.status) for each in found.evidence] == [("unchanged", "pass")]


def test_a_model_trained_again_is_green(tmp_path: Path) -> None:
    found = differential.judge(case(tmp_path))
    assert [each.check for each in found.evidence] == OWN
    assert stopped(found) == []
    assert len(found.tables[0].rows) == 10
    assert "rider_id" not in found.tables[0].columns


def test_predictions_that_are_no_numbers_are_red(tmp_path: Path) -> None:
    found = differential.judge(case(tmp_path, shifted(np.nan)))
    assert stopped(found) == ["finite"]


def test_a_shift_of_all_rows_is_red(tmp_path: Path) -> None:
    found = differential.judge(case(tmp_path, fit(2, 1.0)))
    assert {"mean-shift", "slice-shift"} <= set(stopped(found))
    assert line(found, "mean-shift").measured == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("size", [-1.0, 1.0])
def test_a_shift_in_one_slice_is_red_and_the_slice_named(tmp_path: Path, size: float) -> None:
    found = differential.judge(case(tmp_path, shifted(size)))
    assert stopped(found) == ["slice-shift"]
    assert "most of all pickup_zone=7" in line(found, "slice-shift").found
    assert "pickup_zone=7" in failing(line(found, "slice-shift"))


def test_rows_that_move_apart_are_red_though_each_slice_keeps_its_mean(tmp_path: Path) -> None:
    def swing(rows: pl.DataFrame) -> Array:
        return np.where(np.arange(len(rows)) % 2 == 0, 3.0, -3.0)

    found = differential.judge(case(tmp_path, fit(2, swing)))
    assert "row-shift" in stopped(found)
    assert line(found, "row-shift").found.startswith("100.0% moved")


def test_inputs_that_no_month_holds_are_looked_at_as_well(tmp_path: Path) -> None:
    def far(rows: pl.DataFrame) -> Array:
        return np.where(number(rows, "pickup_zone") > 100, 5.0, 0.0)

    assert stopped(differential.judge(case(tmp_path, fit(2, far)))) == ["reference-shift"]


def test_a_declared_shift_is_green_and_stands_as_a_notice(tmp_path: Path) -> None:
    limits = declared(1.5, "pickup_zone=7")
    found = differential.judge(case(tmp_path, shifted(1.0), differential=limits))
    assert stopped(found) == []
    assert line(found, "slice-shift").found.endswith("; 1 slices as declared")
    (notice,) = found.notices
    assert (notice.kind, notice.text) == ("declaration", f"up to 1.5 in pickup_zone=7: {REASON}")


def test_a_shift_of_all_rows_can_be_declared(tmp_path: Path) -> None:
    limits = declared(1.5, "all")
    found = differential.judge(case(tmp_path, fit(2, 1.0), differential=limits))
    assert stopped(found) == []
    assert line(found, "mean-shift").found.endswith("(declared)")


def test_slices_are_declared_by_pattern(tmp_path: Path) -> None:
    limits = declared(1.5, "pickup_zone=*")
    assert stopped(differential.judge(case(tmp_path, shifted(1.0), differential=limits))) == []


@pytest.mark.parametrize("scope", ["pickup_zone=8", "pickup_zone=1*"])
def test_a_declared_shift_elsewhere_excuses_nothing(tmp_path: Path, scope: str) -> None:
    limits = declared(1.5, scope)
    found = differential.judge(case(tmp_path, shifted(1.0), differential=limits))
    assert stopped(found) == ["slice-shift"]


def test_a_shift_larger_than_declared_is_red(tmp_path: Path) -> None:
    limits = declared(0.8, "pickup_zone=7")
    found = differential.judge(case(tmp_path, shifted(1.5), differential=limits))
    assert stopped(found) == ["slice-shift"]


def test_a_declaration_against_another_champion_is_void(tmp_path: Path) -> None:
    limits = declared(1.5, "pickup_zone=7", champion="e" * 12)
    found = differential.judge(case(tmp_path, shifted(1.0), differential=limits))
    assert stopped(found) == ["slice-shift"]
    (notice,) = found.notices
    assert notice.text.startswith("void: it names champion eeeeeeeeeeee, this one is dddddddddddd")


def test_a_declaration_for_one_slice_does_not_excuse_rows_of_others(tmp_path: Path) -> None:
    def swing(rows: pl.DataFrame) -> Array:
        sign = np.where(np.arange(len(rows)) % 2 == 0, 3.0, -3.0)
        return np.where(number(rows, "pickup_zone") == 7, 0.0, sign)

    limits = declared(0.5, "pickup_zone=7")
    found = differential.judge(case(tmp_path, fit(2, swing), differential=limits))
    assert "row-shift" in stopped(found)


def test_what_new_data_moves_is_shown_apart(tmp_path: Path) -> None:
    made = learnt(case(tmp_path, ours=later(0.8)))
    found = differential.judge(made)
    assert [each.check for each in found.evidence] == OWN + DATA
    assert stopped(found) == []
    assert line(found, "data-mean-shift").measured == pytest.approx(0.8, abs=0.1)
    assert line(found, "mean-shift").measured == pytest.approx(0, abs=0.1)


def test_data_that_moves_predictions_too_far_is_red_and_the_change_is_not(tmp_path: Path) -> None:
    found = differential.judge(learnt(case(tmp_path, ours=later(2.5))))
    assert stopped(found) == DATA


def test_refits_are_kept_for_equal_inputs_and_seeds(tmp_path: Path) -> None:
    made = case(tmp_path)
    assert made.rival is not None
    first = made.refits
    assert made.rival.asked == [None, 1_001, 1_002, 1_003, 1_004]
    assert first.held_out.shape == (5, 8_000)
    assert first.reference.shape == (5, 2_000)
    del made.refits
    assert (made.refits.held_out == first.held_out).all()
    assert len(made.rival.asked) == 5


def test_more_refits_are_made_anew(tmp_path: Path) -> None:
    made = case(tmp_path)
    assert made.rival is not None
    assert len(made.refits.held_out) == 5
    del made.refits
    limits = made.limits.differential.model_copy(update={"min_refits": 6})
    made.limits = made.limits.model_copy(update={"differential": limits})
    assert len(made.refits.held_out) == 6


def test_no_slice_with_enough_rows_leaves_the_mean_and_the_rows(tmp_path: Path) -> None:
    limits = {"max_unjudged_rows": 9_000}
    found = differential.judge(case(tmp_path / "red", fit(2, 3.0), differential=limits))
    assert {"mean-shift", "row-shift"} <= set(stopped(found))
    found = differential.judge(case(tmp_path / "green", differential=limits))
    assert line(found, "mean-shift").status == "pass"


KNOWN = [column.name for column in CONTRACT.known]
WINDOW = ["window-shift-rush", "window-slices-rush", "window-rows-rush"]


def recorded(place: Path, model: Fit | None = None, count: int = 3_000, **limits: Any) -> StubCase:
    """A case that names a window of recorded traffic, which other cases do not hold."""
    made = case(place, model, differential={"windows": ["rush"]} | limits)
    for side in (made.candidate, made.rival):
        assert side is not None
        side.slices = lambda rows: {"pickup_borough": borough(rows)}  # type: ignore[method-assign]
    target = windows.place(made.root, "rush")
    target.parent.mkdir(parents=True)
    traffic = month("2021-05", seed=9)[:count].select(KNOWN)
    traffic.with_columns(dropoff_zone=pl.lit(200, pl.Int64)).write_parquet(target)
    return made


def there(size: float) -> Fit:
    """A model trained again that answers otherwise on the window's rows alone."""
    return fit(2, lambda rows: np.where(number(rows, "dropoff_zone") == 200, size, 0.0))


def test_recorded_traffic_is_judged_too_and_a_model_trained_again_is_green(tmp_path: Path) -> None:
    found = differential.judge(recorded(tmp_path))
    assert [each.check for each in found.evidence] == OWN + WINDOW
    assert stopped(found) == []
    assert line(found, "window-shift-rush").n == 3_000


def test_a_shift_that_only_recorded_traffic_shows_is_red(tmp_path: Path) -> None:
    found = differential.judge(recorded(tmp_path, there(3.0), max_moved_rows=0.2))
    assert stopped(found) == WINDOW
    assert line(found, "window-shift-rush").measured == pytest.approx(3.0, abs=0.3)
    assert any("pickup_borough=" in name for name in failing(line(found, "window-slices-rush")))


def test_a_shift_on_recorded_traffic_can_be_declared(tmp_path: Path) -> None:
    limits = declared(4.0, "dropoff_zone=200") | {"max_moved_rows": 0.2}
    found = differential.judge(recorded(tmp_path, there(3.0), **limits))
    assert stopped(found) == []
    assert line(found, "window-shift-rush").found.endswith("(declared)")


def test_answers_to_recorded_traffic_that_are_no_numbers_are_red(tmp_path: Path) -> None:
    found = differential.judge(recorded(tmp_path, there(np.nan), max_moved_rows=0.2))
    assert "window-rush" in stopped(found)
    assert line(found, "window-rush").found == "3000 predictions are not finite"


def test_a_named_window_without_a_file_is_no_data_and_blocks(tmp_path: Path) -> None:
    made = recorded(tmp_path)
    windows.place(made.root, "rush").unlink()
    found = differential.judge(made)
    assert line(found, "window-rush").status == "no-data"
    assert line(found, "window-rush").found.startswith("data/windows/rush.parquet: no file")
    assert [each.check for each in found.evidence] == [*OWN, "window-rush"]


def test_a_window_of_few_rows_is_no_data(tmp_path: Path) -> None:
    found = differential.judge(recorded(tmp_path, count=199))
    assert line(found, "window-rush").status == "no-data"
    assert line(found, "window-rush").found == "199 rows in window rush, fewer than 200"


@pytest.mark.parametrize("first", [True, False])
def test_a_missing_window_blocks_though_nothing_could_move(tmp_path: Path, first: bool) -> None:
    made = case(tmp_path, first=first, differential={"windows": ["rush"]})
    made.candidate.model_hash = "d" * 64
    assert stopped(differential.judge(made)) == ["window-rush"]


def test_windows_of_the_base_and_of_the_change_are_judged() -> None:
    shipped = params.read(ROOT / "params.yaml")

    def naming(*names: str) -> dict[str, Any]:
        return params.merge(shipped, {"gates": {"differential": {"windows": list(names)}}})

    found, borrowed = limits.of_base(naming("rush", "night"), naming("fair", "rush"))
    assert found.differential.windows == ("rush", "night", "fair")
    assert borrowed == []
    assert limits.of_base(naming("rush"), {})[0].differential.windows == ("rush",)
    assert limits.of_base({}, naming("rush"))[0].differential.windows == ("rush",)


@pytest.mark.parametrize("name", ["Rush", "../rush", "", 7])
def test_a_window_of_an_odd_name_is_refused(name: object) -> None:
    shipped = params.read(ROOT / "params.yaml")
    odd = params.merge(shipped, {"gates": {"differential": {"windows": [name]}}})
    with pytest.raises(Problem, match=r"gates\.differential\.windows\.0"):
        limits.of_base(shipped, odd)
