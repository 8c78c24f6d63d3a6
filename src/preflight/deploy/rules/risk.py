"""The rule of the risk tier: how long a canary lasts, and how long its predictions are kept."""

import json
from collections.abc import Iterator
from pathlib import Path

from preflight import risk
from preflight.deploy.declared import seconds
from preflight.deploy.tree import Environment, Finding, Tree
from preflight.errors import Problem
from preflight.risk import Tier

STEPS = "spec.strategy.canary.steps"
LIFECYCLE = Path("deploy/platform/logs/lifecycle.json")  # of the log's bucket, in S3's own form


def asked(tree: Tree) -> Iterator[Finding]:
    """Pauses last min_canary_minutes of the risk tier, and the log's bucket keeps retention_days.

    Pauses alone: an analysis ends with the judge's first promote, a pause without a duration with
    whoever resumes, and blue-green has no canary. Where no lifecycle.json ends what the bucket
    holds, nothing of ours does.
    """
    tier = risk.of(tree.root)
    for env in tree.environments:
        minutes = _paused(env) / 60
        if minutes < tier.min_canary_minutes:
            words = f"{tier.min_canary_minutes:g} minutes or more, as risk tier {tier.name} asks"
            remedy = "Lengthen a pause."
            yield env.finding(env.raw, STEPS, f"pauses of {minutes:g} minutes", words, remedy)
    yield from _kept(tree, tier)


def _paused(env: Environment) -> float:
    """Seconds of a rollout's pauses that end by themselves."""
    pauses = (each.pause.duration for each in env.steps if each.pause is not None)
    return sum(seconds(each) for each in pauses if each is not None)


def _kept(tree: Tree, tier: Tier) -> Iterator[Finding]:
    path = tree.root / LIFECYCLE
    if not path.is_file():
        return
    for place, days in _expirations(path):
        if days < tier.retention_days:
            words = f"{tier.retention_days} or more, as risk tier {tier.name} asks"
            remedy = "What is deleted is neither explained nor replayed."
            yield Finding(str(LIFECYCLE), "", f"{place}.Days", f"{days:g}", words, remedy)


def _expirations(path: Path) -> list[tuple[str, float]]:
    """After how many days each rule in force deletes, by its place; at a date, after none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))["Rules"]
        enabled = [each for each in enumerate(found) if each[1]["Status"] == "Enabled"]
        ends = [(f"Rules.{at}.Expiration", each.get("Expiration", {})) for at, each in enabled]
        return [
            (at, float(end.get("Days", 0))) for at, end in ends if {"Days", "Date"} & end.keys()
        ]
    except (ValueError, LookupError, TypeError, AttributeError):
        expected = "Rules of an S3 lifecycle, each with a Status"
        raise Problem(str(LIFECYCLE), "another form", expected, "Mend it.") from None
