"""What a rehearsal leaves: plain data, from which its text, picture and evidence are made."""

from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from preflight.errors import Problem
from preflight.evidence import Plain
from preflight.files import write_json
from preflight.rehearsal.controller import State

PLACE = Path("reports/rehearsal")


class MetricSeen(Plain):
    """One metric at a look: shares of the evidence that aborting and promoting take."""

    name: str
    state: Literal["worse", "fine", "open"]
    worse: float
    fine: float | None


class Look(Plain):
    """One answer of the judge, `at` seconds after the first step; `requests` of both arms."""

    at: float
    weight: int
    result: str
    reason: str
    requests: tuple[int, int] = (0, 0)
    metrics: tuple[MetricSeen, ...] = ()


class Event(Plain):
    """Something that happened, `at` seconds after the first step."""

    at: float
    kind: Literal["weight", "shadow", "fault", "end"]
    said: str


class Served(Plain):
    """What callers met: requests, those that `failed`, and those of the canary.

    `rate` is of predictions a second that were really asked for. `unreached` failed without an
    answer of an arm; `left` are entities that left the canary while its weight rose, of
    `entities` that it had.
    """

    requests: int
    rate: float
    failed: int
    unreached: int
    canary: int
    entities: int
    left: int
    p50_ms: float
    p99_ms: float


class Rehearsal(Plain):
    """One rollout from its first step to its end.

    `seconds` are from the first step to the end, `whole` with all that was started for it;
    `moved` from the last verdict until all traffic was where it belongs, None where none moved.
    """

    environment: str
    rollout: str
    stable: str
    candidate: str
    fault: str | None
    faulty: Literal["stable", "canary"]
    state: State
    reason: str
    seconds: float
    whole: float
    moved: float | None
    faster: float
    rate: float
    served: Served
    looks: tuple[Look, ...]
    events: tuple[Event, ...]

    @property
    def name(self) -> str:
        """What tells it from others: the fault, and its arm where that is stable."""
        return (self.fault or "honest") + ("-in-stable" if self.faulty == "stable" else "")

    @property
    def alone(self) -> bool:
        """Whether the candidate was rehearsed beside itself."""
        return self.stable.startswith(self.candidate)

    @property
    def title(self) -> str:
        """In words, who was rehearsed against whom, and how it ended."""
        what = f", fault {self.fault}" if self.fault else ""
        return f"{self.rollout}: {self.candidate} against {self.stable}{what}: {self.state}"


def write(path: Path, found: Rehearsal) -> None:
    """Keep a rehearsal as JSON."""
    write_json(path, found.model_dump(mode="json"))


def read(path: Path) -> Rehearsal:
    """A rehearsal that was kept; raises Problem where there is none that can be read."""
    try:
        return Rehearsal.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        found = "no readable file" if isinstance(error, OSError) else "no record of a rehearsal"
        raise Problem(str(path), found, "one", "Run `make rehearse`.") from None
