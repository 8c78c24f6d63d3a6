"""Services of a small Bento from .venv-serve, and callers that keep their connections."""

import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import psutil
from prometheus_client.parser import text_string_to_metric_families

from conftest import change_params, commit
from preflight import bento
from taxi.contract import CONTRACT

TRIP = {column.name: column.example for column in CONTRACT.known}
BODY = json.dumps(TRIP).encode()
TWO = {"BENTOML_CONFIG_OPTIONS": "services.taxi.workers=2"}
BODY_SECONDS, DRAIN_SECONDS = 1.5, 5.5


def until(what: Callable[[], bool], seconds: float) -> float:
    """Wait until something is so; returns the seconds it took, and fails after `seconds`."""
    start = time.monotonic()
    while not what():
        assert time.monotonic() - start < seconds, f"not so after {seconds:g} s"
        time.sleep(0.02)
    return time.monotonic() - start


@cache
def packaged(built: Path) -> Path:
    """A Bento with short times, from a copy of the small repository; made once."""
    root = built.parent / "short/checkout"
    shutil.copytree(built, root, symlinks=True)
    change_params(root, serving={"body_seconds": BODY_SECONDS, "drain_seconds": DRAIN_SECONDS})
    commit(root, "Short times")
    return bento.build_unregistered(root, root.parent / "home")


@dataclass(frozen=True)
class Service:
    """A running service and its processes; keys and log lie below `state`."""

    server: bento.Server
    arbiter: psutil.Process
    state: Path

    @property
    def keys(self) -> Path:
        """The file of its keys."""
        return self.state / ".preflight/serving/keys.json"

    def workers(self) -> list[psutil.Process]:
        """The workers that live."""
        found = self.arbiter.children() if _lives(self.arbiter) else []
        return [each for each in found if _lives(each) and "--worker-id" in each.cmdline()]

    def ended(self) -> bool:
        """Whether no process of it is left."""
        return not _lives(self.arbiter)

    def connection(self) -> HTTPConnection:
        """A new connection, kept until it is closed."""
        return HTTPConnection(self.server.address.removeprefix("http://"), timeout=10)

    def metrics(self) -> dict[str, list[tuple[dict[str, str], float]]]:
        """Labels and values by sample, as /metrics has them."""
        with urlopen(f"{self.server.address}/metrics", timeout=10) as answer:  # noqa: S310
            text = answer.read().decode()
        found: dict[str, list[tuple[dict[str, str], float]]] = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                found.setdefault(sample.name, []).append((sample.labels, sample.value))
        return found

    def total(self, name: str, **labels: str) -> float:
        """The sum of a metric's values under labels."""
        return sum(
            value
            for found, value in self.metrics().get(name, [])
            if labels.items() <= found.items()
        )

    def pids(self) -> set[str]:
        """The workers whose gauges /metrics shows."""
        return {labels["pid"] for labels, _ in self.metrics()["preflight_worker_memory_bytes"]}


def _lives(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


@contextmanager
def running(root: Path, folder: Path, state: Path, more: Mapping[str, str]) -> Iterator[Service]:
    """Serve a Bento until the block ends; `root` has the environment to serve from."""
    with bento.served(root, folder, state, more) as server:
        port = server.address.rsplit(":", 1)[1]
        (arbiter,) = (each for each in psutil.Process().children() if port in each.cmdline())
        found = Service(server, arbiter, state)
        workers = 2 if more.items() >= TWO.items() else 1
        until(lambda: len(found.workers()) == len(found.pids()) == workers, 30)
        yield found


@dataclass(frozen=True)
class Asked:
    """One request: when it ended, its status, and whether its connection was marked as closing.

    Without an answer the status is 0; `sent` says whether the whole request had gone, and
    `connected` whether there was a connection at all.
    """

    at: float
    status: int = 0
    marked: bool = False
    connected: bool = True
    sent: bool = True
    error: str = ""


class Caller:
    """Asks over one connection, and makes another once that is marked or broken."""

    def __init__(self, service: Service) -> None:
        self._service, self._connection = service, service.connection()

    def ask(self) -> Asked:
        """One request and what became of it."""
        connected = sent = False
        connection = self._connection
        try:
            if connection.sock is None:
                connection.connect()
            connected = True
            connection.request("POST", "/v1/predict", BODY, self._service.server.headers)
            sent = True
            answer = connection.getresponse()
            answer.read()
        except (OSError, HTTPException) as error:
            self.close()
            return Asked(time.monotonic(), 0, False, connected, sent, repr(error))
        marked = answer.getheader("connection") == "close"
        if marked:
            self.close()
        return Asked(time.monotonic(), answer.status, marked)

    def close(self) -> None:
        """Leave; the next request makes a new connection."""
        self._connection.close()


@contextmanager
def load(service: Service, callers: int) -> Iterator[list[Asked]]:
    """So many callers, each asking again and again, until the block ends; yields what they got."""
    asked: list[Asked] = []
    stop = threading.Event()

    def call() -> None:
        caller = Caller(service)
        while not stop.is_set():
            asked.append(caller.ask())
            if not asked[-1].connected:
                stop.wait(0.05)
        caller.close()

    threads = [threading.Thread(target=call) for _ in range(callers)]
    for thread in threads:
        thread.start()
    try:
        yield asked
    finally:
        stop.set()
        for thread in threads:
            thread.join(15)


@contextmanager
def kept(service: Service) -> Iterator[list[HTTPConnection]]:
    """A connection to each worker, after an answer on it: the others sleep while it is made."""
    found: list[HTTPConnection] = []
    workers = service.workers()
    for worker in workers:
        others = [each for each in workers if each != worker]
        found.append(service.connection())
        try:
            for each in others:
                each.suspend()
            post(found[-1], service.server.headers)
        finally:
            for each in others:
                each.resume()
    try:
        yield found
    finally:
        for connection in found:
            connection.close()


def post(
    connection: HTTPConnection,
    headers: Mapping[str, str],
    body: bytes = BODY,
    route: str = "/v1/predict",
) -> tuple[int, Any]:
    """Status and JSON answer over a kept connection."""
    connection.request("POST", route, body, headers)
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())
