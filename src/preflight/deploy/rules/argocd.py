"""The rule of Argo CD: which files it applies, and which differences it must not mind."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from preflight.deploy.manifests import Object
from preflight.deploy.tree import RENDERED, Environment, Files, Finding, Tree

BRANCH, GROUP = "main", "gateway.networking.k8s.io"
TEMPLATE = "spec.template.spec"
NAME = re.compile(r"\{\{\s*\.environment\s*\}\}")
PATH = re.compile(r"(\.\w+(\[\])?\??)+")  # of jq, what can be read without it
PART = re.compile(r"\.(\w+)(\[\])?")
SELECT = re.compile(r'select\(\(\.name // ""\) \| startswith\("[\w-]+"\)\)')


def applied(tree: Tree) -> Iterator[Finding]:
    """Argo CD applies main's rendered file of each environment by itself, all but the weights."""
    for file, each in tree.all("ApplicationSet"):
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
    gone = [each for each in names if not (tree.root / RENDERED / f"{each}.yaml").is_file()]
    if missing or gone:
        expected = ", ".join(env.name for env in tree.environments)
        found = ", ".join(map(str, names)) or "none"
        yield "spec.generators", found, expected, "An application for each rendered file."


def _source(tree: Tree, each: Object) -> Told:
    """What is applied, from where, and without a hand."""
    spec = each["spec"]["template"]["spec"]
    source, remedy = spec.get("source") or {}, "Else a merge is not what the cluster runs."
    for key, wanted in (("targetRevision", BRANCH), ("path", str(RENDERED))):
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
    """Expressions of the route's fields reach some, one of them all weights that are moved."""
    field = f"{TEMPLATE}.ignoreDifferences"
    known = each["spec"]["template"]["spec"].get("ignoreDifferences") or ()
    mine = [one for one in known if (one.get("group"), one.get("kind")) == (GROUP, "HTTPRoute")]
    expressions = [str(one) for each in mine for one in each.get("jqPathExpressions") or ()]
    for one in expressions:
        path, _, more = (part.strip() for part in one.partition("|"))
        if not PATH.fullmatch(path) or (more and not SELECT.fullmatch(more)):
            words = 'a path, or one and select((.name // "") | startswith("..."))'
            yield field, one, words, "Mend it: another form cannot be checked here."
        elif not any(_reached(env, path) for env in tree.environments):
            yield field, one, "a field of the HTTPRoute", "Mend it: it ignores nothing."
    for env in tree.environments:
        if env.canary and not any(_weights(env, one) for one in expressions):
            words = f".spec.rules[]?.backendRefs[]?.weight of HTTPRoute, group {GROUP}"
            remedy = "Each sync would set the weights back in mid-rollout."
            yield field, f"none that ignores the weights of {env.name}", words, remedy


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
