"""Limits on what comes before a request is one: heads too large, too slow, or never sent."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from uvicorn.config import Config
from uvicorn.server import ServerState

from preflight.serving import wire
from preflight.serving.exchange import Receive, Scope, Send
from preflight.serving.wire import HEAD_BYTES, Protocol

SMALL = b"GET / HTTP/1.1\r\nhost: test\r\n\r\n"
LINE = b"a: " + b"b" * 8_000 + b"\r\n"
PART = b"c" * 50_000


class Wire(asyncio.Transport):
    """A connection without a network: what was written to it, and how it ended."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.ended = ""

    def write(self, data: Any) -> None:
        """Keep an answer."""
        self.written += data

    def close(self) -> None:
        """End after what was written."""
        self.ended = self.ended or "closed"

    def abort(self) -> None:
        """End at once."""
        self.ended = "aborted"

    def is_closing(self) -> bool:
        """Whether it has ended."""
        return bool(self.ended)

    def pause_reading(self) -> None:
        """Nothing is read here."""

    def resume_reading(self) -> None:
        """Nothing is read here."""

    def set_protocol(self, protocol: Any) -> None:
        """Another protocol takes over."""


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers once the body is there; on /never, not."""
    while (await receive()).get("more_body"):
        pass
    if scope["path"] == "/never":
        await asyncio.Event().wait()
    length = (b"content-length", b"0")
    await send({"type": "http.response.start", "status": 200, "headers": [length]})
    await send({"type": "http.response.body", "body": b""})


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """An event loop, without tasks at its end."""
    found = asyncio.new_event_loop()
    asyncio.set_event_loop(found)  # where a websocket's protocol looks for it
    yield found
    tasks = asyncio.all_tasks(found)
    for task in tasks:
        task.cancel()
    if tasks:
        found.run_until_complete(asyncio.wait(tasks))
    asyncio.set_event_loop(None)
    found.close()


@pytest.fixture
def caller(loop: asyncio.AbstractEventLoop) -> Iterator[tuple[Protocol, Wire]]:
    """A connection of a server that chooses its protocol itself."""
    config = Config(app, lifespan="off", log_config=None)
    config.load()
    chosen: Any = config.http_protocol_class
    protocol, transport = chosen(config, ServerState(), {}, loop), Wire()
    protocol.connection_made(transport)
    yield protocol, transport
    Protocol.open.discard(protocol)


Caller = tuple[Protocol, Wire]
Loop = asyncio.AbstractEventLoop


def until(loop: Loop, what: Callable[[], bool], turns: int = 30_000) -> None:
    """Let the loop go on until something is so."""
    for _ in range(turns):
        if what():
            return
        loop.run_until_complete(asyncio.sleep(0))
    pytest.fail("it never was so")


def expire(monkeypatch: pytest.MonkeyPatch) -> None:
    """A beat, long after everything that was."""
    monkeypatch.setattr(wire, "HEAD_SECONDS", -1.0)
    wire.expire()


def test_a_server_that_chooses_chooses_the_one_with_limits(caller: Caller) -> None:
    assert type(caller[0]) is Protocol


def test_a_head_without_end_closes_the_connection(caller: Caller) -> None:
    protocol, transport = caller
    protocol.data_received(SMALL[:-2])
    fed = len(SMALL) - 2
    while not transport.ended and fed < 10 * HEAD_BYTES:
        protocol.data_received(LINE)
        fed += len(LINE)
    assert transport.ended == "closed"
    assert HEAD_BYTES < fed <= HEAD_BYTES + len(LINE)


def test_a_target_without_end_closes_the_connection(caller: Caller) -> None:
    protocol, transport = caller
    protocol.data_received(b"GET /")
    for _ in range(HEAD_BYTES // len(PART) + 1):
        protocol.data_received(PART)
    assert transport.ended


def test_heads_of_requests_before_do_not_add_up(caller: Caller, loop: Loop) -> None:
    protocol, transport = caller
    for count in range(1, 21):
        protocol.data_received(SMALL[:-2] + LINE + b"\r\n")
        until(loop, lambda count=count: transport.written.count(b" 200 OK") == count)  # type: ignore[misc]
    assert not transport.ended


def test_many_small_requests_in_one_go_are_all_answered(caller: Caller, loop: Loop) -> None:
    protocol, transport = caller
    count = 2 * HEAD_BYTES // len(SMALL)
    protocol.data_received(SMALL * count)
    until(loop, lambda: transport.written.count(b" 200 OK") == count)
    assert not transport.ended


@pytest.mark.parametrize("chunked", [False, True])
def test_a_large_body_is_none_of_the_heads(caller: Caller, loop: Loop, chunked: bool) -> None:
    protocol, transport = caller
    kind = b"transfer-encoding: chunked" if chunked else b"content-length: %d" % (40 * len(PART))
    protocol.data_received(b"POST / HTTP/1.1\r\n" + kind + b"\r\n\r\n")
    for _ in range(40):
        protocol.data_received(b"%x\r\n%b\r\n" % (len(PART), PART) if chunked else PART)
    protocol.data_received(b"0\r\n\r\n" if chunked else b"")
    until(loop, lambda: b" 200 OK" in transport.written)
    assert not transport.ended


@pytest.mark.parametrize("sent", [b"", SMALL[:-2], SMALL + SMALL[:9]])
def test_a_head_that_does_not_come_aborts_the_connection(
    caller: Caller, loop: Loop, sent: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    protocol, transport = caller
    if sent:
        protocol.data_received(sent)
    until(loop, lambda: transport.written.count(b" 200 OK") == sent.count(SMALL))
    wire.expire()
    early = transport.ended
    expire(monkeypatch)
    assert (early, transport.ended) == ("", "aborted")


@pytest.mark.parametrize("path", [b"/never", b"/"], ids=["answer", "body"])
def test_who_waits_for_an_answer_or_sends_a_body_stays(
    caller: Caller, loop: Loop, path: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    protocol, transport = caller
    size = 0 if path == b"/never" else 9
    protocol.data_received(b"POST %b HTTP/1.1\r\ncontent-length: %d\r\n\r\n" % (path, size))
    loop.run_until_complete(asyncio.sleep(0))
    expire(monkeypatch)
    assert not transport.ended


def test_who_has_left_is_forgotten(caller: Caller) -> None:
    protocol, _ = caller
    assert protocol in Protocol.open
    protocol.connection_lost(None)
    assert protocol not in Protocol.open


def test_who_turns_to_a_websocket_is_forgotten(caller: Caller) -> None:
    protocol, _ = caller
    turn = b"connection: upgrade\r\nupgrade: websocket\r\n"
    key = b"sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
    protocol.data_received(SMALL[:-2] + turn + key + b"\r\n")
    assert protocol not in Protocol.open
