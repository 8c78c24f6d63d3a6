"""Rules of traffic and of who reaches whom, each seen red by one edit and green without it."""

from collections.abc import Callable, Iterator

import pytest

from declared import environment, tree
from preflight.deploy import rules_targets, rules_traffic
from preflight.deploy.tree import Environment, Finding, Tree

RETRY = "  loadBalancer:\n    type: ConsistentHash"
TIMES = "      timeouts: {request: 2s}\n"
MIRROR = (
    "      filters: [{type: RequestMirror, requestMirror: {backendRef: {name: NAME, port: 80}}}]\n"
)
CANARY = "- {name: X-Arm, value: canary}"
SHADOW = (
    "apiVersion: v1\nkind: Service\nmetadata: {name: taxi-shadow}\n"
    "spec: {selector: {app: SHADOW}, ports: [{port: 80}]}\n---\n"
)


@pytest.mark.parametrize("check", [rules_traffic.mirror, rules_traffic.sticky, rules_targets.arms])
def test_sound_manifests_break_no_rule(check: Callable[[Environment], Iterator[Finding]]) -> None:
    assert list(check(environment())) == []


@pytest.mark.parametrize(
    "check",
    [
        rules_traffic.retries,
        rules_targets.routes,
        rules_targets.scraped,
        rules_targets.judged,
    ],
)
def test_a_sound_tree_breaks_no_rule(check: Callable[[Tree], Iterator[Finding]]) -> None:
    assert list(check(tree())) == []


def test_a_mirror_route_is_named_as_this_plugin_does_nothing_there() -> None:
    step = "- setMirrorRoute: {name: shadow, percentage: 10}"
    (found,) = rules_traffic.mirror(environment(("- setWeight: 20", step)))
    assert "steps.2.setMirrorRoute" in str(found)
    assert "does nothing there" in str(found)


@pytest.mark.parametrize("name", ["taxi-canary", "taxi-stable"])
def test_a_mirror_to_an_arm_is_named(name: str) -> None:
    (found,) = rules_traffic.mirror(environment((TIMES, TIMES + MIRROR.replace("NAME", name))))
    assert f"found a mirror to {name}; expected a Service of pods that answer nobody" in str(found)


@pytest.mark.parametrize(("app", "findings"), [("taxi", 1), ("taxi-shadow", 0)])
def test_a_mirror_may_reach_pods_of_its_own_alone(app: str, findings: int) -> None:
    mirrored = TIMES, TIMES + MIRROR.replace("NAME", "taxi-shadow")
    first = "apiVersion: argoproj.io/v1alpha1\nkind: Rollout"
    service = first, SHADOW.replace("SHADOW", app) + first
    assert len(list(rules_traffic.mirror(environment(mirrored, service)))) == findings


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("set: [{name: X-Arm, value: canary}]", "add: [{name: X-Arm, value: canary}]", "no header"),
        ("value: canary}", "value: stable}", "taxi-canary.filters: found that of another backend"),
        ("type: ConsistentHash", "type: Random", "found no consistent hash"),
    ],
)
def test_a_hash_that_the_weights_would_not_follow_is_named(old: str, new: str, words: str) -> None:
    text = "\n".join(map(str, rules_traffic.sticky(environment((old, new)))))
    assert words in text


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (RETRY, "  retry: {numRetries: 2}\n" + RETRY, "BackendTrafficPolicy/taxi: spec.retry"),
        (TIMES, TIMES + "      retry: {attempts: 2}\n", "HTTPRoute/taxi: spec.rules.0.retry"),
    ],
)
def test_a_retry_on_an_arm_is_named(old: str, new: str, words: str) -> None:
    (found,) = rules_traffic.retries(tree(environment((old, new))))
    assert words in str(found)


SELECTED = "name: taxi-canary, namespace: taxi-staging, labels: {app: taxi}}\nspec:\n  selector: {"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (SELECTED, SELECTED + "arm: canary, ", "Service/taxi-canary: spec.selector: found {'arm'"),
        ("targetPort: http}", "targetPort: metrics}", "targetPort: found metrics; expected one of"),
    ],
)
def test_a_service_that_misses_its_pods_is_named(old: str, new: str, words: str) -> None:
    assert words in "\n".join(map(str, rules_targets.arms(environment((old, new)))))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("port: http, path", "port: admin, path", "endpoints.port: found admin; expected one of"),
        ("path: /metrics", "path: /v1/predict", "endpoints.path: found /v1/predict"),
        (
            "    - {port: http, path: /metrics, interval: 15s}\n",
            2 * "    - {port: http, path: /metrics, interval: 15s}\n",
            "found the pods of staging again, as taxi does; expected each pod once",
        ),
        ("kind: PodMonitor", "kind: ServiceMonitor", "found the Service taxi-canary; expected po"),
    ],
)
def test_metrics_of_another_arm_or_port_are_named(old: str, new: str, words: str) -> None:
    edits = [(old, new)]
    if "ServiceMonitor" in new:
        edits.append(("podMetricsEndpoints", "endpoints"))
    assert words in "\n".join(map(str, rules_targets.scraped(tree(platform=edits))))


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ('--selector=app="{rollout}",arm="canary"', "found --selector by arm; expected a label"),
        ('--selector=app="taxis"', "found --selector by app=taxis; expected app=taxi"),
        ("--interval=30", "found --interval 30; expected the monitor's, 15s"),
    ],
)
def test_a_judge_that_would_see_nothing_is_named(option: str, words: str) -> None:
    given = environment(("--host, 0.0.0.0", f"--host, 0.0.0.0, '{option}'"))
    assert words in "\n".join(map(str, rules_targets.judged(tree(given))))


def test_labels_that_the_monitor_drops_are_named() -> None:
    found = rules_targets.judged(tree(platform=[(", rollouts-pod-template-hash", "")]))
    assert "--selector by rollouts_pod_template_hash" in "\n".join(map(str, found))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("svc:8080", "svc:8081", "found judge.taxi-staging.svc:8081; expected a Service"),
        ("judge.taxi-staging", "judge.taxi-production", "found judge.taxi-production.svc:8080"),
        ("rollout=taxi", "rollout=cab", "expected rollout=taxi"),
    ],
)
def test_an_analysis_that_asks_nobody_is_named(old: str, new: str, words: str) -> None:
    assert words in "\n".join(map(str, rules_targets.judged(tree(environment((old, new))))))


def test_a_route_without_its_gateway_or_port_is_named() -> None:
    given = environment(("name: edge", "name: door"), ("          port: 80", "          port: 81"))
    text = "\n".join(map(str, rules_targets.routes(tree(given))))
    assert "parentRefs.0.name: found door; expected one of edge" in text
    assert "backendRefs.taxi-canary.port: found 81; expected one of [80]" in text


def test_a_route_of_a_listener_that_is_not_there_is_named() -> None:
    given = environment(("name: edge,", "name: edge, sectionName: https,"))
    (found,) = rules_targets.routes(tree(given))
    assert "parentRefs.0.sectionName: found https; expected a listener of edge" in str(found)
    listening = [("listeners: []", "listeners: [{name: https}]")]
    assert not list(rules_targets.routes(tree(given, platform=listening)))


def test_an_environment_that_nobody_watches_is_named() -> None:
    given = tree(platform=[("[taxi-staging, taxi-production]", "[taxi-production]")])
    text = "\n".join(map(str, rules_targets.watched(given)))
    assert "no PodMonitor or ServiceMonitor of its pods" in text
    assert "no dashboard" in text
    assert "no PrometheusRule" not in text
