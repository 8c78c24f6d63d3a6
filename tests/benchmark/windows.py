"""Windows of load: what callers in a process of their own got from a server, and what it took."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmark.servers import Running
from preflight.errors import Problem

CALLERS = Path(__file__).with_name("callers.py")


@dataclass(frozen=True)
class Window:
    """Answers a second, failures, milliseconds to an answer, processor microseconds a request."""

    rate: float
    failures: int
    p50: float
    p99: float
    processor: float


def window(server: Running, connections: int, seconds: float, rate: float = 0.0) -> Window:
    """Ask a server for so many seconds; `rate` paces the callers, else each asks at once again.

    Raises Problem when the callers end without a result.
    """
    words = [str(server.port), str(connections), str(seconds), *([str(rate)] if rate else [])]
    lines = "\n".join(json.dumps(each.decode("latin-1")) for each in server.requests)
    before = _used(server)
    done = subprocess.run(
        [sys.executable, "-P", str(CALLERS), *words],
        input=lines,
        capture_output=True,
        text=True,
        timeout=seconds + 60,
        check=False,
    )
    used = _used(server) - before
    if done.returncode:
        said = (done.stderr.splitlines() or ["nothing"])[-1]
        raise Problem(f"callers of {server.name}", said, "a result", "See the server's log.")
    found = json.loads(done.stdout)
    latencies = sorted(found["latencies"]) or [float("inf")]
    p50, p99 = (1e3 * latencies[int(share * (len(latencies) - 1))] for share in (0.5, 0.99))
    answers = found["answers"]
    return Window(
        answers / found["seconds"], found["failures"], p50, p99, 1e6 * used / max(1, answers)
    )


def _used(server: Running) -> float:
    """Processor seconds that a server has used so far."""
    try:
        return sum(sum(each.cpu_times()[:2]) for each in server.processes())
    except psutil.NoSuchProcess:
        raise Problem(
            f"the server {server.name}", "that it ended", "that it goes on", "See what it said."
        ) from None
