"""Times of two sides by turns: fresh processes in sets, shuffled blocks, an A/A control."""

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Timer
from typing import Literal

import numpy as np

from preflight.errors import Problem
from preflight.evidence import Status
from preflight.gates.ratios import Ratio, ratio
from preflight.workspace import environment

Role = Literal["base", "control", "head"]
ROLES: tuple[Role, ...] = ("base", "control", "head")
STOPWATCH = Path(__file__).with_name("stopwatch.py")
SECONDS = 120  # for one answer
LOOKS = 3  # each after twice the sets of the one before
CHANCE = 0.05 / LOOKS  # that an interval misses, at each look
MOST_SECONDS = 240.0  # after which no look is added

Times = dict[Role, list[float]]


@dataclass(frozen=True)
class Clock:
    """A side's stopwatch on one workload: its checkout, its Python, and the rows as .npz."""

    root: Path
    python: str
    workload: str
    rows: Path


@dataclass
class Timed:
    """What was measured: a log ratio a set, for the head and for the control, and the medians."""

    heads: list[float] = field(default_factory=list)
    controls: list[float] = field(default_factory=list)
    medians: dict[Role, list[float]] = field(default_factory=lambda: {role: [] for role in ROLES})
    cold: set[Role] = field(default_factory=set)

    def add(self, times: Times) -> None:
        """One set: seconds a call, an entry a block, by role."""
        logs = {role: np.log(np.asarray(values)) for role, values in times.items()}
        both = (logs["base"] + logs["control"]) / 2
        self.heads.append(float(np.median(logs["head"] - both)))
        self.controls.append(float(np.median(logs["control"] - logs["base"])))
        for role, values in times.items():
            self.medians[role].append(float(np.median(values)))

    @property
    def head(self) -> Ratio:
        """The head's time to the base's."""
        return ratio(self.heads, CHANCE)

    @property
    def control(self) -> Ratio:
        """The base's time to its own."""
        return ratio(self.controls, CHANCE)

    @property
    def floor(self) -> float:
        """The noise floor: how far the base may seem to differ from itself, as a ratio."""
        low, high = self.control.ends
        return max(high, 1 / low)

    def at_most(self, most: float) -> Status:
        """The verdict on a limit; none where a side was cold, or the floor reaches the limit.

        What lies above both together is slower whatever the noise.
        """
        if self.cold:
            return "no-data"
        if self.floor >= most:
            return "fail" if self.head.low > most * self.floor else "no-data"
        return self.head.at_most(most)

    def seconds(self, role: Role) -> float:
        """The median of a role's sets."""
        return float(np.median(self.medians[role]))


Measure = Callable[[Timed, np.random.Generator], None]


def compared(measure: Measure, sets: int, most: float) -> Timed:
    """Measure `sets` sets, and twice as many when they do not tell whether `most` is kept.

    There are LOOKS looks, as long as the next would end within MOST_SECONDS.
    """
    timed, random, start = Timed(), np.random.default_rng(1), time.monotonic()
    for look in range(LOOKS):
        for _ in range(sets * 2**look - len(timed.heads)):
            measure(timed, random)
        spent = time.monotonic() - start
        if timed.cold or timed.at_most(most) != "no-data" or 2 * spent > MOST_SECONDS:
            break
    return timed


def blocks(clocks: dict[Role, Clock], rounds: int, seconds: float, warm: float) -> Measure:
    """Sets of three processes, timed by turns in blocks of `seconds`, each warmed for `warm`."""

    def measure(timed: Timed, random: np.random.Generator) -> None:
        with ExitStack() as stack:
            order = [ROLES[place] for place in random.permutation(len(ROLES))]
            running = {role: stack.enter_context(_started(clocks[role])) for role in order}
            for role in order:
                running[role](warm)
            times: Times = {role: [] for role in ROLES}
            for turn in range(rounds):
                for place in random.permutation(len(ROLES)):
                    role = ROLES[place]
                    found = running[role](seconds)
                    times[role].append(found["per_call"])
                    if turn == 0 and found["warmed"] < warm:
                        timed.cold.add(role)
            timed.add(times)

    return measure


Ask = Callable[[float], dict[str, float]]


@contextmanager
def _started(clock: Clock) -> Iterator[Ask]:
    """A stopwatch's process for the block; yields what asks it for a block of so many seconds."""
    process = subprocess.Popen(
        [clock.python, "-P", str(STOPWATCH), clock.workload, str(clock.rows)],
        cwd=clock.root,
        env=environment(clock.root, clock.python),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdin and process.stdout  # noqa: S101
    asked, answers = process.stdin, process.stdout

    def ask(seconds: float) -> dict[str, float]:
        watchdog = Timer(SECONDS, process.kill)
        watchdog.start()
        try:
            asked.write(f"{seconds}\n")
            asked.flush()
            line = answers.readline()
        except BrokenPipeError:
            line = ""
        finally:
            watchdog.cancel()
        answer = json.loads(line) if line else {"error": "a process that died"}
        if "error" in answer:
            where = f"{clock.workload} of {clock.root.name}"
            raise Problem(where, answer["error"], "seconds a call", "Mend its code.")
        return dict(answer)

    try:
        yield ask
    finally:
        with suppress(BrokenPipeError):
            process.stdin.close()
        process.kill()
        process.wait()
        process.stdout.close()
