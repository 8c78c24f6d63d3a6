"""The rehearsal: the declared rollout on this machine, with both releases behind a real Envoy."""

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np

from preflight.deploy.declared import Metric, SetWeight
from preflight.errors import Problem
from preflight.rehearsal.answers import NOBODY, Answer, cohort, flips, last_sent
from preflight.rehearsal.controller import Controller, State
from preflight.rehearsal.plan import Plan
from preflight.rehearsal.record import Rehearsal, Served
from preflight.rehearsal.stage import Stage
from preflight.rehearsal.told import Tell, Told

TICK_SECONDS = 0.05
WARM_SECONDS = 3.0  # of traffic before the canary has any
AFTER_SECONDS = 3.0  # of traffic after the end
UNDER_WAY_SECONDS = 0.5  # before the end: what was sent then may have met the route after it


def rehearse(root: Path, plan: Plan, folder: Path, tell: Tell) -> Rehearsal:
    """Rehearse a plan in an empty `folder`; `tell` hears of each event and each look.

    Raises Problem when something cannot be started.
    """
    began = time.monotonic()
    with ExitStack() as stack:
        stage = Stage(root, plan, folder, stack)
        course = Course(stage, Told(tell))
        course.run()
        answers = stage.answered()
    return Rehearsal(
        environment=plan.environment,
        rollout=plan.declared.name,
        stable=plan.stable.name,
        candidate=stage.release.name,
        fault=plan.fault.name if plan.fault else None,
        faulty=plan.faulty,
        state=course.state,
        reason=course.reason,
        seconds=course.seconds,
        whole=round(time.monotonic() - began, 2),
        moved=moved(course, answers),
        faster=plan.faster,
        rate=plan.rate,
        served=served(answers, course.began, course.ended - UNDER_WAY_SECONDS),
        looks=tuple(course.told.looks),
        events=tuple(course.told.events),
    )


def moved(course: "Course", answers: Sequence[Answer]) -> float | None:
    """Seconds from the verdict until all traffic was where it belongs, by what callers saw too."""
    if course.moved is None or course.state != "aborted":
        return course.moved
    last = last_sent(answers, "canary", course.decided)
    return course.moved if last is None else max(course.moved, round(last - course.decided, 3))


def served(answers: Sequence[Answer], began: float, ended: float) -> Served:
    """What callers met; entities are those that asked between two times, in seconds since 1970."""
    taken = [each.ms for each in answers if not each.failed]
    p50, p99 = np.quantile(taken, (0.5, 0.99)) if taken else (0.0, 0.0)
    sent = sorted(each.at for each in answers if each.entity)
    return Served(
        requests=len(answers),
        rate=round(len(sent) / (sent[-1] - sent[0]), 1) if len(sent) > 1 else 0.0,
        failed=sum(each.failed for each in answers),
        unreached=sum(each.arm == NOBODY for each in answers),
        canary=sum(each.arm == "canary" for each in answers),
        entities=len(cohort(answers, since=began, until=ended)),
        left=len(flips(answers, since=began, until=ended)),
        p50_ms=round(float(p50), 2),
        p99_ms=round(float(p99), 2),
    )


class Course:
    """One rollout: the controller asks the judge, and the stage does what it decides.

    `began` and `ended` are of the last release's steps, `decided` is when the end was known: with
    the judge's last answer, or as a last pause was over; all in seconds since 1970. `moved` are the
    seconds from then until the proxy did as the end says.
    """

    def __init__(self, stage: Stage, told: Told) -> None:
        """Nothing has begun."""
        self.stage, self.told, self.plan = stage, told, stage.plan
        self.controller = Controller(self.plan.declared, 0.0)
        self.state: State = "progressing"
        self.reason, self.seconds = "", 0.0
        self.began = self.decided = self.ended = 0.0
        self.moved: float | None = None
        self._weight, self._epoch = 0, 0.0
        self._fault = self._from_outside()

    def run(self) -> None:
        """Go through the steps to the end, with traffic before and after."""
        time.sleep(WARM_SECONDS)
        self.told.begin()
        if self.plan.fault and self.plan.fault.plant is not None:
            self.told.event("fault", f"{self.plan.faulty}: {self.plan.fault.said}")
        if self.plan.shadow:
            self._shadow()
        if self.state == "progressing":
            self._begin()
        while self.state == "progressing":
            time.sleep(TICK_SECONDS)
            self._tick()
        self.seconds = self.told.at
        why = f" ({self.controller.message})" if self.state == "paused" else ""
        self.told.event("end", f"{self.state}{why}: {self.reason}")
        time.sleep(AFTER_SECONDS)

    def _shadow(self) -> None:
        """Let the candidate answer copies; one that is worse gets no traffic at all."""
        start = time.time()
        self.stage.mirror(on=True)
        self.told.event("shadow", f"each request is mirrored, for {self.plan.shadow:g} s")
        time.sleep(self.plan.shadow)
        self.stage.mirror(on=False)
        end = time.time()
        time.sleep(self.stage.ripe_seconds + 1)
        found = self.stage.shadowed(start, end)
        self.told.event("shadow", f"{found.result}: {found.reason}")
        if found.result == "abort":
            self.state, self.reason = "aborted", f"as a shadow: {found.reason}"

    def _begin(self) -> None:
        """The first step of a release: of the candidate, or of another that came meanwhile."""
        self.began, self._epoch = time.time(), time.monotonic()
        self.controller = Controller(self.plan.declared, 0.0)
        self._weigh()

    @property
    def _now(self) -> float:
        return (time.monotonic() - self._epoch) * self.plan.faster

    def _tick(self) -> None:
        if self._fault and self._weight >= self._begins_at:
            begin, self._fault = self._fault, None
            begin()
        controller, start = self.controller, time.time()
        controller.tick(self._now, self._ask)
        if controller.ended:
            self.decided = max(self.decided, start)
        self.ended = time.time()  # what moves traffic now is no rise of the weight any more
        if controller.weight != self._weight:
            self._weigh()
        self.state = controller.state
        if self.state == "progressing" and controller.waits(self._now):
            self.state = "paused"  # for as long as the judge does not answer

    def _weigh(self) -> None:
        """Do as the controller says."""
        self._weight = self.controller.weight
        if self.controller.state == "promoted":
            self.stage.promote()
        else:
            self.stage.weigh(self._weight)
        if self.controller.state in ("promoted", "aborted"):
            self.moved = round(time.time() - self.decided, 3)
        self.told.event("weight", f"{self._weight}%")

    def _ask(self, metric: Metric) -> str:
        plan, told = self.plan, self.told
        names = plan.stable.name, self.stage.release.name
        try:
            found = self.stage.judge.ask(plan.declared.name, *names, self.began)
        except Problem as problem:
            self.reason = str(problem)
            told.silence(self._weight, self.reason)
            raise
        self.decided, self.reason = time.time(), str(found["reason"])
        told.answer(self._weight, found)
        # {$.result}, as the template says
        return str(found[metric.json_path.strip("{}").removeprefix("$.")])

    @property
    def _begins_at(self) -> int:
        """The weight at which a fault from outside begins: then both arms have been read."""
        weights = [each.weight for each in self.plan.declared.steps if isinstance(each, SetWeight)]
        return weights[:2][-1]

    def _from_outside(self) -> Callable[[], None] | None:
        """What a fault does that is planted in no arm."""
        fault, stage = self.plan.fault, self.stage
        if fault is None or fault.plant is not None:
            return None
        ways: dict[str, Callable[[], None]] = {
            "no-traffic": stage.traffic.pause,
            "metrics-down": stage.blind,
            "judge-down": stage.judge.kill,
            "envoy-restarted": stage.proxy.restart,
            "counters-reset": stage.renew,
            "second-release": self._second,
        }

        def begin() -> None:
            self.told.event("fault", fault.said)
            ways[fault.name]()

        return begin

    def _second(self) -> None:
        """Argo Rollouts begins again with the first step for the newer release."""
        candidate = self.plan.candidate
        self.stage.replace(replace(candidate, name=f"{candidate.name}-second"))
        self._begin()
