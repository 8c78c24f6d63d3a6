"""What Argo CD applies and ignores, seen red by one edit and green without it."""

from dataclasses import replace
from pathlib import Path

import pytest

from declared import MANIFESTS, edited, environment
from preflight.deploy import rules
from preflight.deploy.manifests import parse
from preflight.deploy.tree import Files, Tree

ROOT = Path(__file__).parents[2]
PLACE = "deploy/platform/argocd/environments.yaml"
WEIGHT = ".spec.rules[]?.backendRefs[]?.weight"
SWITCHES = """\
        - group: ""
          kind: ConfigMap
          name: taxi-switches
          jsonPointers: [/data]
"""
BACK, ELSE = "selfHeal puts the kill switch back", "whoever changes it, nobody sees it"


STEPS = MANIFESTS[MANIFESTS.index("    canary:\n      stable") : MANIFESTS.index("---\n")]
SWITCHED = "    blueGreen:\n      activeService: taxi-stable\n      previewService: taxi-canary\n"


def told(*edits: tuple[str, str], strategy: tuple[str, str] = ("", "")) -> str:
    """What is found in the ApplicationSet that ships, with pieces replaced."""
    file = Files(parse(edited((ROOT / PLACE).read_text(encoding="utf-8"), edits), PLACE))
    staging = environment(strategy) if any(strategy) else environment()
    production = replace(staging, name="production")
    return "\n".join(map(str, rules.argocd.applied(Tree(ROOT, (production, staging), (file,)))))


def test_what_ships_applies_each_file_but_weights_and_switches() -> None:
    assert not told()


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            "targetRevision: main",
            "targetRevision: HEAD",
            "targetRevision: found HEAD; expected main",
        ),
        ("path: deploy/rendered", "path: deploy/base", "source.path: found deploy/base; expected"),
        ('"{{.environment}}.yaml"', '"*.yaml"', "directory.include: found *.yaml; expected {{.env"),
        ('"{{.environment}}.yaml"', "staging.yaml", "directory.include: found staging.yaml"),
        ("          - {environment: staging}\n", "", "spec.generators: found production; expected"),
        ("environment: staging}", "environment: stagin}", "spec.generators: found stagin, product"),
        ("        automated: {prune: true, selfHeal: true}\n", "", "automated: found off; expecte"),
        ("automated: {", "automated: {enabled: false, ", "automated: found off; expected on"),
        (WEIGHT, WEIGHT.replace("backendRefs", "backendRef"), "backendRef[]?.weight; expected a f"),
        (WEIGHT, WEIGHT.replace("backendRefs", "backendRef"), "none that ignores the weights of"),
        (WEIGHT, WEIGHT.replace("weight", "wieght"), "none that ignores the weights of staging"),
        (WEIGHT, WEIGHT.replace("Refs[]", "Refs[0]"), "Mend it: another form cannot be checked"),
        (WEIGHT, f"{WEIGHT} | select(.a)", "none that ignores the weights of production"),
        (f"            - {WEIGHT}\n", "", "none that ignores the weights of staging"),
        ("kind: HTTPRoute", "kind: HttpRoute", "none that ignores the weights of staging"),
        ("group: gateway.networking", "group: networking", "none that ignores the weights of sta"),
        (SWITCHES, "", "ignoreDifferences: found none of ConfigMap/taxi-switches; expected"),
        (SWITCHES, "", BACK),
        *(
            (SWITCHES, SWITCHES.replace(old, new), words)
            for old, new in (
                ("name: taxi-switches", "name: taxi-switchs"),
                ("          name: taxi-switches\n", ""),
                ("kind: ConfigMap", "kind: Secret"),
                ('group: ""', "group: apps"),
                ("[/data]", "[/data/mode]"),
                ("[/data]", "[/data, /metadata]"),
                ("jsonPointers: [/data]", "jqPathExpressions: [.data]"),
            )
            for words in (BACK, ELSE)
        ),
        (SWITCHES, f"{SWITCHES}        - {{kind: Service, jsonPointers: [/spec]}}\n", ELSE),
        ("jqPathExpressions:", "jsonPointers: [/spec]\n          jqPathExpressions:", ELSE),
        ("kind: HTTPRoute", "kind: HTTPRoute\n          name: taxi-shadow", ELSE),
    ],
)
def test_an_application_that_applies_or_ignores_something_else_is_named(
    old: str, new: str, words: str
) -> None:
    assert words in told((old, new))


def test_only_a_canary_has_weights_that_somebody_moves() -> None:
    without = (f"            - {WEIGHT}\n", "            - .spec.hostnames\n")
    words = "none that ignores the weights of staging"
    assert words in told(without)
    assert words not in told(without, strategy=(STEPS, SWITCHED))


def test_what_nobody_applies_is_named() -> None:
    staging = environment()
    (found,) = rules.argocd.applied(Tree(ROOT, (staging,), ()))
    assert "found no ApplicationSet; expected one that applies deploy/rendered" in str(found)


def test_the_core_group_may_be_left_out() -> None:
    assert not told((SWITCHES, SWITCHES.replace('group: ""\n          kind', "kind")))
