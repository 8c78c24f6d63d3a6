"""Rules of rights and secrets: who may do what, and what stands in Git that should not."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from preflight.deploy import manifests
from preflight.deploy.manifests import Object
from preflight.deploy.tree import Files, Finding, Tree, containers

SECRET_NAME = re.compile(r"(?i)(^|[_.-])(api_?key|key|token|password|passwd|secret|credentials?)$")
PLAIN = re.compile(r"(?i)|true|false|\d+(\.\d+)?|/[\w./-]*|\$\([A-Z_]+\)|https?://[^@\s]*")
SECRET_VALUE = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY|\bAKIA[0-9A-Z]{16}\b|\bgh[pousr]_[A-Za-z0-9]{30,}"
    r"|\beyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]{10,}|://[^/\s:@]+:[^/\s:@$]+@|\bxox[baprs]-[\w-]{10,}"
)


def wildcards(tree: Tree) -> Iterator[Finding]:
    """No right is to everything: groups, resources and verbs are named one by one."""
    for kind in ("Role", "ClusterRole"):
        for file, each in tree.all(kind):
            yield from _of_role(file, each)
    for kind in ("RoleBinding", "ClusterRoleBinding"):
        for file, each in tree.all(kind):
            if (name := each["roleRef"]["name"]) in ("cluster-admin", "admin", "edit"):
                remedy = "Bind a Role that names what is needed."
                yield file.finding(each, "roleRef.name", name, "a role of ours", remedy)
    for file, each in tree.all("AppProject"):
        yield from _of_project(file, each)


def _of_role(file: Files, each: Object) -> Iterator[Finding]:
    for at, rule in enumerate(each.get("rules") or ()):
        for field in ("apiGroups", "resources", "verbs", "nonResourceURLs", "resourceNames"):
            if any("*" in str(value) for value in rule.get(field) or ()):
                remedy = "The plugin's example has */*/*, which is the whole cluster."
                yield file.finding(each, f"rules.{at}.{field}", "a wildcard", "names", remedy)


def _of_project(file: Files, each: Object) -> Iterator[Finding]:
    for field in (
        "sourceRepos",
        "destinations",
        "clusterResourceWhitelist",
        "namespaceResourceWhitelist",
    ):
        for at, value in enumerate(each["spec"].get(field) or ()):
            parts = value.values() if isinstance(value, dict) else (value,)
            if any("*" in str(part) for part in parts):
                remedy = "What a project may touch, its commits may break."
                yield file.finding(each, f"spec.{field}.{at}", "a wildcard", "names", remedy)


def secrets(tree: Tree) -> Iterator[Finding]:
    """No secret's value stands in Git: manifests name a Secret, and what fills it is elsewhere."""
    remedy = "Take it out, and change it: Git forgets nothing."
    for file in tree.files:
        for each in file.manifests.objects:
            for field in _values(each):
                expected = "the name of a Secret"
                yield file.finding(each, field, "what looks like a value", expected, remedy)
    for path in sorted((tree.root / "deploy").rglob("kustomization.yaml")):
        where = str(path.relative_to(tree.root))
        for whole in manifests.documents(path.read_text(encoding="utf-8"), where):
            if "secretGenerator" in whole:
                found, expected = "a generator of Secrets", "the name of a Secret"
                yield Finding(where, "", "secretGenerator", found, expected, remedy)


def _values(each: Object) -> Iterator[str]:
    """Fields of an object that hold a secret's value."""
    if each["kind"] == "Secret":
        yield from (field for field in ("data", "stringData") if each.get(field))
        return
    named = set(_named(each))
    yield from sorted(named)
    for field, value in _texts(each):
        if SECRET_VALUE.search(value) and field not in named:
            yield field


def _named(each: Object) -> Iterator[str]:
    """Variables and arguments that are called as secrets are, and have a value."""
    for place, container in containers(each):
        for variable in container.get("env") or ():
            value = variable.get("value")
            if value is not None and _tells(variable["name"], str(value)):
                yield f"{place}.env.{variable['name']}"
        for at, word in enumerate(container.get("args") or ()):
            name, equals, value = str(word).partition("=")
            if equals and _tells(name, value):
                yield f"{place}.args.{at}"


def _tells(name: str, value: str) -> bool:
    return bool(SECRET_NAME.search(name)) and not PLAIN.fullmatch(value)


def _texts(value: Any, field: str = "") -> Iterator[tuple[str, str]]:
    """Every text in plain data, with its dotted field."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _texts(inner, f"{field}.{key}" if field else str(key))
    elif isinstance(value, list):
        for at, inner in enumerate(value):
            yield from _texts(inner, f"{field}.{at}")
    elif isinstance(value, str):
        yield field, value
