"""Rules of who reaches whom: Services, monitors and routes name what is there."""

from collections.abc import Iterator, Mapping

from preflight.deploy import route
from preflight.deploy.manifests import Object
from preflight.deploy.monitors import Monitor, monitors, ports
from preflight.deploy.pods import HASH, leads
from preflight.deploy.tree import Environment, Finding, Tree


def arms(env: Environment) -> Iterator[Finding]:
    """Both arms' Services reach the Rollout's pods, all of them, on the same port."""
    both = [env.manifests.one("Service", each) for each in env.services]
    for each in both:
        selector = each["spec"].get("selector") or {}
        if HASH in selector or not leads(each, env.labels):
            remedy = "Argo Rollouts adds each arm's hash; the rest is all pods'."
            found, words = str(dict(selector)), f"some of {env.labels}"
            yield env.finding(each, "spec.selector", found, words, remedy)
        for port in each["spec"].get("ports") or ():
            target = str(port.get("targetPort", port["port"]))
            if target not in ports(env):
                field = f"spec.ports.{port.get('name')}.targetPort"
                words = f"one of {', '.join(sorted(ports(env)))}"
                yield env.finding(each, field, target, words, "Name a port of the pods.")
    stable, canary = (each["spec"].get("ports") for each in both)
    if stable != canary:
        remedy = "Else the arms are not compared by the same thing."
        yield env.finding(
            both[1], "spec.ports", "other ports", f"those of {env.services[0]}", remedy
        )


def scraped(tree: Tree) -> Iterator[Finding]:
    """Each pod is scraped once, on the port that its metrics are on, whatever arm it is in."""
    for env in tree.environments:
        found = list(monitors(tree, env))
        for each in found:
            yield from _reads(each, env)
        for each in found[1:]:
            words = f"the pods of {env.name} again, as {found[0].object['metadata']['name']} does"
            yield each.finding("spec.selector", words, "each pod once", "It would count twice.")


def _reads(monitor: Monitor, env: Environment) -> Iterator[Finding]:
    service = monitor.service and monitor.service["metadata"]["name"]
    if service in env.services:
        remedy = "In a rollout it misses the other arm; at rest both have all pods: a PodMonitor."
        yield monitor.finding("spec.selector", f"the Service {service}", "pods", remedy)
    if monitor.port not in ports(env):
        words = f"one of {', '.join(sorted(ports(env)))}"
        found = str(monitor.endpoint.get("port"))
        yield monitor.finding("endpoints.port", found, words, "Name a port of the pods.")
    if (path := monitor.endpoint.get("path", "/metrics")) != "/metrics":
        yield monitor.finding("endpoints.path", path, "/metrics", "docs/serving.md.")


def routes(tree: Tree) -> Iterator[Finding]:
    """The route hangs on a Gateway that there is, and leads to ports that its Services have."""
    gateways = {each["metadata"]["name"]: _listeners(each) for _, each in tree.all("Gateway")}
    for env in tree.environments:
        for each in env.manifests.all("HTTPRoute"):
            yield from _hangs(env, each, gateways)
        yield from _backends(env)


def _hangs(env: Environment, each: Object, gateways: Mapping[str, set[str]]) -> Iterator[Finding]:
    remedy = "It gets no traffic."
    parents = list(enumerate(each["spec"].get("parentRefs") or ()))
    named = [(at, one) for at, one in parents if one.get("kind", "Gateway") == "Gateway"]
    if not named:
        yield env.finding(each, "spec.parentRefs", "no Gateway", "one that it hangs on", remedy)
    for at, parent in named:
        field, known = f"spec.parentRefs.{at}", gateways.get(parent["name"])
        if known is None:
            words = f"one of {', '.join(sorted(gateways)) or 'none in deploy/platform'}"
            yield env.finding(each, f"{field}.name", parent["name"], words, remedy)
        elif (section := parent.get("sectionName")) and section not in known:
            words = f"a listener of {parent['name']}"
            yield env.finding(each, f"{field}.sectionName", section, words, remedy)


def _listeners(gateway: Object) -> set[str]:
    return {each["name"] for each in gateway["spec"].get("listeners") or ()}


def _backends(env: Environment) -> Iterator[Finding]:
    for each, backend, place in route.backends(env.manifests):
        service = env.manifests.named("Service", backend["name"])
        known = {one["port"] for one in service["spec"]["ports"]} if service else set()
        if backend.get("port") not in known:
            words = f"one of {sorted(known)}" if service else "a Service that is there"
            yield env.finding(each, f"{place}.port", str(backend.get("port")), words, "Mend it.")


def watched(tree: Tree) -> Iterator[Finding]:
    """Each environment is watched from its first release: scraped, alerted on, and shown."""
    alerted = any(True for _ in tree.all("PrometheusRule"))
    shown = any((tree.root / "deploy").rglob("dashboard*.json"))
    for env in tree.environments:
        missing = [
            words
            for words, there in (
                ("no PodMonitor or ServiceMonitor of its pods", any(monitors(tree, env))),
                ("no PrometheusRule", alerted),
                ("no dashboard", shown),
            )
            if not there
        ]
        for words in missing:
            remedy = "Add it to deploy/platform/monitoring."
            yield env.finding(env.raw, "", words, "one for each environment", remedy)
