"""Each answer leaves one whole record, and where that fails what is declared happens."""

import asyncio
import errno
import json
import logging
import math
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import httpx
import numpy as np
import pytest

from asked import TRIP, ask, bearer, loaded, samples, speak
from preflight.log.schema import FIELDS, PREDICTIONS, Stream
from preflight.serving.app import ModelService
from preflight.serving.recorder import Asked
from preflight.serving.sinks import Sink
from remembered import records

Loaded = tuple[ModelService, str]
Way = Callable[..., tuple[httpx.Response, list[Any]]]
TRIPS = [TRIP | {"trip_distance": miles} for miles in (0.5, 0.1 + 0.2, 20.0)]
TRIPS[1]["pickup_at"] = "2021-02-03T08:15:00.123456"
NAMES = [field.name for field in PREDICTIONS]


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the shared service logs."""
    return tmp_path_factory.mktemp("recorder")


@pytest.fixture(scope="module")
def shared(built: Path, state: Path) -> Iterator[Loaded]:
    """A loaded service of the small repository, and a key of all scopes."""
    with loaded(built, state) as found:
        yield found


@pytest.fixture
def asked(shared: Loaded) -> Iterator[Loaded]:
    """The shared service, whose recorder a test may change; it is well again afterwards."""
    recorder = shared[0].recorder
    with pytest.MonkeyPatch.context() as patch:
        for name in ("_sinks", "_refuses", "behind_proxy", "arm"):
            patch.setattr(recorder, name, getattr(recorder, name))
        yield shared
    _, (prediction,) = one(shared)
    assert happened(shared, prediction).status_code == 202


def happened(asked: Loaded, prediction: dict[str, Any]) -> httpx.Response:
    """The answer to an outcome of a prediction."""
    body = {"prediction_id": prediction["prediction_id"], "value": 12.0}
    return ask(asked[0], "POST", "/v1/outcomes", asked[1], json=body)


def one(asked: Loaded, trips: list[Any] = TRIPS[:1], **more: Any) -> tuple[Any, list[Any]]:
    """The answer to a trip."""
    answer = ask(asked[0], "POST", "/v1/predict", asked[1], json=trips[0], **more)
    return answer, [answer.json()]


def batch(asked: Loaded, trips: list[Any] = TRIPS, **more: Any) -> tuple[Any, list[Any]]:
    """The answers to trips in a batch."""
    body = {"instances": trips}
    answer = ask(asked[0], "POST", "/v1/predict/batch", asked[1], json=body, **more)
    return answer, answer.json().get("predictions", [answer.json()])


def lines(asked: Loaded, trips: list[Any] = TRIPS, **more: Any) -> tuple[Any, list[Any]]:
    """The answers to trips in a stream."""
    body = "".join(json.dumps(trip) + "\n" for trip in trips)
    answer = ask(asked[0], "POST", "/v1/predict/lines", asked[1], content=body, **more)
    return answer, [json.loads(line) for line in answer.text.splitlines()]


WAYS = pytest.mark.parametrize("way", [one, batch, lines])


def made(state: Path, act: Callable[[], Any]) -> list[dict[str, Any]]:
    """The records that something leaves."""
    before = len(records(state))
    act()
    return records(state)[before:]


@WAYS
def test_each_answer_leaves_one_record_of_exactly_the_documented_fields(
    asked: Loaded, state: Path, way: Way
) -> None:
    answers: list[Any] = []
    found = made(state, lambda: answers.extend(way(asked)[1]))
    assert [record["id"] for record in found] == [each["prediction_id"] for each in answers]
    assert len(found) == len(answers) == (1 if way is one else 3)
    assert [list(record) for record in found] == [NAMES] * len(found)
    assert {record["route"] for record in found} == {"predict" if way is one else way.__name__}


@WAYS
def test_the_record_says_what_was_answered(asked: Loaded, state: Path, way: Way) -> None:
    answers: list[Any] = []
    found = made(state, lambda: answers.extend(way(asked)[1]))
    for record, answer in zip(found, answers, strict=True):
        ends = answer["interval"]
        assert (record["lower"], record["upper"]) == (ends["lower"], ends["upper"])
        for name in ("value", "flags", "model_version"):
            assert record[name] == answer[name]


@WAYS
def test_a_logged_input_is_what_the_model_got_to_the_last_bit(
    asked: Loaded, state: Path, way: Way
) -> None:
    found = made(state, lambda: way(asked))
    for record, trip in zip(found, TRIPS, strict=way is not one):
        given = asked[0].decoder.one(json.dumps(trip).encode())
        again = asked[0].decoder.one(json.dumps(record["input"]).encode())
        assert list(record["input"]) == list(given)
        for name, values in given.items():
            assert (again[name].dtype, again[name].tobytes()) == (values.dtype, values.tobytes())


def test_the_record_says_who_asked_when_and_of_which_build(asked: Loaded, state: Path) -> None:
    start = datetime.now(UTC)
    headers = {"x-request-id": "order-7", "x-entity-id": "rider-7"}
    (found,) = made(state, lambda: one(asked, headers=headers))
    assert start <= datetime.fromisoformat(found["at"]) <= datetime.now(UTC)
    assert found["at"].endswith("Z")
    assert (found["client"], found["request_id"], found["mode"]) == ("tests", "order-7", "normal")
    version = ask(asked[0], "GET", "/version", asked[1]).json()
    for name in ("model_version", "model_hash", "commit", "bento", "contract"):
        assert found[name] == version[name]


def test_an_entity_that_the_contract_calls_sensitive_is_logged_as_its_hash(
    asked: Loaded, state: Path
) -> None:
    riders = ("rider-7", "rider-8", "rider-7")
    found = made(state, lambda: [one(asked, headers={"x-entity-id": rider}) for rider in riders])
    entities = [record["entity"] for record in found]
    assert entities[0] == entities[2] != entities[1]
    assert all(entity.startswith("hash:") for entity in entities)
    assert "rider" not in str(found)


def test_an_entity_that_is_not_sensitive_is_logged_as_it_is(
    asked: Loaded, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asked[0].recorder, "_hides", False)
    (found,) = made(state, lambda: one(asked, headers={"x-entity-id": "rider-7"}))
    assert found["entity"] == "rider-7"


@WAYS
def test_what_is_refused_leaves_no_record(asked: Loaded, state: Path, way: Way) -> None:
    bad = TRIP | {"pickup_zone": 999}
    found = made(state, lambda: way(asked, [bad, *TRIPS]))
    assert len(found) == (3 if way is lines else 0)


def test_nobody_without_a_key_leaves_a_record(asked: Loaded, state: Path) -> None:
    assert not made(state, lambda: ask(asked[0], "POST", "/v1/predict", json=TRIP))


@WAYS
def test_an_answer_of_the_baseline_is_logged_with_its_mode_and_flag(
    asked: Loaded, state: Path, monkeypatch: pytest.MonkeyPatch, way: Way
) -> None:
    switched = asked[0].limits.model_copy(update={"mode": "fallback"})
    monkeypatch.setattr(asked[0], "limits", switched)
    for record in made(state, lambda: way(asked)):
        assert (record["mode"], record["flags"]) == ("fallback", ["fallback.mode"])
        assert (record["lower"], record["upper"]) == (None, None)


@WAYS
def test_an_output_that_cannot_be_right_is_logged_as_it_was_answered(
    asked: Loaded, state: Path, monkeypatch: pytest.MonkeyPatch, way: Way
) -> None:
    model = asked[0]._model.model
    monkeypatch.setattr(model, "predict", lambda matrix: np.full(len(matrix), math.nan))
    for record in made(state, lambda: way(asked)):
        assert (record["mode"], record["flags"]) == ("normal", ["fallback.output"])
        assert math.isfinite(record["value"])


def test_latency_is_in_milliseconds_from_the_requests_last_byte(
    asked: Loaded, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = asked[0].recorder
    early = recorder.predictions

    def later(asked: Asked, *more: Any) -> None:
        early(asked._replace(start=asked.start - 0.25), *more)

    monkeypatch.setattr(asked[0], "_remember", later)
    start = time.perf_counter()
    (found,) = made(state, lambda: one(asked))
    assert 250 < found["latency_ms"] < 250 + 1e3 * (time.perf_counter() - start)


def proxied(asked: Loaded, state: Path, arm: str, pair: str) -> list[Any]:
    """Arm and pair of the record of a request with these headers."""
    headers = {"x-arm": arm, "x-pair-id": pair}
    (found,) = made(state, lambda: one(asked, headers=headers))
    return [found["arm"], found["pair_id"]]


def test_without_a_proxy_nobody_says_of_which_arm_he_is(asked: Loaded, state: Path) -> None:
    assert proxied(asked, state, "canary", "pair-7") == [None, None]


def test_behind_a_proxy_its_arm_and_pair_are_logged(asked: Loaded, state: Path) -> None:
    asked[0].recorder.behind_proxy = True
    assert proxied(asked, state, "canary", "pair-7") == ["canary", "pair-7"]
    (found,) = made(state, lambda: one(asked))
    assert (found["arm"], found["pair_id"]) == (None, None)


def test_a_shadow_is_one_whatever_its_copy_of_a_request_says(asked: Loaded, state: Path) -> None:
    asked[0].recorder.behind_proxy, asked[0].recorder.arm = True, "shadow"
    assert proxied(asked, state, "stable", "pair-7") == ["shadow", "pair-7"]


@pytest.mark.parametrize("odd", ["", "a b", "a" * 129, "a\nb", "é"])
def test_an_odd_word_of_a_proxy_is_none(asked: Loaded, state: Path, odd: str) -> None:
    asked[0].recorder.behind_proxy = True
    headers = [bearer(asked[1]), (b"x-arm", odd.encode()), (b"x-pair-id", b"pair-7")]
    body = [json.dumps(TRIP).encode()]
    (found,) = made(state, lambda: asyncio.run(speak(asked[0], "/v1/predict", body, headers)))
    assert (found["arm"], found["pair_id"]) == (None, "pair-7")


@WAYS
def test_where_it_is_asked_for_contributions_are_stored_and_sum_to_the_answer(
    asked: Loaded, state: Path, monkeypatch: pytest.MonkeyPatch, way: Way
) -> None:
    assert {record["explanation"] for record in made(state, lambda: way(asked))} == {None}
    monkeypatch.setattr(asked[0], "_remember", asked[0]._explained)
    batches = asked[0].routes["/v1/predict/batch"].handler.__self__  # type: ignore[attr-defined]
    monkeypatch.setattr(batches, "_remember", asked[0]._explained)
    for record in made(state, lambda: way(asked)):
        assert set(record["explanation"]) == {*asked[0]._model.model.features, "base"}
        assert sum(record["explanation"].values()) == pytest.approx(record["value"], abs=1e-6)


def _broken(_: object) -> Any:
    raise RuntimeError("a broken model")


@WAYS
def test_in_fallback_mode_a_model_that_cannot_explain_itself_is_not_asked(
    asked: Loaded, state: Path, monkeypatch: pytest.MonkeyPatch, way: Way
) -> None:
    switched = asked[0].limits.model_copy(update={"mode": "fallback"})
    monkeypatch.setattr(asked[0], "limits", switched)
    monkeypatch.setattr(asked[0]._model.model, "contributions", _broken)
    monkeypatch.setattr(asked[0], "_remember", asked[0]._explained)
    batches = asked[0].routes["/v1/predict/batch"].handler.__self__  # type: ignore[attr-defined]
    monkeypatch.setattr(batches, "_remember", asked[0]._explained)
    found = made(state, lambda: way(asked))
    assert {(record["mode"], record["explanation"]) for record in found} == {("fallback", None)}


class Full:
    """A sink on a full disk, until it has room again."""

    def __init__(self, behind: Sink) -> None:
        self._behind, self.full = behind, True

    def append(self, lines: bytes) -> None:
        """Fail, or pass on."""
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")
        self._behind.append(lines)

    def beat(self) -> None:
        """Fail, or do nothing."""
        self.append(b"")

    def close(self) -> None:
        """Nothing."""


def filled(asked: Loaded, on_failure: str, *streams: Stream) -> dict[Stream, Full]:
    """Let the disk of some streams be full, under a declared choice; all streams, unless told."""
    recorder = asked[0].recorder
    recorder._refuses = on_failure == "refuse"
    full = {stream: Full(recorder._sinks[stream]) for stream in streams or tuple(FIELDS)}
    recorder._sinks = cast(dict[Stream, Sink], recorder._sinks | full)
    return full


def total(asked: Loaded, name: str, *labels: str) -> float:
    """The sum of a metric's values under some labels."""
    found = samples(asked[0], f"preflight_{name}_total")
    return sum(value for key, value in found.items() if set(labels) <= set(key))


@WAYS
def test_what_cannot_be_recorded_is_refused_and_counted(
    asked: Loaded, state: Path, way: Way
) -> None:
    filled(asked, "refuse")
    route = "predict" if way is one else "batch"
    counts = (("log_failures", "predictions"), ("errors", route), ("unlogged",))
    before = [total(asked, *each) for each in counts]
    written = records(state)
    answer, (problem, *rest) = way(asked)
    assert (problem["status"], problem["field"], rest) == (503, "log", [])
    assert records(state) == written
    if way is not lines:
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert answer.headers["content-type"] == "application/problem+json"
    gained = [total(asked, *each) - then for each, then in zip(counts, before, strict=True)]
    assert gained == [1, 0 if way is lines else 1, 0]


@WAYS
def test_answers_may_be_given_unrecorded_and_are_counted(asked: Loaded, way: Way) -> None:
    filled(asked, "serve")
    counts = (("log_failures", "predictions"), ("errors",), ("unlogged",))
    before = [total(asked, *each) for each in counts]
    answer, found = way(asked)
    assert answer.status_code == 200
    assert all("value" in each for each in found)
    gained = [total(asked, *each) - then for each, then in zip(counts, before, strict=True)]
    assert gained == [1, 0, len(found)]


@pytest.mark.parametrize("on_failure", ["refuse", "serve"])
def test_outcomes_that_cannot_be_kept_are_refused_whatever_is_declared(
    asked: Loaded, on_failure: str
) -> None:
    _, (prediction,) = one(asked)
    filled(asked, on_failure)
    before = total(asked, "log_failures", "outcomes")
    answer = happened(asked, prediction)
    assert (answer.status_code, answer.json()["field"]) == (503, "log")
    assert total(asked, "log_failures", "outcomes") == before + 1


def said(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    """Level and message of what the service's own log says."""
    return [
        (record.levelname, record.getMessage())
        for record in caplog.records
        if record.name == "preflight"
    ]


def test_a_failure_is_told_once_and_so_is_its_end(
    asked: Loaded, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "preflight")
    full = filled(asked, "refuse", "predictions")["predictions"]
    for _ in range(3):
        one(asked)
    asked[0].recorder.beat()
    ((level, message),) = said(caplog)
    assert level == "ERROR"
    assert "predictions" in message
    assert "No space left" in message
    full.full = False
    for _ in range(3):
        one(asked)
    assert [level for level, _ in said(caplog)] == ["ERROR", "INFO"]


def test_one_streams_failure_is_told_once_while_the_other_goes_on(
    asked: Loaded, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "preflight")
    full = filled(asked, "refuse", "outcomes")["outcomes"]
    for _ in range(3):
        _, (prediction,) = one(asked)
        happened(asked, prediction)
    assert [level for level, _ in said(caplog)] == ["ERROR"]
    full.full = False
    happened(asked, prediction)
    assert [level for level, _ in said(caplog)] == ["ERROR", "INFO"]


def test_a_beat_that_fails_is_counted_and_stops_no_other(asked: Loaded) -> None:
    filled(asked, "refuse")
    before = [total(asked, "log_failures", stream) for stream in FIELDS]
    asked[0].recorder.beat()
    assert [total(asked, "log_failures", stream) for stream in FIELDS] == [
        then + 1 for then in before
    ]
