"""A service killed under load, again and again: what was answered, and what its log still has."""

import json
import random
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path

import psutil

from preflight.layout import LOG
from preflight.log.lines import decoder
from preflight.log.segments import ENDING
from served import TRIP, Service, post, running

CALLERS, ROWS = 4, 20  # the last caller sends batches
ONE = json.dumps(TRIP).encode()
BATCH = json.dumps({"instances": [TRIP] * ROWS}).encode()
LONGEST = 1.0  # seconds of load before a kill


@dataclass
class Kept:
    """Ids that callers hold an answer of, and what the log has: ids, odd lines, torn tails."""

    kills: int = 0
    answered: set[str] = field(default_factory=set)
    logged: set[str] = field(default_factory=set)
    records: int = 0
    damaged: int = 0
    torn: int = 0

    @property
    def missing(self) -> int:
        """Answered predictions that the log does not have."""
        return len(self.answered - self.logged)


def killed(root: Path, folder: Path, state: Path, kills: int, more: dict[str, str]) -> Kept:
    """Serve a Bento, kill all its processes at a random moment under load, and start it again."""
    found, chance = Kept(kills), random.Random(6)  # noqa: S311 (no secret)
    for _ in range(kills):
        with running(root, folder, state, more) as service, _load(service, found.answered) as busy:
            busy.wait(10)
            time.sleep(chance.uniform(0.0, LONGEST))
            _kill(service)
        found.torn += sum(map(_is_torn, (state / LOG / "predictions").glob(f"*{ENDING}")))
    with running(root, folder, state, more):
        pass  # a start cuts the tails of those before
    read(state / LOG / "predictions", found)
    return found


@contextmanager
def _load(service: Service, answered: set[str]) -> Iterator[threading.Event]:
    """Callers that keep what they were answered; yields an event of the first answer."""
    first, stop = threading.Event(), threading.Event()
    kept: list[list[str]] = [[] for _ in range(CALLERS)]

    def call(place: int) -> None:
        is_batch = place == CALLERS - 1
        body, route = (BATCH, "/v1/predict/batch") if is_batch else (ONE, "/v1/predict")
        with closing(service.connection()) as connection, suppress(OSError, HTTPException):
            while not stop.is_set():
                status, found = post(connection, service.server.headers, body, route)
                assert status == 200, found
                answers = found["predictions"] if is_batch else [found]
                kept[place] += [each["prediction_id"] for each in answers]
                first.set()

    threads = [threading.Thread(target=call, args=(place,)) for place in range(CALLERS)]
    for thread in threads:
        thread.start()
    try:
        yield first
    finally:
        stop.set()
        for thread in threads:
            thread.join(15)
        answered.update(*kept)


def _kill(service: Service) -> None:
    """SIGKILL to every process, the workers first: the arbiter replaces none of them."""
    tree = [*service.arbiter.children(recursive=True), service.arbiter]
    for each in tree:
        with suppress(psutil.NoSuchProcess):
            each.kill()
    psutil.wait_procs(tree, 10)


def _is_torn(path: Path) -> bool:
    content = path.read_bytes()
    return bool(content) and not content.endswith(b"\n")


def read(folder: Path, found: Kept) -> None:
    """All that the log has, each line of which must be a whole record."""
    decode = decoder("predictions").decode
    for path in sorted(folder.glob(f"*{ENDING}")):
        for line in path.read_bytes().split(b"\n"):
            if not line:
                continue
            try:
                found.logged.add(decode(line).id)
                found.records += 1
            except ValueError:
                found.damaged += 1
