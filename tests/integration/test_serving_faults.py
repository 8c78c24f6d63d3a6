"""A service of a real Bento among faults: crowds, slow callers, revoked keys, bad starts."""

import asyncio
import json
import resource
import shutil
import socket
import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path

import pytest

from preflight import bento
from preflight.errors import Problem
from preflight.serving import keys
from served import BODY, BODY_SECONDS, TRIP, TWO, Caller, Service, kept, packaged, post, running

pytestmark = pytest.mark.usefixtures("unmeasured")

CROWD, SLOW, REST = 1_000, 50, 4
SEEN_SECONDS = 3.0  # within which a change of a file holds
GROWN = 200_000_000  # bytes


@pytest.fixture(scope="module")
def folder(built: Path) -> Path:
    """A Bento with short times."""
    return packaged(built)


@contextmanager
def many_files() -> Iterator[None]:
    """As many open files as this machine lets us have, for us and what we start."""
    soft, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, most))


@pytest.fixture(scope="module")
def two(built: Path, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service of two workers with a file of switches."""
    state = tmp_path_factory.mktemp("two")
    switch(state, "normal")
    more = TWO | {"PREFLIGHT_SWITCHES": str(state / "switches.yaml")}
    with many_files(), running(built, folder, state, more) as found:
        yield found


def switch(state: Path, mode: str) -> None:
    """Write the file of switches."""
    (state / "switches.yaml").write_text(f"mode: {mode}\nreason: a test\n")


def request(service: Service, route: str = "/v1/predict", body: bytes = BODY) -> bytes:
    """A whole POST as it goes over the wire."""
    headers = service.server.headers | {"host": "test", "content-length": str(len(body))}
    lines = [f"POST {route} HTTP/1.1", *(f"{name}: {text}" for name, text in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode() + body


async def crowd(service: Service) -> list[bytes]:
    """The status lines of as many callers as CROWD, all connected before the first asks."""
    host, port = service.server.address.removeprefix("http://").split(":")
    opened = [await asyncio.open_connection(host, int(port)) for _ in range(CROWD)]
    content = request(service)
    for _, writer in opened:
        writer.write(content)
    try:
        async with asyncio.timeout(30):
            return [await reader.readline() for reader, _ in opened]
    finally:
        for _, writer in opened:
            writer.close()


def test_a_thousand_connections_at_once_are_all_answered(two: Service) -> None:
    assert set(asyncio.run(crowd(two))) == {b"HTTP/1.1 200 OK\r\n"}


@contextmanager
def slow(service: Service, route: str, count: int) -> Iterator[list[socket.socket]]:
    """Callers that have sent all of a request but its last bytes."""
    host, port = service.server.address.removeprefix("http://").split(":")
    with ExitStack() as stack:
        found = []
        for _ in range(count):
            found.append(stack.enter_context(socket.create_connection((host, int(port)), 10)))
            found[-1].sendall(request(service, route)[:-REST])
        yield found


def test_callers_that_send_a_byte_now_and_then_are_refused_and_stop_nobody(two: Service) -> None:
    took, start = [], time.monotonic()
    with slow(two, "/v1/predict", SLOW) as callers, closing(Caller(two)) as other:
        for byte in BODY[-REST:-1]:
            for each in callers:
                each.sendall(bytes([byte]))
            pause = time.monotonic() + BODY_SECONDS / REST
            while (begun := time.monotonic()) < pause:
                assert other.ask().status == 200
                took.append(time.monotonic() - begun)
        answers = [status_of(each) for each in callers]
    assert answers == [408] * SLOW
    assert time.monotonic() - start < BODY_SECONDS + 3
    assert statistics.median(took) < 0.05
    assert max(took) < 1


def status_of(caller: socket.socket) -> int:
    """The status of what comes on a connection."""
    with caller.makefile("rb") as file:
        return int(file.readline().split()[1])


def test_slow_batches_do_not_stop_others(two: Service) -> None:
    body = json.dumps({"instances": [TRIP] * 10}).encode()
    with kept(two) as connections, slow(two, "/v1/predict/batch", 128):
        start = time.monotonic()
        for connection in connections:
            status, answer = post(connection, two.server.headers, body, "/v1/predict/batch")
            assert (status, len(answer["predictions"])) == (200, 10)
    assert time.monotonic() - start < BODY_SECONDS


def test_large_batches_at_once_do_not_fill_the_memory(two: Service) -> None:
    before = sum(each.memory_info().rss for each in two.workers())
    body = json.dumps({"instances": [TRIP] * 10_000}).encode()

    def ask(_: int) -> int:
        with closing(two.connection()) as connection:
            return post(connection, two.server.headers, body, "/v1/predict/batch")[0]

    with ThreadPoolExecutor(12) as threads:
        assert set(threads.map(ask, range(12))) == {200}
    assert sum(each.memory_info().rss for each in two.workers()) - before < GROWN


def statuses(connections: list[HTTPConnection], key: str) -> set[int]:
    """What each worker answers to a key."""
    headers = {"authorization": f"Bearer {key}"}
    return {post(connection, headers)[0] for connection in connections}


def soon(connections: list[HTTPConnection], key: str, status: int) -> None:
    """Ask until every worker answers a key with a status, and once more."""
    deadline = time.monotonic() + SEEN_SECONDS
    while statuses(connections, key) != {status}:
        assert time.monotonic() < deadline
    assert statuses(connections, key) == {status}


def test_a_key_is_known_and_revoked_in_every_worker_without_a_restart(two: Service) -> None:
    workers = two.workers()
    with kept(two) as connections:
        key = keys.add(two.keys, "other", ("predict",), None)
        soon(connections, key, 200)
        keys.revoke(two.keys, key.split("_")[1])
        soon(connections, key, 401)
        assert statuses(connections, two.server.key) == {200}
    assert two.workers() == workers


def modes(two: Service, connections: list[HTTPConnection]) -> set[str]:
    """The mode of each worker by its answers, and that of /version and /metrics."""
    found = set()
    for connection in connections:
        status, answer = post(connection, two.server.headers)
        found.add({200: "fallback" if answer.get("warning") else "normal"}.get(status, "off"))
        connection.request("GET", "/version", headers=two.server.headers)
        with connection.getresponse() as version:
            found.add(json.loads(version.read())["mode"])
    shown = two.metrics()["preflight_mode"]
    return found | {labels["mode"] for labels, value in shown if value == 1}


def test_the_mode_is_switched_in_every_worker_without_a_restart(two: Service) -> None:
    with kept(two) as connections:
        for mode in ("fallback", "off", "normal"):
            switch(two.state, mode)
            deadline = time.monotonic() + SEEN_SECONDS
            while modes(two, connections) != {mode}:
                assert time.monotonic() < deadline


def test_switches_that_cannot_be_read_change_nothing_and_are_counted(two: Service) -> None:
    before = two.total("preflight_unread_files_total", file="switches")
    switch(two.state, "[")
    deadline = time.monotonic() + SEEN_SECONDS
    while two.total("preflight_unread_files_total", file="switches") < before + 2:
        assert time.monotonic() < deadline
    switch(two.state, "normal")
    with kept(two) as connections:
        assert modes(two, connections) == {"normal"}


def test_a_service_without_its_model_is_refused_at_start(
    built: Path, folder: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "bento"
    shutil.copytree(folder, copy)
    (copy / "src/models/packaged/booster.txt").unlink()
    with (
        pytest.raises(Problem, match=r"models/packaged/booster\.txt: found .* missing"),
        running(built, copy, tmp_path, {}),
    ):
        pass


def test_a_packaged_service_refuses_to_debug(built: Path, folder: Path, tmp_path: Path) -> None:
    with (
        pytest.raises(Problem, match="BENTOML_DEBUG"),
        running(built, folder, tmp_path, {"BENTOML_DEBUG": "True"}),
    ):
        pass


def test_open_auth_is_refused_where_others_could_reach_it(
    built: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = bento.command
    monkeypatch.setattr(
        bento,
        "command",
        lambda *given: [word.replace("127.0.0.1", "0.0.0.0") for word in plain(*given)],  # noqa: S104
    )
    (tmp_path / "open.yaml").write_text("auth: off\n")
    more = {"PREFLIGHT_SWITCHES": str(tmp_path / "open.yaml")}
    said = r"serving\.auth: found off, while listening on 0\.0\.0\.0"
    with pytest.raises(Problem, match=said), running(built, folder, tmp_path, more):
        pass


def test_open_auth_answers_on_the_loopback(built: Path, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "open.yaml").write_text("auth: off\n")
    more = {"PREFLIGHT_SWITCHES": str(tmp_path / "open.yaml")}
    with (
        running(built, folder, tmp_path, more) as service,
        closing(service.connection()) as connection,
    ):
        assert post(connection, {})[0] == 200
