"""A rollout's steps as time: how long each lasts, and at which weight."""

from collections.abc import Iterator

from preflight.deploy.declared import seconds
from preflight.deploy.rollouts import Step
from preflight.deploy.tree import Environment


def weight_at(steps: tuple[Step, ...], at: int) -> int:
    """The canary's weight while a step lasts, in percent."""
    known = [each.set_weight for each in steps[:at] if each.set_weight is not None]
    return known[-1] if known else 0


def held(steps: tuple[Step, ...], env: Environment) -> Iterator[tuple[int, float]]:
    """Each step that lasts, by its place, and its seconds: of an analysis the longest it may."""
    for at, step in enumerate(steps):
        if step.pause is not None and step.pause.duration is not None:
            yield at, seconds(step.pause.duration)
        elif step.analysis is not None:
            templates = (env.templates.get(each.template_name) for each in step.analysis.templates)
            measures = [one for each in templates if each for one in each.spec.metrics]
            lasts = (seconds(one.interval or 0) * (one.count or 0) for one in measures)
            yield at, max(lasts, default=0.0)
