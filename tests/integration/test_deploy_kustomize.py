"""kustomize renders what is committed, both overlays and every component on each."""

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from difflib import unified_diff
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from conftest import ROOT
from preflight import params, workspace
from preflight.deploy import declared, lint, manifests, rendering, rollouts
from preflight.deploy.manifests import Manifests
from preflight.deploy.tree import load
from preflight.errors import Problem
from preflight.rollout import limits
from preflight.serving import switches

ENVIRONMENTS = ("staging", "production")
Render = Callable[..., Manifests]
COMPONENTS = ("shadow", "ab", "blue-green", "model-as-data")
PATH = f"{ROOT / '.preflight/go'}{os.pathsep}{os.environ['PATH']}"
TOOL = shutil.which("kustomize", path=PATH)
REQUIRED = os.environ.get("REQUIRE_TOOLS") == "1"  # of conftest
# Required, it is a failure to have none.
pytestmark = pytest.mark.skipif(
    TOOL is None and not REQUIRED, reason="kustomize is not installed (make tools): not rendered"
)


def tree(folder: Path, environment: str = "staging", components: Sequence[str] = ()) -> Path:
    """A copy of deploy/ in a folder, whose overlay takes components in; returns that overlay."""
    for each in ("base", "overlays", "components"):
        shutil.copytree(ROOT / "deploy" / each, folder / "deploy" / each, dirs_exist_ok=True)
    overlay = folder / "deploy/overlays" / environment
    with (overlay / "kustomization.yaml").open("a") as file:
        file.write("components:\n" if components else "")
        file.writelines(f"  - ../../components/{each}\n" for each in components)
    return overlay


def built(overlay: Path) -> str:
    """What kustomize makes of an overlay."""
    assert TOOL is not None, "kustomize is required, and not installed: run `make tools`"
    return workspace.run(ROOT, TOOL, "build", str(overlay)).stdout


@pytest.fixture(scope="module")
def render(tmp_path_factory: pytest.TempPathFactory) -> Render:
    """A function of an environment and components to manifests, each made once."""

    @cache
    def made(environment: str, *components: str) -> Manifests:
        overlay = tree(tmp_path_factory.mktemp("deploy"), environment, components)
        return manifests.parse(built(overlay), f"{environment} with {', '.join(components)}")

    return made


def pod(found: Mapping[str, Any]) -> Mapping[str, Any]:
    spec: Mapping[str, Any] = found["spec"]["template"]["spec"]
    return spec


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_committed_file_is_what_kustomize_renders(environment: str) -> None:
    assert rendering.difference(ROOT, environment) == ""


def test_a_rendered_file_that_was_edited_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", PATH)
    overlay = tree(tmp_path)
    kept = tmp_path / "deploy/rendered/staging.yaml"
    kept.parent.mkdir()
    kept.write_text(built(overlay))
    assert rendering.difference(tmp_path, "staging") == ""
    kept.write_text(kept.read_text().replace("setWeight: 20", "setWeight: 40"))
    assert "+      - setWeight: 20" in rendering.difference(tmp_path, "staging")


def test_the_overlays_differ_by_less_than_a_screen() -> None:
    one, other = (
        (ROOT / "deploy/overlays" / each / "kustomization.yaml").read_text().splitlines()
        for each in ENVIRONMENTS
    )
    differ = [line for line in unified_diff(one, other, n=0) if line[:1] in "+-"]
    assert 0 < len(differ) < 40


@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize("component", COMPONENTS)
def test_each_component_renders_with_fields_that_we_know_and_images_by_digest(
    render: Render, environment: str, component: str
) -> None:
    found = render(environment, component)
    assert rollouts.rollout(found).metadata.namespace == f"taxi-{environment}"
    for each in (*found.all("Rollout"), *found.all("Deployment")):
        containers = (*pod(each)["containers"], *pod(each).get("initContainers", ()))
        assert all("@sha256:" in one["image"] for one in containers)


@pytest.mark.parametrize("components", [*((each,) for each in COMPONENTS), COMPONENTS[:2]])
def test_no_component_breaks_a_rule(render: Render, components: tuple[str, ...]) -> None:
    whole = load(ROOT)
    (staging,) = (each for each in whole.environments if each.name == "staging")
    given = replace(staging, manifests=replace(render("staging", *components), where="staging"))
    rules = [each for each in lint.RULES if each.name != "edited-by-hand"]
    found = [lint.looked(each, replace(whole, environments=(given,))) for each in rules]
    assert [str(one) for each in found for one in (*each.findings, each.missing) if one] == []


def test_nothing_names_the_other_environment_or_the_base_alone(render: Render) -> None:
    text = str(render("production").objects)
    assert "staging" not in text
    assert "judge.taxi." not in text
    assert not [
        each for each in render("production").objects if "namespace" not in each["metadata"]
    ]


def test_components_go_together(render: Render) -> None:
    found = render("staging", "model-as-data", "shadow", "ab")
    steps = declared.declared(found).steps
    assert declared.Pause(None) in steps
    assert "initContainers" in pod(found.one("Deployment", "taxi-shadow"))


def test_an_ab_test_keeps_equal_shares_after_the_judge_and_ends_by_a_person(render: Render) -> None:
    canary, both = (declared.declared(render("staging", *each)) for each in ((), ("ab",)))
    assert both.steps[:6] == canary.steps[:6]
    assert both.steps[4] == declared.SetWeight(50)
    assert both.steps[6:] == (
        declared.Pause(7200.0),
        declared.Pause(None),
        declared.SetWeight(100),
    )
    assert both.background == canary.background


def test_an_ab_test_on_steps_that_have_moved_is_refused(tmp_path: Path) -> None:
    overlay = tree(tmp_path, components=["ab"])
    base = tmp_path / "deploy/base/rollout.yaml"
    base.write_text(base.read_text().replace("setWeight: 50", "setWeight: 40"))
    with pytest.raises(Problem, match="steps/4/setWeight"):
        built(overlay)


def test_blue_green_switches_services_by_a_person_and_leaves_the_route(render: Render) -> None:
    found = render("production", "blue-green")
    strategy = rollouts.rollout(found).spec.strategy.blue_green
    assert strategy is not None
    assert not strategy.auto_promotion_enabled
    names = {strategy.active_service, strategy.preview_service}
    assert names == {each["metadata"]["name"] for each in found.all("Service")} - {"judge"}
    for name in names:
        assert found.one("Service", name)["spec"]["selector"] == {"app": "taxi"}
    assert found.one("HTTPRoute") == render("production").one("HTTPRoute")


def test_a_shadow_is_no_arm_and_its_pods_are_the_services(render: Render) -> None:
    found = render("production", "shadow")
    (rule,) = found.one("HTTPRoute")["spec"]["rules"]
    (mirror,) = [each["requestMirror"] for each in rule["filters"] if "requestMirror" in each]
    assert mirror["backendRef"]["name"] == "taxi-shadow"
    assert (
        rule["backendRefs"]
        == render("production").one("HTTPRoute")["spec"]["rules"][0]["backendRefs"]
    )
    ours, shadow = pod(found.one("Rollout")), pod(found.one("Deployment", "taxi-shadow"))
    (configured,) = (
        each["configMap"]
        for volume in shadow["volumes"]
        for each in volume.get("projected", {}).get("sources", ())
        if "configMap" in each
    )
    assert configured["name"] == "taxi-shadow-switches"
    assert "arm: shadow" in found.one("ConfigMap", configured["name"])["data"]["switches.yaml"]
    configured["name"] = "taxi-switches"
    own = {"containers", "topologySpreadConstraints"}
    assert {key: ours[key] for key in {*ours} - own} == {
        key: shadow[key] for key in {*shadow} - own
    }
    (one,), (other,) = ours["containers"], shadow["containers"]
    assert {key for key in one if one[key] != other[key]} == {"name", "image"}


def test_a_released_file_leaves_the_digest_of_a_shadow_alone(tmp_path: Path) -> None:
    overlay = tree(tmp_path, components=["shadow"])
    text, digest = built(overlay), "e" * 64
    before = f"registry.example/taxi-shadow@sha256:{'0' * 64}"
    after = text.replace(before, before.replace("0" * 64, digest))
    assert after != text
    assert rendering.released(after, None) == after


def test_a_model_as_data_lies_over_the_images_own(render: Render) -> None:
    found = pod(render("staging", "model-as-data").one("Rollout"))
    usual = pod(render("staging").one("Rollout"))
    (service,), (before,) = found["containers"], usual["containers"]
    more = [each for each in service["volumeMounts"] if each not in before["volumeMounts"]]
    assert [each["subPath"] for each in more] == ["packaged", "build.json"]
    assert service | {"volumeMounts": before["volumeMounts"]} == before


def test_the_service_knows_its_variables_and_switches(render: Render, tmp_path: Path) -> None:
    found = render("production")
    (service,) = pod(found.one("Rollout"))["containers"]
    names = {each["name"] for each in service["env"]}
    assert {each for each in names if each.startswith("PREFLIGHT_")} == switches.KNOWN
    file = tmp_path / "switches.yaml"
    file.write_text(found.one("ConfigMap", "taxi-switches")["data"]["switches.yaml"])
    told = switches.read(params.load(ROOT / "params.yaml").serving, file)
    assert (told.mode, told.auth, told.behind_proxy) == ("normal", "keys", True)


def test_times_and_sizes_leave_room_for_what_params_say(render: Render) -> None:
    found = render("production")
    serving = params.load(ROOT / "params.yaml").serving
    pods = pod(found.one("Rollout"))
    (service,) = pods["containers"]
    sleeps = service["lifecycle"]["preStop"]["sleep"]["seconds"]
    drained = sleeps + serving.drain_seconds + serving.stream_seconds
    assert pods["terminationGracePeriodSeconds"] > drained
    http = found.one("BackendTrafficPolicy")["spec"]["timeout"]["http"]
    assert float(http["requestTimeout"].rstrip("s")) > serving.batch_seconds
    assert float(http["connectionIdleTimeout"].rstrip("s")) < 5  # Uvicorn's, fixed by BentoML
    # 272 us an answer, docs/serving.md, with one pod gone and half of its request to spare.
    demand = params.read(ROOT / "params.yaml")["gates"]["load"]["min_rate"] * 272e-6
    least = found.one("HorizontalPodAutoscaler")["spec"]["minReplicas"] - 1
    assert demand < least * 0.5 * 0.5
    memory = int(service["resources"]["limits"]["memory"].removesuffix("Mi")) * 2**20
    assert memory > limits.load(ROOT / "params.yaml").max_memory_bytes + 100e6
