"""A rehearsal as data, evidence and picture."""

from pathlib import Path
from xml.etree import ElementTree

import pytest

from preflight.errors import Problem
from preflight.rehearsal import picture, record
from preflight.rehearsal.findings import findings
from preflight.rehearsal.record import Rehearsal
from rehearsals import SERVED, rehearsal


def statuses(found: Rehearsal) -> dict[str, str]:
    """Each check's status."""
    return {each.check: each.status for each in findings(found).evidence}


def test_an_honest_promotion_is_green() -> None:
    assert set(statuses(rehearsal()).values()) == {"pass"}


def test_an_abort_is_red_and_a_pause_is_no_data() -> None:
    assert statuses(rehearsal(state="aborted"))["end"] == "fail"
    paused = statuses(rehearsal(state="paused", moved=None))
    assert (paused["end"], paused["moved"]) == ("no-data", "no-data")


def test_one_failed_request_is_red() -> None:
    served = SERVED.model_copy(update={"failed": 1})
    assert statuses(rehearsal(served=served))["failed"] == "fail"


def test_an_entity_that_left_the_canary_is_red() -> None:
    served = SERVED.model_copy(update={"left": 1})
    assert statuses(rehearsal(served=served))["sticky"] == "fail"


def test_traffic_that_moves_late_is_red() -> None:
    assert statuses(rehearsal(moved=1.2))["moved"] == "fail"


def test_callers_that_could_not_keep_their_pace_are_no_data_and_failures_red_all_the_same() -> None:
    slow = SERVED.model_copy(update={"rate": 200.0})
    assert statuses(rehearsal(served=slow))["failed"] == "no-data"
    slow = slow.model_copy(update={"failed": 1})
    assert statuses(rehearsal(served=slow))["failed"] == "fail"


def test_a_candidate_beside_itself_says_so() -> None:
    alone = rehearsal(stable="bbbbbbbbbbbb-itself")
    assert "for want of an earlier model" in findings(alone).evidence[0].found
    assert "beside aaaaaaaaaaaa:" in findings(rehearsal()).evidence[0].found


def test_no_request_and_no_entity_are_no_data() -> None:
    served = SERVED.model_copy(update={"requests": 0, "rate": 0.0, "entities": 0})
    found = statuses(rehearsal(served=served))
    assert (found["failed"], found["sticky"]) == ("no-data", "no-data")


def test_it_comes_back_from_its_file(tmp_path: Path) -> None:
    record.write(tmp_path / "one.json", rehearsal())
    assert record.read(tmp_path / "one.json") == rehearsal()
    (tmp_path / "two.json").write_text("{}")
    for name in ("two", "three"):
        with pytest.raises(Problem, match="make rehearse"):
            record.read(tmp_path / f"{name}.json")


def test_the_picture_shows_weights_verdicts_metrics_and_what_happened() -> None:
    drawn = picture.svg(rehearsal())
    ElementTree.fromstring(drawn)  # noqa: S314 (ours)
    for said in ("weight", "verdict", "errors", "wrong", "&lt;the candidate&gt;", "promoted"):
        assert said in drawn
    assert drawn == picture.svg(rehearsal())


def test_a_rehearsal_without_a_look_can_be_drawn_and_told() -> None:
    nothing = rehearsal(looks=(), state="paused", reason="The judge did not answer.")
    ElementTree.fromstring(picture.svg(nothing))  # noqa: S314 (ours)
    assert not findings(nothing).charts
