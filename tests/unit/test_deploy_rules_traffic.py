"""Rules of traffic and of who reaches whom, each seen red by one edit and green without it."""

from collections.abc import Callable, Iterator

import pytest

from declared import environment, tree
from preflight.deploy import rules
from preflight.deploy.tree import Environment, Finding, Tree
from preflight.errors import Problem

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


@pytest.mark.parametrize("check", [rules.traffic.mirror, rules.traffic.sticky, rules.targets.arms])
def test_sound_manifests_break_no_rule(check: Callable[[Environment], Iterator[Finding]]) -> None:
    assert list(check(environment())) == []


@pytest.mark.parametrize(
    "check",
    [
        rules.traffic.retries,
        rules.traffic.bypassed,
        rules.targets.routes,
        rules.targets.scraped,
        rules.judge.judged,
    ],
)
def test_a_sound_tree_breaks_no_rule(check: Callable[[Tree], Iterator[Finding]]) -> None:
    assert list(check(tree())) == []


def test_a_mirror_route_is_named_as_this_plugin_does_nothing_there() -> None:
    step = "- setMirrorRoute: {name: shadow, percentage: 10}"
    (found,) = rules.traffic.mirror(environment(("- setWeight: 20", step)))
    assert "steps.2.setMirrorRoute" in str(found)
    assert "does nothing there" in str(found)


@pytest.mark.parametrize("name", ["taxi-canary", "taxi-stable"])
def test_a_mirror_to_an_arm_is_named(name: str) -> None:
    (found,) = rules.traffic.mirror(environment((TIMES, TIMES + MIRROR.replace("NAME", name))))
    assert f"found a mirror to {name}; expected a Service of pods that answer nobody" in str(found)


@pytest.mark.parametrize(("app", "findings"), [("taxi", 1), ("taxi-shadow", 0)])
def test_a_mirror_may_reach_pods_of_its_own_alone(app: str, findings: int) -> None:
    mirrored = TIMES, TIMES + MIRROR.replace("NAME", "taxi-shadow")
    first = "apiVersion: argoproj.io/v1alpha1\nkind: Rollout"
    service = first, SHADOW.replace("SHADOW", app) + first
    assert len(list(rules.traffic.mirror(environment(mirrored, service)))) == findings


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("set: [{name: X-Arm, value: canary}]", "add: [{name: X-Arm, value: canary}]", "no header"),
        ("value: canary}", "value: stable}", "taxi-canary.filters: found that of another backend"),
        (
            "value: stable}",
            "value: canary}",
            "taxi-stable.filters: found that of another backend; expected a RequestHeaderModifier "
            "that sets X-Arm to its arm, stable",
        ),
        ("type: ConsistentHash", "type: Random", "found no consistent hash"),
        ("type: Headers", "type: SourceIP", "found no consistent hash"),
        ("kind: HTTPRoute, name: taxi}", "kind: HTTPRoute, name: cab}", "found no consistent hash"),
        (
            "httpRoute: taxi, namespace: taxi-staging",
            "httpRoute: taxi, namespace: other",
            "gatewayAPI.namespace: found other; expected the Rollout's own",
        ),
    ],
)
def test_a_hash_that_the_weights_would_not_follow_is_named(old: str, new: str, words: str) -> None:
    text = "\n".join(map(str, rules.traffic.sticky(environment((old, new)))))
    assert words in text


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (RETRY, "  retry: {numRetries: 2}\n" + RETRY, "BackendTrafficPolicy/taxi: spec.retry"),
        (RETRY, "  retry: {}\n" + RETRY, "BackendTrafficPolicy/taxi: spec.retry"),
        (RETRY, "  healthCheck: {}\n" + RETRY, "spec.healthCheck: found health checks"),
        (TIMES, TIMES + "      retry: {attempts: 2}\n", "HTTPRoute/taxi: spec.rules.0.retry"),
        (TIMES, TIMES + "      retry: {}\n", "HTTPRoute/taxi: spec.rules.0.retry"),
    ],
)
def test_a_retry_on_an_arm_is_named(old: str, new: str, words: str) -> None:
    (found,) = rules.traffic.retries(tree(environment((old, new))))
    assert words in str(found)


ROUTED = "---\napiVersion: gateway.envoyproxy.io/v1alpha1\nkind: BackendTrafficPolicy\n"
RULE = "    - backendRefs: [{name: NAME, port: 80}]\n"
ROUTE = (
    "---\napiVersion: gateway.networking.k8s.io/v1\nkind: KIND\n"
    "metadata: {name: more, namespace: taxi-staging}\nspec:\n  rules:\n" + RULE
)
DIRECT = (
    "---\napiVersion: v1\nkind: Service\nmetadata: {name: direct, namespace: taxi-staging}\n"
    "spec: {type: TYPE, selector: {SELECTED}, ports: [{port: 80}]}\n"
)
OF_HASH = "app: taxi, rollouts-pod-template-hash: abc"


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (RULE.replace("NAME", "taxi-stable"), "HTTPRoute/taxi: spec.rules.1.backendRefs: found an"),
        (
            ROUTE.replace("NAME", "taxi-canary").replace("KIND", "HTTPRoute"),
            "HTTPRoute/more: spec.rules.0.backendRefs: found another way to taxi-canary; expected "
            "HTTPRoute/taxi, by its one rule",
        ),
        (
            DIRECT.replace("SELECTED", OF_HASH).replace("TYPE", "ClusterIP")
            + ROUTE.replace("NAME", "direct").replace("KIND", "HTTPRoute"),
            "found another way to direct",
        ),
        (ROUTE.replace("KIND", "GRPCRoute"), "GRPCRoute/more: kind: found GRPCRoute"),
        (ROUTE.replace("KIND", "Ingress"), "Ingress/more: kind: found Ingress"),
        (
            DIRECT.replace("SELECTED", "app: taxi").replace("TYPE", "LoadBalancer"),
            "Service/direct: spec.type: found LoadBalancer",
        ),
    ],
)
def test_a_way_past_the_weights_is_named(more: str, words: str) -> None:
    given = environment((ROUTED, more + ROUTED))
    assert words in "\n".join(map(str, rules.traffic.bypassed(tree(given))))


def test_a_way_past_the_weights_in_the_platforms_files_is_named() -> None:
    more = ROUTE.replace("NAME", "taxi-canary").replace("KIND", "HTTPRoute")
    first = "---\napiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\n"
    (found,) = rules.traffic.bypassed(tree(platform=[(first, more + first)]))
    assert str(found).startswith("deploy/platform/monitoring.yaml: HTTPRoute/more")


def test_a_route_to_other_pods_is_no_way_to_the_arms() -> None:
    more = ROUTE.replace("NAME", "judge").replace("KIND", "HTTPRoute")
    assert not list(rules.traffic.bypassed(tree(environment((ROUTED, more + ROUTED)))))


STABLE_PORT = (
    "metadata: {name: taxi-stable, namespace: taxi-staging, labels: {app: taxi}}\nspec:\n"
    "  selector: {app: taxi}\n  ports: [{name: http, port: 80,"
)
SELECTED = "name: taxi-canary, namespace: taxi-staging, labels: {app: taxi}}\nspec:\n  selector: {"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (SELECTED, SELECTED + "arm: canary, ", "Service/taxi-canary: spec.selector: found {'arm'"),
        (
            SELECTED,
            SELECTED + "rollouts-pod-template-hash: abc, ",
            "taxi-canary: spec.selector: fou",
        ),
        ("targetPort: http}", "targetPort: metrics}", "targetPort: found metrics; expected one of"),
        (
            STABLE_PORT,
            STABLE_PORT.replace("80", "81"),
            "Service/taxi-canary: spec.ports: found other ports; expected those of taxi-stable",
        ),
    ],
)
def test_a_service_that_misses_its_pods_is_named(old: str, new: str, words: str) -> None:
    assert words in "\n".join(map(str, rules.targets.arms(environment((old, new)))))


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
    assert words in "\n".join(map(str, rules.targets.scraped(tree(platform=edits))))


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ('--selector=app="{rollout}",arm="canary"', "found --selector by arm; expected a label"),
        ('--selector=app="taxis"', "found --selector by app=taxis; expected app=taxi"),
        ("--interval=30", "found --interval 30; expected the monitor's, 15s"),
        ('--selector=app="{rollout}"', "found --selector of any arm's pods; expected one as app="),
        ('--selector=rollouts_pod_template_hash="{hash}"', "found --selector of any arm's pods"),
        ("--cluster={rollout}", "found --cluster {rollout}; expected {rollout}-{arm}"),
    ],
)
def test_a_judge_that_would_see_nothing_is_named(option: str, words: str) -> None:
    given = environment(("--host, 0.0.0.0", f"--host, 0.0.0.0, '{option}'"))
    assert words in "\n".join(map(str, rules.judge.judged(tree(given))))


def test_labels_that_the_monitor_drops_are_named() -> None:
    found = rules.judge.judged(tree(platform=[(", rollouts-pod-template-hash", "")]))
    assert "--selector by rollouts_pod_template_hash" in "\n".join(map(str, found))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("svc:8080", "svc:8081", "found judge.taxi-staging.svc:8081; expected a Service"),
        ("judge.taxi-staging", "judge.taxi-production", "found judge.taxi-production.svc:8080"),
        ("rollout=taxi", "rollout=cab", "expected rollout=taxi"),
        ("&canary={{args.canary}}", "", "found rollout=taxi&stable={{args.stable}}; expected"),
        ("&stable=", "&stable=x&stable=", "expected rollout=taxi&stable={{args.stable}}&canary="),
        ("stable={{args.stable}}", "stable={{args.canary}}", "or one arm against itself"),
        ("/v1/verdict", "/v1/model", "found /v1/model; expected /v1/verdict"),
        ("--envoy, gateway, ", "", "containers.judge.args: found no --envoy"),
        ("http://judge.", "http://taxi-canary.", "found taxi-canary.taxi-staging.svc:8080; expec"),
        ("command: [python, -m,", "command: [sh, -c,", "8080, no judge; expected a Service of a"),
        (
            "image: registry.example/judge@",
            "image: registry.example/taxi@",
            "; expected another im",
        ),
        (
            "labels: {app: judge}}\nspec:\n  selector: {app: judge}",
            "labels: {app: judge}}\nspec:\n  selector: {app: taxi}",
            "8080, no judge",
        ),
        ("{app: judge}", "{app: taxi}", "8080, no judge"),
    ],
)
def test_an_analysis_that_asks_nobody_is_named(old: str, new: str, words: str) -> None:
    assert words in "\n".join(map(str, rules.judge.judged(tree(environment((old, new))))))


def test_a_route_without_its_gateway_or_port_is_named() -> None:
    given = environment(("name: edge", "name: door"), ("          port: 80", "          port: 81"))
    text = "\n".join(map(str, rules.targets.routes(tree(given))))
    assert "parentRefs.0.name: found door; expected one of edge" in text
    assert "backendRefs.taxi-canary.port: found 81; expected one of [80]" in text


@pytest.mark.parametrize("parents", ["[]", "[{name: taxi-stable, kind: Service}]"])
def test_a_route_that_hangs_on_no_gateway_is_named(parents: str) -> None:
    given = environment(("[{name: edge, namespace: gateway}]", parents))
    (found,) = rules.targets.routes(tree(given))
    assert "HTTPRoute/taxi: spec.parentRefs: found no Gateway; expected one that it" in str(found)


def test_a_route_of_a_listener_that_is_not_there_is_named() -> None:
    given = environment(("name: edge,", "name: edge, sectionName: https,"))
    (found,) = rules.targets.routes(tree(given))
    assert "parentRefs.0.sectionName: found https; expected a listener of edge" in str(found)
    listening = [("listeners: []", "listeners: [{name: https}]")]
    assert not list(rules.targets.routes(tree(given, platform=listening)))


MONITOR, RULE_KIND = "no PodMonitor or ServiceMonitor of its pods", "kind: PrometheusRule"


@pytest.mark.parametrize(
    ("old", "new", "missing"),
    [
        ("[taxi-staging, taxi-production]", "[taxi-production]", [MONITOR]),
        (RULE_KIND, f"{RULE_KIND}s", ["no PrometheusRule"]),
    ],
)
def test_an_environment_that_nobody_watches_is_named(
    old: str, new: str, missing: list[str]
) -> None:
    found = [each.found for each in rules.targets.watched(tree(platform=[(old, new)]))]
    assert found == [*missing, "no dashboard"]


def test_a_monitor_that_selects_by_expressions_is_refused() -> None:
    by = "{matchExpressions: [{key: app, operator: Exists}]}"
    with pytest.raises(Problem, match=r"PodMonitor/taxi: spec\.selector: found matchExpressions"):
        list(rules.targets.scraped(tree(platform=[("{matchLabels: {app: taxi}}", by)])))
