"""Rules of pods: which image, with which limits and probes, and how many."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from preflight.deploy.manifests import Object
from preflight.deploy.tree import RUNS, Environment, Finding, Tree, containers, pods

DIGEST = re.compile(r"[^@\s]+@sha256:([0-9a-f]{64})")
NONE = 64 * "0"
LEAST = 2
SECURITY = {
    "runAsNonRoot": True,
    "readOnlyRootFilesystem": True,
    "allowPrivilegeEscalation": False,
}
RESOURCES = (
    ("requests", "cpu"),
    ("requests", "memory"),
    ("limits", "cpu"),
    ("limits", "memory"),
)


def digests(env: Environment) -> Iterator[Finding]:
    """Every image is named by its digest, which is a real one once something is released."""
    remedy = "Whoever can push a tag changes what runs, and no commit says so."
    for each in env.manifests.objects:
        for place, container in containers(each):
            image = str(container.get("image"))
            found = DIGEST.fullmatch(image)
            if found is None:
                yield env.finding(each, f"{place}.image", image, "NAME@sha256:DIGEST", remedy)
            elif found[1] == NONE and env.record is not None:
                words = "a digest, as there is a release record"
                yield env.finding(each, f"{place}.image", "64 zeros", words, "Render it anew.")


def limited(tree: Tree) -> Iterator[Finding]:
    """Each container says what it needs and may take, and how to see that it lives and is ready."""
    for file in tree.files:
        for each in file.manifests.objects:
            for place, container in containers(each):
                for field, words in _missing(each, container, place):
                    remedy = "Else one pod starves the others, or a dead one is asked."
                    yield file.finding(each, f"{place}.{field}", "none", words, remedy)


def _missing(each: Object, container: dict[str, object], place: str) -> Iterator[tuple[str, str]]:
    known = container.get("resources")
    resources = known if isinstance(known, dict) else {}
    for kind, name in RESOURCES:
        if name not in (resources.get(kind) or {}):
            yield f"resources.{kind}.{name}", "an amount"
    if each["kind"] in RUNS and ".initContainers." not in place:
        for probe in ("readinessProbe", "livenessProbe"):
            if not container.get(probe):
                yield probe, "a probe"


def replicas(env: Environment) -> Iterator[Finding]:
    """Whatever answers stands on two pods at least, and goes below that at no change."""
    scaled = {
        (each["spec"]["scaleTargetRef"]["kind"], each["spec"]["scaleTargetRef"]["name"]): each
        for each in env.manifests.all("HorizontalPodAutoscaler")
    }
    for kind in ("Deployment", "StatefulSet", "Rollout"):
        for each in env.manifests.all(kind):
            yield from _counted(env, each, scaled.get((kind, each["metadata"]["name"])))
    for name, strategy in env.raw["spec"]["strategy"].items():
        field = f"spec.strategy.{name}"
        if (found := strategy.get("maxUnavailable", "25%")) not in (0, "0", "0%"):
            why = "Old pods go when new ones are ready."
            yield env.finding(env.raw, f"{field}.maxUnavailable", str(found), "0", why)
        if strategy.get("dynamicStableScale"):
            why = "An abort would meet too few pods."
            yield env.finding(env.raw, f"{field}.dynamicStableScale", "true", "false", why)


def _counted(env: Environment, each: Object, scaler: Object | None) -> Iterator[Finding]:
    """Pods of one object, which its autoscaler counts where it has one."""
    at, key = (scaler, "minReplicas") if scaler else (each, "replicas")
    if (found := at["spec"].get(key, 1)) < LEAST:
        remedy = "One node that is drained would be an outage."
        yield env.finding(at, f"spec.{key}", str(found), f"at least {LEAST}", remedy)
    if scaler and "replicas" in each["spec"]:
        found, words = str(each["spec"]["replicas"]), "none: the autoscaler's"
        yield env.finding(each, "spec.replicas", found, words, "Remove it.")


def hardened(env: Environment) -> Iterator[Finding]:
    """Containers run as nobody, may change nothing and gain nothing; who may ask them is named."""
    for each in env.manifests.objects:
        spec = (pods(each) or ("", {}))[1]
        for place, container in containers(each):
            own = {
                **(spec.get("securityContext") or {}),
                **(container.get("securityContext") or {}),
            }
            for field, expected in SECURITY.items():
                if own.get(field) != expected:
                    found = str(own.get(field, "none"))
                    where = f"{place}.securityContext.{field}"
                    remedy = "What breaks into it stays in it."
                    yield env.finding(each, where, found, str(expected), remedy)
            if "ALL" not in ((own.get("capabilities") or {}).get("drop") or ()):
                where, remedy = f"{place}.securityContext.capabilities.drop", "It needs none."
                yield env.finding(each, where, "some kept", "ALL", remedy)
    policies = env.manifests.all("NetworkPolicy")
    if not any(_denies(each["spec"]) for each in policies):
        words = "a NetworkPolicy of all pods without a rule"
        yield env.finding(env.raw, "", "no default deny", words, "Name who may ask whom.")


def _denies(spec: Mapping[str, Any]) -> bool:
    """Whether a policy holds for all pods, both ways, and allows nothing."""
    both = {"Ingress", "Egress"} <= set(spec.get("policyTypes") or ())
    return both and not (spec.get("podSelector") or spec.get("ingress") or spec.get("egress"))
