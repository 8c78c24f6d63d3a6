"""Gate benchmark: slower is red, noise is no data, and neither side may be warmer."""

from typing import Any

import numpy as np
import pytest

from preflight.evidence import Evidence
from preflight.gates import benchmark, timing
from preflight.gates.timing import ROLES, Role, Timed, Times


def timed(head: float = 1.0, control: float = 1.0, noise: float = 0.01, sets: int = 5) -> Timed:
    """Sets of made-up times; `noise` is the deviation of a set's log time."""
    random, found = np.random.default_rng(1), Timed()
    for _ in range(sets):
        factors = {"base": 1.0, "control": control, "head": head}
        times: Times = {}
        for role in ROLES:
            level = 1e-4 * factors[role] * np.exp(random.normal(0, noise))
            times[role] = list(level * np.exp(random.normal(0, 0.001, 8)))
        found.add(times)
    return found


def judged(found: Timed, most: float = 1.07) -> tuple[Evidence, Evidence]:
    """The workload's line and its control's."""
    head, control = benchmark._judged("predict-one", found, most)
    return head, control


def test_equal_times_are_green_and_the_noise_floor_is_told() -> None:
    head, control = judged(timed())
    assert (head.status, control.status) == ("pass", "pass")
    assert "µs against 100 µs" in head.found
    assert "noise floor" in head.found
    assert "5 sets of fresh processes" in head.found


def test_fifteen_percent_slower_is_red() -> None:
    head, control = judged(timed(head=1.15))
    assert (head.status, control.status) == ("fail", "pass")
    assert head.measured == pytest.approx(1.15, abs=0.02)


def test_noise_is_no_data_and_says_how_many_sets_would_be_needed() -> None:
    head, _ = judged(timed(head=1.05, noise=0.03))
    assert head.status == "no-data"
    assert "sets would be needed" in head.found


def test_a_champion_that_differs_from_itself_is_no_data() -> None:
    head, control = judged(timed(control=1.2))
    assert (head.status, control.status) == ("no-data", "no-data")
    assert "differs from itself" in head.found


def test_what_is_far_slower_is_red_whatever_the_noise() -> None:
    head, control = judged(timed(head=60.0, control=1.1))
    assert (head.status, control.status) == ("fail", "no-data")


def test_a_cold_side_is_no_data() -> None:
    found = timed(head=0.9)
    found.cold.add("base")
    head, _ = judged(found)
    assert head.status == "no-data"
    assert "cold against warm: base not warmed" in head.found


def processes(monkeypatch: pytest.MonkeyPatch, warm: dict[Role, bool]) -> dict[Role, Any]:
    """Stopwatches that answer without a process; those that are not warm forget it."""

    class Running:
        def __init__(self, role: Role) -> None:
            self.role, self.busy = role, 0.0

        def __enter__(self) -> Any:
            return self.ask

        def __exit__(self, *_: object) -> None:
            return None

        def ask(self, seconds: float) -> dict[str, float]:
            before, self.busy = self.busy, self.busy + seconds * warm[self.role]
            return {"per_call": 1e-4, "warmed": before}

    monkeypatch.setattr(timing, "_started", Running)
    return {role: role for role in ROLES}


def test_a_process_that_was_not_warmed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    clocks = processes(monkeypatch, {"base": False, "control": True, "head": True})
    found = timing.compared(timing.blocks(clocks, 2, 0.01, 0.1), 3, 1.07)
    assert found.cold == {"base"}


def test_sides_warmed_alike_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    clocks = processes(monkeypatch, dict.fromkeys(ROLES, True))
    found = timing.compared(timing.blocks(clocks, 2, 0.01, 0.1), 3, 1.07)
    assert (found.cold, len(found.heads), found.head.value) == (set(), 3, 1.0)


def test_sets_are_doubled_until_they_tell_and_twice_at_most() -> None:
    made = iter([0.2, -0.2, 0.1, -0.15, 0.05, 0.2] * 2)

    def measure(found: Timed, _: np.random.Generator) -> None:
        found.add({"base": [1.0], "control": [1.0], "head": [float(np.exp(next(made)))]})

    assert timing.compared(measure, 3, 1.07).head.sets == 12


def test_no_look_is_added_that_would_end_too_late(monkeypatch: pytest.MonkeyPatch) -> None:
    made = iter([0.2, -0.2, 0.1])
    monkeypatch.setattr(timing, "MOST_SECONDS", 0.0)

    def measure(found: Timed, _: np.random.Generator) -> None:
        found.add({"base": [1.0], "control": [1.0], "head": [float(np.exp(next(made)))]})

    assert timing.compared(measure, 3, 1.07).head.sets == 3


def test_without_a_champion_there_is_nothing_to_compare() -> None:
    class First:
        rival = None

    (line,) = benchmark.judge(First()).evidence  # type: ignore[arg-type]
    assert line.status == "pass"
    assert "no earlier model" in line.found
