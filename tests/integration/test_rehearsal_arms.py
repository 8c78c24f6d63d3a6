"""Arms of a rehearsal from a real Bento: side by side, with a fault in one, killed and drained."""

import json
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from preflight import bento
from preflight.files import write_json
from preflight.log.view import connect
from preflight.rehearsal import answers, traffic
from preflight.rehearsal.arms import Arm, Arms, arms
from preflight.rehearsal.copies import SETTINGS
from preflight.rehearsal.faults import FAULTS
from preflight.rehearsal.traffic import Traffic
from preflight.watch.scrape import look
from rollouts import LIMITS
from served import TRIP, packaged, until

pytestmark = pytest.mark.usefixtures("unmeasured")

ENTITIES = 400


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the arms' keys, log and homes lie."""
    return tmp_path_factory.mktemp("rehearsal")


@pytest.fixture(scope="module")
def house(built: Path, state: Path) -> Iterator[Arms]:
    """What starts the arms, and ends them."""
    with arms(state) as found:
        yield found


@pytest.fixture(scope="module")
def both(house: Arms, built: Path) -> tuple[Arm, Arm]:
    """Arms of a small Bento: one is honest, in the other faults are planted."""
    folder = packaged(built)
    return house.start("stable", built, folder), house.start("canary", built, folder, plant={})


@pytest.fixture
def stable(both: tuple[Arm, Arm]) -> Arm:
    """The honest arm."""
    return both[0].ready()


@pytest.fixture
def canary(both: tuple[Arm, Arm]) -> Arm:
    """The arm with faults."""
    return both[1].ready()


def plant(state: Path, fault: str | None, **changed: Any) -> None:
    """Let a fault begin in the canary at once, or none."""
    settings = {**(FAULTS[fault].plant or {}), "after": 0.0, **changed} if fault else {}
    write_json(state / "arms/canary/bento/src" / SETTINGS, settings)


def ask(arm: Arm) -> float | None:
    """A prediction, None for an error."""
    server = bento.Server(arm.address, arm.key)
    try:
        found: float = bento.ask(server, "/v1/predict", TRIP)["value"]
    except OSError:
        return None
    return found


def trips(folder: Path) -> Path:
    """The same trip of many entities, as a generator reads it."""
    file = folder / "requests.jsonl"
    lines = (
        {"body": json.dumps(TRIP), "entity": f"rider-{each}", "outcome": 9.0, "after": 0.0}
        for each in range(ENTITIES)
    )
    file.write_text("".join(json.dumps(each) + "\n" for each in lines))
    return file


def asked(running: Traffic, least: int) -> bool:
    """Whether so many requests were answered."""
    return len(answers.read(running.answers)) > least


def test_arms_share_keys_and_log_and_count_apart(
    house: Arms, stable: Arm, canary: Arm, tmp_path: Path
) -> None:
    assert stable.address != canary.address
    file = trips(tmp_path)
    for arm in (stable, canary):
        with traffic.generating(
            arm.address, house.key, file, 200.0, tmp_path / arm.name
        ) as running:
            until(partial(asked, running, 50), 10)
        found = answers.read(running.answers)
        assert not any(each.failed for each in found)
        counted = look(arm.address).total("preflight_requests_total", route="predict")
        assert counted == sum(bool(each.entity) for each in found)
    logged = connect(house.log).sql("SELECT count(*), count(DISTINCT entity) FROM predictions")
    outcomes = connect(house.log).sql("SELECT count(*) FROM outcomes").fetchall()[0][0]
    rows, entities = logged.fetchall()[0]
    assert rows > 100
    assert 50 < entities <= ENTITIES
    assert outcomes > 0


def test_a_shift_begins_and_ends_as_the_settings_say(state: Path, stable: Arm, canary: Arm) -> None:
    right = ask(stable)
    assert right is not None
    assert ask(canary) == right
    plant(state, "shifted", by=3.0)
    until(lambda: ask(canary) == pytest.approx(right + 3.0), 5)
    plant(state, None)
    until(lambda: ask(canary) == right, 5)


def test_planted_errors_are_counted_as_the_services_own(
    state: Path, canary: Arm, stable: Arm
) -> None:
    plant(state, "errors", share=1.0)
    until(lambda: ask(canary) is None, 5)
    assert look(canary.address).total("preflight_errors_total", route="predict") >= 1
    assert ask(stable) is not None
    assert look(stable.address).total("preflight_errors_total") == 0
    plant(state, None)
    until(lambda: ask(canary) is not None, 5)


def test_a_slow_model_is_counted_as_slow(state: Path, canary: Arm) -> None:
    name, most = "preflight_latency_seconds", LIMITS.max_seconds
    plant(state, "latency", share=1.0)

    def slow() -> float:
        ask(canary)
        found = look(canary.address)
        fast = found.total(f"{name}_bucket", route="predict", le=f"{most:g}")
        return found.total(f"{name}_count", route="predict") - fast

    until(lambda: slow() >= 2, 10)
    plant(state, None)


def test_a_leak_shows_in_the_workers_memory(state: Path, canary: Arm) -> None:
    def memory() -> float:
        return max(look(canary.address).values("preflight_worker_memory_bytes"))

    before = memory()
    plant(state, "memory-leak", bytes=20_000_000)

    def leaked() -> bool:
        ask(canary)
        return memory() > before + 60_000_000

    until(leaked, 10)
    plant(state, None)


def test_an_arm_that_is_killed_starts_again_at_its_address_and_counts_from_zero(
    canary: Arm,
) -> None:
    assert ask(canary) is not None
    before, restarts = canary.pid, canary.restarts
    bento.send(bento.tree(canary.pid), signal.SIGKILL)
    until(lambda: canary.restarts > restarts, 10)
    canary.ready()
    assert canary.pid != before
    assert look(canary.address).total("preflight_requests_total", route="predict") == 0
    assert ask(canary) is not None


def test_a_crash_loop_takes_the_arm_again_and_again(state: Path, canary: Arm) -> None:
    restarts = canary.restarts
    plant(state, "crash-loop")
    until(lambda: canary.restarts >= restarts + 2, 20)
    plant(state, None)
    canary.ready()


def test_an_arm_that_is_drained_answers_all_who_were_let_in_and_stays_away(
    house: Arms, built: Path, tmp_path: Path
) -> None:
    arm = house.start("drained", built, packaged(built)).ready()
    with traffic.generating(
        arm.address, house.key, trips(tmp_path), 100.0, tmp_path / "t"
    ) as running:
        until(partial(asked, running, 50), 10)
        arm.drain()
        running.pause()
    assert not any(each.failed for each in answers.read(running.answers) if each.entity)
    until(lambda: not look(arm.address).reached, 20)
    assert arm.restarts == 0
