"""The rule of sizes: what a container asks for and may take, and between which numbers of pods."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from preflight.deploy.manifests import Object
from preflight.deploy.pods import containers, stay
from preflight.deploy.rendering import CONTAINER
from preflight.deploy.tree import Environment, Finding, Tree

QUANTITY = re.compile(r"(\d+(?:\.\d*)?|\.\d+)([num]|k|[KMGTPE]i|[MGTPE]|[eE][+-]?\d+|)")
PREFIXES = "kMGTPE"
MIB = 2**20
Told = Iterator[tuple[str, str, str, str]]  # a field, what was found, expected, and what to do


def sizes(tree: Tree) -> Iterator[Finding]:
    """Requests are within limits, memory is in bytes and enough, fewest pods are not above most."""
    for file in tree.files:
        for each in file.manifests.objects:
            for told in _amounts(each):
                yield file.finding(each, *told)
        for each in file.manifests.all("HorizontalPodAutoscaler"):
            least, most = each["spec"].get("minReplicas", 1), each["spec"]["maxReplicas"]
            if least > most:
                words, remedy = f"at most maxReplicas, {most}", "A server refuses it."
                yield file.finding(each, "spec.minReplicas", str(least), words, remedy)
    for env in tree.environments:
        yield from _judged(env)


def amount(quantity: object) -> float | None:
    """A Kubernetes quantity, as 500m or 640Mi, as a number; None for what is none."""
    found = QUANTITY.fullmatch(str(quantity))
    if found is None:
        return None
    number, unit = found.groups()
    if unit[-1:].isdigit():
        return float(number) * 10.0 ** int(unit[1:])
    if unit in ("n", "u", "m"):
        return float(number) * {"n": 1e-9, "u": 1e-6, "m": 1e-3}[unit]
    power = PREFIXES.index(unit[0].replace("K", "k")) + 1 if unit else 0
    return float(number) * (1024.0 if unit.endswith("i") else 1000.0) ** power


def _amounts(each: Object) -> Told:
    for place, container in containers(each):
        known = container.get("resources") or {}
        for name in ("cpu", "memory"):
            both = {
                kind: (known.get(kind) or {})[name]
                for kind in ("requests", "limits")
                if name in (known.get(kind) or {})
            }
            yield from _sound(both, f"{place}.resources", name)


def _sound(both: Mapping[str, Any], place: str, name: str) -> Told:
    """What is odd about an amount that is asked for, and its limit."""
    read = {}
    for kind, value in ((kind, amount(value)) for kind, value in both.items()):
        field, found = f"{place}.{kind}.{name}", str(both[kind])
        if value is None:
            yield field, found, "a quantity, as 500m or 640Mi", "A server refuses it."
        elif name == "memory" and value < MIB:
            yield field, found, "bytes, as 640Mi", f"It is {value:g} bytes: nothing starts."
        else:
            read[kind] = value
    asked, most = read.get("requests"), read.get("limits")
    if asked is not None and most is not None and asked > most:
        words = f"at most the limit, {both['limits']}"
        yield f"{place}.requests.{name}", str(both["requests"]), words, "A server refuses it."


def _judged(env: Environment) -> Iterator[Finding]:
    """The judge names a leak of the service before the kernel ends it."""
    least = env.limits.max_memory_bytes
    for place, container in stay(env.raw):
        given = ((container.get("resources") or {}).get("limits") or {}).get("memory")
        found = amount(given)
        if container.get("name") == CONTAINER and found and MIB <= found <= least:
            words = f"more than rollout.max_memory_bytes, {least:.0f}"
            field, remedy = f"{place}.resources.limits.memory", "The kernel would end it unjudged."
            yield env.finding(env.raw, field, str(given), words, remedy)
