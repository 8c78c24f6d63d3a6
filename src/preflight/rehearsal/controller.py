"""A rollout's steps as Argo Rollouts takes them: weights, pauses, analyses, abort, promotion.

Read from argo-rollouts 1.9 (rollout/canary.go, rollout/analysis.go). Times are in the manifests'
seconds, whatever the clock of who calls.
"""

from typing import Literal

from preflight.deploy.declared import Analysis, Declared, Pause, SetWeight
from preflight.rehearsal.analysis import AnalysisRun, Ask, Phase

State = Literal["progressing", "paused", "aborted", "promoted"]


class Controller:
    """One rollout from its first step to its end; `weight` is the canary's share in per cent."""

    def __init__(self, declared: Declared, now: float) -> None:
        """It starts at `now` with the first step."""
        self.declared, self.step, self.weight = declared, 0, 0
        self.state: State = "progressing"
        self.message = ""
        self._since = now
        self._inline: AnalysisRun | None = None
        self._background: AnalysisRun | None = None
        self._advance(now)

    @property
    def ended(self) -> bool:
        """Whether nothing will happen any more without a person or a commit."""
        return self.state != "progressing"

    def tick(self, now: float, ask: Ask) -> None:
        """Measure what is due, and take the steps that are done."""
        if self.ended:
            return
        self._begin_background(now)
        for run in (self._background, self._inline):
            # Once the end is known nobody is asked any more: traffic waits for it.
            if run is not None and self.state == "progressing":
                run.tick(now, ask)
                self._obey(run)
        if self.state == "progressing" and self._done(now):
            self.step, self._since, self._inline = self.step + 1, now, None
            self._advance(now)

    def waits(self, now: float) -> bool:
        """Whether an analysis asks on though all its measurements could have been made.

        A judge that answers nothing leaves Argo Rollouts there, at the step's weight.
        """
        if self._inline is None or self.ended:
            return False
        silent = [each for each in self._inline.metrics if each.errors]
        longest = [each.metric.interval * (each.metric.count or 0) for each in silent]
        return bool(silent) and now - self._since > max(longest)

    def _begin_background(self, now: float) -> None:
        wanted = self.declared.background
        if (
            wanted is not None
            and self._background is None
            and self.step >= self.declared.starting_step
        ):
            self._background = self._run(wanted, now)

    def _run(self, analysis: Analysis, now: float) -> AnalysisRun:
        templates = self.declared.metrics
        return AnalysisRun([one for name in analysis.templates for one in templates[name]], now)

    def _obey(self, run: AnalysisRun) -> None:
        ends: dict[Phase, State] = {
            "Error": "aborted",
            "Failed": "aborted",
            "Inconclusive": "paused",
        }
        if run.phase in ends:
            self.state, self.message = ends[run.phase], run.message
        if self.state == "aborted":
            self.weight = 0

    def _done(self, now: float) -> bool:
        step = self.declared.steps[self.step]
        if isinstance(step, Pause):
            return step.seconds is not None and now - self._since >= step.seconds
        return self._inline is not None and self._inline.phase == "Successful"

    def _advance(self, now: float) -> None:
        """Take steps up to the first that lasts."""
        while self.step < len(self.declared.steps):
            step = self.declared.steps[self.step]
            if isinstance(step, SetWeight):
                self.weight = step.weight
                self.step += 1
                continue
            if isinstance(step, Analysis):
                self._inline = self._run(step, now)
            elif step.seconds is None:
                self.state, self.message = "paused", "a pause without an end: a person goes on"
            return
        self.state, self.weight = "promoted", 100
