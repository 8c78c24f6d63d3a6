"""Kubernetes' own kinds against Kubernetes' own schemas; offline, by kubernetes-validate."""

from collections.abc import Iterator
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]

from preflight.deploy.manifests import Object
from preflight.deploy.tree import Files, Finding, Tree

VERSION = "1.36"  # of Kubernetes, as the drill runs
# Kubernetes' own groups; other objects are custom, and CI checks them by kubeconform.
OWN = ("apps", "batch", "autoscaling", "policy", "")
REMEDY = "Mend it: a server refuses it, or drops the field without a word."


def schemas(tree: Tree) -> Iterator[Finding]:
    """Every object of Kubernetes' own kinds fits its schema, and has no field beside it."""
    for file in tree.files:
        for each in file.manifests.objects:
            yield from _fits(file, each)


def _fits(file: Files, each: Object) -> Iterator[Finding]:
    plain, above = dict(each), ""
    if each["kind"] == "Rollout":  # a custom kind, but its pods are Kubernetes' own
        template = each["spec"]["template"]
        metadata = {"name": each["metadata"]["name"]}
        plain = {"apiVersion": "v1", "kind": "PodTemplate", "metadata": metadata}
        plain["template"], above = template, "spec."
    elif not _own(str(each["apiVersion"])):
        return
    try:
        kubernetes_validate.validate(plain, VERSION, strict=True)
    except kubernetes_validate.ValidationError as error:
        field = above + ".".join(map(str, error.absolute_path))
        yield file.finding(each, field, *_said(error), REMEDY)
    except kubernetes_validate.SchemaNotFoundError:
        found = f"{each['apiVersion']} {each['kind']}"
        yield file.finding(each, "kind", found, f"a kind of Kubernetes {VERSION}", REMEDY)


def _own(version: str) -> bool:
    group = version.rpartition("/")[0]
    return group in OWN or (group.endswith(".k8s.io") and "gateway" not in group)


def _said(error: Any) -> tuple[str, str]:
    """What was found and expected, without the value: it may be a secret's."""
    if error.validator in ("additionalProperties", "required"):
        return str(error.message), "the schema's fields"
    return "another value", f"{error.validator} {error.validator_value}"[:80]
