"""Batches and streams: every line answered in its order, within limits and a time of their own."""

import asyncio
import json
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from asked import TRIP, Heard, ask, bearer, loaded, speak
from preflight import params
from preflight.params import Mode, Serving
from preflight.serving.answers import Answerer
from preflight.serving.app import ModelService
from preflight.serving.batches import Batches, Remember
from preflight.serving.deadlines import Deadlines
from preflight.serving.exchange import Exchange
from preflight.serving.metrics import Metrics
from preflight.serving.problems import Refusal
from preflight.serving.recorder import Asked, Unlogged
from preflight.serving.requests import Decoder
from taxi.contract import CONTRACT

LIMITS = params.load().serving
LINES, BATCH = "/v1/predict/lines", "/v1/predict/batch"
TRIPS = [TRIP | {"trip_distance": miles} for miles in (0.5, 1.9, 20.0)]
GOOD = [json.dumps(trip).encode() for trip in TRIPS]
BAD = json.dumps(TRIP | {"pickup_zone": 999}).encode()
Loaded = tuple[ModelService, str]


@pytest.fixture(scope="module")
def asked(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loaded]:
    """A loaded service of the small repository, and a key of all scopes."""
    with loaded(built, tmp_path_factory.mktemp("batches")) as found:
        yield found


def streamed(asked: Loaded, parts: Sequence[bytes | None]) -> Heard:
    """The answer to lines that come in these parts."""
    said = speak(asked[0], LINES, parts, [bearer(asked[1])])
    return asyncio.run(asyncio.wait_for(said, 10))


def told(found: Heard) -> list[Any]:
    """Each line in short: an answer's value, or a problem's line and field."""
    return [
        line["value"] if "value" in line else (line["line"], line["field"]) for line in found.lines
    ]


@pytest.fixture(scope="module")
def values(asked: Loaded) -> list[float]:
    """What the model says of the three trips."""
    answer = ask(asked[0], "POST", BATCH, asked[1], json={"instances": TRIPS}).json()
    return [each["value"] for each in answer["predictions"]]


def test_lines_are_answered_in_their_order(asked: Loaded, values: list[float]) -> None:
    heard = streamed(asked, [b"\n".join(GOOD)])
    assert (heard.status, told(heard)) == (200, values)
    assert (b"content-type", b"application/x-ndjson") in heard.headers
    assert b"".join(heard.parts).endswith(b"\n")


def test_each_part_is_answered_before_the_next_comes(asked: Loaded, values: list[float]) -> None:
    heard = streamed(asked, [line + b"\n" for line in GOOD])
    assert [part.count(b"\n") for part in heard.parts] == [1, 1, 1, 0]
    assert told(heard) == values


@pytest.mark.parametrize("size", [1, 2, 7, 50, 1_000])
def test_where_the_parts_break_makes_no_difference(
    asked: Loaded, values: list[float], size: int
) -> None:
    body = b"\n".join([GOOD[0], BAD, b"", GOOD[1], b"{", GOOD[2]]) + b"\n"
    parts = [body[start : start + size] for start in range(0, len(body), size)]
    expected = [values[0], (2, "pickup_zone"), values[1], (5, "body"), values[2]]
    assert told(streamed(asked, parts)) == expected


def test_a_refused_line_is_a_problem_with_its_number(asked: Loaded) -> None:
    (first, second, last) = streamed(asked, [BAD + b"\n" + GOOD[0] + b"\n", b"[]"]).lines
    assert (first["status"], first["field"], first["line"]) == (422, "pickup_zone", 1)
    assert "value" in second
    assert (last["expected"], last["line"]) == ("an object", 3)


def test_blank_lines_are_counted_and_not_answered(asked: Loaded, values: list[float]) -> None:
    body = b"\n\n  \n" + GOOD[0] + b"\r\n\n" + BAD + b"\n\n"
    assert told(streamed(asked, [body])) == [values[0], (6, "pickup_zone")]


@pytest.mark.parametrize("body", [b"", b"\n", b" \n\r\n"])
def test_a_stream_without_lines_has_an_empty_answer(asked: Loaded, body: bytes) -> None:
    heard = streamed(asked, [body])
    assert (heard.status, b"".join(heard.parts)) == (200, b"")


def test_a_row_over_two_lines_is_two_refused_lines(asked: Loaded) -> None:
    """As if each line stood alone: where a part ends must not matter."""
    one = json.dumps(TRIP, indent=0).encode()
    lines = one.count(b"\n") + 1
    found = streamed(asked, [one + b"\n"])
    assert told(found) == [(place, "body") for place in range(1, lines + 1)]


def test_two_rows_on_one_line_are_one_refused_line(asked: Loaded) -> None:
    assert told(streamed(asked, [GOOD[0] + b" " + GOOD[1] + b"\n"])) == [(1, "body")]


def test_a_name_that_is_no_text_refuses_its_line_alone(asked: Loaded, values: list[float]) -> None:
    odd = GOOD[0][:-1] + b', "\\ud800": 1}'
    found = streamed(asked, [b"\n".join([GOOD[0], odd, GOOD[1]])])
    assert [line.get("value") for line in found.lines] == [values[0], None, values[1]]
    assert found.lines[1]["found"] == "an unknown field"


@pytest.mark.parametrize("end", [b"", b"\n"], ids=["open", "ended"])
def test_a_line_too_long_ends_the_stream_with_a_problem(
    asked: Loaded, values: list[float], end: bytes
) -> None:
    long = b" " * (LIMITS.max_line_bytes + 1) + end
    heard = streamed(asked, [GOOD[0] + b"\n", long, None])
    assert heard.status == 200
    assert heard.lines[0]["value"] == values[0]
    assert (heard.lines[1]["status"], heard.lines[1]["field"]) == (413, "body")


def test_a_line_of_the_most_bytes_is_answered(asked: Loaded, values: list[float]) -> None:
    most = GOOD[0].ljust(LIMITS.max_line_bytes)
    assert told(streamed(asked, [most + b"\n" + most])) == [values[0]] * 2


def test_a_stream_may_be_longer_than_any_body(asked: Loaded, values: list[float]) -> None:
    part = b"\n".join([GOOD[0].ljust(16_000)] * 50) + b"\n"
    heard = streamed(asked, [part] * 6)
    assert len(part) * 6 > LIMITS.max_body_bytes
    assert told(heard) == [values[0]] * 300


def test_an_error_in_the_middle_is_a_last_line_without_its_reason(
    asked: Loaded, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    model, sound = asked[0]._model, asked[0]._model.answer
    calls: list[int] = []

    def second_fails(columns: Any) -> Any:
        calls.append(1)
        if len(calls) == 2:
            raise RuntimeError("TELLTALE")
        return sound(columns)

    monkeypatch.setattr(model, "answer", second_fails)
    heard = streamed(asked, [line + b"\n" for line in GOOD])
    first, last = heard.lines
    assert "value" in first
    assert last["status"] == 500
    assert "TELLTALE" not in str(last)
    assert "TELLTALE" in caplog.text
    assert len(streamed(asked, GOOD[:1]).lines) == 1


class Slow:
    """An answerer that waits until it may go on."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.most, self._now, self._lock = 0, 0, threading.Lock()
        self.mode: list[Mode] = []

    def refused(self, *_: Any) -> dict[int, Any]:
        """No row."""
        return {}

    def many(self, columns: dict[str, Any], bucket: int, mode: Mode) -> list[int]:
        """As many numbers as rows."""
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
            self.mode.append(mode)
        self.go.wait(10)
        with self._lock:
            self._now -= 1
        return [7] * len(next(iter(columns.values())))


class Caller:
    """One exchange with batches of its own, and what was sent."""

    def __init__(self, limits: Serving, parts: Sequence[bytes | None]) -> None:
        self.sent: list[Any] = []
        self._parts = list(parts)
        self.exchange = Exchange(
            self._receive,
            self._send,
            {},
            [(b"x-request-id", b"order-7")],
            Deadlines(),
            limits.body_seconds,
        )

    async def _receive(self) -> dict[str, Any]:
        part = self._parts.pop(0) if self._parts else None
        if part is None:
            await asyncio.Event().wait()
        return {"type": "http.request", "body": part, "more_body": bool(self._parts)}

    async def _send(self, message: Any) -> None:
        self.sent.append(message)


def batches(
    slow: Slow, limits: Serving, mode: Mode = "normal", remember: Remember = lambda *_: None
) -> tuple[Batches, Metrics]:
    """Batches over an answerer that waits."""
    metrics = Metrics(CONTRACT.target_bins)
    metrics.judge("batch")
    decoder = Decoder(CONTRACT, limits.max_batch)
    answerer = cast(Answerer, slow)
    found = Batches(answerer, decoder, metrics, remember, limits, lambda _: mode)
    return found, metrics


def limits(**changes: float) -> Serving:
    """The declared limits with changes."""
    return LIMITS.model_copy(update=changes)


BODY = json.dumps({"instances": TRIPS}).encode()


@pytest.mark.parametrize("route", ["batch", "lines"])
def test_an_answer_that_comes_too_late_is_503_and_judged(route: str) -> None:
    slow, short = Slow(), limits(batch_seconds=0.05)
    found, metrics = batches(slow, short)
    caller = Caller(short, [BODY if route == "batch" else GOOD[0]])
    with pytest.raises(Refusal) as caught:
        asyncio.run(asyncio.wait_for(getattr(found, route)(caller.exchange), 10))
    slow.go.set()
    assert (caught.value.status, caught.value.found) == (503, "none within 0.05 s")
    assert caught.value.headers == [(b"retry-after", b"5")]
    labels = {"route": "batch", "entity_bucket": "00"}
    errors = metrics.registry.get_sample_value("preflight_errors_total", labels)
    assert errors == (1.0 if route == "batch" else 0.0)


def test_no_more_batches_are_worked_on_at_once_than_allowed() -> None:
    slow, few = Slow(), limits(max_batches=2)
    found, _ = batches(slow, few)
    callers = [Caller(few, [BODY]) for _ in range(6)]

    async def story() -> None:
        asking = asyncio.gather(*(found.batch(caller.exchange) for caller in callers))
        while slow.most < 2:
            await asyncio.sleep(0.001)
        slow.go.set()
        await asking

    asyncio.run(asyncio.wait_for(story(), 10))
    assert slow.most == 2
    bodies = [json.loads(caller.sent[1]["body"]) for caller in callers]
    assert bodies == [{"predictions": [7, 7, 7]}] * 6


def test_other_requests_are_answered_while_a_batch_is_worked_on() -> None:
    slow = Slow()
    found, _ = batches(slow, LIMITS)
    caller = Caller(LIMITS, [BODY])

    async def story() -> None:
        asking = asyncio.create_task(found.batch(caller.exchange))
        while slow.most < 1:  # this loop runs, so it is free for others
            await asyncio.sleep(0.001)
        assert not asking.done()
        slow.go.set()
        await asking

    asyncio.run(asyncio.wait_for(story(), 10))


def test_a_batch_is_answered_in_the_mode_that_holds_then() -> None:
    slow = Slow()
    slow.go.set()
    found, _ = batches(slow, LIMITS, "fallback")
    asyncio.run(found.batch(Caller(LIMITS, [BODY]).exchange))
    assert slow.mode == ["fallback"]


@pytest.mark.parametrize("changes", [{"body_seconds": 0.02}, {"stream_seconds": 0.02}])
def test_a_stream_that_does_not_go_on_is_408(changes: dict[str, float]) -> None:
    slow, short = Slow(), limits(**changes)
    slow.go.set()
    found, _ = batches(slow, short)
    caller = Caller(short, [GOOD[0] + b"\n", None])
    with pytest.raises(Refusal) as caught:
        asyncio.run(asyncio.wait_for(found.lines(caller.exchange), 10))
    assert (caught.value.status, caught.value.field) == (408, "body")
    assert [message["type"] for message in caller.sent] == [
        "http.response.start",
        "http.response.body",
    ]


def test_bodies_without_room_are_told_to_come_again(
    asked: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = asked[0].routes[BATCH].handler.__self__._room  # type: ignore[attr-defined]
    monkeypatch.setattr(room, "free", len(BODY))
    assert ask(asked[0], "POST", BATCH, asked[1], content=BODY + b" ").status_code == 503
    for content in (b"{", b" " * 5_000_000, BODY):  # refused ones give their room back
        status = ask(asked[0], "POST", BATCH, asked[1], content=content).status_code
    assert status == 200


def test_a_large_batch_is_answered_as_its_rows_are(asked: Loaded, values: list[float]) -> None:
    rows = TRIPS * 3_000
    answer = ask(asked[0], "POST", BATCH, asked[1], json={"instances": rows}).json()
    found = np.array([each["value"] for each in answer["predictions"]])
    np.testing.assert_array_equal(found, np.tile(values, 3_000))


def rows(log: list[tuple[Asked, int]]) -> Remember:
    """Keeps who asked and how many rows were answered, in place of a log."""

    def remember(asked: Asked, columns: Any, found: Sequence[Any]) -> None:
        assert {len(values) for values in columns.values()} == {len(found)}
        log.append((asked, len(found)))

    return remember


@pytest.mark.parametrize("route", ["batch", "lines"])
def test_rows_are_recorded_before_their_answer_leaves(route: str) -> None:
    slow = Slow()
    slow.go.set()
    caller = Caller(LIMITS, [BODY] if route == "batch" else [b"\n".join([BAD, *GOOD, b""])])
    log: list[tuple[Asked, int]] = []
    keep, sent = rows(log), []

    def remember(*given: Any) -> None:
        sent.extend(caller.sent)
        keep(*given)

    found, _ = batches(slow, LIMITS, "fallback", remember)
    asyncio.run(getattr(found, route)(caller.exchange))
    ((asked, count),) = log
    assert (asked.mode, asked.exchange, count) == ("fallback", caller.exchange, 3)
    assert (sent, len(caller.sent) > 1) == ([], True)


@pytest.mark.parametrize("route", ["batch", "lines"])
def test_rows_that_cannot_be_recorded_are_not_answered(route: str) -> None:
    def full(*_: Any) -> None:
        raise Unlogged(503, "log", "a failure to write it", "a log")

    slow = Slow()
    slow.go.set()
    found, metrics = batches(slow, LIMITS, remember=full)
    caller = Caller(LIMITS, [BODY if route == "batch" else GOOD[0] + b"\n"])
    with pytest.raises(Unlogged):
        asyncio.run(getattr(found, route)(caller.exchange))
    assert caller.sent == []
    labels = {"route": "batch", "entity_bucket": "00"}
    for name in ("errors_total", "latency_seconds_count"):
        counted = metrics.registry.get_sample_value(f"preflight_{name}", labels)
        assert counted == (1.0 if route == "batch" else 0.0)


@pytest.mark.parametrize("body", [b"", b"\n", BAD])
def test_lines_without_an_answer_are_not_recorded(body: bytes) -> None:
    slow = Slow()
    slow.go.set()
    log: list[tuple[Asked, int]] = []
    found, _ = batches(slow, LIMITS, remember=rows(log))
    asyncio.run(found.lines(Caller(LIMITS, [body]).exchange))
    assert log == []
