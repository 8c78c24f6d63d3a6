"""A service of a real Bento among strangers: nobody without a key fills its memory or metrics."""

import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from served import Service, packaged, running

pytestmark = pytest.mark.usefixtures("unmeasured")

MOST, GROWN = 96_000_000, 30_000_000  # bytes
LINES = (b"a: " + b"b" * 8_000 + b"\r\n") * 8
WEBSOCKET = (
    b"GET /v1/predict HTTP/1.1\r\nhost: test\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
    b"sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


@pytest.fixture(scope="module")
def one(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service of one worker."""
    with running(built, packaged(built), tmp_path_factory.mktemp("one"), {}) as found:
        yield found


def connect(service: Service) -> socket.socket:
    """A connection as bytes go over it."""
    host, port = service.server.address.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), 10)


def series(service: Service) -> int:
    """How many series /metrics has."""
    return sum(len(found) for found in service.metrics().values())


def status(service: Service, path: str) -> int:
    """The status that a GET without a key ends in."""
    with closing(service.connection()) as connection:
        connection.request("GET", path)
        return connection.getresponse().status


def test_header_lines_without_end_are_cut_and_fill_no_memory(one: Service) -> None:
    (worker,) = one.workers()
    before, sent = worker.memory_info().rss, 0
    with connect(one) as caller:
        try:
            caller.sendall(b"GET / HTTP/1.1\r\n")
            while sent < MOST:
                caller.sendall(LINES)
                sent += len(LINES)
        except ConnectionError:
            pass
    assert sent < MOST
    assert worker.memory_info().rss - before < GROWN


def test_paths_that_nobody_knows_make_no_series(one: Service) -> None:
    assert status(one, "/unknown") == 404
    series(one)  # that of /metrics itself
    before = series(one)
    found = {status(one, path) for n in range(100) for path in (f"/a{n}", f"/b/{n}", f"/%76{n}")}
    assert found == {404}
    assert series(one) == before


def test_a_websocket_is_refused(one: Service) -> None:
    with connect(one) as caller:
        caller.sendall(WEBSOCKET)
        assert caller.recv(1_000).startswith(b"HTTP/1.1 403 ")
