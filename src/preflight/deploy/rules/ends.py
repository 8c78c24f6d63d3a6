"""The rule of ends: of a rollout by the judge, of a bad start, of a pod when it is done."""

from collections.abc import Iterator

from preflight.deploy.pods import stay
from preflight.deploy.tree import Environment, Finding

STEPS = "spec.strategy.canary.steps"
STRATEGY = "preflight/strategy"
BACK = 3  # revisions to which a return skips the steps
GRACE = 30  # seconds, Kubernetes' own where nothing is said


def ends(env: Environment) -> Iterator[Finding]:
    """Only an A/B test waits for a person; bad starts abort, returns are quick, streams end."""
    strategy = env.rollout.metadata.annotations.get(STRATEGY)
    for at, step in enumerate(env.steps):
        if step.pause and step.pause.duration is None and strategy != "ab":
            words = f"a duration, as {STRATEGY} is not ab"
            remedy = "It waits for ever, and no other release can start."
            yield env.finding(env.raw, f"{STEPS}.{at}.pause", "no duration", words, remedy)
    if not env.rollout.spec.progress_deadline_abort:
        remedy = "A candidate that never becomes ready hangs at the first step for ever."
        yield env.finding(env.raw, "spec.progressDeadlineAbort", "false", "true", remedy)
    back = (env.rollout.spec.rollback_window or {}).get("revisions", 0)
    if not 1 <= back <= BACK:
        field, words = "spec.rollbackWindow.revisions", f"1 to {BACK}"
        remedy = "A revert skips the steps to so many: with none it is slow, with more unjudged."
        yield env.finding(env.raw, field, str(back), words, remedy)
    yield from _cut(env)


def _cut(env: Environment) -> Iterator[Finding]:
    """A pod that ends has time for its longest stream."""
    spec = env.raw["spec"]["template"]["spec"]
    hooks = ((one.get("lifecycle") or {}).get("preStop") or {} for _, one in stay(env.raw))
    sleeps = max(((hook.get("sleep") or {}).get("seconds", 0) for hook in hooks), default=0)
    least = sleeps + env.serving.drain_seconds + env.serving.stream_seconds
    if (found := spec.get("terminationGracePeriodSeconds", GRACE)) < least:
        field = "spec.template.spec.terminationGracePeriodSeconds"
        words = f"at least {least:g}: preStop, serving.drain_seconds and serving.stream_seconds"
        yield env.finding(env.raw, field, str(found), words, "A shorter time cuts streams.")
