"""The rule of Argo CD: which files it applies, and which differences it must not mind."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from preflight.deploy.manifests import Object
from preflight.deploy.tree import FOLDER, Environment, Files, Finding, Tree

BRANCH, TEMPLATE, FIELDS = "main", "spec.template.spec", "jqPathExpressions"
ROUTE = {"group": "gateway.networking.k8s.io", "kind": "HTTPRoute"}
SWITCHES = {"group": "", "kind": "ConfigMap", "jsonPointers": ["/data"]}
NAME = re.compile(r"\{\{\s*\.environment\s*\}\}")
PATH = re.compile(r"(\.\w+(\[\])?\??)+")  # of jq, what can be read without it
PART = re.compile(r"\.(\w+)(\[\])?")


def applied(tree: Tree) -> Iterator[Finding]:
    """Argo CD applies main's rendered files by itself, all but the weights and the switches."""
    known = list(tree.all("ApplicationSet"))
    if not known:
        expected, remedy = "one that applies deploy/rendered", "Else a merge reaches no cluster."
        yield Finding("deploy/platform", "", "", "no ApplicationSet", expected, remedy)
    for file, each in known:
        for field, found, expected, remedy in (
            *_listed(tree, each),
            *_source(tree, each),
            *_ignored(tree, each),
        ):
            yield file.finding(each, field, found, expected, remedy)


Told = Iterator[tuple[str, str, str, str]]  # a field, what was found, expected, and why


def _listed(tree: Tree, each: Object) -> Told:
    """Each environment has its application."""
    lists = [one.get("list") or {} for one in each["spec"].get("generators") or ()]
    names = [one.get("environment") for known in lists for one in known.get("elements") or ()]
    missing = [env.name for env in tree.environments if env.name not in names]
    gone = [each for each in names if not (tree.root / FOLDER / f"{each}.yaml").is_file()]
    if missing or gone:
        expected = ", ".join(env.name for env in tree.environments)
        found = ", ".join(map(str, names)) or "none"
        yield "spec.generators", found, expected, "An application for each rendered file."


def _source(tree: Tree, each: Object) -> Told:
    """What is applied, from where, and without a hand."""
    spec = each["spec"]["template"]["spec"]
    source, remedy = spec.get("source") or {}, "Else a merge is not what the cluster runs."
    for key, wanted in (("targetRevision", BRANCH), ("path", str(FOLDER))):
        if (found := str(source.get(key, "none"))) != wanted:
            yield f"{TEMPLATE}.source.{key}", found, wanted, remedy
    include = str((source.get("directory") or {}).get("include", "none"))
    if any(NAME.sub(env.name, include) != f"{env.name}.yaml" for env in tree.environments):
        field, why = f"{TEMPLATE}.source.directory.include", "Each environment has its own file."
        yield field, include, "{{.environment}}.yaml", why
    automated = (spec.get("syncPolicy") or {}).get("automated")
    if not isinstance(automated, Mapping) or automated.get("enabled") is False:
        yield f"{TEMPLATE}.syncPolicy.automated", "off", "on", remedy


def _ignored(tree: Tree, each: Object) -> Told:
    """Fields of the route and the switches, which somebody moves: these, and nothing else."""
    field = f"{TEMPLATE}.ignoreDifferences"
    spec = each["spec"]["template"]["spec"]
    known = [{"group": ""} | one for one in spec.get("ignoreDifferences") or ()]
    routes = [one for one in known if one == ROUTE | {FIELDS: one.get(FIELDS)}]
    switches = {name: SWITCHES | {"name": name} for name in map(_switches, tree.environments)}
    for one in known:
        if one not in (*routes, *switches.values()):
            words = f"{FIELDS} of the HTTPRoute, or the switches' /data"
            yield field, _said(one), words, "Take it out: whoever changes it, nobody sees it."
    for name, wanted in switches.items():
        if wanted not in known:
            remedy = "selfHeal puts the kill switch back that somebody turned at night."
            yield field, f"none of ConfigMap/{name}", _said(wanted), remedy
    yield from _moved(tree, field, [str(one) for each in routes for one in each[FIELDS] or ()])


def _moved(tree: Tree, field: str, expressions: list[str]) -> Told:
    """Expressions reach some of the route's fields, one of them all weights that are moved."""
    for one in expressions:
        if not PATH.fullmatch(one):
            yield field, one, "a path", "Mend it: another form cannot be checked here."
        elif not any(_reached(env, one) for env in tree.environments):
            yield field, one, "a field of the HTTPRoute", "Mend it: it ignores nothing."
    for env in tree.environments:
        if env.canary and not any(_weights(env, one) for one in expressions):
            words = f".spec.rules[]?.backendRefs[]?.weight of HTTPRoute, group {ROUTE['group']}"
            remedy = "Each sync would set the weights back in mid-rollout."
            yield field, f"none that ignores the weights of {env.name}", words, remedy


def _switches(env: Environment) -> str:
    """The ConfigMap that is edited at night, by the Rollout's name: there is one beside each."""
    return f"{env.raw['metadata']['name']}-switches"


def _said(ignored: Object) -> str:
    """An entry of what is ignored, on a line."""
    return json.dumps({key: value for key, value in ignored.items() if value != ""})


def _weights(env: Environment, expression: str) -> bool:
    """Whether an expression is of the weights of all backends."""
    all_of = len(_reached(env, ".spec.rules[].backendRefs[]"))
    names = [key for key, _ in PART.findall(expression)]
    whole = PATH.fullmatch(expression) and names == ["spec", "rules", "backendRefs", "weight"]
    return bool(whole) and len(_reached(env, expression)) == all_of


def _reached(file: Files, path: str) -> list[Any]:
    """What a path leads to in the HTTPRoutes."""
    values: list[Any] = list(file.manifests.all("HTTPRoute"))
    for key, many in PART.findall(path):
        values = [each[key] for each in values if isinstance(each, Mapping) and key in each]
        if many:
            values = [one for each in values if isinstance(each, list) for one in each]
    return values
