"""The faults that a rehearsal injects: what is wrong, how it must end, and in which words."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from preflight.rehearsal.controller import State

End = Literal["aborted", "paused", "promoted", "replaced", "not aborted"]

# Where it is not the end itself: a newer release is promoted in the candidate's place.
ENDS: Mapping[End, tuple[State, ...]] = {
    "replaced": ("promoted",),
    "not aborted": ("promoted", "paused"),
}


@dataclass(frozen=True)
class Fault:
    """One fault: what is said of it, how the rollout must end, and why.

    `plant` are the settings of `planted.py` in an arm, None where the fault comes from outside.
    `reason` is a regular expression: where the canary has the fault it finds the last verdict's
    reason, or what the judge's silence is called; empty where the rollout ends well.
    """

    name: str
    said: str
    plant: Mapping[str, Any] | None
    expected: End
    reason: str

    def ends(self, state: State) -> bool:
        """Whether a rollout may end so."""
        return state in ENDS.get(self.expected, (self.expected,))

    def named(self, text: str) -> bool:
        """Whether a text gives this fault's reason."""
        return re.search(self.reason, text) is not None


def _planted(name: str, said: str, reason: str, **settings: Any) -> Fault:
    return Fault(name, said, {"kind": name} | settings, "aborted", reason)


ERRORS = r"were answered with an error: the canary is worse"
DEAD = r"got no answer from the (canary|arm)"
LISTED = (
    _planted("errors", "one request in twenty raises", ERRORS, share=0.05),
    _planted(
        "entity-errors",
        "half of the requests of a third of the entities raise",
        ERRORS,
        share=0.5,
        entities=0.33,
    ),
    _planted(
        "latency",
        "one request in ten takes the model 120 ms more",
        r"took longer than .* the canary is worse",
        share=0.1,
        seconds=0.12,
    ),
    _planted(
        "shifted",
        "predictions are four minutes higher",
        # Outcomes tell it as well, and may be first.
        r"(differ in|were wrong by more than) .*the canary is worse",
        by=4.0,
    ),
    _planted(
        "worse-model",
        "half of the answers are somebody else's, so that their distribution stays",
        r"were wrong by more than .* the canary is worse",
        share=0.5,
    ),
    _planted(
        "crash-loop",
        "the process dies some seconds after each start",
        rf"were restarted|{DEAD}",
        after=2.0,
    ),
    _planted(
        "memory-leak",
        "each request keeps memory, until a worker holds too much",
        r"of the canary holds .* MB",
        bytes=500_000,
        most=400_000_000,
    ),
    Fault("no-traffic", "callers stop asking", None, "paused", r"requests of the canary;"),
    Fault(
        "metrics-down",
        "the canary's metrics cannot be read",
        None,
        "paused",
        r"last read|Nothing was read|requests of the canary",
    ),
    Fault("judge-down", "the judge does not answer", None, "paused", r"^the judge: "),
    # What it had counted since it was last read is lost, and the judge says so: it may take long.
    Fault("envoy-restarted", "the proxy is killed and starts anew", None, "not aborted", ""),
    Fault("counters-reset", "an arm's process starts anew once", None, "promoted", ""),
    Fault("second-release", "another release comes in mid-rollout", None, "replaced", ""),
)
FAULTS: Mapping[str, Fault] = {each.name: each for each in LISTED}
