"""deploy/platform: alerts that can fire and reach somebody, policies that hold, equal names."""

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from conftest import ROOT
from preflight import params, release, workspace
from preflight import project as seam
from preflight.deploy import manifests, tree
from preflight.deploy.manifests import Manifests
from preflight.deploy.rules import alerts
from preflight.gates import REQUIRED as REQUIRED_GATES
from preflight.log.segments import Standard

PLATFORM = ROOT / "deploy/platform"
MONITORING = PLATFORM / "monitoring"
ENVIRONMENTS = ("staging", "production")
REQUIRED = os.environ.get("REQUIRE_TOOLS") == "1"
PATH = f"{ROOT / '.preflight/go'}{os.pathsep}{os.environ['PATH']}"
PROMTOOL, KUSTOMIZE = (shutil.which(each, path=PATH) for each in ("promtool", "kustomize"))
LINK = re.compile(r"https://github\.com/[\w-]+/[\w.-]+/blob/main/(docs/\w+\.md)#([a-z-]+)")


def read(place: str) -> Manifests:
    return manifests.read(PLATFORM / place)


def rendered(environment: str) -> Manifests:
    return manifests.read(ROOT / f"deploy/rendered/{environment}.yaml")


def rules() -> list[dict[str, Any]]:
    groups = read("monitoring/rules.yaml").one("PrometheusRule")["spec"]["groups"]
    return [rule for group in groups for rule in group["rules"]]


def anchors(page: str) -> set[str]:
    """GitHub's anchors of a page's headings."""
    heads = re.findall(r"^#+ (.+)$", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: str(rule["alert"]))
def test_each_alert_has_an_owner_a_severity_and_a_page_that_says_what_to_do(
    rule: dict[str, Any],
) -> None:
    teams = (ROOT / ".github/CODEOWNERS").read_text(encoding="utf-8")
    assert re.search(rf"@[\w-]+/{rule['labels']['owner']}(?![\w-])", teams)
    assert rule["labels"]["severity"] in ("page", "ticket")
    assert rule["annotations"]["summary"]
    link = LINK.fullmatch(rule["annotations"]["runbook_url"])
    assert link is not None
    assert link[2] in anchors(link[1])


def test_alerts_and_the_dashboard_read_only_what_somebody_emits() -> None:
    found = tree.load(ROOT)
    assert list(alerts.alerts(found)) == []
    lost = alerts.wrong("rate(preflight_lost_total[5m]) > 0", alerts.emitted(found))
    assert list(lost) == [("the metric preflight_lost_total", "one that somebody emits")]


def test_each_metric_named_for_others_is_read_by_an_alert_or_the_dashboard() -> None:
    emitters = yaml.safe_load((MONITORING / "emitters.yaml").read_text(encoding="utf-8"))
    queries = (MONITORING / "rules.yaml").read_text() + (MONITORING / "dashboard.json").read_text()
    unread = [name for names in emitters.values() for name in names if name not in queries]
    assert unread == []


def test_each_alert_is_tried_red_and_green() -> None:
    cases = yaml.safe_load((MONITORING / "rules.test.yaml").read_text(encoding="utf-8"))["tests"]
    tried = {case["name"] for case in cases if case["promql_expr_test"][0]["exp_samples"]}
    silent = {case["name"] for case in cases if not case["promql_expr_test"][0]["exp_samples"]}
    beside = {
        case["name"]
        for case in cases
        if {"red", "green"}
        <= set(re.findall(r'"(?:taxi-)?(red|green)"', str(case["input_series"])))
    }
    assert tried == {rule["alert"] for rule in rules()}
    assert tried - beside == silent


@pytest.mark.skipif(PROMTOOL is None and not REQUIRED, reason="promtool is not installed")
def test_promtool_sees_each_alert_fire_when_it_should_and_only_then(tmp_path: Path) -> None:
    assert PROMTOOL is not None, "promtool is required: Debian's package prometheus has it"
    groups = read("monitoring/rules.yaml").one("PrometheusRule")["spec"]
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(groups))
    shutil.copy(MONITORING / "rules.test.yaml", tmp_path)
    for words in (("check", "rules", "rules.yaml"), ("test", "rules", "rules.test.yaml")):
        workspace.run(tmp_path, PROMTOOL, *words)


@pytest.mark.skipif(KUSTOMIZE is None and not REQUIRED, reason="kustomize is not installed")
@pytest.mark.parametrize(
    "folder", ["admission", "argocd", "gateway", "logs", "monitoring", "rollouts"]
)
def test_kustomize_renders_each_folder(folder: str) -> None:
    assert KUSTOMIZE is not None, "kustomize is required: run `make tools`"
    text = workspace.run(ROOT, KUSTOMIZE, "build", f"deploy/platform/{folder}").stdout
    assert manifests.parse(text, folder).objects


def test_no_file_of_the_platform_holds_a_secret() -> None:
    assert not [each for file in tree.load(ROOT).platform for each in file.manifests.all("Secret")]
    for receiver in read("monitoring/routing.yaml").one("AlertmanagerConfig")["spec"]["receivers"]:
        [notified] = [value for key, value in receiver.items() if key.endswith("Configs")]
        for each in notified:
            assert (each.get("routingKey") or each.get("urlSecret")).keys() == {"name", "key"}


def test_each_severity_has_a_receiver_and_so_has_everything_else() -> None:
    spec = read("monitoring/routing.yaml").one("AlertmanagerConfig")["spec"]
    receivers = {each["name"] for each in spec["receivers"]}
    assert {rule["labels"]["severity"] for rule in rules()} <= receivers
    assert spec["route"]["receiver"] in receivers


def test_pods_are_scraped_as_often_as_the_judge_expects_and_with_its_labels() -> None:
    monitors = {
        each["metadata"]["name"]: each["spec"]
        for each in read("monitoring/scrapes.yaml").all("PodMonitor")
    }
    args = rendered("production").one("Deployment", "judge")["spec"]["template"]["spec"]
    asked = " ".join(args["containers"][0]["args"])
    intervals = {monitors[each]["podMetricsEndpoints"][0]["interval"] for each in ("taxi", "envoy")}
    assert {f"--interval={each.removesuffix('s')}" for each in intervals} <= set(asked.split())
    for name in ("taxi", "envoy"):
        for label in monitors[name]["podTargetLabels"]:
            assert f"{re.sub(r'[^a-z]', '_', label)}=" in asked
    namespaces = {rendered(each).one("Rollout")["metadata"]["namespace"] for each in ENVIRONMENTS}
    assert set(monitors["taxi"]["namespaceSelector"]["matchNames"]) == namespaces


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_envoys_clusters_get_the_names_of_the_routes_services(environment: str) -> None:
    monitors = read("monitoring/scrapes.yaml")
    endpoint = monitors.one("PodMonitor", "envoy")["spec"]["podMetricsEndpoints"][0]
    route = rendered(environment).one("HTTPRoute", "taxi")
    [rule] = route["spec"]["rules"]
    for place, backend in enumerate(rule["backendRefs"]):
        name = f"httproute/{route['metadata']['namespace']}/taxi/rule/0/backend/{place}"
        for each in endpoint["metricRelabelings"]:
            if each.get("targetLabel") == "envoy_cluster_name":
                wanted = each["replacement"].replace("${1}", r"\1")
                name = re.sub(f"^(?:{each['regex']})$", wanted, name)
        assert name == backend["name"]


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_argo_cd_may_apply_what_is_rendered_and_nothing_else(environment: str) -> None:
    project = read("argocd/projects.yaml").one("AppProject", f"taxi-{environment}")["spec"]
    allowed = {(each["group"], each["kind"]) for each in project["namespaceResourceWhitelist"]}
    wanted = {
        (each["apiVersion"].rpartition("/")[0].split("/")[0], each["kind"])
        for each in rendered(environment).objects
    }
    assert wanted == allowed
    assert project["clusterResourceWhitelist"] == []
    assert [each["namespace"] for each in project["destinations"]] == [f"taxi-{environment}"]


def test_argo_cd_reads_each_rendered_file_and_leaves_weights_and_switches_as_they_are() -> None:
    spec = read("argocd/environments.yaml").one("ApplicationSet")["spec"]
    [listed] = spec["generators"]
    names = [each["environment"] for each in listed["list"]["elements"]]
    source = spec["template"]["spec"]["source"]
    for name in names:
        include = source["directory"]["include"].replace("{{.environment}}", name)
        assert (ROOT / source["path"] / include).is_file()
    assert sorted(names) == sorted(each.stem for each in (ROOT / source["path"]).glob("*.yaml"))
    weights, switches = spec["template"]["spec"]["ignoreDifferences"]
    assert weights["jqPathExpressions"] == [".spec.rules[]?.backendRefs[]?.weight"]
    for name in names:
        [volumes] = [
            each["projected"]["sources"]
            for each in rendered(name).one("Rollout")["spec"]["template"]["spec"]["volumes"]
            if "projected" in each
        ]
        assert {"name": switches["name"]} in [each.get("configMap") for each in volumes]
    options = spec["template"]["spec"]["syncPolicy"]["syncOptions"]
    assert "ApplyOutOfSyncOnly=true" in options
    assert "RespectIgnoreDifferences=true" not in options


def test_limits_count_by_the_client_that_the_key_names_and_no_caller_can() -> None:
    named = read("gateway/base/keys.yaml").one("SecurityPolicy")["spec"]["apiKeyAuth"]
    limits = read("gateway/base/limits.yaml").one("BackendTrafficPolicy")["spec"]["rateLimit"]
    [selector] = limits["local"]["rules"][0]["clientSelectors"]
    assert selector["headers"] == [{"name": named["forwardClientIDHeader"], "type": "Distinct"}]
    connections = read("gateway/base/connections.yaml").one("ClientTrafficPolicy")["spec"]
    removed = connections["headers"]["earlyRequestHeaders"]["remove"]
    assert {named["forwardClientIDHeader"], "x-arm", "x-pair-id"} <= set(removed)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_a_routes_own_policy_keeps_its_gateways_limits(environment: str) -> None:
    policy = rendered(environment).one("BackendTrafficPolicy", "taxi")["spec"]
    assert policy["mergeType"] == "StrategicMerge"
    assert "rateLimit" not in policy
    [parent] = rendered(environment).one("HTTPRoute", "taxi")["spec"]["parentRefs"]
    assert parent["name"] == read("gateway/base/gateway.yaml").one("Gateway")["metadata"]["name"]


def test_the_probe_asks_what_the_contract_accepts() -> None:
    blackbox = yaml.safe_load((MONITORING / "blackbox.yml").read_text(encoding="utf-8"))
    body = json.loads(blackbox["modules"]["predict"]["http"]["body"])
    contract = seam.contract(params.load(ROOT / "params.yaml").project)
    assert body.keys() == {each.name for each in contract.known}


def test_the_shipper_takes_off_the_stream_and_leaves_the_record_as_it_was(tmp_path: Path) -> None:
    record = b'{"id": "a", "value": 0.1000000000000000055, "input": {"stream": "x"}}\n'
    with (tmp_path / "out").open("wb") as file:
        Standard("predictions", file.fileno()).append(record)
    config = yaml.safe_load((PLATFORM / "logs/vector.yaml").read_text(encoding="utf-8"))
    pattern = re.search(
        r"replace\(line, r'(.+)', \"\{\", count: 1\)", config["transforms"]["told"]["source"]
    )
    assert pattern is not None
    told = (tmp_path / "out").read_text()
    assert re.sub(pattern[1].replace("\\\\", "\\"), "{", told, count=1).encode() == record


def test_the_shipper_drops_no_line_that_the_service_may_write() -> None:
    config = yaml.safe_load((PLATFORM / "logs/vector.yaml").read_text(encoding="utf-8"))
    longest = params.load(ROOT / "params.yaml").serving.max_line_bytes
    pods = config["sources"]["pods"]
    assert min(pods["max_line_bytes"], pods["max_merged_line_bytes"]) > 4 * longest


def test_the_dashboard_answers_three_questions_on_panels_that_say_what_they_show() -> None:
    panels = json.loads((MONITORING / "dashboard.json").read_text(encoding="utf-8"))["panels"]
    rows = [each["title"] for each in panels if each["type"] == "row"]
    assert rows == ["Is it healthy?", "Is it right?", "What is rolling out?"]
    assert all(each["description"] for each in panels if each["type"] != "row")
    cells = [
        (x, y)
        for each in panels
        for x in range(each["gridPos"]["x"], each["gridPos"]["x"] + each["gridPos"]["w"])
        for y in range(each["gridPos"]["y"], each["gridPos"]["y"] + each["gridPos"]["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24


def notifications() -> dict[str, Any]:
    name = "argo-rollouts-notification-configmap"
    data: dict[str, Any] = read("rollouts/notifications.yaml").one("ConfigMap", name)["data"]
    return {key: yaml.safe_load(text) for key, text in data.items()}


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_a_rollouts_end_is_told_by_a_trigger_and_a_service_that_exist(environment: str) -> None:
    told = notifications()
    subscribed = "notifications.argoproj.io/subscribe."
    keys = rendered(environment).one("Rollout")["metadata"]["annotations"]
    asked = [key.removeprefix(subscribed).split(".") for key in keys if key.startswith(subscribed)]
    assert sorted(trigger for trigger, _ in asked) == [
        "on-rollout-aborted", "on-rollout-completed"
    ]  # fmt: skip
    for trigger, service in asked:
        [sent] = told[f"trigger.{trigger}"]
        [template] = sent["send"]
        assert service in told[f"template.{template}"]["webhook"]
        assert f"service.webhook.{service}" in told


def test_what_is_told_is_what_the_workflow_reads() -> None:
    told, workflow = notifications(), workflow_of("verdict.yml")
    for name in ("promoted", "aborted"):
        sent = told[f"template.{name}"]["webhook"]["github"]
        body = json.loads(re.sub(r"\{\{.*?\}\}", "", sent["body"], flags=re.DOTALL))
        assert sent["path"].endswith("/dispatches")
        assert body["event_type"] in workflow[True]["repository_dispatch"]["types"]
        assert body["client_payload"]["verdict"] == name
        read = set(re.findall(r"client_payload\.(\w+)", json.dumps(workflow["jobs"])))
        assert read == set(body["client_payload"])
        assert f'"{release.ANNOTATION}"' in sent["body"]


def test_the_token_of_notifications_is_named_and_not_there() -> None:
    [header] = [
        each["value"]
        for each in notifications()["service.webhook.github"]["headers"]
        if each["name"] == "Authorization"
    ]
    assert header == "Bearer $github-token"


def workflow_of(name: str) -> Any:
    return yaml.safe_load((ROOT / ".github/workflows" / name).read_text(encoding="utf-8"))


def signed() -> dict[str, Any]:
    found: dict[str, Any] = read("admission/signed.yaml").one("ImageValidatingPolicy")["spec"]
    return found


def test_only_the_workflow_that_releases_may_sign_for_the_cluster() -> None:
    [attestor] = signed()["attestors"]
    [identity] = attestor["cosign"]["keyless"]["identities"]
    assert identity["issuer"] == "https://token.actions.githubusercontent.com"
    source = read("argocd/projects.yaml").all("AppProject")[0]["spec"]["sourceRepos"][0]
    path = identity["subject"].removeprefix(source.removesuffix(".git") + "/")
    workflow, _, ref = path.partition("@")
    assert "make sign" in (ROOT / workflow).read_text(encoding="utf-8")
    assert (ref, workflow_of("release.yml")[True]["push"]["branches"]) == (
        "refs/heads/main",
        ["main"],
    )


def test_the_cluster_asks_for_the_evidence_that_is_attested_and_for_every_gate() -> None:
    [attestation] = signed()["attestations"]
    attested = [
        each["with"]["predicate-type"]
        for each in workflow_of("release.yml")["jobs"]["build"]["steps"]
        if "predicate-type" in each.get("with", {})
    ]
    assert attested == [attestation["intoto"]["type"]]
    [gates] = [each["expression"] for each in signed()["variables"] if each["name"] == "gates"]
    assert sorted(re.findall(r"'([\w-]+)'", gates)) == sorted(REQUIRED_GATES)


@pytest.mark.parametrize("name", ["released", "signed"])
def test_a_policy_denies_in_every_environment_and_when_it_cannot_tell(name: str) -> None:
    [policy] = manifests.read(PLATFORM / f"admission/{name}.yaml").objects
    assert (policy["spec"]["validationActions"], policy["spec"]["failurePolicy"]) == (
        ["Deny"], "Fail"
    )  # fmt: skip
    [condition] = policy["spec"]["matchConditions"]
    prefix = re.search(r"startsWith\('(.+)'\)", condition["expression"])
    assert prefix is not None
    for environment in ENVIRONMENTS:
        spaces = {each["metadata"]["namespace"] for each in rendered(environment).all("Rollout")}
        assert all(each.startswith(prefix[1]) for each in spaces)


def test_a_container_that_is_put_into_a_running_pod_asks_the_policy_too() -> None:
    [rule] = read("admission/released.yaml").one("ValidatingPolicy")["spec"]["matchConstraints"][
        "resourceRules"
    ]
    assert rule["resources"] == ["pods", "pods/ephemeralcontainers"]


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_images_that_are_rendered_are_those_that_the_policy_lets_in(environment: str) -> None:
    policy = read("admission/released.yaml").one("ValidatingPolicy")["spec"]
    pattern = re.search(r"image\.matches\('(.+?)'\)", policy["validations"][0]["expression"])
    assert pattern is not None
    images = re.findall(r"image: (\S+)", (ROOT / f"deploy/rendered/{environment}.yaml").read_text())
    assert images
    assert all(re.search(pattern[1], each) for each in images)


def test_each_policy_was_seen_to_refuse_and_to_let_in_or_to_ask() -> None:
    tests = yaml.safe_load((ROOT / "tests/admission/kyverno-test.yaml").read_text())
    ends: dict[str, set[str]] = {}
    for each in tests["results"]:
        ends.setdefault(each["policy"], set()).add(each["result"])
    assert ends == {"taxi-released": {"pass", "fail", "skip"}, "taxi-signed": {"error", "fail"}}
    pods = {
        each["metadata"]["name"]
        for each in manifests.read(ROOT / "tests/admission/pods.yaml").objects
    }
    assert {name for each in tests["results"] for name in each["resources"]} == pods
