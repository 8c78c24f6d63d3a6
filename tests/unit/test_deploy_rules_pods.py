"""Rules of pods, rights, secrets, alerts and schemas, each seen red by one edit and green."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from declared import Edit, environment, tree
from preflight.deploy import kinds, rules
from preflight.deploy.tree import Finding, Tree
from preflight.errors import Problem
from preflight.release import Release
from records import record

RECORD = Release.model_validate(record())
IMAGE = f"taxi@sha256:{64 * '0'}"


@pytest.mark.parametrize(
    "check",
    [
        rules.pods.digests,
        rules.pods.limited,
        rules.pods.replicas,
        rules.walls.hardened,
        rules.rights.wildcards,
        rules.secrets.secrets,
        kinds.schemas,
    ],
)
def test_a_sound_tree_breaks_no_rule(check: Callable[[Tree], Iterator[Finding]]) -> None:
    assert list(check(tree())) == []


@pytest.mark.parametrize("image", ["taxi:1.2", "taxi", "taxi@sha256:0a", "taxi:latest"])
def test_an_image_by_its_tag_is_named(image: str) -> None:
    (found,) = rules.pods.digests(tree(environment((IMAGE, image))))
    assert f"containers.service.image: found registry.example/{image}; expected NAME" in str(found)


def test_zeros_for_a_digest_are_refused_once_something_is_released() -> None:
    (found,) = rules.pods.digests(tree(environment(record=RECORD)))
    assert "found 64 zeros; expected a digest, as there is a release record" in str(found)


@pytest.mark.parametrize(
    ("image", "remedy"),
    [
        ("taxi", "Render it: preflight render staging."),
        (
            "judge",
            "Set judge's digest in deploy/overlays/staging/kustomization.yaml; it takes effect "
            "when a record's `manifests` has that commit.",
        ),
    ],
)
def test_zeros_are_mended_where_that_image_is_set(image: str, remedy: str) -> None:
    ones = (f"judge@sha256:{64 * '1'}", f"judge@sha256:{64 * '0'}")
    found = list(rules.pods.digests(tree(environment(ones, record=RECORD))))
    assert [each.remedy for each in found if image in each.object] == [remedy]


def opened(rule: str) -> str:
    """A policy with a rule, before the last one."""
    return f"{LAST}metadata: {{name: all}}\nspec: {{podSelector: {{}}, {rule}}}\n{LAST}"


POD = """\
---
apiVersion: VERSION
kind: KIND
metadata: {name: more, namespace: taxi-staging}
spec: SPEC
"""
SPEC = "{containers: [{name: x, image: 'busybox:latest'}], hostNetwork: true}"
KINDS = (
    ("v1", "Pod", SPEC),
    ("batch/v1", "CronJob", f"{{jobTemplate: {{spec: {{template: {{spec: {SPEC}}}}}}}}}"),
    ("example.org/v1", "Unheard", f"{{pods: [{{spec: {SPEC}}}]}}"),
    *(
        ("apps/v1", kind, f"{{template: {{metadata: {{labels: {{a: b}}}}, spec: {SPEC}}}}}")
        for kind in ("ReplicaSet", "DaemonSet", "StatefulSet", "Deployment", "Job")
    ),
)
LAST = "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n"
FIRST_OF_PLATFORM = "---\napiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\n"


@pytest.mark.parametrize("where", ["environment", "platform"])
@pytest.mark.parametrize(("version", "kind", "spec"), KINDS, ids=[each[1] for each in KINDS])
def test_pods_of_any_kind_and_file_are_looked_at(
    version: str, kind: str, spec: str, where: str
) -> None:
    more = POD.replace("VERSION", version).replace("KIND", kind).replace("SPEC", spec)
    if where == "platform":
        given = tree(platform=[(FIRST_OF_PLATFORM, more + FIRST_OF_PLATFORM)])
    else:
        given = tree(environment((LAST, more + LAST)))
    for check, words in (
        (rules.pods.digests, "containers.x.image: found busybox:latest"),
        (rules.pods.limited, "containers.x.resources.limits.memory: found none"),
        (rules.walls.hardened, "hostNetwork: found true"),
        (rules.walls.hardened, "containers.x.securityContext.runAsNonRoot: found none"),
    ):
        assert words in "\n".join(map(str, check(given)))


@pytest.mark.parametrize("kind", ["Pod", "ReplicaSet", "Deployment"])
def test_one_pod_of_the_platform_is_named(kind: str) -> None:
    spec = {each[1]: each[2] for each in KINDS}[kind]
    more = POD.replace("VERSION", "v1").replace("KIND", kind).replace("SPEC", spec)
    given = tree(platform=[(FIRST_OF_PLATFORM, more + FIRST_OF_PLATFORM)])
    text = "\n".join(map(str, rules.pods.replicas(given)))
    assert f"{kind}/more: spec.replicas: found 1" in text
    assert f"{kind}/more: found no budget; expected a PodDisruptionBudget" in text


@pytest.mark.parametrize(("reference", "findings"), [("m:latest", 1), (f"m@sha256:{'1' * 64}", 0)])
def test_a_volumes_image_is_by_digest_too(reference: str, findings: int) -> None:
    volume = f"      volumes: [{{name: model, image: {{reference: '{reference}'}}}}]\n"
    given = environment((CONTAINERS, volume + CONTAINERS))
    assert len(list(rules.pods.digests(tree(given)))) == findings


CONTAINERS = "      containers:\n        - name: service\n"
READY = "startupProbe: &ready {httpGet: {path: /readyz, port: http}}"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (READY, READY.replace("/readyz", "/livez"), "readinessProbe: found /livez; expected httpG"),
        (READY, "startupProbe: &ready {exec: {command: ['true']}}", "readinessProbe: found no ht"),
        (", memory: 600Mi", "", "containers.service.resources.limits.memory: found none"),
        ("cpu: 100m, ", "", "Deployment/judge: spec.template.spec.containers.judge.resources.req"),
        (
            "          livenessProbe: {httpGet: {path: /livez, port: http}}\n",
            "",
            "livenessProbe: f",
        ),
    ],
)
def test_missing_limits_and_probes_are_named(old: str, new: str, words: str) -> None:
    assert words in said(rules.pods.limited, (old, new))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("minReplicas: 2", "minReplicas: 1", "HorizontalPodAutoscaler/taxi: spec.minReplicas: fou"),
        ("replicas: 2\n", "replicas: 1\n", "Deployment/judge: spec.replicas: found 1; expected at"),
        ("  replicas: 2\n", "", "Deployment/judge: spec.replicas: found 1"),
        ("kind: Rollout, name: taxi}", "kind: Rollout, name: cab}", "Rollout/taxi: spec.replicas"),
        ("maxUnavailable: 0", "maxUnavailable: 25%", "maxUnavailable: found 25%; expected 0"),
        (
            "maxUnavailable: 0",
            "maxUnavailable: 0\n      dynamicStableScale: true",
            "found true; ex",
        ),
        (
            "kind: PodDisruptionBudget\nmetadata: {name: taxi,",
            "kind: PodDisruptionBudgets\nmetadata: {name: taxi,",
            "Rollout/taxi: found no budget; expected a PodDisruptionBudget of its pods",
        ),
        ("  rollbackWindow", "  replicas: 3\n  rollbackWindow", "expected none: the autoscaler's"),
    ],
)
def test_what_stands_on_one_pod_is_named(old: str, new: str, words: str) -> None:
    assert words in said(rules.pods.replicas, (old, new))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            "runAsNonRoot: true",
            "runAsNonRoot: false",
            "service.securityContext.runAsNonRoot: found F",
        ),
        (
            "            readOnlyRootFilesystem: true\n",
            "",
            "readOnlyRootFilesystem: found none; exp",
        ),
        ("drop: [ALL]", "drop: [CHOWN]", "capabilities.drop: found some kept; expected ALL"),
        (
            "capabilities: {drop: [ALL]}",
            "capabilities: {drop: [ALL], add: [SYS_ADMIN]}",
            "service.securityContext.capabilities.add: found SYS_ADMIN; expected none",
        ),
        ("readOnlyRootFilesystem: true", "privileged: true", "securityContext.privileged: found t"),
        (
            CONTAINERS,
            "      hostPID: true\n" + CONTAINERS,
            "spec.template.spec.hostPID: found true",
        ),
        (
            CONTAINERS,
            "      hostIPC: true\n" + CONTAINERS,
            "spec.template.spec.hostIPC: found true",
        ),
        (
            CONTAINERS,
            "      volumes: [{name: node, hostPath: {path: /}}]\n" + CONTAINERS,
            "spec.template.spec.volumes.node.hostPath: found a folder of the node",
        ),
        ("[Ingress, Egress]", "[Ingress]", "Rollout/taxi: found no default deny"),
        (LAST, opened("ingress: [{}]"), "NetworkPolicy/all: spec.ingress.0: found everybody"),
        (LAST, opened("egress: [{ports: [{port: 443}]}]"), "spec.egress.0: found everybody"),
        (
            LAST,
            opened("ingress: [{from: [{namespaceSelector: {}}]}]"),
            "spec.ingress.0: found every",
        ),
        (LAST, opened("egress: [{to: [{ipBlock: {cidr: 0.0.0.0/0}}]}]"), "spec.egress.0: found ev"),
    ],
)
def test_a_container_that_may_more_than_it_needs_is_named(old: str, new: str, words: str) -> None:
    assert words in said(rules.walls.hardened, (old, new))


PROJECT = (
    "apiVersion: argoproj.io/v1alpha1\nkind: AppProject\nmetadata: {name: all}\n"
    "spec: {sourceRepos: ['*']}\n---\n"
)
CLUSTER = PROJECT.replace(
    "sourceRepos: ['*']", "clusterResourceWhitelist: [{group: '*', kind: Namespace}]"
)
BINDING = (
    "apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {name: all}\n"
    "roleRef: {kind: ClusterRole, name: cluster-admin}\n---\n"
)
EVERYBODY = BINDING.replace("cluster-admin}", "taxi-route}\nsubjects: [SUBJECT]")
GROUP = EVERYBODY.replace("SUBJECT", "{kind: Group, name: 'system:authenticated'}")
ACCOUNT = EVERYBODY.replace("SUBJECT", "{kind: ServiceAccount, name: argo-rollouts, namespace: a}")
AGGREGATED = (
    "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: wide}\n"
    "aggregationRule: {clusterRoleSelectors: [{matchLabels: {}}]}\nrules: []\n---\n"
)
FIRST = "apiVersion: v1\nkind: Service\nmetadata: {name: judge,"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            "verbs: [get, update, patch]",
            "verbs: ['*']",
            "Role/taxi-route: rules.0.verbs: found a wi",
        ),
        ("resources: [httproutes]", "resources: ['*/*']", "rules.0.resources: found a wildcard"),
        (FIRST, PROJECT + FIRST, "AppProject/all: spec.sourceRepos.0: found a wildcard"),
        (FIRST, CLUSTER + FIRST, "AppProject/all: spec.clusterResourceWhitelist.0: found a wild"),
        (FIRST, BINDING + FIRST, "RoleBinding/all: roleRef.name: found cluster-admin"),
        (FIRST, GROUP + FIRST, "RoleBinding/all: subjects.0.name: found system:authenticated"),
        (FIRST, AGGREGATED + FIRST, "ClusterRole/wide: aggregationRule: found others' rules"),
    ],
)
def test_a_wildcard_is_named(old: str, new: str, words: str) -> None:
    assert words in said(rules.rights.wildcards, (old, new))


def test_a_role_of_ours_for_an_account_is_no_wildcard() -> None:
    assert not said(rules.rights.wildcards, (FIRST, ACCOUNT + FIRST))


KEYS = "apiVersion: v1\nkind: Secret\nmetadata: {name: keys}\nstringData: {a: hush-hush}\n---\n"
CONFIGURED = (
    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: keys}\ndata: {password: hush-hush}\n---\n"
)
JUDGED = "          command: [python, -m, preflight.rollout.service]\n"
KEY = "-----BEGIN " + "PRIVATE KEY-----"
ADDRESS = "b://c:" + "hush@d"
AWS = "AK" + "IA" + 16 * "Z"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (FIRST, KEYS + FIRST, "Secret/keys: stringData"),
        (
            JUDGED,
            JUDGED + "          env: [{name: API_TOKEN, value: hush-hush}]\n",
            "env.API_TOKEN",
        ),
        (
            JUDGED,
            JUDGED + "          env: [{name: A, value: '" + ADDRESS + "'}]\n",
            "env.0.value",
        ),
        (
            JUDGED,
            JUDGED + "          env: [{name: DB_PASSWORD_2, value: hush-hush}]\n",
            "env.DB_PASSWORD_2",
        ),
        ("--host, 0.0.0.0", "--password=hush-hush", "containers.judge.args.4"),
        ("--host, 0.0.0.0", "--token, hush-hush", "containers.judge.args.4"),
        ("preflight.rollout.service]", "x, --api-key, hush-hush]", "containers.judge.command.3"),
        (FIRST, CONFIGURED + FIRST, "ConfigMap/keys: data.password"),
        ("- name: healthy", f"- name: '{KEY} hush-hush'", "spec.groups.0.name"),
        ("- name: healthy", f"- name: '{AWS} hush-hush'", "spec.groups.0.name"),
    ],
)
def test_a_secrets_value_is_named_but_not_told(old: str, new: str, words: str) -> None:
    edits = [(old, new)]
    given = tree(platform=edits) if "healthy" in old else tree(environment(*edits))
    (found,) = rules.secrets.secrets(given)
    assert words in str(found)
    assert "hush" not in str(found)


def test_a_file_a_flag_and_a_secret_by_name_are_no_secrets() -> None:
    env = (
        "          env: [{name: PREFLIGHT_KEYS, value: /etc/keys}, {name: KEY, value: /a/b.key},"
        " {name: TOKEN, valueFrom: {secretKeyRef: {name: a, key: b}}}]\n"
    )
    assert not said(rules.secrets.secrets, (JUDGED, JUDGED + env))


def test_a_generator_of_secrets_is_named(tmp_path: Path) -> None:
    text = "secretGenerator: [{name: a, literals: [b=hush]}]\n"
    (found,) = beside(tmp_path, "deploy/overlays/staging/kustomization.yaml", text)
    assert found.startswith("deploy/overlays/staging/kustomization.yaml: secretGenerator")


TOKEN = "ghp_" + 36 * "a"


@pytest.mark.parametrize(
    ("file", "text", "words"),
    [
        ("deploy/base/x.yaml", KEYS, "deploy/base/x.yaml: stringData"),
        ("deploy/components/shadow/x.yml", f"- {{op: add, value: {TOKEN}}}", "x.yml: .0.value"),
        (
            "deploy/platform/logs/values.yaml",
            f"env: [{{value: {TOKEN}}}]",
            "values.yaml: env.0.val",
        ),
    ],
)
def test_a_secret_in_what_is_rendered_or_read_by_a_tool_is_named(
    tmp_path: Path, file: str, text: str, words: str
) -> None:
    (found,) = beside(tmp_path, file, text)
    assert words in found
    assert TOKEN not in found


def beside(root: Path, file: str, text: str) -> list[str]:
    """What is found in a file of deploy/ that is no object of the tree."""
    path = root / file
    path.parent.mkdir(parents=True)
    path.write_text(text)
    return list(map(str, rules.secrets.secrets(tree(root=root))))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("containerPort: 3000", "containerPort: http", "spec.template.spec.containers.0.ports.0.c"),
        ("livenessProbe", "livelyProbe", "'livelyProbe' was unexpected"),
        ("  minReplicas: 2\n  max", "  leastReplicas: 2\n  max", "'leastReplicas' was unexpected"),
        ("apiVersion: autoscaling/v2", "apiVersion: autoscaling/v3", "found autoscaling/v3 Horiz"),
    ],
)
def test_an_object_that_a_server_would_refuse_is_named(old: str, new: str, words: str) -> None:
    assert words in said(kinds.schemas, (old, new))


def test_a_value_that_does_not_fit_is_not_told() -> None:
    text = said(kinds.schemas, ("replicas: 2\n", "replicas: hush\n"))
    assert "Deployment/judge: spec.replicas: found another value; expected type" in text
    assert "hush" not in text


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A checkout whose platform has what others emit, and a dashboard."""
    folder = tmp_path / "deploy/platform/monitoring"
    folder.mkdir(parents=True)
    (folder / "emitters.yaml").write_text("Prometheus: [up]\n")
    panel = {"title": "Errors", "targets": [{"expr": "rate(preflight_errors_total[$__range])"}]}
    (folder / "dashboard.json").write_text(json.dumps({"title": "Taxi", "panels": [panel]}))
    return tmp_path


def test_alerts_and_panels_on_metrics_that_are_emitted_break_no_rule(root: Path) -> None:
    assert list(rules.alerts.alerts(tree(root=root))) == []


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("preflight_errors_total", "preflight_error_total", "healthy.Errors: found the metric pre"),
        (
            "up{",
            "upp{",
            "PrometheusRule/taxi: healthy.Down: found the metric upp; expected one that",
        ),
        ('route="predict"', 'router="predict"', "preflight_errors_total by the label router"),
        ("[5m]", "[5m", "expected PromQL"),
        ('up{app="taxi"} == 0', "'{__name__=~\"u.*\"}'", "found the metric u.*"),
    ],
)
def test_an_alert_on_what_nobody_emits_is_named(root: Path, old: str, new: str, words: str) -> None:
    assert words in "\n".join(map(str, rules.alerts.alerts(tree(root=root, platform=[(old, new)]))))


def test_a_panel_on_what_nobody_emits_is_named(root: Path) -> None:
    file = root / "deploy/platform/monitoring/dashboard.json"
    file.write_text(file.read_text().replace("preflight_errors", "preflight_failures"))
    (found,) = rules.alerts.alerts(tree(root=root))
    assert str(found).startswith("deploy/platform/monitoring/dashboard.json: Errors: expr: found")


def test_a_recorded_series_is_emitted(root: Path) -> None:
    recorded = "- alert: Down\n", "- {record: 'a:b', expr: up}\n        - alert: Down\n"
    used = 'up{app="taxi"} == 0', "a:b == 0"
    assert not list(rules.alerts.alerts(tree(root=root, platform=[recorded, used])))


def test_a_list_of_emitters_that_is_none_is_refused(root: Path) -> None:
    (root / "deploy/platform/monitoring/emitters.yaml").write_text("up\n")
    with pytest.raises(Problem, match="emitters, each with a list"):
        list(rules.alerts.alerts(tree(root=root)))


def said(check: Callable[[Tree], Iterator[Finding]], *edits: Edit) -> str:
    return "\n".join(map(str, check(tree(environment(*edits)))))
