"""Who scrapes an environment's pods: by which monitor, on which port, with which labels."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from preflight.deploy.manifests import Object, label
from preflight.deploy.pods import leads, stay
from preflight.deploy.tree import Environment, Files, Finding, Tree
from preflight.errors import Problem

ALWAYS = {"namespace", "pod", "container", "job", "instance", "endpoint"}  # on each target


@dataclass(frozen=True)
class Monitor:
    """A monitor that reaches an environment's pods, through a Service where there is one."""

    file: Files
    object: Object
    service: Object | None
    endpoint: Mapping[str, Any]

    def finding(self, field: str, found: str, expected: str, remedy: str) -> Finding:
        """What is wrong with it."""
        return self.file.finding(self.object, field, found, expected, remedy)

    @property
    def port(self) -> str | None:
        """The pod's port that it asks, by name, or by number as text."""
        named = str(self.endpoint.get("port"))
        if self.service is None:
            return named
        for each in self.service["spec"]["ports"]:
            if each.get("name") == named:
                return str(each.get("targetPort", each["port"]))
        return None

    @property
    def labels(self) -> set[str]:
        """Those that what it reads gets, in Prometheus' spelling."""
        carried = self.object["spec"].get("podTargetLabels") or ()
        relabelled = self.endpoint.get("relabelings") or ()
        known = {str(each["targetLabel"]) for each in relabelled if "targetLabel" in each}
        return ALWAYS | known | {plain(each) for each in carried}


def plain(name: str) -> str:
    """A pod's label as Prometheus spells it."""
    return re.sub(r"\W", "_", name)


def monitors(tree: Tree, env: Environment) -> Iterator[Monitor]:
    """Each way in which something scrapes an environment's pods.

    Raises Problem for a selector that is more than labels.
    """
    for file in (env, *tree.platform):
        for each in file.manifests.all("PodMonitor"):
            if _covers(each, env) and _selects(file, each, env.labels):
                yield from _of(file, each, "podMetricsEndpoints")
        for each in file.manifests.all("ServiceMonitor"):
            for service in _services(file, each, env):
                yield from _of(file, each, "endpoints", service)


def _of(file: Files, each: Object, key: str, service: Object | None = None) -> Iterator[Monitor]:
    for endpoint in each["spec"].get(key) or ():
        yield Monitor(file, each, service, endpoint)


def _services(file: Files, monitor: Object, env: Environment) -> Iterator[Object]:
    """Those of an environment's pods that a monitor goes by."""
    for each in env.manifests.all("Service") if _covers(monitor, env) else ():
        known = each["metadata"].get("labels") or {}
        if _selects(file, monitor, known) and leads(each, env.labels):
            yield each


def _covers(monitor: Object, env: Environment) -> bool:
    """Whether a monitor looks into an environment's namespace."""
    selector = monitor["spec"].get("namespaceSelector") or {}
    own = monitor["metadata"].get("namespace")
    names = selector.get("matchNames") or [own]
    return bool(selector.get("any")) or env.raw["metadata"].get("namespace") in names


def _selects(file: Files, monitor: Object, labels: Mapping[str, str]) -> bool:
    """Whether a monitor is of these labels; raises Problem where it says so by expressions."""
    selector = monitor["spec"]["selector"]
    if selector.get("matchExpressions"):
        place = f"{file.manifests.where}: {label(monitor)}: spec.selector"
        remedy = "Write it so, or nobody knows here what is scraped."
        raise Problem(place, "matchExpressions", "matchLabels alone", remedy)
    wanted = selector.get("matchLabels") or {}
    return bool(wanted.items() <= labels.items())


def ports(env: Environment) -> set[str]:
    """The pods' ports, by name and by number."""
    known = [port for _, container in stay(env.raw) for port in container.get("ports") or ()]
    return {str(port[key]) for port in known for key in ("name", "containerPort") if key in port}
