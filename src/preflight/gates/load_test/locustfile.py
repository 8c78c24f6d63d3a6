"""The load generator: locust's callers over a plan of windows, in a process of its own.

python -m preflight.gates.load_test.locustfile PLAN RESULT: both are JSON files. Locust replaces the
standard library's sockets and threads when it is imported, so the judge never imports this.
"""

import locust  # isort: skip  # before anything that opens a socket

import gc
import json
import os
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import gevent
import psutil
from gevent.event import Event
from locust.contrib.fasthttp import FastHttpUser
from locust.env import Environment

ANSWER_SECONDS = 5.0  # that a caller waits
Asked = tuple[float, str, str, int]  # due, route, body, expected status


def _headers(key: str) -> dict[str, str]:
    return {"Content-Type": "application/json", "Authorization": f"Bearer {key}"}


class Caller(FastHttpUser):  # type: ignore[misc]  # its engine has no types
    """Somebody who asks one thing after another, each time waiting for the answer."""

    abstract = True
    network_timeout = connection_timeout = ANSWER_SECONDS

    def send(self, address: str, key: str, asked: Asked) -> tuple[str, float]:
        """Ask; returns "expected", or the status or error that came instead, and milliseconds."""
        _, route, body, expected = asked
        with self.client.request(
            "POST",
            address + route,
            name=route,
            data=body,
            headers=_headers(key),
            catch_response=True,
        ) as response:
            took = float(response.request_meta["response_time"])
            status = int(response.status_code)
            if status == expected:
                response.success()
                return "expected", took
            found = str(status) if status else type(response.error).__name__
            response.failure(f"{found} instead of {expected}")
            return found, took


class Window:
    """One window of the plan: requests at their times, or, without a rate, one after another."""

    def __init__(self, plan: dict[str, Any], asked: list[Asked]) -> None:
        self.plan, self.asked = plan, asked
        self.address: str = plan["address"]
        self.key: str = plan["key"]
        self.settled, self.left = Event(), Event()
        self.statuses: Counter[str] = Counter()
        self.latencies: list[float] = []
        self.next = self.open = 0
        self.waited = 0.0
        self.start = self.end = time.perf_counter()

    def take(self, place: int) -> tuple[float, Asked] | None:
        """The next request and the time it is due, for the caller at `place`; None at the end."""
        if place >= self.plan["users"] or self._over():
            self._settle()
            return None
        asked = self.asked[self.next % len(self.asked)]
        due = self.start + asked[0] * self.plan["seconds"] if self.plan["paced"] else 0.0
        self.next += 1
        self.open += 1
        return due, asked

    def keep(self, status: str, took: float) -> None:
        """Count an answer."""
        self.end = time.perf_counter()
        self.open -= 1
        self.statuses[status] += 1
        self.waited += took / 1e3
        if status == "expected":
            self.latencies.append(round(took, 3))
        self._settle()

    def _over(self) -> bool:
        if self.plan["paced"]:
            return self.next >= len(self.asked)
        seconds: float = self.plan["seconds"]
        return time.perf_counter() - self.start >= seconds

    def _settle(self) -> None:
        if self._over() and not self.open:
            self.settled.set()


class Stage:
    """The window that is open now; callers wait here between windows."""

    def __init__(self) -> None:
        self.window: Window | None = None
        self.opened = Event()

    def open(self, window: Window) -> None:
        """Let the callers into a window."""
        before, self.window = self.window, window
        (before.left if before else self.opened).set()


STAGE = Stage()


class PlannedCaller(Caller):
    """A caller who follows the plan."""

    host = "http://127.0.0.1"  # each window has its own
    seen = 0

    def on_start(self) -> None:
        """Take a place among the callers."""
        self.place = PlannedCaller.seen
        PlannedCaller.seen += 1

    @locust.task  # type: ignore[untyped-decorator]
    def call(self) -> None:
        """The window's next request; at its end, wait for another window."""
        STAGE.opened.wait()
        window = STAGE.window
        if window is None:
            return
        order = window.take(self.place)
        if order is None:
            window.left.wait()
            return
        due, asked = order
        gevent.sleep(max(0.0, due - time.perf_counter()))
        window.keep(*self.send(window.address, window.key, asked))


def measure(window: Window) -> dict[str, Any]:
    """Run a window to its end; returns what was counted and what it cost both processes."""
    server = psutil.Process(window.plan["process"])
    ours, theirs = time.process_time(), _seconds(server)
    window.start = window.end = start = time.perf_counter()
    STAGE.open(window)
    window.settled.wait(window.plan["seconds"] + 2 * ANSWER_SECONDS)
    lasted = max(window.end - start, 1e-3)
    return {
        "seconds": lasted,
        "statuses": dict(window.statuses) | ({"open": window.open} if window.open else {}),
        "latencies": window.latencies,
        "waiting": window.waited / (lasted * window.plan["users"]),
        "generator": (time.process_time() - ours) / lasted,
        "server": (_seconds(server) - theirs) / lasted,
        "memory": sum(each.memory_info().rss for each in _family(server)),
    }


def _family(server: psutil.Process) -> list[psutil.Process]:
    return [server, *server.children(recursive=True)]


def _seconds(server: psutil.Process) -> float:
    """CPU seconds of a server's processes."""
    return float(sum(sum(each.cpu_times()[:2]) for each in _family(server)))


def part(servers: list[int]) -> None:
    """Keep the generator on one core and the servers on the others, where there are several.

    Else one server sits beside the generator and another alone, for as long as the run lasts.
    """
    if not hasattr(os, "sched_setaffinity") or len(cores := sorted(os.sched_getaffinity(0))) < 2:
        return
    os.sched_setaffinity(0, cores[:1])
    for server in servers:
        for each in _family(psutil.Process(server)):
            for thread in each.threads():  # each thread has its own
                os.sched_setaffinity(thread.id, cores[1:])


def follow(plan: dict[str, Any]) -> list[dict[str, Any]]:
    """Run the plan's windows in order, none that would start after its deadline."""
    runner = Environment(user_classes=[PlannedCaller]).create_local_runner()
    callers = max(each["users"] for each in plan["windows"])
    runner.start(callers, spawn_rate=callers)
    part(sorted({each["process"] for each in plan["windows"]}))
    gc.freeze()
    gc.disable()  # the generator's own pauses would look like the service's
    found = []
    deadline = time.perf_counter() + plan["seconds"]
    for each in plan["windows"]:
        if time.perf_counter() > deadline:
            break
        asked = plan["days"][each["day"]]
        try:
            found.append(measure(Window(each, asked)))
        except psutil.NoSuchProcess:  # a worker died: nothing can be said of this window
            break
    runner.quit()
    return found


def main(words: list[str]) -> int:
    """Read the plan, follow it, write what was measured."""
    plan, result = map(Path, words)
    found = follow(json.loads(plan.read_text(encoding="utf-8")))
    result.write_text(json.dumps(found), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
