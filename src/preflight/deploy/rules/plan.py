"""The rule of a plan that can decide: steps that last long enough for the judge."""

from collections.abc import Iterator
from functools import lru_cache

from preflight.deploy.rules.rollout import vacuous
from preflight.deploy.steps import held, weight_at
from preflight.deploy.tree import Environment, Finding
from preflight.errors import NoData, Problem
from preflight.rollout import plan, planned
from preflight.rollout.limits import Limits

STEPS = "spec.strategy.canary.steps"
RUNS = 25  # of a plan: with plan.HONEST a hundred honest rollouts, in about a second


def plans(env: Environment) -> Iterator[Finding]:
    """The steps last long enough to decide, at the traffic of rollout.min_rate in params.yaml."""
    if not env.steps or any(vacuous(env)):  # whose findings say more than these would
        return
    kept = []
    for at, lasts in held(env.steps, env):
        weight = weight_at(env.steps, at)
        if lasts and 0 < weight < 100:
            kept.append(plan.Step(weight / 100, lasts))
    if not kept:
        words = "no step that lasts at a weight between 0 and 100"
        yield env.finding(env.raw, STEPS, words, "time to decide in", "Add a pause or an analysis.")
        return
    try:
        found = _forecast(env.limits.min_rate, tuple(kept), env.limits)
    except Problem as problem:
        raise NoData(problem.where, problem.found, problem.expected, problem.remedy) from None
    if not found.decides:
        told = plan.undecidable(found)
        yield env.finding(env.raw, STEPS, told.found, told.expected, told.remedy)


@lru_cache(maxsize=8)
def _forecast(rate: float, steps: tuple[plan.Step, ...], limits: Limits) -> plan.Forecast:
    """Of environments with the same steps once; the seed is plan's own."""
    return plan.forecast(plan.Plan(rate, steps, planned.USUAL), limits, runs=RUNS)
