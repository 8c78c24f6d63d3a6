"""The planner: what a plan can decide, and the refusal of one that cannot."""

import numpy as np
import pytest

from preflight.errors import Problem
from preflight.rollout import plan, planned, simulation
from preflight.rollout.plan import Forecast, Step, forecast, undecidable
from rollouts import LIMITS

RUNS = 40
STEPS = ("5%:10m", "25%:10m", "50%:20m")


@pytest.fixture(scope="module")
def found() -> Forecast:
    return forecast(planned.read(20.0, STEPS, (), 1.0), LIMITS, runs=RUNS)


def test_a_plan_with_enough_traffic_decides(found: Forecast) -> None:
    assert found.decides
    assert found.false_aborts <= 0.05
    assert found.honest.seconds < found.honest.most_seconds < found.plan.seconds
    assert found.needed == found.honest.most_seconds


def test_a_gross_fault_is_found_sooner_than_a_slight_one(found: Forecast) -> None:
    errors = [each for each in found.faults if each.metric == "errors"]
    assert [each.said for each in errors] == [
        "0.10% -> 0.38%",
        "0.10% -> 0.50%",
        "0.10% -> 0.75%",
        "0.10% -> 1.25%",
    ]
    times = [each.aborted.seconds for each in errors]
    assert times == sorted(times, reverse=True)
    assert errors[-1].aborted.share > 0.99
    assert {each.metric for each in found.faults} == {*planned.USUAL, "predictions", "widths"}


def test_a_plan_reads_well(found: Forecast) -> None:
    lines = planned.text(found).splitlines()
    assert lines[0] == "plan: 20 requests a second; 5% for 10 min, 25% for 10 min, 50% for 20 min"
    assert "the canary gets 15,600 of 48,000 requests in 40 min" in lines[1]
    assert max(map(len, lines)) <= 100
    assert "What it mostly cannot see: slow 1.00% -> 1.50%" in lines[-1]


def test_a_plan_that_cannot_decide_is_refused_with_what_would_help() -> None:
    short = forecast(planned.read(20.0, ("10%:15m",), (), 1.0), LIMITS, runs=RUNS)
    assert not short.decides
    assert short.faults == ()
    words = str(undecidable(short))
    assert "simulated canaries that are no worse are promoted in 15 min" in words
    assert "Hold the last step" in words
    longer = planned.read(20.0, (f"10%:{short.needed:.0f}s",), (), 1.0)
    assert forecast(longer, LIMITS, seed=2, runs=RUNS).honest.share > 0.7


def test_a_hopeless_plan_says_so() -> None:
    found = forecast(planned.read(0.1, ("1%:1m",), (), 1.0), LIMITS, runs=RUNS)
    assert np.isinf(found.needed)
    assert "more traffic, or larger margins" in str(undecidable(found))


def test_the_last_step_is_the_one_that_lasts_longer() -> None:
    made = plan.Plan(10, (Step(0.1, 60), Step(0.5, 60)), {})
    expected = plan._expected(made, 240)
    share = expected[:, 1] / expected.sum(axis=1)
    assert share[0] == pytest.approx(0.1)
    assert share[-1] == pytest.approx(0.5)
    assert expected.sum() == pytest.approx(2_400)
    assert (share > 0.3).mean() == pytest.approx(0.75, abs=0.01)


def test_a_decision_is_by_the_earlier_of_both() -> None:
    asked = np.ones((2, 4, 2, 1)) * 1_000
    worse = np.log(1_000) * np.array([[0, 0, 1, 1], [0, 0, 0, 0]])
    fine = np.log(1_000) * np.array([[0, 0, 0, 1], [0, 1, 0, 0]])
    found = simulation.decided([(worse, fine)], 9, asked, LIMITS)
    assert found.aborted.tolist() == [2, simulation.NEVER]
    assert found.promoted.tolist() == [simulation.NEVER, 1]
    assert found.after(found.promoted).tolist() == [np.inf, 2_000]


@pytest.mark.parametrize("word", ["5", "0%:10m", "100%:10m", "5%:10", "5%:0s", "ten:10m"])
def test_an_odd_step_is_named(word: str) -> None:
    with pytest.raises(Problem, match="a weight under 100% and a time"):
        planned.read(1.0, (word,), (), 1.0)


@pytest.mark.parametrize("word", ["errors", "errors=1", "wrong=1%", "errors=100%"])
def test_an_odd_base_rate_is_named(word: str) -> None:
    with pytest.raises(Problem, match=r"errors=0\.2%, or another of errors, slow"):
        planned.read(1.0, ("5%:10m",), (word,), 1.0)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(90, "90 s"), (600, "10 min"), (7_200, "2.0 h"), (np.inf, "never")],
)
def test_durations_are_said_as_people_do(seconds: float, words: str) -> None:
    assert plan.duration(seconds) == words


@pytest.mark.parametrize(
    ("rate", "clump"), [(0.0, 1.0), (-1.0, 1.0), (float("nan"), 1.0), (1e30, 1.0), (1.0, 0.5)]
)
def test_a_plan_of_no_possible_traffic_is_refused(rate: float, clump: float) -> None:
    with pytest.raises(Problem, match=r"--rate|--clump"):
        planned.read(rate, STEPS, (), clump)
