"""Rules of traffic: who gets a copy, who stays with an arm, and what a retry would hide."""

from collections.abc import Iterator, Mapping
from typing import Any

from preflight.deploy import route
from preflight.deploy.manifests import Manifests, Object
from preflight.deploy.tree import Environment, Finding, Tree

STEPS = "spec.strategy.canary.steps"


def mirror(env: Environment) -> Iterator[Finding]:
    """Copies of requests go by the route to a Service of their own, never to an arm."""
    for at, step in enumerate(env.steps):
        if step.set_mirror_route is not None:
            words, expected = "setMirrorRoute", "a RequestMirror of the component shadow"
            remedy = "This plugin does nothing there and reports success."
            yield env.finding(env.raw, f"{STEPS}.{at}.setMirrorRoute", words, expected, remedy)
    for each, rule, place in _rules(env.manifests):
        for copy in route.filters(rule, "Mirror"):
            name = copy["requestMirror"]["backendRef"]["name"]
            if _reaches(env, name):
                expected = "a Service of pods that answer nobody"
                remedy = "At rest an arm's Service selects stable pods: each request twice."
                yield env.finding(each, f"{place}.filters", f"a mirror to {name}", expected, remedy)


def _reaches(env: Environment, name: str) -> bool:
    """Whether a Service is an arm's, or reaches its pods."""
    if name in env.services:
        return True
    service = env.manifests.named("Service", name)
    selector = (service["spec"].get("selector") if service else None) or {}
    return bool(selector) and selector.items() <= env.labels.items()


def sticky(env: Environment) -> Iterator[Finding]:
    """Entities stay with an arm: by a consistent hash, and a filter of its own on each backend."""
    hashed = [each for each in env.manifests.all("BackendTrafficPolicy") if _is_hashed(each)]
    if not hashed:
        remedy = "Else each request may meet the other model."
        words = "loadBalancer.type ConsistentHash in a BackendTrafficPolicy"
        yield env.finding(env.raw, "", "no consistent hash", words, remedy)
    named = {name for each in hashed for name in _targets(each)}
    for each, rule, place in _rules(env.manifests):
        backends = rule.get("backendRefs") or ()
        if each["metadata"]["name"] not in named or len(backends) < 2:
            continue
        seen: set[tuple[tuple[str, str], ...]] = set()
        for backend in backends:
            sets = tuple(sorted(_sets(backend)))
            if not sets or sets in seen:
                field = f"{place}.backendRefs.{backend['name']}.filters"
                words = "that of another backend" if sets else "no header set"
                remedy = "Envoy Gateway merges backends that are alike: the hash ignores weights."
                expected = "a RequestHeaderModifier that sets X-Arm to its arm"
                yield env.finding(each, field, words, expected, remedy)
            seen.add(sets)


def _is_hashed(policy: Object) -> bool:
    balanced = policy["spec"].get("loadBalancer") or {}
    return bool(balanced.get("type") == "ConsistentHash")


def _targets(policy: Object) -> list[str]:
    spec = policy["spec"]
    known = [*(spec.get("targetRefs") or ()), *filter(None, [spec.get("targetRef")])]
    return [each["name"] for each in known if each.get("kind") == "HTTPRoute"]


def _sets(backend: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for each in route.filters(backend, "HeaderModifier"):
        for header in each["requestHeaderModifier"].get("set") or ():
            yield header["name"].lower(), header["value"]


def _rules(manifests: Manifests) -> Iterator[tuple[Object, Mapping[str, Any], str]]:
    """Each rule of each route, and its field."""
    for each in manifests.all("HTTPRoute"):
        for at, rule in enumerate(each["spec"].get("rules") or ()):
            yield each, rule, f"spec.rules.{at}"


def retries(tree: Tree) -> Iterator[Finding]:
    """Nothing asks an arm again: a retry hides a canary's errors."""
    expected, remedy = "none", "The judge would see only what failed twice."
    for file, each in tree.all("BackendTrafficPolicy"):
        if each["spec"].get("retry"):
            yield file.finding(each, "spec.retry", "retries", expected, remedy)
    for file in tree.files:
        for each, rule, place in _rules(file.manifests):
            if rule.get("retry"):
                yield file.finding(each, f"{place}.retry", "retries", expected, remedy)
