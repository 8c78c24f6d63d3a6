"""The rule of rights: who may do what."""

from collections.abc import Iterator

from preflight.deploy.manifests import Object
from preflight.deploy.tree import Files, Finding, Tree

ROLES = ("Role", "ClusterRole")


def wildcards(tree: Tree) -> Iterator[Finding]:
    """No right is to everything: groups, resources and verbs are named one by one."""
    for kind in ROLES:
        for file, each in tree.all(kind):
            yield from _of_role(file, each)
    ours = {each["metadata"]["name"] for kind in ROLES for _, each in tree.all(kind)}
    for kind in ("RoleBinding", "ClusterRoleBinding"):
        for file, each in tree.all(kind):
            yield from _of_binding(file, each, ours)
    for file, each in tree.all("AppProject"):
        yield from _of_project(file, each)


def _of_role(file: Files, each: Object) -> Iterator[Finding]:
    if "aggregationRule" in each:
        expected, remedy = "rules of its own", "It is as wide as whatever is labelled so."
        yield file.finding(each, "aggregationRule", "others' rules", expected, remedy)
    for at, rule in enumerate(each.get("rules") or ()):
        for field in ("apiGroups", "resources", "verbs", "nonResourceURLs", "resourceNames"):
            if any("*" in str(value) for value in rule.get(field) or ()):
                remedy = "The plugin's example has */*/*, which is the whole cluster."
                yield file.finding(each, f"rules.{at}.{field}", "a wildcard", "names", remedy)


def _of_binding(file: Files, each: Object, ours: set[str]) -> Iterator[Finding]:
    if (name := each["roleRef"]["name"]) not in ours:
        remedy = "Bind a Role that names what is needed."
        yield file.finding(each, "roleRef.name", name, "a role of ours", remedy)
    for at, subject in enumerate(each.get("subjects") or ()):
        if subject["kind"] != "ServiceAccount" and subject["name"].startswith("system:"):
            expected, remedy = "who needs it, by name", "That is whoever is there."
            yield file.finding(each, f"subjects.{at}.name", subject["name"], expected, remedy)


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
