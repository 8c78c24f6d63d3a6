"""Rules of traffic: by which way it comes, who gets a copy, and what a retry would hide."""

from collections.abc import Iterator, Mapping
from typing import Any

from preflight.deploy import route
from preflight.deploy.manifests import Object
from preflight.deploy.pods import leads
from preflight.deploy.tree import Environment, Files, Finding, Tree

STEPS = "spec.strategy.canary.steps"
OUTSIDE = ("NodePort", "LoadBalancer")  # types of a Service that is asked from without


def mirror(env: Environment) -> Iterator[Finding]:
    """Copies of requests go by the route to a Service of their own, never to an arm."""
    for at, step in enumerate(env.steps):
        if step.set_mirror_route is not None:
            words, expected = "setMirrorRoute", "a RequestMirror of the component shadow"
            remedy = "This plugin does nothing there and reports success."
            yield env.finding(env.raw, f"{STEPS}.{at}.setMirrorRoute", words, expected, remedy)
    for each, rule, place in route.rules(env.manifests):
        for name in filter(lambda name: _reaches(env, name), route.mirrors(rule)):
            expected = "a Service of pods that answer nobody"
            remedy = "At rest an arm's Service selects stable pods: each request twice."
            yield env.finding(each, f"{place}.filters", f"a mirror to {name}", expected, remedy)


def _reaches(env: Environment, name: str) -> bool:
    """Whether a Service is an arm's, or reaches its pods."""
    service = env.manifests.named("Service", name)
    return name in env.services or (service is not None and leads(service, env.labels))


def bypassed(tree: Tree) -> Iterator[Finding]:
    """Traffic reaches the arms by one rule of the Rollout's own route, and by no other way."""
    for env in tree.environments:
        for file in (env, *tree.platform):
            for each in filter(lambda each: _beside(env, file, each), file.manifests.objects):
                yield from _by(env, file, each)


def _beside(env: Environment, file: Files, each: Object) -> bool:
    """Whether an object is of an environment's namespace."""
    namespace = env.raw["metadata"].get("namespace")
    return file is env or each["metadata"].get("namespace") == namespace


def _by(env: Environment, file: Files, each: Object) -> Iterator[Finding]:
    """The ways past the weights that an object opens."""
    kind, expected = each["kind"], f"HTTPRoute/{_own(env)}, by its one rule to both arms"
    remedy = "No weight, no header and no verdict holds for what comes there."
    if kind == "Ingress" or (kind.endswith("Route") and kind != "HTTPRoute"):
        yield file.finding(each, "kind", kind, expected, remedy)
    if kind == "Service" and each["spec"].get("type") in OUTSIDE and leads(each, env.labels):
        yield file.finding(each, "spec.type", each["spec"]["type"], expected, remedy)
    seen = False
    for at, rule in enumerate(each["spec"].get("rules") or () if kind == "HTTPRoute" else ()):
        names = [str(one.get("name")) for one in rule.get("backendRefs") or ()]
        own = file is env and each["metadata"]["name"] == _own(env)
        own = own and route.weighted(rule, env.services)
        if any(_reaches(env, name) for name in names) and (seen or not own):
            found = f"another way to {', '.join(names)}"
            yield file.finding(each, f"spec.rules.{at}.backendRefs", found, expected, remedy)
        seen = seen or own


def _own(env: Environment) -> str:
    """The route that the Rollout moves; blue-green moves none, and has the one of its name."""
    if env.canary:
        return env.canary.traffic_routing.plugins.gateway.http_route
    return str(env.raw["metadata"]["name"])


def sticky(env: Environment) -> Iterator[Finding]:
    """Entities stay with an arm: by a consistent hash, and a filter of its own on each backend."""
    if env.canary:
        gateway, namespace = env.canary.traffic_routing.plugins.gateway, env.raw["metadata"]
        if gateway.namespace not in (None, namespace.get("namespace")):
            field = "spec.strategy.canary.trafficRouting.plugins.argoproj-labs/gatewayAPI.namespace"
            expected = "the Rollout's own"
            yield env.finding(env.raw, field, gateway.namespace, expected, "It moves another's.")
    if not any(map(route.hashes, route.policies(env.manifests, _own(env)))):
        remedy = "Else each request may meet the other model."
        words = f"loadBalancer.type ConsistentHash by Headers, in a policy of HTTPRoute/{_own(env)}"
        yield env.finding(env.raw, "", "no consistent hash", words, remedy)
    for each, backend, place in route.backends(env.manifests):
        if each["metadata"]["name"] == _own(env):
            yield from _marked(env, each, backend, place)


def _marked(
    env: Environment, each: Object, backend: Mapping[str, Any], place: str
) -> Iterator[Finding]:
    """Each arm's backend sets X-Arm to its arm."""
    arms = dict(zip(env.services, route.ARMS, strict=True))
    sets = {name.lower(): value for name, value in route.headers(backend).items()}
    expected = arms.get(backend["name"])
    if expected is None or sets.get("x-arm") == expected:
        return
    found = "that of another backend" if "x-arm" in sets else "no header set"
    remedy = "Envoy Gateway merges backends that are alike: the hash ignores weights."
    words = f"a RequestHeaderModifier that sets X-Arm to its arm, {expected}"
    yield env.finding(each, f"{place}.filters", found, words, remedy)


def retries(tree: Tree) -> Iterator[Finding]:
    """Nothing asks an arm again or takes its pods out: either hides a canary's errors."""
    expected, remedy = "none", "The judge would see only what failed twice, or of pods that answer."
    for file, each in tree.all(route.POLICY):
        for key, found in (("retry", "retries"), ("healthCheck", "health checks")):
            if key in each["spec"]:
                yield file.finding(each, f"spec.{key}", found, expected, remedy)
    for file in tree.files:
        for each, rule, place in route.rules(file.manifests):
            if "retry" in rule:
                yield file.finding(each, f"{place}.retry", "retries", expected, remedy)
