"""A service of a real Bento under load: its workers die, drain and come back."""

import asyncio
import itertools
import json
import math
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from urllib.request import urlopen

import pytest

from preflight.serving.life import SETTLE_SECONDS, Life
from served import (
    BODY,
    DRAIN_SECONDS,
    TRIP,
    TWO,
    Asked,
    Service,
    kept,
    load,
    packaged,
    post,
    running,
    until,
)

LINES = 15
COUNTERS = ("preflight_requests_total", "preflight_latency_seconds_count")
CALLERS = 16


@pytest.fixture(scope="module")
def folder(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Bento with short times."""
    return packaged(built, tmp_path_factory.mktemp("life"))


@pytest.fixture(scope="module")
def two(built: Path, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service of two workers."""
    with running(built, folder, tmp_path_factory.mktemp("two"), TWO) as found:
        yield found


@dataclass
class Drained:
    """What callers saw of a service that was told to end under load."""

    asked: list[Asked] = field(default_factory=list)
    probes: list[tuple[int, bool]] = field(default_factory=list)  # status, marked
    answered: list[dict[str, object]] = field(default_factory=list)  # of a stream
    silent: tuple[int, str | None] = (0, None)
    begun: tuple[int, str | None] = (0, None)  # of a request that SIGTERM met half sent
    told: float = 0.0
    seconds: float = 0.0


@contextmanager
def beside(*works: object) -> Iterator[None]:
    """Run functions in threads while the block runs, and wait for them."""
    threads = [threading.Thread(target=work) for work in works]  # type: ignore[arg-type]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        for thread in threads:
            thread.join(30)


@pytest.fixture(scope="module")
def drained(built: Path, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Drained:
    """Two workers under load, told to end with a stream under way that outlasts the drain."""
    seen = Drained()
    with running(built, folder, tmp_path_factory.mktemp("drained"), TWO) as service:
        begun = threading.Event()
        silent, half = service.connection(), service.connection()
        silent.connect()

        def stream() -> None:
            seen.answered = streamed(service, begun)

        with load(service, CALLERS) as seen.asked, beside(stream, lambda: probe(service, seen)):
            assert begun.wait(10)
            until(lambda: len(seen.asked) > 500, 10)
            send_half(half, service)
            seen.told = time.monotonic()
            service.arbiter.terminate()
            until(lambda: any(status == 503 for status, _ in seen.probes), 1)
            seen.begun = last_of(half, BODY[len(BODY) // 2 :])
            send_half(silent, service)
            seen.silent = last_of(silent, BODY[len(BODY) // 2 :])
            until(service.ended, DRAIN_SECONDS + 10)
            seen.seconds = time.monotonic() - seen.told
    return seen


def send_half(connection: HTTPConnection, service: Service) -> None:
    """A request without the second half of its body."""
    connection.putrequest("POST", "/v1/predict")
    for name, text in (service.server.headers | {"content-length": str(len(BODY))}).items():
        connection.putheader(name, text)
    connection.endheaders(BODY[: len(BODY) // 2])


def last_of(connection: HTTPConnection, rest: bytes) -> tuple[int, str | None]:
    """Status and mark of the answer to a request whose rest is sent now."""
    connection.send(rest)
    with connection.getresponse() as answer:
        answer.read()
    connection.close()
    return answer.status, answer.getheader("connection")


def streamed(service: Service, begun: threading.Event) -> list[dict[str, object]]:
    """The answers to lines that are sent over longer than a drain lasts."""

    def lines() -> Iterator[bytes]:
        for count in range(LINES):
            yield json.dumps(TRIP).encode() + b"\n"
            if count == 1:
                begun.set()
            threading.Event().wait(7 / LINES)

    connection = service.connection()
    headers = service.server.headers
    connection.request("POST", "/v1/predict/lines", lines(), headers, encode_chunked=True)
    with closing(connection), connection.getresponse() as answer:
        return [json.loads(line) for line in answer.read().splitlines()]


def probe(service: Service, seen: Drained) -> None:
    """Ask for readiness while somebody listens."""
    while not service.ended():
        connection = service.connection()
        connection.timeout = 1
        try:
            connection.request("GET", "/readyz")
            answer = connection.getresponse()
            seen.probes.append((answer.status, answer.getheader("connection") == "close"))
        except OSError:
            pass
        finally:
            connection.close()
        threading.Event().wait(0.1)


def test_no_accepted_request_is_dropped_when_the_service_ends(drained: Drained) -> None:
    late = [each for each in drained.asked if each.at > drained.told]
    assert len(late) > 500
    assert [each for each in late if each.connected and each.status != 200] == []


def test_answers_of_a_drain_mark_their_connection(drained: Drained) -> None:
    late = [each for each in drained.asked if each.at > drained.told + 1 and each.status]
    assert late
    assert all(each.marked for each in late)
    assert not any(each.marked for each in drained.asked if each.at < drained.told)


def test_a_silent_connection_is_answered_during_the_drain(drained: Drained) -> None:
    assert drained.silent == (200, "close")


def test_an_answer_to_what_sigterm_met_half_sent_marks_its_connection(drained: Drained) -> None:
    assert drained.begun == (200, "close")


def test_readiness_ends_while_requests_are_still_answered(drained: Drained) -> None:
    assert drained.probes[0] == (200, False)
    assert sum(status == 503 for status, _ in drained.probes) > 10


def test_bentomls_own_answers_mark_their_connection_too(drained: Drained) -> None:
    assert all(marked for status, marked in drained.probes if status == 503)


def test_a_stream_that_outlasts_the_drain_is_answered_whole(drained: Drained) -> None:
    assert len(drained.answered) == LINES
    assert all(each["unit"] == "minute" for each in drained.answered)


def test_the_service_ends_within_its_drain_and_five_seconds(drained: Drained) -> None:
    assert DRAIN_SECONDS < drained.seconds < DRAIN_SECONDS + 5


def test_bentomls_routes_still_answer(two: Service) -> None:
    for route in ("/", "/livez", "/readyz", "/metrics", "/docs.json"):
        with urlopen(two.server.address + route, timeout=10) as answer:  # noqa: S310
            assert answer.status == 200


def test_workers_share_their_counters(two: Service) -> None:
    before = [two.total(name, route="predict") for name in COUNTERS]
    predictions = two.total("preflight_predictions_total")
    with kept(two) as connections:
        for connection in connections * 50:
            assert post(connection, two.server.headers)[0] == 200
    after = [two.total(name, route="predict") for name in COUNTERS]
    assert after == [count + 102 for count in before]  # and one for each that was opened
    assert two.total("preflight_predictions_total") == predictions + 102


def test_a_killed_worker_is_replaced_while_the_other_answers(two: Service) -> None:
    gone, other = two.workers()
    before = two.total("preflight_requests_total", route="predict")
    with load(two, 4) as asked:
        until(lambda: len(asked) > 100, 10)
        gone.kill()
        killed = time.monotonic()
        until(lambda: len(two.workers()) == 2 and other in two.workers(), 15)
        until(lambda: len(two.pids()) == 2 and str(gone.pid) not in two.pids(), 15)
        assert time.monotonic() - killed < 15
    assert_never_silent(asked, killed)
    # Each caller may lose the one request that the dead worker had.
    assert sum(each.status != 200 for each in asked) <= 4
    answered = sum(each.status == 200 for each in asked)
    assert two.total("preflight_requests_total", route="predict") >= before + answered


def test_a_worker_that_drains_alone_leaves_the_callers_to_the_other(two: Service) -> None:
    gone, _ = two.workers()
    with load(two, 4) as asked:
        until(lambda: len(asked) > 100, 10)
        gone.terminate()
        told = time.monotonic()
        until(lambda: gone not in two.workers(), DRAIN_SECONDS + 5)
        until(lambda: len(two.workers()) == 2 and len(two.pids()) == 2, 15)
    assert_never_silent(asked, told)
    assert [each for each in asked if each.connected and each.status != 200] == []


def assert_never_silent(asked: list[Asked], since: float) -> None:
    """Between two answers never more than two seconds passed."""
    times = [since, *sorted(each.at for each in asked if each.status == 200 and each.at > since)]
    assert len(times) > 100
    assert max(after - before for before, after in itertools.pairwise(times)) < 2


@pytest.fixture
def asked_to_end() -> Iterator[list[float]]:
    """When the server's own handler of SIGTERM was called in this process."""
    calls: list[float] = []
    kept = signal.signal(signal.SIGTERM, lambda *_: calls.append(time.monotonic()))
    yield calls
    signal.signal(signal.SIGTERM, kept)


def end(life: Life, calls: list[float], *pauses: float) -> float:
    """Seconds until the server's own end begins; each pause is followed by a SIGTERM."""

    async def live() -> float:
        with life.running():
            start = time.monotonic()
            for pause in pauses:
                await asyncio.sleep(pause)
                os.kill(os.getpid(), signal.SIGTERM)
            while not calls and time.monotonic() - start < 5:
                await asyncio.sleep(0.01)
            assert life.draining
        return min(calls, default=math.inf) - start

    return asyncio.run(live())


def test_a_drain_precedes_the_servers_own_end(asked_to_end: list[float]) -> None:
    life = Life(lambda: None)
    life.drain_seconds = 0.2
    assert end(life, asked_to_end, 0) >= 0.2 + SETTLE_SECONDS


def test_a_second_sigterm_ends_at_once(asked_to_end: list[float]) -> None:
    life = Life(lambda: None)
    life.drain_seconds = 60
    assert end(life, asked_to_end, 0, 1.2) < 3


def test_a_sigterm_to_every_process_at_once_drains_too(asked_to_end: list[float]) -> None:
    """As systemd sends it: a worker has it twice, for the arbiter passes on its own."""
    life = Life(lambda: None)
    life.drain_seconds = 0.5
    assert end(life, asked_to_end, 0, 0.1) >= 0.5 + SETTLE_SECONDS
