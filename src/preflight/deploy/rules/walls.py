"""Rules of walls: what a container may do on its node, and who may talk to whom."""

from collections.abc import Iterator, Mapping
from typing import Any

from preflight.deploy.manifests import Object
from preflight.deploy.pods import containers, pods
from preflight.deploy.tree import Files, Finding, Tree

SECURITY = {
    "runAsNonRoot": True,
    "readOnlyRootFilesystem": True,
    "allowPrivilegeEscalation": False,
}
HOST = ("hostNetwork", "hostPID", "hostIPC")
PEERS = {"ingress": "from", "egress": "to"}
Told = Iterator[tuple[str, str, str]]  # a field, what was found, and expected


def hardened(tree: Tree) -> Iterator[Finding]:
    """Containers run as nobody, may change nothing and gain nothing; who may ask them is named."""
    for file in tree.files:
        for each in file.manifests.objects:
            for field, found, expected in _loose(each):
                remedy = "What breaks into it stays in it."
                yield file.finding(each, field, found, expected, remedy)
        yield from _open(file)
    for env in tree.environments:
        if not any(_denies(each["spec"]) for each in env.manifests.all("NetworkPolicy")):
            words = "a NetworkPolicy of all pods without a rule"
            yield env.finding(env.raw, "", "no default deny", words, "Name who may ask whom.")


def _loose(each: Object) -> Told:
    for place, spec in pods(each):
        for field in HOST:
            if spec.get(field):
                yield f"{place}.{field}", "true", "none: the node is not its own"
        for volume in spec.get("volumes") or ():
            if "hostPath" in volume:
                field = f"{place}.volumes.{volume['name']}.hostPath"
                yield field, "a folder of the node", "a volume of its own"
        of_pod = spec.get("securityContext") or {}
        for inner, container in containers({"spec": spec}):
            own = {**of_pod, **(container.get("securityContext") or {})}
            yield from _may(own, inner.replace("spec", place, 1))


def _may(own: Mapping[str, Any], place: str) -> Told:
    """What a container may do that it need not."""
    where = f"{place}.securityContext"
    for field, expected in SECURITY.items():
        if own.get(field) != expected:
            yield f"{where}.{field}", str(own.get(field, "none")), str(expected)
    capabilities = own.get("capabilities") or {}
    if own.get("privileged"):
        yield f"{where}.privileged", "true", "none"
    if "ALL" not in (capabilities.get("drop") or ()):
        yield f"{where}.capabilities.drop", "some kept", "ALL"
    if capabilities.get("add"):
        yield f"{where}.capabilities.add", ", ".join(capabilities["add"]), "none"


def _open(file: Files) -> Iterator[Finding]:
    """Rules of NetworkPolicies by which everybody is let in or out."""
    for each in file.manifests.all("NetworkPolicy"):
        for way, at, rule in _rules(each):
            if any(map(_everybody, rule.get(PEERS[way]) or [{}])):
                field, remedy = f"spec.{way}.{at}", "Beside it the default deny denies nothing."
                yield file.finding(each, field, "everybody", f"{PEERS[way]}: who it is", remedy)


def _rules(policy: Object) -> Iterator[tuple[str, int, Mapping[str, Any]]]:
    for way in PEERS:
        for at, rule in enumerate(policy["spec"].get(way) or ()):
            yield way, at, rule


def _everybody(peer: Mapping[str, Any]) -> bool:
    if "ipBlock" in peer:
        return str(peer["ipBlock"].get("cidr")).endswith("/0")
    return not any(any(selector.values()) for selector in peer.values() if selector)


def _denies(spec: Mapping[str, Any]) -> bool:
    """Whether a policy holds for all pods, both ways, and allows nothing."""
    both = {"Ingress", "Egress"} <= set(spec.get("policyTypes") or ())
    return both and not (spec.get("podSelector") or spec.get("ingress") or spec.get("egress"))
