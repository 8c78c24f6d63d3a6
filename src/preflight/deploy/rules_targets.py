"""Rules of who reaches whom: Services, monitors and the judge name what is there."""

import re
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

from preflight.deploy.manifests import Object
from preflight.deploy.monitors import ALWAYS, Monitor, leads, monitors, plain, ports
from preflight.deploy.tree import Environment, Finding, Tree, containers

HASH = "rollouts-pod-template-hash"  # which the controller puts on each pod
JUDGE = "preflight.rollout.service"
SELECTOR = 'app="{rollout}",rollouts_pod_template_hash="{hash}"'  # unless it is told another
INTERVAL = "15"
LABEL = re.compile(r'(\w+)\s*=~?\s*"([^"]*)"')


def arms(env: Environment) -> Iterator[Finding]:
    """Both arms' Services reach the Rollout's pods, all of them, on the same port."""
    both = [env.manifests.one("Service", each) for each in env.services]
    for each in both:
        selector = each["spec"].get("selector") or {}
        if not leads(each, env):
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


def judged(tree: Tree) -> Iterator[Finding]:
    """The judge reads labels that its pods' metrics carry, as often as they are scraped."""
    for env in tree.environments:
        yield from _asked(env)
        for each in env.manifests.objects:
            for place, container in containers(each):
                words = [*(container.get("command") or ()), *(container.get("args") or ())]
                if JUDGE in words:
                    for found in monitors(tree, env):
                        yield from _matches(env, each, f"{place}.args", words, found)


def _matches(
    env: Environment, judge: Object, field: str, words: list[str], monitor: Monitor
) -> Iterator[Finding]:
    known = {plain(each): value for each, value in env.labels.items()}
    for name, value in LABEL.findall(option(words, "--selector") or SELECTOR):
        carried = name in ALWAYS or name in known or name == plain(HASH)
        if name not in monitor.labels or not carried:
            expected = "a label that pods have and their monitor passes on"
            remedy = "It would see nothing, and nothing would ever be promoted."
            yield env.finding(judge, field, f"--selector by {name}", expected, remedy)
        elif (
            name in known and value.replace("{rollout}", env.raw["metadata"]["name"]) != known[name]
        ):
            expected = f"{name}={known[name]}, as its pods are labelled"
            remedy = "It would see nothing."
            yield env.finding(judge, field, f"--selector by {name}={value}", expected, remedy)
    every = option(words, "--interval") or INTERVAL
    scraping = str(monitor.endpoint.get("interval", "none"))
    if scraping.removesuffix("s") != every:
        remedy = "It reads raw samples by it."
        yield env.finding(judge, field, f"--interval {every}", f"the monitor's, {scraping}", remedy)


def option(words: list[str], name: str) -> str | None:
    """A command's option, as NAME=VALUE or as two words."""
    for at, word in enumerate(words):
        if word.startswith(f"{name}="):
            return word.removeprefix(f"{name}=")
        if word == name:
            return words[at + 1]
    return None


def _asked(env: Environment) -> Iterator[Finding]:
    """Each analysis asks a Service that is there, about this Rollout."""
    name, namespace = (env.raw["metadata"].get(each) for each in ("name", "namespace"))
    for template, each in env.templates.items():
        for measure in each.spec.metrics:
            url = urlsplit(measure.provider.web.url)
            where = env.manifests.one("AnalysisTemplate", template)
            field = f"spec.metrics.{measure.name}.provider.web.url"
            host, _, rest = (url.hostname or "").partition(".")
            service = env.manifests.named("Service", host)
            known = service["spec"]["ports"] if service else ()
            if rest.split(".")[0] != namespace or url.port not in {one["port"] for one in known}:
                words = f"a Service of {namespace} and its port"
                asked = f"{url.hostname}:{url.port}"
                yield env.finding(where, field, asked, words, "An error, not a verdict.")
            if parse_qs(url.query).get("rollout") != [name]:
                words = f"rollout={name}"
                yield env.finding(where, field, url.query[:60], words, "It judges another.")


def routes(tree: Tree) -> Iterator[Finding]:
    """The route hangs on a Gateway that there is, and leads to ports that its Services have."""
    gateways = {each["metadata"]["name"]: _listeners(each) for _, each in tree.all("Gateway")}
    for env in tree.environments:
        for each in env.manifests.all("HTTPRoute"):
            for at, parent in enumerate(each["spec"].get("parentRefs") or ()):
                if parent.get("kind", "Gateway") != "Gateway":
                    continue
                field, known = f"spec.parentRefs.{at}", gateways.get(parent["name"])
                if known is None:
                    words = f"one of {', '.join(sorted(gateways)) or 'none in deploy/platform'}"
                    remedy = "It gets no traffic."
                    yield env.finding(each, f"{field}.name", parent["name"], words, remedy)
                elif (section := parent.get("sectionName")) and section not in known:
                    words, remedy = f"a listener of {parent['name']}", "It gets no traffic."
                    yield env.finding(each, f"{field}.sectionName", section, words, remedy)
            yield from _backends(env, each)


def _listeners(gateway: Object) -> set[str]:
    return {each["name"] for each in gateway["spec"].get("listeners") or ()}


def _backends(env: Environment, each: Object) -> Iterator[Finding]:
    for at, rule in enumerate(each["spec"].get("rules") or ()):
        for backend in rule.get("backendRefs") or ():
            service = env.manifests.named("Service", backend["name"])
            known = {one["port"] for one in service["spec"]["ports"]} if service else set()
            if backend.get("port") not in known:
                field = f"spec.rules.{at}.backendRefs.{backend['name']}.port"
                words = f"one of {sorted(known)}" if service else "a Service that is there"
                yield env.finding(each, field, str(backend.get("port")), words, "Mend it.")


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
