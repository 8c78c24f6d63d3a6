"""A planted fault: a small named change, the gate that must catch it, and its words."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal

from faults.changes import Change
from faults.world import Said, World

Kind = Literal[
    "data",
    "features",
    "training",
    "model",
    "service",
    "rollout",
    "deploy",
    "speed",
    "guards",
    "workflows",
    "release",
]


@dataclass(frozen=True)
class Fault:
    """A change that looks healthy and is not; `words` must stand in what the gate says.

    `after` is done to the tree when its pipeline has run; `during` holds while it is judged.
    With `lazy` the pipeline is not run again, as when a contributor forgets it. Of a suite of the
    code only the file `test` is run. Without its `tool` on the path a fault is left out, but in CI.
    The merge base has `before` too.
    """

    name: str
    kind: Kind
    gate: str
    words: str
    change: Change
    after: Change | None = None
    during: Callable[[], AbstractContextManager[Any]] = nullcontext
    lazy: bool = False
    test: str = ""
    tool: str = ""
    before: Change | None = None


@dataclass(frozen=True)
class ReleaseFault:
    """A fault in a released world; the command `gate` that is asked must refuse it in `words`.

    With `passes` there is nothing to refuse: it must go through, and say the words.
    """

    name: str
    gate: str
    words: str
    plant: Callable[[World], object]
    ask: Callable[[World], Said]
    passes: bool = False
    kind: Kind = "release"
    tool: str = ""
