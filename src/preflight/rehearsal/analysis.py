"""An AnalysisRun as Argo Rollouts makes one: measurements until its metrics have a phase.

Read from argo-rollouts 1.9 (analysis/analysis.go, assessMetricStatus).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from preflight.deploy.declared import Metric
from preflight.errors import Problem

Phase = Literal["Running", "Successful", "Failed", "Inconclusive", "Error"]
WORST: tuple[Phase, ...] = ("Failed", "Error", "Inconclusive")
ERROR_SECONDS = 10.0  # until a measurement that had an error is made again
Ask = Callable[[Metric], str]  # the judge's result; raises Problem


@dataclass
class Measured:
    """What one metric's measurements came to; times are in the manifests' seconds."""

    metric: Metric
    due: float
    counts: dict[str, int] = field(default_factory=dict)
    errors: int = 0  # in a row
    successes: int = 0  # in a row
    phase: Phase = "Running"
    message: str = ""

    def measure(self, now: float, ask: Ask) -> None:
        """Ask the judge once, and set the phase by all that was measured."""
        found = self._outcome(ask)
        self.counts[found] = self.counts.get(found, 0) + 1
        self.errors = self.errors + 1 if found == "Error" else 0
        self.successes = self.successes + 1 if found == "Successful" else 0
        self.due = now + (ERROR_SECONDS if found == "Error" else self.metric.interval)
        self.phase, self.message = self._assessed()

    def _outcome(self, ask: Ask) -> Phase:
        try:
            found = ask(self.metric)
        except Problem:
            return "Error"
        if found in self.metric.failure:
            return "Failed"
        return "Successful" if found in self.metric.success else "Inconclusive"

    def _assessed(self) -> tuple[Phase, str]:
        """The last of those that were exceeded wins, as there."""
        metric, counts = self.metric, self.counts
        if self.errors > metric.error_limit:
            return "Error", f"{self.errors} errors in a row"
        if (count := counts.get("Inconclusive", 0)) > metric.inconclusive_limit:
            return "Inconclusive", f"inconclusive {count} times"
        if (count := counts.get("Failed", 0)) > metric.failure_limit:
            return "Failed", f"failed {count} times"
        if metric.success_limit and self.successes >= metric.success_limit:
            return "Successful", ""
        taken = sum(count for phase, count in counts.items() if phase != "Error")
        if metric.count is None or taken < metric.count:
            return "Running", ""
        if metric.success_limit:
            return "Inconclusive", f"{taken} measurements without a success"
        return "Successful", ""


class AnalysisRun:
    """All metrics of one analysis, each asked when it is due."""

    def __init__(self, metrics: Sequence[Metric], now: float) -> None:
        """The first measurement is due at once, at `now`."""
        self.metrics = [Measured(each, now) for each in metrics]

    def tick(self, now: float, ask: Ask) -> None:
        """Make the measurements that are due."""
        for each in self.metrics:
            if each.phase == "Running" and now >= each.due:
                each.measure(now, ask)

    @property
    def phase(self) -> Phase:
        """The worst of its metrics'; Running until all have one, but what is worse ends it."""
        phases = [each.phase for each in self.metrics]
        worse = next((phase for phase in WORST if phase in phases), None)
        if worse:
            return worse
        return "Running" if "Running" in phases else "Successful"

    @property
    def message(self) -> str:
        """Why, in words."""
        said = [f"{each.metric.name}: {each.message}" for each in self.metrics if each.message]
        return "; ".join(said)
