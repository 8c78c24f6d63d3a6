"""The end of a service of a real Bento under load, and how a worker's end begins."""

import asyncio
import ctypes
import json
import math
import os
import select
import signal
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path

import pytest

from preflight.serving import life
from preflight.serving.life import SETTLE_SECONDS, Life
from served import BODY, DRAIN_SECONDS, TRIP, TWO, Asked, Service, load, packaged, running, until

pytestmark = pytest.mark.usefixtures("unmeasured")

LINES, CALLERS = 15, 16
linux = pytest.mark.skipif(sys.platform != "linux", reason="the kernel's filters are Linux's")


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
def beside(*works: Callable[[], None]) -> Iterator[None]:
    """Run functions in threads while the block runs, and wait for them."""
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        for thread in threads:
            thread.join(30)


@pytest.fixture(scope="module")
def drained(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Drained:
    """Two workers under load, told to end with a stream under way that outlasts the drain."""
    seen = Drained()
    with running(built, packaged(built), tmp_path_factory.mktemp("drained"), TWO) as service:
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


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    """A socket that listens on the loopback."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        found.settimeout(3)
        yield found


@linux
def test_kept_out_callers_wait_and_are_let_in_later(listening: socket.socket) -> None:
    life.keep_out([listening])
    with socket.socket() as caller:
        caller.setblocking(False)
        caller.connect_ex(listening.getsockname())
        assert select.select([], [caller], [], 0.3)[1] == []
        life.let_in([listening])
        listening.accept()[0].close()  # the caller's kernel tries again after a second


@linux
def test_a_caller_half_way_in_when_the_door_closes_is_heard(listening: socket.socket) -> None:
    """Its own deaf ear stands for the time that the listener's consent is under way."""
    deaf = struct.pack("HBBI", 0x06, 0, 0, 0)
    with socket.socket() as caller:
        attach(caller, deaf)
        caller.setblocking(False)
        caller.connect_ex(listening.getsockname())
        life.keep_out([listening])
        caller.setsockopt(socket.SOL_SOCKET, life.DETACH, 0)
        assert select.select([], [caller], [], 3)[1] == [caller]
        caller.sendall(b"asked")
        with listening.accept()[0] as heard:
            heard.settimeout(3)
            assert heard.recv(100) == b"asked"


def attach(each: socket.socket, code: bytes) -> None:
    """Attach a filter to a socket."""
    kept = ctypes.create_string_buffer(code)
    place = struct.pack("HL", len(code) // 8, ctypes.addressof(kept))
    each.setsockopt(socket.SOL_SOCKET, life.ATTACH, place)
