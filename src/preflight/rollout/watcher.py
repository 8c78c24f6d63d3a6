"""The watcher: reads both arms and the proxy each interval, and keeps each round in a file."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import Event

from preflight.errors import Problem
from preflight.rollout import envoy
from preflight.rollout.observed import ARMS
from preflight.rollout.scrapes import Reading, Round, Scrapes, reading
from preflight.watch import scrape

ROUND_SECONDS = 12.0  # a target has 5 s for each of two pages
Readings = tuple[Reading, ...]


@dataclass(frozen=True)
class Targets:
    """Where to look: addresses of each arm's instances, as http://127.0.0.1:3000.

    `envoy` is the address of its admin page, None without one; `clusters` are Envoy's, by arm.
    """

    arms: Mapping[str, Sequence[str]]
    envoy: str | None = None
    clusters: Mapping[str, str] = field(default_factory=lambda: {arm: arm for arm in ARMS})


class Watcher:
    """Reads all targets at once; one that does not answer is silent in the round, and no more."""

    def __init__(self, targets: Targets) -> None:
        """Nothing is asked yet."""
        self._asks: dict[str, tuple[Sequence[str], Callable[[], Readings]]] = {
            address: ((arm,), partial(_look, arm, address))
            for arm in ARMS
            for address in targets.arms[arm]
        }
        self._proxy = targets.envoy
        if self._proxy is not None:
            ask = partial(envoy.look, self._proxy, targets.clusters)
            self._asks[self._proxy] = ARMS, ask
        self._pool = ThreadPoolExecutor(max(1, len(self._asks)), "watch")
        self._busy: dict[str, Future[Readings]] = {}

    def round(self, seconds: float = ROUND_SECONDS) -> Round:
        """A round, within `seconds`; raises Problem for what is no address."""
        at = time.time()
        # What came after its round had ended is of no round.
        self._busy = {who: each for who, each in self._busy.items() if not each.done()}
        for who, (_, ask) in self._asks.items():
            if who not in self._busy:
                self._busy[who] = self._pool.submit(ask)
        wait(self._busy.values(), seconds)
        found = {who: self._found(who) for who in self._asks}
        proxies = found.pop(self._proxy) if self._proxy is not None else ()
        return Round(at, tuple(one for each in found.values() for one in each), proxies)

    def close(self) -> None:
        """Ask nobody any more."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _found(self, who: str) -> Readings:
        reason = "its answer has no end"
        if self._busy[who].done():
            try:
                return self._busy[who].result()
            except Problem:
                raise
            except Exception as error:  # whatever a target answers, the others are read
                reason = type(error).__name__
        return tuple(Reading(arm, who, reason=reason) for arm in self._asks[who][0])


def watch(targets: Targets, file: Path, every: float, stop: Event) -> Iterator[Round]:
    """Read a round each `every` seconds, and yield it once it is in the file, until `stop` is set.

    Raises Problem for what is no address, or where the file cannot be written.
    """
    kept, watcher = Scrapes(file), Watcher(targets)
    due = time.monotonic()
    try:
        while not stop.is_set():
            found = watcher.round()
            kept.append(found)
            yield found
            due = max(due + every, time.monotonic())
            stop.wait(due - time.monotonic())
    finally:
        watcher.close()


def _look(arm: str, address: str) -> Readings:
    found = scrape.look(address)
    if not found.samples:
        reason = "shows no metrics" if found.reached else found.found
        return (Reading(arm, address, reason=reason),)
    return (reading(arm, address, found.samples),)
