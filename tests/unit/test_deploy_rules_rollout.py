"""Rules of steps and analyses, each seen red by one edit and green without it."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from declared import MANIFESTS, environment
from preflight.deploy import rules
from preflight.deploy.tree import Environment, Finding

Check = Callable[[Environment], Iterator[Finding]]
CHECKS = (
    rules.rollout.whole,
    rules.rollout.vacuous,
    rules.rollout.delayed,
    rules.rollout.weights,
    rules.rollout.first_step,
)
DECIDES = "        - analysis: {templates: [{templateName: decide}], args: *hashes}\n"
STABLE = "          - {name: stable, valueFrom: {podTemplateHashValue: Stable}}"
BESIDE = "        templates: [{templateName: stop}]\n        startingStep: 1\n"


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: str(check.__name__))
def test_sound_manifests_break_no_rule(check: Check) -> None:
    assert list(check(environment())) == []


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (DECIDES, "", "no analysis before weight 100"),
        ("      consecutiveSuccessLimit: 1\n", "", "consecutiveSuccessLimit: found None"),
        ("inconclusiveLimit: 60\n", "inconclusiveLimit: 59\n", "inconclusiveLimit: found 59"),
        ("consecutiveErrorLimit: 60\n", "consecutiveErrorLimit: 4\n", "consecutiveErrorLimit: fou"),
        ("      count: 60\n", "", "verdict.count: found none"),
        ('result == "promote"\n', 'result == "continue"\n', "decide: spec.metrics.verdict.success"),
        (
            'failureCondition: result == "abort"',
            'failureCondition: ""',
            "failureCondition: found n",
        ),
        ("failureLimit: 0", "failureLimit: 2", "failureLimit: found 2; expected 0"),
        ('jsonPath: "{$.result}"', 'jsonPath: "{$.reason}"', "jsonPath: found {$.reason}"),
        (STABLE, STABLE.replace("Stable", "Latest"), "args.stable: found Latest; expected podT"),
        (STABLE + "\n", "", "args.stable: found None"),
        (
            STABLE,
            STABLE.replace("valueFrom: {pod", "value: abc, valueFrom: {pod"),
            "stable: found None",
        ),
        (STABLE, STABLE + "\n" + STABLE, "args.stable: found Stable, Stable"),
        ("interval: 30s\n      count: 60", "count: 1", "interval: found none"),
        ("templateName: decide", "templateName: decides", "the template decides, which is not"),
        (' || result == "continue"', "", "AnalysisTemplate/stop: spec.metrics.verdict.successCond"),
        (
            "consecutiveErrorLimit: 1000\n",
            "count: 9\n",
            "stop: spec.metrics.verdict.count: found 9",
        ),
        ("      consecutiveErrorLimit: 1000\n", "", "stop: spec.metrics.verdict.consecutiveErr"),
        (
            "consecutiveErrorLimit: 1000\n",
            "consecutiveErrorLimit: 1000\n      consecutiveSuccessLimit: 1\n",
            "stop: spec.metrics.verdict.consecutiveSuccessLimit: found 1; expected none",
        ),
    ],
)
def test_an_analysis_that_passes_without_a_verdict_is_named(old: str, new: str, words: str) -> None:
    assert words in said(rules.rollout.vacuous, (old, new))


def test_a_rollout_that_nothing_watches_is_named() -> None:
    text = said(
        rules.rollout.vacuous,
        ("      analysis:\n" + BESIDE, ""),
        ("args: &hashes", ""),
        *[(line, "") for line in HASHES],
        ("args: *hashes", "args: []"),
    )
    assert "Rollout/taxi: spec.strategy.canary.analysis: found no analysis beside the steps" in text


HASHES = (STABLE + "\n", "          - {name: canary, valueFrom: {podTemplateHashValue: Latest}}\n")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("startingStep: 1", "startingStep: 6", "startingStep: found 6"),
        ("startingStep: 1", "startingStep: 2", "startingStep: found 2; expected at most 1"),
        (
            "      inconclusiveLimit: 1000\n",
            "      initialDelay: 2h\n",
            "stop: spec.metrics.verdict.initialDelay: found 2h; expected none: a delay",
        ),
        (
            "      count: 60\n",
            "      count: 60\n      initialDelay: 1s\n",
            "decide: spec.metrics.verdict.initialDelay: found 1s",
        ),
        (
            "interval: 30s\n      failureLimit",
            "interval: 6m\n      failureLimit",
            "stop: spec.metrics.verdict.interval: found 6m; expected at most the 300 s of",
        ),
    ],
)
def test_an_analysis_that_begins_when_all_is_over_is_named(old: str, new: str, words: str) -> None:
    assert words in said(rules.rollout.delayed, (old, new))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("setWeight: 20", "setWeight: 5", "steps.2.setWeight: found 5; expected more than 5"),
        ("setWeight: 5\n", "setWeight: 0\n", "steps.0.setWeight: found 0; expected more than 0"),
        (
            "        - setWeight: 100\n",
            "",
            "found weight 50 and more steps; expected setWeight 100",
        ),
        ("setWeight: 100", "setWeight: 90", "expected setWeight 100 as the last step"),
    ],
)
def test_weights_that_do_not_rise_to_100_are_named(old: str, new: str, words: str) -> None:
    assert words in said(rules.rollout.weights, (old, new))


def test_a_first_step_over_the_limit_is_named() -> None:
    text = said(rules.rollout.first_step, ("setWeight: 5\n", "setWeight: 6\n"))
    assert "steps.0.setWeight: found 6; expected at most 5%, rollout.max_first_weight" in text


def test_a_canary_that_has_traffic_at_rest_is_named() -> None:
    text = said(rules.rollout.first_step, ("weight: 0", "weight: 50"))
    assert "HTTPRoute/taxi: spec.rules.0.backendRefs.taxi-canary.weight: found 50" in text


def test_an_analysis_without_traffic_decides_nothing() -> None:
    moved = ("        - setWeight: 5\n", DECIDES + "        - setWeight: 5\n")
    text = said(rules.rollout.vacuous, (DECIDES, ""), moved)
    assert "no analysis before weight 100" in text


SWITCHED = (
    "    blueGreen:\n      activeService: taxi-stable\n      previewService: taxi-canary\n"
    "      maxUnavailable: 0\n      autoPromotionEnabled: AUTO\n---\n"
)


@pytest.mark.parametrize("check", [*CHECKS, rules.plan.plans], ids=lambda check: check.__name__)
def test_rules_of_steps_let_blue_green_pass(check: Check) -> None:
    text = MANIFESTS
    steps = text[text.index("    canary:\n      stable") : text.index("---\n") + 4]
    assert not said(check, (steps, SWITCHED.replace("AUTO", "false")))


def test_blue_green_that_switches_by_itself_is_named() -> None:
    text = MANIFESTS
    steps = text[text.index("    canary:\n      stable") : text.index("---\n") + 4]
    assert "found true; expected false: a person switches" in said(
        rules.rollout.vacuous, (steps, SWITCHED.replace("AUTO", "true"))
    )


def test_a_field_that_we_do_not_know_is_a_finding() -> None:
    text = said(rules.rollout.whole, ("maxUnavailable: 0", "maxUnavailabel: 0"))
    assert "the unknown field spec.strategy.canary.maxUnavailabel" in text


def test_a_plan_with_enough_traffic_can_decide() -> None:
    assert list(rules.plan.plans(environment())) == []


def test_a_plan_that_cannot_decide_is_named_with_what_it_would_take(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rules.plan, "RUNS", 5)
    few = environment().limits.model_copy(update={"min_rate": 0.5})
    (found,) = rules.plan.plans(replace(environment(), limits=few))
    assert "simulated canaries that are no worse are promoted in 40 min" in str(found)
    assert found.field == "spec.strategy.canary.steps"


ASKED_AT_ONCE = "interval: 30s\n      count: 60", "interval: 0s\n      count: 60"


def test_a_plan_that_nothing_judges_is_told_once() -> None:
    edits = ("pause: {duration: 5m}", "setWeight: 30"), (DECIDES, "")
    assert said(rules.rollout.vacuous, *edits)
    assert not said(rules.plan.plans, *edits)


def test_a_plan_without_time_is_named() -> None:
    edits = ("pause: {duration: 5m}", "setWeight: 30"), ASKED_AT_ONCE
    assert "no step that lasts at a weight between 0 and 100" in said(rules.plan.plans, *edits)


def said(check: Check, *edits: tuple[str, str]) -> str:
    return "\n".join(map(str, check(environment(*edits))))
