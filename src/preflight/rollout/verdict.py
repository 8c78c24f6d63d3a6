"""A verdict on a rollout: the decision, its evidence by metric, and the words for an operator."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

Result = Literal["promote", "abort", "continue"]
State = Literal["worse", "fine", "open"]


@dataclass(frozen=True)
class Metric:
    """One metric's evidence so far.

    `worse` and `fine` are shares of the log-evidence that aborting and promoting take: 1 is
    enough. `stable` and `canary` are shares of requests, of widths means in the target's unit;
    `ratio` is canary's to stable's, of predictions the distance, `interval` its ends with 95% at
    every look at once. `dispersion` is by how much failures clump, `more` how many more requests
    of a canary that is no worse it takes to be fine. None is what is not known.
    """

    name: str
    state: State
    worse: float
    said: str
    fine: float | None = None
    stable: float | None = None
    canary: float | None = None
    ratio: float | None = None
    interval: tuple[float, float] | None = None
    dispersion: float | None = None
    more: int | None = None


@dataclass(frozen=True)
class Verdict:
    """The decision at one look, and what it rests on.

    `reason` is one sentence. `at` is the look's time in seconds since 1970, of `looks` since the
    start; `requests` are those of stable and canary. `stops` ended the rollout at once; promotion
    `waits` for sentences; `missing` is what could not be read.
    """

    result: Result
    reason: str
    at: float | None = None
    looks: int = 0
    requests: tuple[int, int] = (0, 0)
    metrics: tuple[Metric, ...] = ()
    stops: tuple[str, ...] = ()
    waits: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()

    def plain(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)


def listed(names: Sequence[str]) -> str:
    """Names in a sentence."""
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))
