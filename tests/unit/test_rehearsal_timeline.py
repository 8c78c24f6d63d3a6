"""A rehearsal on a terminal and in a log."""

import io

import click
import pytest

from preflight.rehearsal import commands
from preflight.rehearsal.record import Event, Look
from preflight.rehearsal.timeline import Timeline, summary
from preflight.rehearsal.told import NO_ANSWER, Told
from rehearsals import SERVED, rehearsal

LOOKS = rehearsal().looks


class Terminal(io.StringIO):
    """A file that is a terminal."""

    def isatty(self) -> bool:
        """It is."""
        return True


def shown(file: io.StringIO, *told: Event | Look) -> str:
    """What a timeline writes of these."""
    timeline = Timeline(file)
    for each in told:
        timeline(each)
    return file.getvalue()


def test_a_log_has_a_line_for_each_event_and_for_looks_that_say_something_new() -> None:
    event = Event(at=20.0, kind="weight", said="50%")
    lines = shown(io.StringIO(), *LOOKS[:20], event, *LOOKS[20:]).splitlines()
    assert [line.split()[2] for line in lines] == ["5%", "50%", "50%", "50%"]
    assert "promote" in lines[-1]
    assert "fine [########] worse [#.......]   1,770 asked" in lines[-1]
    assert lines[0].endswith("errors")  # what it hangs on


def test_a_terminal_keeps_a_look_in_its_line_and_an_event_begins_another() -> None:
    event = Event(at=3.0, kind="fault", said="errors begin")
    text = shown(Terminal(), *LOOKS[:3], event)
    first, second, _ = text.split("\n")
    assert first.count("\r") == 3
    assert all(len(part) < 80 for part in first.split("\r"))
    assert second == "   3.0 s  errors begin"


@pytest.mark.parametrize(("state", "colour"), [("promoted", "green"), ("aborted", "red")])
def test_the_end_says_what_callers_met_and_what_was_not_shown(state: str, colour: str) -> None:
    said = summary(rehearsal(state=state))
    assert click.style(rehearsal(state=state).title, fg=colour, bold=True) in said
    assert "24,000 requests at 300 a second, 5,000 of the canary: 0 failed" in said
    assert "half of the answers within 3.0 ms, 99% within 20.0 ms" in said
    assert "700 entities met the canary, 0 left it" in said
    assert "Not rehearsed: the controller" in said


def test_what_is_told_is_kept_with_its_time_and_a_silent_judge_is_a_look() -> None:
    heard: list[Event | Look] = []
    told = Told(heard.append)
    told.event("weight", "5%")
    assert told.at == 0.0
    told.begin()
    metric = {"name": "errors", "state": "open", "worse": 0.1, "fine": None, "said": "more"}
    answer = {"result": "continue", "reason": "x" * 999, "requests": [9.0, 1.0]}
    told.answer(5, answer | {"metrics": [metric]})
    told.silence(5, "refused")
    assert told.looks == heard[1:]
    assert told.looks[0].requests == (9, 1)
    assert len(told.looks[0].reason) < 500
    assert told.looks[1].result == NO_ANSWER


def test_a_fault_that_ends_as_it_must_says_so() -> None:
    right = summary(rehearsal(fault="errors", state="aborted"))
    assert "fault errors: aborted, as it must" in right
    assert "and must be aborted" in summary(rehearsal(fault="errors"))


@pytest.mark.parametrize(
    ("state", "faulty", "status"),
    [
        ("aborted", "canary", 0),
        ("promoted", "canary", 1),
        ("promoted", "stable", 0),
        ("aborted", "stable", 1),
        ("paused", "stable", 2),
    ],
)
def test_a_fault_in_the_canary_must_end_as_it_must_and_beside_one_in_stable_the_end_counts(
    state: str, faulty: str, status: int
) -> None:
    assert commands._status(rehearsal(fault="errors", state=state, faulty=faulty)) == status


def test_failures_that_nobody_answered_are_told_apart() -> None:
    served = SERVED.model_copy(update={"failed": 7, "unreached": 3})
    assert "7 failed, 3 of them without an answer" in summary(rehearsal(served=served))
