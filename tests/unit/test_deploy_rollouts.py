"""Rollouts and analyses are typed: a field that nobody reads is refused by its name."""

import pytest

from declared import manifests
from preflight.deploy import analyses, rollouts
from preflight.errors import Problem


def test_a_rollout_and_its_templates_are_read() -> None:
    found = rollouts.rollout(manifests())
    assert found.spec.strategy.canary is not None
    assert [each.set_weight for each in found.spec.strategy.canary.steps][::2] == [5, 20, 50, 100]
    decide = analyses.templates(manifests())["decide"].spec.metrics[0]
    assert (decide.count, decide.consecutive_success_limit) == (60, 1)


STEPS = "        - setWeight: 5\n"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("maxUnavailable: 0", "maxUnavailabel: 0", "the unknown field spec.strategy.canary.maxUn"),
        (STEPS, STEPS + "        - setWeigth: 6\n", "field spec.strategy.canary.steps.1.setWeigth"),
        ("pause: {duration: 5m}", "pause: {time: 5m}", "unknown field spec.strategy.canary.steps"),
        ("pause: {duration: 5m}", "pause: {duration: five}", "canary.steps.1.pause.duration"),
        ("- setWeight: 20", "- {setWeight: 20, pause: {}}", "expected one thing in each step"),
        ("- setWeight: 20", "- setWeight: 120", "steps.2.setWeight: '120'; expected less than or"),
        (
            "stableService: taxi-stable",
            "dynamicStableScale: true",
            "no spec.strategy.canary.stable",
        ),
        (
            "[{templateName: decide}]",
            "[{templateName: decide, clusterScope: true}]",
            "a field that src/preflight/deploy/rollouts.py knows",
        ),
        ("    canary:\n      stable", "    bluegreen: {}\n    canary:\n      stable", "bluegreen"),
    ],
)
def test_a_wrong_field_of_a_rollout_is_named(old: str, new: str, words: str) -> None:
    with pytest.raises(Problem) as caught:
        rollouts.rollout(manifests((old, new)))
    assert words in str(caught.value)
    assert "Rollout/taxi" in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("failureLimit: 0\n      inc", "failureLimits: 0\n      inc", "metrics.0.failureLimits"),
        ("count: 60", "count: sixty", "spec.metrics.0.count: 'sixty'"),
        ("interval: 30s", "interval: 30", "spec.metrics.0.interval: '30'"),
        ("interval: 30s\n      count: 60", "count: 60", "expected an interval, or count 1"),
        ("count: 60", "count: 0", "spec.metrics.0.count: '0'; expected greater than or equal to 1"),
        (
            "failureLimit: 0\n      inc",
            "failureLimit: -1\n      inc",
            "metrics.0.failureLimit: '-1'",
        ),
        ("        web:", "        job: {}\n        web:", "field spec.metrics.0.provider.job"),
        ("      count: 60", "      dryRun: true\n      count: 60", "field spec.metrics.0.dryRun"),
    ],
)
def test_a_wrong_field_of_an_analysis_is_named(old: str, new: str, words: str) -> None:
    with pytest.raises(Problem) as caught:
        analyses.templates(manifests((old, new)))
    assert words in str(caught.value)
    assert "AnalysisTemplate/decide" in str(caught.value)


def test_an_unknown_field_is_told_with_the_module_that_knows_its_neighbours() -> None:
    with pytest.raises(Problem, match=r"a field that src/preflight/deploy/analyses\.py knows"):
        analyses.templates(manifests(("      count: 60", "      dryRun: true\n      count: 60")))
