"""The faults of a rehearsal: what is planted goes wrong as it says, and the judge names it."""

import asyncio
import json
import os
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from preflight.rehearsal import copies, planted
from preflight.rehearsal.faults import FAULTS
from preflight.rehearsal.planted import Planted
from preflight.rollout.judge import judge
from preflight.rollout.observed import Counts, Health
from preflight.serving.service import ModelService
from preflight.serving.service import Route as ServedRoute
from rollouts import LIMITS, rollout

NAMES = (
    "errors entity-errors latency shifted worse-model crash-loop memory-leak no-traffic "
    "metrics-down judge-down envoy-restarted counters-reset second-release"
)
TRIES = 2_000


def test_every_fault_has_its_name_its_words_and_its_end() -> None:
    assert " ".join(FAULTS) == NAMES
    for name, fault in FAULTS.items():
        assert fault.name == name
        assert fault.said
        assert (fault.plant is None) or fault.plant["kind"] == name


@dataclass(frozen=True)
class Route:
    """A service's route."""

    handler: Any


class Model:
    """Answers with the sum of its features."""

    def predict(self, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
        """One a row."""
        found: NDArray[np.float64] = matrix.sum(axis=1)
        return found


class Service:
    """A service with the parts that a fault takes hold of."""

    def load(self) -> None:
        """As a ModelService."""
        self.model = Model()
        self.answerer = SimpleNamespace(one=self._one, _model=SimpleNamespace(model=self.model))
        self.routes = {"/v1/predict": Route(self._handle)}

    def _one(self, columns: float, bucket: int, mode: str) -> float:
        return float(self.model.predict(np.full((1, 1), columns))[0])

    async def _handle(self, exchange: Any) -> None:
        exchange.answer = self.answerer.one(1.0, 0, "normal")

    def ask(self, who: str = "somebody") -> float | None:
        """The answer to one entity, None for an error."""
        exchange = SimpleNamespace(caller=SimpleNamespace(entity=who), answer=None)
        try:
            asyncio.run(self.routes["/v1/predict"].handler(exchange))
        except RuntimeError:
            return None
        found: float = exchange.answer
        return found


@pytest.fixture
def service() -> Service:
    """A loaded service."""
    found = Service()
    found.load()
    return found


def wrong(service: Service, tmp_path: Path, name: str, **settings: Any) -> Planted:
    """A service in which a fault has begun, with its own settings but for some."""
    file = tmp_path / "planted.json"
    plant = FAULTS[name].plant
    assert plant is not None
    file.write_text(json.dumps({**plant, "after": 0.0, **settings}))
    found = Planted(service, file)
    found.look()
    return found


def test_a_planted_service_without_settings_answers_rightly(
    service: Service, tmp_path: Path
) -> None:
    Planted(service, tmp_path / "planted.json").look()
    assert [service.ask() for _ in range(20)] == [1.0] * 20


def test_errors_come_in_their_share(service: Service, tmp_path: Path) -> None:
    wrong(service, tmp_path, "errors", share=0.05)
    with asyncio.Runner() as runner:
        found = [runner.run(one(service, "somebody")) for _ in range(TRIES)]
    assert 0.03 < found.count(None) / TRIES < 0.07


async def one(service: Service, who: str) -> float | None:
    """As `ask`, in a loop that is there."""
    exchange = SimpleNamespace(caller=SimpleNamespace(entity=who), answer=None)
    try:
        await service.routes["/v1/predict"].handler(exchange)
    except RuntimeError:
        return None
    found: float = exchange.answer
    return found


def test_errors_of_some_entities_are_theirs_alone(service: Service, tmp_path: Path) -> None:
    wrong(service, tmp_path, "entity-errors", share=1.0, entities=0.33)
    with asyncio.Runner() as runner:
        struck = {
            who: {runner.run(one(service, str(who))) is None for _ in range(3)}
            for who in range(500)
        }
    assert all(len(found) == 1 for found in struck.values())
    assert 0.25 < sum(True in found for found in struck.values()) / 500 < 0.41


def test_a_slow_model_takes_longer_than_the_limit(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    monkeypatch.setattr(time, "sleep", slept.append)
    wrong(service, tmp_path, "latency", share=1.0)
    assert service.ask() == 1.0
    assert min(slept) > LIMITS.max_seconds


def test_shifted_predictions_are_higher(service: Service, tmp_path: Path) -> None:
    wrong(service, tmp_path, "shifted", by=3.0)
    assert service.ask() == 4.0
    assert service.model.predict(np.ones((2, 1))).tolist() == [4.0, 4.0]


def test_a_worse_model_is_wrong_and_keeps_the_distribution(
    service: Service, tmp_path: Path
) -> None:
    wrong(service, tmp_path, "worse-model", share=0.5)
    right = np.random.default_rng(3).gamma(4.0, 3.0, TRIES)
    found = np.concatenate([service.model.predict(np.full((1, 1), each)) for each in right])
    assert 0.2 < np.mean(np.abs(found - right) > LIMITS.max_error) < 0.4
    quantiles = [0.1, 0.5, 0.9]
    assert np.allclose(np.quantile(found, quantiles), np.quantile(right, quantiles), rtol=0.1)


def test_a_leak_keeps_memory_up_to_its_most(service: Service, tmp_path: Path) -> None:
    found = wrong(service, tmp_path, "memory-leak", bytes=1_000, most=5_000)
    for _ in range(20):
        service.ask()
    assert sum(map(len, found._leaked)) == 5_000


def test_a_crash_takes_the_process_and_the_one_that_would_replace_it(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda *each: killed.append(each))
    wrong(service, tmp_path, "crash-loop")
    assert killed == [(os.getppid(), signal.SIGKILL), (os.getpid(), signal.SIGKILL)]


def test_a_fault_waits_for_its_time(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = wrong(service, tmp_path, "shifted", by=3.0, after=30.0)
    assert service.ask() == 1.0
    later = time.monotonic() + 31
    monkeypatch.setattr(time, "monotonic", lambda: later)
    found.look()
    assert service.ask() == 4.0


def test_a_class_is_planted_once_it_has_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    class Fresh(Service):
        """Another class than the tests'."""

    watched: list[Planted] = []

    def watch(found: Planted) -> None:
        watched.append(found)

    monkeypatch.setattr(Planted, "watch", watch)
    planted.plant(Fresh)
    found = Fresh()
    found.load()
    assert found.ask() == 1.0
    watched[0].settings = {"kind": "shifted", "by": 1.0}
    assert found.ask() == 2.0


def test_the_real_service_has_what_a_fault_takes_hold_of() -> None:
    assert callable(ModelService.load)
    assert replace(ServedRoute("predict", "POST", served), handler=served).handler is served


async def served(_: Any) -> None:
    """A handler."""


def bento(folder: Path) -> Path:
    """The files of a Bento that a copy changes, and one that it does not."""
    files = {
        "src/models/booster.txt": "trees",
        str(copies.SERVICE): "class ModelService: ...\n",
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def test_a_copy_has_the_fault_beside_its_code_and_the_bento_stays_as_it_was(
    tmp_path: Path,
) -> None:
    folder = bento(tmp_path / "bento")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    found = copies.copied(folder, tmp_path / "copy", {"kind": "errors"})
    assert (found / copies.SERVICE).read_text().endswith("planted.plant(ModelService)\n")
    assert (found / "src/planted.py").exists()
    assert json.loads((found / "src/planted.json").read_text()) == {"kind": "errors"}
    model = "src/models/booster.txt"
    assert (found / model).stat().st_ino == (folder / model).stat().st_ino
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def said(**canary: float) -> str:
    """The judge's reason for a rollout with such a canary."""
    return judge(rollout(1, **canary), LIMITS).reason  # type: ignore[arg-type]


def test_the_judge_names_what_was_planted() -> None:
    found: Mapping[str, str] = {
        "errors": said(errors=0.05),
        "entity-errors": said(errors=0.15),
        "latency": said(slow=0.1),
        "shifted": said(moved=0.9),
        "memory-leak": judge(
            replace(rollout(1), health=Health(restarts=0, memory=5e8)), LIMITS
        ).reason,
        "crash-loop": judge(
            replace(rollout(1), health=Health(restarts=3, memory=None)), LIMITS
        ).reason,
        "worse-model": judge(rollout(1), LIMITS, labelled(0.2, 0.5)).reason,
    }
    for name, reason in found.items():
        assert FAULTS[name].named(reason), (name, reason)


def test_an_honest_canarys_verdict_names_nothing_that_aborts() -> None:
    aborts = [fault for fault in FAULTS.values() if fault.expected == "aborted"]
    assert not any(fault.named(said()) for fault in aborts)


def labelled(*wrong: float) -> Counts:
    """Wrong answers of both arms at 20 looks of 640 labelled ones each, in 32 blocks."""
    looks = np.arange(1.0, 21.0)[:, None, None]
    total = np.tile(20 * looks, (1, 2, 32))
    return Counts(np.round(total * np.array(wrong)[None, :, None]), total)
