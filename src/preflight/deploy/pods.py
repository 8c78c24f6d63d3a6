"""The pods that an object runs, whatever its kind, and their containers."""

from collections.abc import Iterator, Mapping
from typing import Any

from preflight.deploy.manifests import Object

HASH = "rollouts-pod-template-hash"  # which Argo Rollouts puts on each pod and arm's Service
FIRST = "initContainers"
CONTAINERS = ("containers", FIRST, "ephemeralContainers")
Found = tuple[str, Mapping[str, Any]]


def pods(each: Object) -> Iterator[Found]:
    """Each specification of pods in an object, with its field: of any kind, custom ones too."""
    yield from _within(each, "")


def _within(value: Any, place: str) -> Iterator[Found]:
    if isinstance(value, Mapping):
        if any(isinstance(value.get(kind), list) for kind in CONTAINERS):
            yield place, value
            return
        for key, inner in value.items():
            yield from _within(inner, f"{place}.{key}" if place else str(key))
    elif isinstance(value, list):
        for at, inner in enumerate(value):
            yield from _within(inner, f"{place}.{at}")


def containers(each: Object) -> Iterator[Found]:
    """Each container with its field, those that run first among them."""
    for place, spec in pods(each):
        for kind in CONTAINERS:
            for one in spec.get(kind) or ():
                yield f"{place}.{kind}.{one.get('name')}", one


def stay(each: Object) -> Iterator[Found]:
    """Those of an object's containers that answer as long as their pod lives."""
    for place, one in containers(each):
        if f".{FIRST}." not in place:
            yield place, one


def labels(each: Object) -> dict[str, str]:
    """What an object's pods are labelled with, but for what a controller adds."""
    metadata = each["spec"].get("template", each)["metadata"]
    return dict(metadata.get("labels") or {})


def leads(service: Object, to: Mapping[str, str]) -> bool:
    """Whether a Service reaches pods of these labels, or one version's of them by its hash."""
    selector = service["spec"].get("selector") or {}
    wanted = {name: value for name, value in selector.items() if name != HASH}
    return bool(selector) and wanted.items() <= to.items()


def words(container: Mapping[str, Any]) -> list[str]:
    """What a container is started with: command and arguments."""
    return [str(each) for key in ("command", "args") for each in container.get(key) or ()]


def option(told: list[str], name: str) -> str | None:
    """A command's option, as NAME=VALUE or as two words; None without it."""
    for at, word in enumerate(told):
        if word.startswith(f"{name}="):
            return word.removeprefix(f"{name}=")
        if word == name:
            return told[at + 1] if at + 1 < len(told) else ""
    return None
