"""The rollout that the manifests declare, as plain data: what the rehearsal executes."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from pydantic.alias_generators import to_camel

from preflight.deploy import analyses, rollouts, route
from preflight.deploy.analyses import AnalysisTemplate, Measure
from preflight.deploy.manifests import Manifests
from preflight.errors import Problem
from preflight.release import ANNOTATION

UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")
EQUAL = re.compile(r"""result\s*==\s*(?:"(\w+)"|'(\w+)')""")


@dataclass(frozen=True)
class SetWeight:
    """The canary's weight, in percent."""

    weight: int


@dataclass(frozen=True)
class Pause:
    """So long; None until somebody resumes."""

    seconds: float | None


@dataclass(frozen=True)
class Analysis:
    """Runs of these templates."""

    templates: tuple[str, ...]


Step = SetWeight | Pause | Analysis


@dataclass(frozen=True)
class Metric:
    """What is measured each `interval` seconds, and what its results make of the run.

    `success` and `failure` are the results for which a condition is true; a result in neither is
    inconclusive. A limit of None does not hold; `count` None goes on until the rollout ends.
    """

    name: str
    interval: float
    count: int | None
    failure_limit: int
    inconclusive_limit: int
    success_limit: int | None
    error_limit: int
    success: frozenset[str]
    failure: frozenset[str]
    json_path: str


@dataclass(frozen=True)
class Declared:
    """A rollout: steps, analyses, and the route that is moved.

    `metrics` are by template; `arms` are the headers that a request to stable or canary gets;
    `timeout` is in seconds of a request, `idle_seconds` of a connection to an arm that is kept
    without one, `connect_seconds` until there is one.
    """

    name: str
    release: str
    steps: tuple[Step, ...]
    background: Analysis | None
    starting_step: int
    metrics: Mapping[str, tuple[Metric, ...]]
    stable: str
    canary: str
    prefix: str
    sticky: str
    arms: Mapping[str, Mapping[str, str]]
    timeout: float
    idle_seconds: float
    connect_seconds: float


def declared(manifests: Manifests) -> Declared:
    """The one canary rollout of some manifests; raises Problem for what cannot be rehearsed."""
    where = manifests.where
    found = rollouts.rollout(manifests)
    canary = found.spec.strategy.canary
    if canary is None:
        raise Problem(where, "strategy blueGreen", "strategy canary", "Rehearse a canary.")
    run, services = canary.analysis, (canary.stable_service, canary.canary_service)
    there = route.routed(manifests, canary.traffic_routing.plugins.gateway.http_route, services)
    return Declared(
        name=found.metadata.name,
        release=found.metadata.annotations.get(ANNOTATION, "none"),
        steps=tuple(_step(each, f"{where}: step {at}") for at, each in enumerate(canary.steps, 1)),
        background=_analysis(run) if run else None,
        starting_step=run.starting_step if run else 0,
        metrics=_known(canary, manifests),
        stable=canary.stable_service,
        canary=canary.canary_service,
        prefix=there.prefix,
        sticky=there.sticky,
        arms=there.arms,
        timeout=seconds(there.timeout),
        idle_seconds=seconds(there.idle),
        connect_seconds=seconds(there.connect),
    )


def seconds(duration: str | int) -> float:
    """Seconds of a duration in Go's form, as 1m30s; a bare number is of seconds."""
    if isinstance(duration, int) or duration.isdigit():
        return float(duration)
    parts = PART.findall(duration)
    if not parts or "".join(f"{number}{unit}" for number, unit in parts) != duration:
        raise Problem("a duration", repr(duration), "as 30s, 5m or 1h30m", "Write it so.")
    return sum(float(number) * UNITS[unit] for number, unit in parts)


def results(condition: str) -> frozenset[str]:
    """The results for which a condition is true: equalities with `result`, joined by ||."""
    if not condition.strip():
        return frozenset()
    parts = [EQUAL.fullmatch(each.strip()) for each in condition.split("||")]
    if not all(parts):
        expected = 'as result == "promote", or some of these joined by ||'
        raise Problem("a condition", repr(condition), expected, "Write it so.")
    return frozenset(each[1] or each[2] for each in parts if each)


def _analysis(run: rollouts.Run) -> Analysis:
    return Analysis(tuple(each.template_name for each in run.templates))


def _step(step: rollouts.Step, where: str) -> Step:
    if step.set_weight is not None:
        return SetWeight(step.set_weight)
    if step.pause is not None:
        duration = step.pause.duration
        return Pause(None if duration is None else seconds(duration))
    if step.analysis is not None:
        return _analysis(step.analysis)
    (name,) = step.model_fields_set
    raise Problem(where, to_camel(name), "setWeight, pause or analysis", "Rehearse without it.")


def _known(canary: rollouts.Canary, manifests: Manifests) -> dict[str, tuple[Metric, ...]]:
    """Metrics by template; raises Problem for a template that is named and not there."""
    found = analyses.templates(manifests)
    runs = [canary.analysis, *(each.analysis for each in canary.steps)]
    names = {each.template_name for run in runs if run for each in run.templates}
    if missing := sorted(names - set(found)):
        expected = f"one of {', '.join(sorted(found)) or 'none'}"
        what = f"the AnalysisTemplate {missing[0]}"
        raise Problem(manifests.where, what, expected, "Mend its name, or add it.")
    return {name: _metrics(each, manifests.where) for name, each in found.items()}


def _metrics(template: AnalysisTemplate, where: str) -> tuple[Metric, ...]:
    place = f"{where}: AnalysisTemplate/{template.metadata.name}"
    return tuple(_metric(each, place) for each in template.spec.metrics)


def _metric(measure: Measure, where: str) -> Metric:
    if measure.initial_delay is not None:
        found, expected = f"initialDelay {measure.initial_delay}", "none: it is not rehearsed"
        raise Problem(f"{where}: {measure.name}", found, expected, "Remove it.")
    return Metric(
        name=measure.name,
        interval=seconds(measure.interval) if measure.interval else 0.0,
        count=measure.count,
        failure_limit=measure.failure_limit,
        inconclusive_limit=measure.inconclusive_limit,
        success_limit=measure.consecutive_success_limit,
        error_limit=measure.consecutive_error_limit,
        success=results(measure.success_condition),
        failure=results(measure.failure_condition),
        json_path=measure.provider.web.json_path,
    )
