"""Load on two services in turn: the plan of windows, and what the load generator measured."""

import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import ceil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np
import psutil

import preflight
from preflight.bento import Server
from preflight.errors import Problem
from preflight.files import read_json, write_json
from preflight.gates.load_test.traffic import Request
from preflight.workspace import environment

Phase = Literal["warm", "normal", "step", "after"]
Side = Literal["champion", "candidate"]
WARM_SECONDS = 1.5
WINDOW_SECONDS = 1.0  # short, so that a noisy spell hits both sides
STEP_SECONDS = 0.7
STEPS = (1, 2, 4, 8, 16, 32) * 2  # callers at once; twice, for an interval
AFTER = 3  # windows a side
# The whole plan of an answering service takes less; a hanging one must not take for ever.
SLACK_SECONDS = 15
STOP_SECONDS = 60
# Answers of a guard in front of the model, which says nothing of how fast the model is.
DOOR = ("401", "403", "413", "429", "503")


@dataclass(frozen=True)
class Window:
    """What one window measured; `asked` is the rate in requests a second, None as fast as it goes.

    `statuses` counts answers by status, those as expected under "expected"; `latencies` are
    theirs in milliseconds. `generator` and `server` are CPU seconds a second, `waiting` the share
    of time that callers waited for answers, `memory` the server's resident bytes at the end.
    """

    side: Side
    phase: Phase
    users: int
    asked: float | None
    seconds: float
    statuses: Mapping[str, int]
    latencies: Sequence[float]
    waiting: float
    generator: float
    server: float
    memory: int

    @property
    def requests(self) -> int:
        """Requests that were sent."""
        return sum(self.statuses.values())

    @property
    def refused(self) -> dict[str, int]:
        """Requests that a guard in front of the model turned away, by status."""
        return {name: count for name, count in self.statuses.items() if name in DOOR}

    @property
    def failed(self) -> dict[str, int]:
        """Requests that got in and were answered otherwise than expected, by status."""
        fine = ("expected", *DOOR)
        return {name: count for name, count in self.statuses.items() if name not in fine}

    @property
    def rate(self) -> float:
        """Expected answers a second."""
        return len(self.latencies) / self.seconds

    def percentile(self, share: float) -> float:
        """Milliseconds within which this percentage of expected answers came."""
        return float(np.percentile(self.latencies, share)) if self.latencies else float("nan")


def of_side(windows: Sequence[Window], side: Side) -> list[Window]:
    """One side's windows."""
    return [each for each in windows if each.side == side]


def pooled(windows: Sequence[Window], share: float) -> float:
    """Milliseconds within which this percentage of all windows' expected answers came."""
    times = [value for each in windows for value in each.latencies]
    return float(np.percentile(times, share)) if times else float("nan")


def mean_rate(windows: Sequence[Window]) -> float:
    """Expected answers a second."""
    return float(np.mean([each.rate for each in windows])) if windows else 0.0


def order(sides: Sequence[Side], rounds: int, users: int) -> Iterator[dict[str, Any]]:
    """The windows of a run: warm-up, alternating windows, step-up, and normal load again.

    Every second round goes the other way about, so that a machine that slows down steadily
    is no disadvantage to the side that comes second.
    """
    normal = {"users": users, "seconds": WINDOW_SECONDS, "paced": True}
    for side in sides:
        yield normal | {"side": side, "phase": "warm", "seconds": WARM_SECONDS, "paced": False}
    for turn in range(rounds):
        for side in _turn(sides, turn):
            yield normal | {"side": side, "phase": "normal", "day": turn}
    for turn, callers in enumerate(STEPS):
        for side in _turn(sides, turn):
            step = {"users": callers, "seconds": STEP_SECONDS, "paced": False}
            yield step | {"side": side, "phase": "step", "day": turn % rounds}
    for turn in range(AFTER):
        for side in _turn(sides, turn):
            yield normal | {"side": side, "phase": "after", "day": turn}


def _turn(sides: Sequence[Side], turn: int) -> Sequence[Side]:
    return sides[::-1] if turn % 2 else sides


def run(
    servers: Mapping[Side, Server], days: Sequence[Sequence[Request]], users: int
) -> list[Window]:
    """Load the services in turn, a day a round; a day lasts WINDOW_SECONDS.

    Windows that were not reached before the deadline are missing. Raises Problem when the
    generator fails.
    """
    places = {
        side: asdict(server) | {"process": _process(server.address)}
        for side, server in servers.items()
    }
    windows = [
        {"day": 0} | each | places[each["side"]] for each in order(tuple(servers), len(days), users)
    ]
    seconds = ceil(sum(each["seconds"] for each in windows)) + SLACK_SECONDS
    with TemporaryDirectory(prefix="preflight-") as place:
        plan, result = Path(place) / "plan.json", Path(place) / "result.json"
        write_json(plan, {"windows": windows, "days": days, "seconds": seconds})
        _generate(plan, result, seconds + STOP_SECONDS)
        found = read_json(result)
    return [_window(*pair, len(days[0])) for pair in zip(windows, found, strict=False)]


def _window(plan: Mapping[str, Any], found: Mapping[str, Any], requests: int) -> Window:
    asked = requests / plan["seconds"] if plan["paced"] else None
    return Window(plan["side"], plan["phase"], plan["users"], asked, **found)


def _generate(plan: Path, result: Path, seconds: float) -> None:
    """Run the load generator, a process of its own with this judge's code."""
    code = str(Path(preflight.__file__).parents[1])
    command = [
        sys.executable,
        "-P",
        "-m",
        "preflight.gates.load_test.locustfile",
        str(plan),
        str(result),
    ]
    try:
        done = subprocess.run(
            command,
            env=environment(plan.parent) | {"PYTHONPATH": code},
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        said = (done.stderr.splitlines() or ["it said nothing"])[-1][-200:]
    except subprocess.TimeoutExpired:
        said = f"no end within {seconds:.0f} s"
    if not result.is_file():
        raise Problem("the load generator", said, "a result", "Run `make load` again.")


def _process(address: str) -> int:
    """The process that serves an address: a child of this one, with the port in its command."""
    port = address.rpartition(":")[2]
    for child in psutil.Process().children():
        if port in child.cmdline():
            return child.pid
    raise Problem("the service", f"no process for port {port}", "one", "Run `make load` again.")
