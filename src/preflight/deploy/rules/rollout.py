"""Rules of a rollout's steps and analyses: what promotes, what aborts, and when."""

from collections.abc import Iterator

from preflight.deploy import analyses, declared, rollouts, route
from preflight.deploy.analyses import Measure
from preflight.deploy.declared import results, seconds
from preflight.deploy.fields import Argument
from preflight.deploy.rollouts import Run
from preflight.deploy.steps import held, weight_at
from preflight.deploy.tree import Environment, Finding
from preflight.errors import Problem

STEPS = "spec.strategy.canary.steps"
BACKGROUND = "spec.strategy.canary.analysis"
ARMS = {"stable": "Stable", "canary": "Latest"}
LATE = "What nobody watches aborts nothing; a run that never measured has passed."


def vacuous(env: Environment) -> Iterator[Finding]:
    """Only the verdict promote lets traffic grow to all, and abort ends a rollout at once."""
    switched = env.rollout.spec.strategy.blue_green
    if switched and switched.auto_promotion_enabled:
        field, remedy = "spec.strategy.blueGreen.autoPromotionEnabled", "A preview has no traffic."
        yield _finding(env, field, "true", "false: a person switches, as no verdict can", remedy)
    if env.canary is None:
        return
    inline = {at: step.analysis for at, step in enumerate(env.steps) if step.analysis}
    for at, run in inline.items():
        yield from _run(env, run, f"{STEPS}.{at}.analysis", inline=True)
    if not any(0 < weight_at(env.steps, at) < 100 for at in inline):
        words = "no analysis before weight 100"
        yield _finding(env, STEPS, words, "one that waits for promote", "Add the step `analysis`.")
    if env.canary.analysis:
        yield from _run(env, env.canary.analysis, BACKGROUND, inline=False)
    else:
        words = "no analysis beside the steps"
        yield _finding(env, BACKGROUND, words, "one that aborts", "Add the template `stop`.")


def _run(env: Environment, run: Run, field: str, *, inline: bool) -> Iterator[Finding]:
    for name, expected in ARMS.items():
        given = [each for each in run.args if each.name == name]
        found = ", ".join(_origin(each) for each in given) or "None"
        if found != expected:
            remedy = "Else an arm is compared with itself, or with nothing."
            words = f"podTemplateHashValue {expected}"
            yield _finding(env, f"{field}.args.{name}", found, words, remedy)
    for each in run.templates:
        if (template := env.templates.get(each.template_name)) is None:
            words = f"the template {each.template_name}, which is not there"
            yield _finding(env, f"{field}.templates", words, "one that is", "Mend its name.")
            continue
        for measure in template.spec.metrics:
            yield from _measured(env, each.template_name, measure, inline=inline)


def _origin(given: Argument) -> str:
    """The pod hash that an argument is; anything else by another name."""
    if given.value is not None or given.value_from is None:
        return "None"
    return str(given.value_from.pod_template_hash_value)


def _measured(env: Environment, name: str, measure: Measure, *, inline: bool) -> Iterator[Finding]:
    found_there = _decides(measure) if inline else _stops(env, measure)
    for key, found, expected in (*_asks(measure), *found_there):
        remedy = "A run without that verdict would pass; docs/operate.md."
        yield _of(env, name, measure, key, (found, expected, remedy))


def _of(
    env: Environment, name: str, measure: Measure, key: str, told: tuple[str, str, str]
) -> Finding:
    """A finding of a template's metric."""
    place = f"spec.metrics.{measure.name}.{key}"
    return Finding(env.manifests.where, f"AnalysisTemplate/{name}", place, *told)


def _asks(measure: Measure) -> Iterator[tuple[str, str, str]]:
    """What makes a measurement of the verdict."""
    if (path := measure.provider.web.json_path) != "{$.result}":
        yield "provider.web.jsonPath", path, "{$.result}"
    if measure.failure_limit != 0:
        yield "failureLimit", str(measure.failure_limit), "0: the first abort aborts"
    if results(measure.failure_condition) != {"abort"}:
        yield "failureCondition", measure.failure_condition or "none", 'result == "abort"'
    if not measure.interval:
        yield "interval", "none, so one measurement", "an interval"


def _decides(measure: Measure) -> Iterator[tuple[str, str, str]]:
    """What passes by promote alone; field, found, expected."""
    count = measure.count or 0
    if results(measure.success_condition) != {"promote"}:
        yield "successCondition", measure.success_condition or "none", 'result == "promote"'
    if measure.consecutive_success_limit != 1:
        found = str(measure.consecutive_success_limit)
        yield "consecutiveSuccessLimit", found, "1: one promote is the pass, and `count` none"
    if not count:
        yield "count", "none", "how often it may be asked"
    if measure.inconclusive_limit < count:
        yield "inconclusiveLimit", str(measure.inconclusive_limit), f"count, {count}"
    if measure.consecutive_error_limit < count:
        words = f"{count} or more: a judge that is down makes it wait"
        yield "consecutiveErrorLimit", str(measure.consecutive_error_limit), words


def _stops(env: Environment, measure: Measure) -> Iterator[tuple[str, str, str]]:
    """What can only abort, as long as the rollout lasts; field, found, expected."""
    wanted = {"promote", "continue"}
    if results(measure.success_condition) != wanted:
        words = 'result == "promote" || result == "continue"'
        yield "successCondition", measure.success_condition or "none", words
    for key, found in (
        ("count", measure.count),
        ("consecutiveSuccessLimit", measure.consecutive_success_limit),
    ):
        if found is not None:
            yield key, str(found), "none: it watches until the rollout ends"
    lasts = sum(each for _, each in held(env.steps, env))
    asked = lasts / seconds(measure.interval) if measure.interval else 0
    if measure.consecutive_error_limit < asked:
        words = f"{asked:.0f} or more: a judge that is down aborts no rollout"
        yield "consecutiveErrorLimit", str(measure.consecutive_error_limit), words


def delayed(env: Environment) -> Iterator[Finding]:
    """Analyses begin at once and ask at each step, while there is still something to watch."""
    run, lasts = env.canary.analysis if env.canary else None, list(held(env.steps, env))
    first = min((at for at, _ in lasts if weight_at(env.steps, at)), default=0)
    if run and run.starting_step > first:
        field, found = f"{BACKGROUND}.startingStep", str(run.starting_step)
        words = f"at most {first}, the first pause or analysis with traffic"
        yield _finding(env, field, found, words, LATE)
    shortest = min((each for _, each in lasts if each), default=None)
    for name, template in env.templates.items():
        for measure in template.spec.metrics:
            yield from _late(env, name, measure, shortest)


def _late(
    env: Environment, name: str, measure: Measure, shortest: float | None
) -> Iterator[Finding]:
    """What keeps a metric from being measured within each step, whose shortest is in seconds."""
    if measure.initial_delay:
        told = measure.initial_delay, "none: a delay is watched by nobody", LATE
        yield _of(env, name, measure, "initialDelay", told)
    if shortest and measure.interval and seconds(measure.interval) > shortest:
        told = measure.interval, f"at most the {shortest:g} s of the shortest step", LATE
        yield _of(env, name, measure, "interval", told)


def weights(env: Environment) -> Iterator[Finding]:
    """Weights rise from step to step, and the last step gives the canary all traffic."""
    if not env.steps:
        return
    steps = [(at, each.set_weight) for at, each in enumerate(env.steps)]
    known = [(at, weight) for at, weight in steps if weight is not None]
    for (_, before), (at, weight) in zip([(-1, 0), *known], known, strict=False):
        if weight <= before:
            field, words = f"{STEPS}.{at}.setWeight", f"more than {before}"
            yield _finding(env, field, str(weight), words, "Who was moved once stays.")
    if not known or known[-1] != (len(steps) - 1, 100):
        found = f"weight {known[-1][1]} and more steps" if known else "no weight"
        remedy = "What all get is a step that people read."
        yield _finding(env, STEPS, found, "setWeight 100 as the last step", remedy)


def first_step(env: Environment) -> Iterator[Finding]:
    """A canary begins at no more than rollout.max_first_weight in params.yaml, and at rest at 0."""
    most = env.limits.max_first_weight
    found = next(
        ((at, each) for at, each in enumerate(env.steps) if each.set_weight is not None),
        None,
    )
    if found and (found[1].set_weight or 0) > 100 * most:
        at, step = found
        words = f"at most {most:.0%}, rollout.max_first_weight"
        field = f"{STEPS}.{at}.setWeight"
        yield _finding(env, field, str(step.set_weight), words, "Begin with fewer.")
    for each, backend, place in route.backends(env.manifests):
        if backend["name"] == env.services[1] and (there := backend.get("weight", 1)):
            remedy = "A sync would give it that share before the first step."
            words = "0: Argo Rollouts moves it"
            yield env.finding(each, f"{place}.weight", str(there), words, remedy)


def whole(env: Environment) -> Iterator[Finding]:
    """Rollout, analyses and route have only fields that we know; a canary can be rehearsed."""
    try:
        analyses.templates(env.manifests)
        if rollouts.rollout(env.manifests).spec.strategy.canary:
            declared.declared(env.manifests)
    except Problem as problem:
        yield Finding(problem.where, "", "", problem.found, problem.expected, problem.remedy)


def _finding(env: Environment, field: str, found: str, expected: str, remedy: str) -> Finding:
    return env.finding(env.raw, field, found, expected, remedy)
