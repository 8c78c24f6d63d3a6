"""The rehearsal's controller: steps and analyses end as Argo Rollouts would end them."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from preflight.deploy.declared import Analysis, Declared, Metric, Pause, SetWeight, Step
from preflight.errors import Problem
from preflight.rehearsal import rehearse
from preflight.rehearsal.analysis import AnalysisRun
from preflight.rehearsal.controller import Controller
from preflight.rehearsal.plan import Plan, Release
from preflight.rehearsal.rehearse import Course
from preflight.rehearsal.told import Told

DECIDE = Metric(
    "decide", 30.0, 4, 0, 4, 1, 100, frozenset({"promote"}), frozenset({"abort"}), "{$.result}"
)
STOP = replace(
    DECIDE, name="stop", count=None, success_limit=None, success=frozenset({"promote", "continue"})
)
STEPS: tuple[Step, ...] = (
    SetWeight(5),
    Pause(60.0),
    SetWeight(50),
    Analysis(("decide",)),
    SetWeight(100),
)


def declared(steps: Sequence[Step] = STEPS, **more: object) -> Declared:
    """A rollout of these steps, watched by `stop` from the first weight on."""
    found = Declared(
        name="taxi",
        release="7-0123456789ab",
        steps=tuple(steps),
        background=Analysis(("stop",)),
        starting_step=1,
        metrics={"decide": (DECIDE,), "stop": (STOP,)},
        stable="taxi-stable",
        canary="taxi-canary",
        prefix="/v1/",
        sticky="X-Entity-Id",
        arms={"stable": {"X-Arm": "stable"}, "canary": {"X-Arm": "canary"}},
        timeout=15.0,
        idle_seconds=3.0,
        connect_seconds=2.0,
    )
    return replace(found, **more)  # type: ignore[arg-type]


def ran(
    answers: Sequence[str], rollout: Declared | None = None, until: float = 1000.0
) -> Controller:
    """The controller after answers that were given in turn, the last of them again and again."""
    given: Iterator[str] = iter(answers)
    last = "continue"

    def ask(_: Metric) -> str:
        nonlocal last
        last = next(given, last)
        if last == "error":
            raise Problem("the judge", "nothing", "a verdict", "Start it.")
        return last

    now = 0.0
    found = Controller(rollout or declared(), now)
    while now < until and not found.ended:
        now += 5
        found.tick(now, ask)
    return found


def test_it_starts_at_the_first_weight() -> None:
    found = Controller(declared(), 0.0)
    assert (found.weight, found.state) == (5, "progressing")


def test_a_candidate_that_the_judge_promotes_ends_with_all_traffic() -> None:
    found = ran(["continue", "continue", "promote"])
    assert (found.weight, found.state) == (100, "promoted")


def test_an_abort_in_the_background_ends_it_before_the_pause_is_over() -> None:
    found = ran(["abort"], until=40)
    assert (found.weight, found.state) == (0, "aborted")
    assert "failed 1 times" in found.message


def test_an_abort_in_the_last_analysis_takes_the_weight_back() -> None:
    found = ran(["continue", "continue", "continue", "abort"])
    assert (found.weight, found.state) == (0, "aborted")


def test_a_judge_that_never_decides_leaves_it_paused_at_its_weight() -> None:
    found = ran(["continue"])
    assert (found.weight, found.state) == (50, "paused")
    assert "4 measurements without a success" in found.message


def test_a_judge_that_is_down_leaves_it_waiting_and_neither_promotes_nor_aborts() -> None:
    found = ran(["error"], until=400)
    assert (found.weight, found.state) == (50, "progressing")
    assert found.waits(400)
    assert not found.waits(100)


def test_once_a_verdict_ends_it_nobody_else_is_asked() -> None:
    asked: list[str] = []

    def ask(metric: Metric) -> str:
        asked.append(metric.name)
        return "abort"

    found = Controller(declared(steps=(SetWeight(5), Analysis(("decide",)))), 0.0)
    found.tick(1.0, ask)
    assert (found.state, asked) == ("aborted", ["stop"])


def test_more_errors_in_a_row_than_are_allowed_abort() -> None:
    strict = {"decide": (DECIDE,), "stop": (replace(STOP, error_limit=2),)}
    found = ran(["error"], declared(metrics=strict))
    assert found.state == "aborted"
    assert "3 errors in a row" in found.message


def test_without_an_analysis_nothing_is_asked_and_everything_is_promoted() -> None:
    """Why lint-deploy refuses such a rollout."""
    vacuous = declared(steps=(SetWeight(5), Pause(60.0)), background=None)
    assert ran(["abort"], vacuous).state == "promoted"


def test_traffic_is_late_from_the_end_on_and_not_from_an_answer_long_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A pause behind the last analysis takes half a second here; traffic moves at once."""
    for name in ("WARM_SECONDS", "AFTER_SECONDS", "TICK_SECONDS"):
        monkeypatch.setattr(rehearse, name, 0.001)
    steps = (SetWeight(5), Analysis(("decide",)), SetWeight(80), Pause(500.0))
    answer = {"result": "promote", "reason": "All is well.", "requests": [1, 1], "metrics": []}
    nothing = Path("nowhere")
    release = Release("a", nothing, nothing)
    plan = Plan("staging", declared(steps, background=None), release, release, nothing, faster=1e3)
    stage: Any = SimpleNamespace(
        plan=plan,
        release=release,
        judge=SimpleNamespace(ask=lambda *_: answer),
        weigh=lambda _: None,
        promote=lambda: None,
    )
    course = Course(stage, Told(lambda _: None))
    course.run()
    assert course.state == "promoted"
    assert course.seconds >= 0.5
    assert course.moved is not None
    assert course.moved < 0.2


def test_a_pause_without_an_end_waits_for_a_person() -> None:
    found = ran([], declared(steps=(SetWeight(5), Pause(None), SetWeight(100))))
    assert (found.state, found.weight) == ("paused", 5)


@pytest.mark.parametrize(
    ("limit", "phase"), [(1, "Successful"), (None, "Successful"), (3, "Running")]
)
def test_successes_in_a_row_end_a_run_where_a_limit_says_so(limit: int | None, phase: str) -> None:
    run = AnalysisRun([replace(DECIDE, success_limit=limit, count=2 if limit is None else 4)], 0.0)
    for now in (0.0, 30.0):
        run.tick(now, lambda _: "promote")
    assert run.phase == phase


def test_a_run_measures_at_its_interval_and_after_an_error_sooner() -> None:
    asked: list[float] = []

    def ask(_: Metric) -> str:
        asked.append(now)
        if len(asked) == 1:
            raise Problem("the judge", "nothing", "a verdict", "Start it.")
        return "continue"

    run = AnalysisRun([STOP], 0.0)
    for now in range(0, 75, 5):
        run.tick(now, ask)
    assert asked == [0, 10, 40, 70]
