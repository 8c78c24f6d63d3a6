"""What is rehearsed: which releases, by which manifests, with which fault."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from preflight.deploy.declared import Declared
from preflight.rehearsal.faults import Fault

Side = Literal["stable", "canary"]


@dataclass(frozen=True)
class Release:
    """A release that takes part: how it is called, its checkout and its Bento's folder."""

    name: str
    root: Path
    bento: Path


@dataclass(frozen=True)
class Plan:
    """A rollout of `candidate` beside `stable` as an environment's manifests declare it.

    `requests` is a file of traffic.py's; `fault` is planted in the arm `faulty`. One second takes
    `faster` seconds of the manifests; `rate` is in requests a second. For `shadow` seconds the
    candidate is a shadow first.
    """

    environment: str
    declared: Declared
    stable: Release
    candidate: Release
    requests: Path
    fault: Fault | None = None
    faulty: Side = "canary"
    faster: float = 30.0
    rate: float = 300.0
    shadow: float = 0.0

    def planted(self, side: Side) -> Fault | None:
        """The fault that is planted in an arm's code."""
        return self.fault if self.fault and self.fault.plant and self.faulty == side else None
