"""Rules of pods: which image, with which limits and probes, and how many."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from preflight.deploy.budgets import budgeted
from preflight.deploy.manifests import Object
from preflight.deploy.pods import containers, pods, stay
from preflight.deploy.rendering import CONTAINER
from preflight.deploy.tree import Environment, Files, Finding, Tree

DIGEST = re.compile(r"[^@\s]+@sha256:([0-9a-f]{64})")
NONE = 64 * "0"
LEAST = 2
COUNTED = ("Deployment", "StatefulSet", "ReplicaSet", "Rollout", "Pod")  # a bare Pod is one
ENDING = ("Job", "CronJob")  # nobody asks these
PROBES = {"readinessProbe": "/readyz", "livenessProbe": "/livez"}
RESOURCES = tuple((kind, name) for kind in ("requests", "limits") for name in ("cpu", "memory"))


def digests(tree: Tree) -> Iterator[Finding]:
    """Every image is named by its digest, which is a real one once something is released."""
    for file in tree.files:
        released = isinstance(file, Environment) and file.record is not None
        for each in file.manifests.objects:
            for place, image in _images(each):
                yield from _pinned(file, each, place, image, released=released)


def _images(each: Object) -> Iterator[tuple[str, str]]:
    """Each image of an object, with its field: of containers, and of volumes."""
    for place, container in containers(each):
        yield f"{place}.image", str(container.get("image"))
    for place, spec in pods(each):
        for volume in spec.get("volumes") or ():
            if "image" in volume:
                field = f"{place}.volumes.{volume['name']}.image.reference"
                yield field, str(volume["image"].get("reference"))


def _pinned(
    file: Files, each: Object, place: str, image: str, *, released: bool
) -> Iterator[Finding]:
    found = DIGEST.fullmatch(image)
    if found is None:
        remedy = "Whoever can push a tag changes what runs, and no commit says so."
        yield file.finding(each, place, image, "NAME@sha256:DIGEST", remedy)
    elif found[1] == NONE and released:
        words = "a digest, as there is a release record"
        yield file.finding(each, place, "64 zeros", words, _filled(file, each, place, image))


def _filled(file: Files, each: Object, place: str, image: str) -> str:
    """How a digest comes there: the service's by its record, any other by a commit."""
    name = file.name if isinstance(file, Environment) else "ENV"
    if each["kind"] == "Rollout" and place.endswith(f".containers.{CONTAINER}.image"):
        return f"Render it: preflight render {name}."
    own = image.partition("@")[0].rpartition("/")[2]
    return (
        f"Set {own}'s digest in deploy/overlays/{name}/kustomization.yaml; it takes effect when a "
        "record's `manifests` has that commit."
    )


def mounted(tree: Tree) -> Iterator[Finding]:
    """Each volume that a container mounts is one of its pod."""
    for file in tree.files:
        for each in file.manifests.objects:
            claimed = (each.get("spec") or {}).get("volumeClaimTemplates") or ()
            names = {one["metadata"]["name"] for one in claimed}
            for place, spec in pods(each):
                known = names | {one["name"] for one in spec.get("volumes") or ()}
                for field, found in _mounts(spec, place):
                    if found not in known:
                        words = f"one of {', '.join(sorted(known)) or 'none: the pod has none'}"
                        remedy = "Mend its name, or add the volume."
                        yield file.finding(each, field, found, words, remedy)


def _mounts(spec: Mapping[str, Any], place: str) -> Iterator[tuple[str, str]]:
    """What the containers of a pod mount, each with its field."""
    for inner, container in containers({"spec": spec}):
        for key in ("volumeMounts", "volumeDevices"):
            for at, one in enumerate(container.get(key) or ()):
                yield f"{inner.replace('spec', place, 1)}.{key}.{at}.name", str(one["name"])


def limited(tree: Tree) -> Iterator[Finding]:
    """Each container says what it needs and may take, and how to see that it lives and is ready."""
    remedy = "Else one pod starves the others, or a dead one is asked."
    for file in tree.files:
        for each in file.manifests.objects:
            for field, found, expected in (*_amounts(each), *_probes(each)):
                yield file.finding(each, field, found, expected, remedy)


def _amounts(each: Object) -> Iterator[tuple[str, str, str]]:
    for place, container in containers(each):
        known = container.get("resources") or {}
        for kind, name in RESOURCES:
            if name not in (known.get(kind) or {}):
                yield f"{place}.resources.{kind}.{name}", "none", "an amount"


def _probes(each: Object) -> Iterator[tuple[str, str, str]]:
    """Whoever answers is asked whether it lives; the service by the paths that tell."""
    for place, container in stay(each) if each["kind"] not in ENDING else ():
        for probe, path in PROBES.items():
            known = container.get(probe)
            asked = ((known or {}).get("httpGet") or {}).get("path")
            if not known:
                yield f"{place}.{probe}", "none", "a probe"
            elif each["kind"] == "Rollout" and asked != path:
                yield f"{place}.{probe}", str(asked or "no httpGet"), f"httpGet of {path}"


def replicas(tree: Tree) -> Iterator[Finding]:
    """Whatever answers stands on two pods at least, and goes below that at no change."""
    for file in tree.files:
        for kind in COUNTED:
            for each in file.manifests.all(kind):
                scaler = _scaler(file, each)
                yield from _counted(file, each, scaler)
                yield from budgeted(file, each, max(_fewest(each, scaler), LEAST))
    for env in tree.environments:
        yield from _kept(env)


def _scaler(file: Files, each: Object) -> Object | None:
    """The autoscaler that counts an object's pods."""
    for scaler in file.manifests.all("HorizontalPodAutoscaler"):
        to = scaler["spec"]["scaleTargetRef"]
        if (to["kind"], to["name"]) == (each["kind"], each["metadata"]["name"]):
            return scaler
    return None


def _fewest(each: Object, scaler: Object | None) -> int:
    at, key = (scaler, "minReplicas") if scaler else (each, "replicas")
    return int(at["spec"].get(key, 1))


def _counted(file: Files, each: Object, scaler: Object | None) -> Iterator[Finding]:
    """Pods of one object, which its autoscaler counts where it has one."""
    at, key = (scaler, "minReplicas") if scaler else (each, "replicas")
    if (found := _fewest(each, scaler)) < LEAST:
        remedy = "One node that is drained would be an outage."
        yield file.finding(at, f"spec.{key}", str(found), f"at least {LEAST}", remedy)
    if scaler and "replicas" in each["spec"]:
        own, words = str(each["spec"]["replicas"]), "none: the autoscaler's"
        yield file.finding(each, "spec.replicas", own, words, "Remove it.")


def _kept(env: Environment) -> Iterator[Finding]:
    """Pods that answered before a change answer until it is done."""
    for name, strategy in env.raw["spec"]["strategy"].items():
        field = f"spec.strategy.{name}"
        if (found := strategy.get("maxUnavailable", "25%")) not in (0, "0", "0%"):
            why = "Old pods go when new ones are ready."
            yield env.finding(env.raw, f"{field}.maxUnavailable", str(found), "0", why)
        if strategy.get("dynamicStableScale"):
            why = "An abort would meet too few pods."
            yield env.finding(env.raw, f"{field}.dynamicStableScale", "true", "false", why)
