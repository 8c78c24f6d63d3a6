"""Rules of ends, sizes and the route in Git, each seen red by one edit and green without it."""

import pytest

from declared import environment, tree
from preflight.deploy import rules

PAUSE = "pause: {duration: 5m}"
NONE = "annotations: {preflight/release: none}\nspec:\n  selector"
AB = "annotations: {preflight/release: none, preflight/strategy: ab}\nspec:\n  selector"
GRACE = "terminationGracePeriodSeconds: 630"
BACK = "rollbackWindow: {revisions: 3}"
PROBE = "          startupProbe: &ready {httpGet: {path: /readyz, port: http}}\n"
SLEEP = "          lifecycle: {preStop: {sleep: {seconds: SECONDS}}}\n"


def test_a_sound_rollout_ends() -> None:
    assert not list(rules.ends.ends(environment()))


@pytest.mark.parametrize(("annotations", "findings"), [(NONE, 2), (AB, 0)])
def test_only_an_ab_test_waits_for_a_person(annotations: str, findings: int) -> None:
    found = list(rules.ends.ends(environment((PAUSE, "pause: {}"), (NONE, annotations))))
    assert len(found) == findings
    assert all("pause: found no duration; expected a duration, as" in str(each) for each in found)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("progressDeadlineAbort: true", "progressDeadlineAbort: false", "Abort: found false; expe"),
        ("  progressDeadlineAbort: true\n", "", "spec.progressDeadlineAbort: found false"),
        (BACK, BACK.replace("3", "4"), "rollbackWindow.revisions: found 4; expected 1 to 3"),
        (BACK, BACK.replace("3", "0"), "rollbackWindow.revisions: found 0"),
        (f"  {BACK}\n", "", "rollbackWindow.revisions: found 0"),
        (GRACE, GRACE.replace("630", "605"), "found 605; expected at least 606: preStop, serving."),
        (f"      {GRACE}\n", "", "terminationGracePeriodSeconds: found 30"),
        (PROBE, SLEEP.replace("SECONDS", "25") + PROBE, "found 630; expected at least 631"),
    ],
)
def test_a_rollout_or_pod_that_ends_badly_is_named(old: str, new: str, words: str) -> None:
    (found,) = rules.ends.ends(environment((old, new)))
    assert words in str(found)


def test_a_pod_may_end_as_late_as_its_longest_stream() -> None:
    given = environment((GRACE, GRACE.replace("630", "611")), (PROBE, SLEEP_OF_FIVE + PROBE))
    assert not list(rules.ends.ends(given))


SLEEP_OF_FIVE = SLEEP.replace("SECONDS", "5")


@pytest.mark.parametrize(
    ("quantity", "number"),
    [
        ("500m", 0.5),
        ("640Mi", 640 * 2**20),
        ("1.5Gi", 1.5 * 2**30),
        ("2k", 2e3),
        ("1e9", 1e9),
        (1e16, 1e16),
        ("1E", 1e18),
        ("2Ei", 2.0**61),
        (2, 2.0),
        ("640MB", None),
        ("much", None),
    ],
)
def test_a_quantity_is_read_as_kubernetes_reads_it(
    quantity: str | int, number: float | None
) -> None:
    assert rules.sizes.amount(quantity) == number


def test_sound_sizes_are_no_finding() -> None:
    assert not list(rules.sizes.sizes(tree()))


SERVICE = "spec.template.spec.containers.service.resources"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("memory: 400Mi}, limits", "memory: 601Mi}, limits", f"{SERVICE}.requests.memory: found 6"),
        ('requests: {cpu: "1"', 'requests: {cpu: "1.5"', "found 1.5; expected at most the limit, "),
        ("memory: 200Mi", "memory: 200m", "judge.resources.requests.memory: found 200m; expected"),
        ("memory: 200Mi", "memory: 200", "It is 200 bytes: nothing starts."),
        ("memory: 200Mi", "memory: 200MB", "found 200MB; expected a quantity"),
        (
            "memory: 600Mi",
            "memory: 4e8",
            "limits.memory: found 4e8; expected more than rollout.max_mem",
        ),
        ("minReplicas: 2", "minReplicas: 9", "minReplicas: found 9; expected at most maxReplicas,"),
    ],
)
def test_a_size_that_no_pod_can_have_is_named(old: str, new: str, words: str) -> None:
    assert words in "\n".join(map(str, rules.sizes.sizes(tree(environment((old, new))))))


BUDGET = "{maxUnavailable: 1, selector: {matchLabels: {app: taxi}}}"


@pytest.mark.parametrize(
    ("kept", "words"),
    [
        ("maxUnavailable: 1", None),
        ("maxUnavailable: 50%", None),
        ("minAvailable: 1", None),
        ("minAvailable: 10%", None),
        ("maxUnavailable: 100%", "found maxUnavailable 100%; expected one that keeps some of 2"),
        ("maxUnavailable: 60%", "found maxUnavailable 60%"),
        ("maxUnavailable: 2", "found maxUnavailable 2"),
        ("minAvailable: 0", "found minAvailable 0"),
        ("minAvailable: 0%", "found minAvailable 0%"),
        ("unhealthyPodEvictionPolicy: AlwaysAllow", "found nothing kept"),
    ],
)
def test_a_budget_that_keeps_no_pod_is_named(kept: str, words: str | None) -> None:
    given = environment((BUDGET, BUDGET.replace("maxUnavailable: 1", kept)))
    found = list(map(str, rules.pods.replicas(tree(given))))
    assert len(found) == (words is not None)
    assert all(f"PodDisruptionBudget/taxi: spec: {words}" in each for each in found)


VOLUMES = "      volumes: [{name: tmp, emptyDir: {}}]\n      containers:\n        - name: service\n"
CONTAINERS = "      containers:\n        - name: service\n"
MOUNT = "          volumeMounts: [{name: NAME, mountPath: /tmp}]\n"


@pytest.mark.parametrize(("name", "findings"), [("tmp", 0), ("temp", 1)])
def test_a_mount_of_no_volume_is_named(name: str, findings: int) -> None:
    given = environment((CONTAINERS, VOLUMES), (PROBE, MOUNT.replace("NAME", name) + PROBE))
    found = list(rules.pods.mounted(tree(given)))
    assert len(found) == findings
    assert all("volumeMounts.0.name: found temp; expected one of tmp" in str(e) for e in found)


def test_a_claimed_volume_is_one_of_the_pod() -> None:
    last = "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n"
    more = (
        "---\napiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: kept}\nspec:\n"
        "  volumeClaimTemplates: [{metadata: {name: data}}]\n"
        "  template: {spec: {containers: [{name: a, volumeMounts: [{name: data}]}]}}\n"
    )
    assert not list(rules.pods.mounted(tree(environment((last, more + last)))))


def test_a_sound_route_is_at_rest_and_has_durations() -> None:
    assert not list(rules.route.at_rest(environment()))
    assert not list(rules.route.durations(tree()))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("weight: 100", "weight: 95", "taxi-stable.weight: found 95; expected 100"),
        ("          weight: 100\n", "", "taxi-stable.weight: found 1; expected 100"),
        ("value: /v1/}", "value: /}", "spec.rules.0.matches.0.path.value: found /; expected the"),
        ("matches: [{path: {type: PathPrefix, value: /v1/}}]", "matches: []", "found /; expected"),
    ],
)
def test_a_route_of_other_weights_or_paths_is_named(old: str, new: str, words: str) -> None:
    (found,) = rules.route.at_rest(environment((old, new)))
    assert words in str(found)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            "requestTimeout: 35s",
            "requestTimeout: 35",
            "spec.timeout.http.requestTimeout: found 35;",
        ),
        ("connectTimeout: 2s", "connectTimeout: '2'", "spec.timeout.tcp.connectTimeout: found 2;"),
        ("requestTimeout: 35s", "requestTimeout: 35 s", "found 35 s; expected a duration, as 35s"),
        ("timeouts: {request: 2s}", "timeouts: {request: 2}", "rules.0.timeouts.request: found 2;"),
    ],
)
def test_a_timeout_without_a_unit_is_named(old: str, new: str, words: str) -> None:
    (found,) = rules.route.durations(tree(environment((old, new))))
    assert words in str(found)
