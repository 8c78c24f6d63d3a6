"""The rule of the judge: who is asked, about what, and what it reads to know."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from preflight.deploy.analyses import Measure
from preflight.deploy.manifests import Object
from preflight.deploy.monitors import ALWAYS, Monitor, monitors, plain
from preflight.deploy.pods import HASH, containers, labels, leads, option, stay, words
from preflight.deploy.tree import Environment, Finding, Tree

COMMAND = ["python", "-m", "preflight.rollout.service"]
SELECTOR = 'app="{rollout}",rollouts_pod_template_hash="{hash}"'  # unless it is told another
CLUSTER, INTERVAL = "{rollout}-{arm}", "15"
LABEL = re.compile(r'(\w+)\s*=~?\s*"([^"]*)"')
PATH = "/v1/verdict"
Told = Iterator[tuple[str, str, str]]  # what was found, expected, and why


@dataclass(frozen=True)
class Judge:
    """A container that judges, with its field, of an object."""

    object: Object
    place: str
    container: Mapping[str, Any]

    def told(self, name: str, usual: str = "") -> str:
        """One of its options, or what it is without."""
        return option(words(self.container), name) or usual


def judged(tree: Tree) -> Iterator[Finding]:
    """Analyses ask a judge of its own image, about both arms, and it reads what both emit."""
    for env in tree.environments:
        yield from _asked(env)
        for judge in _judges(env):
            yield from _reads(env, judge)
            for monitor in monitors(tree, env):
                yield from _matches(env, judge, monitor)


def _judges(env: Environment) -> Iterator[Judge]:
    for each in env.manifests.all("Deployment"):
        for place, container in stay(each):
            if words(container)[:3] == COMMAND:
                yield Judge(each, place, container)


def _asked(env: Environment) -> Iterator[Finding]:
    """Each analysis asks a judge for the verdict on this Rollout's arms."""
    for template, each in env.templates.items():
        where = env.manifests.one("AnalysisTemplate", template)
        for measure in each.spec.metrics:
            field = f"spec.metrics.{measure.name}.provider.web.url"
            for found, expected, remedy in (*_address(env, measure), *_query(env, measure)):
                yield env.finding(where, field, found, expected, remedy)


def _address(env: Environment, measure: Measure) -> Told:
    url = urlsplit(measure.provider.web.url)
    namespace = env.raw["metadata"].get("namespace")
    host, _, rest = (url.hostname or "").partition(".")
    service = env.manifests.named("Service", host)
    known = {one["port"] for one in service["spec"]["ports"]} if service else set()
    asked = f"{url.hostname}:{url.port}"
    if service is None or rest.split(".")[0] != namespace or url.port not in known:
        yield asked, f"a Service of {namespace} and its port", "An error, not a verdict."
        return
    behind = [each for each in _judges(env) if leads(service, labels(each.object))]
    if not behind or leads(service, env.labels):
        expected = f"a Service of a Deployment that runs {' '.join(COMMAND)}"
        yield f"{asked}, no judge", expected, "Whoever else answers says what it likes."
    candidates = {_name(one) for _, one in containers(env.raw)}
    for each in behind:
        if _name(each.container) in candidates:
            remedy = "A candidate would judge itself."
            yield f"{asked}, a judge of the image {_name(each.container)}", "another image", remedy


def _name(container: Mapping[str, Any]) -> str:
    """An image's name, without digest or tag."""
    return re.split(r"@|:(?!.*/)", str(container.get("image")), maxsplit=1)[0]


def _query(env: Environment, measure: Measure) -> Told:
    url = urlsplit(measure.provider.web.url)
    if url.path != PATH:
        yield url.path, PATH, "Any other answer is no verdict."
    expected = {
        "rollout": env.raw["metadata"]["name"],
        "stable": "{{args.stable}}",
        "canary": "{{args.canary}}",
    }
    if sorted(parse_qsl(url.query, keep_blank_values=True)) != sorted(expected.items()):
        asked = "&".join(f"{name}={value}" for name, value in expected.items())
        yield url.query[:100], asked, "It judges another, or one arm against itself."


def _reads(env: Environment, judge: Judge) -> Iterator[Finding]:
    """It tells the arms' pods and clusters apart, and looks at the proxy's figures at all."""
    field = f"{judge.place}.args"
    selector = dict(LABEL.findall(judge.told("--selector", SELECTOR)))
    cluster = judge.told("--cluster", CLUSTER)
    apart = selector.get(plain(HASH)) == "{hash}" and "{rollout}" in selector.values()
    for holds, found, expected in (
        (apart, "--selector of any arm's pods", f"one as {SELECTOR}"),
        (all(each in cluster for each in ("{rollout}", "{arm}")), f"--cluster {cluster}", CLUSTER),
        (judge.told("--envoy"), "no --envoy", "the selector of the proxies' metrics"),
    ):
        if not holds:
            remedy = "It would compare an arm with itself, or see no errors of the proxy."
            yield env.finding(judge.object, field, found, expected, remedy)


def _matches(env: Environment, judge: Judge, monitor: Monitor) -> Iterator[Finding]:
    """It reads labels that its pods' metrics carry, as often as they are scraped."""
    field = f"{judge.place}.args"
    for name, value in LABEL.findall(judge.told("--selector", SELECTOR)):
        for found, expected in _label(env, monitor, name, value):
            remedy = "It would see nothing, and nothing would ever be promoted."
            yield env.finding(judge.object, field, found, expected, remedy)
    every = judge.told("--interval", INTERVAL)
    scraping = str(monitor.endpoint.get("interval", "none"))
    if scraping.removesuffix("s") != every:
        found, expected = f"--interval {every}", f"the monitor's, {scraping}"
        yield env.finding(judge.object, field, found, expected, "It reads raw samples by it.")


def _label(env: Environment, monitor: Monitor, name: str, value: str) -> Iterator[tuple[str, str]]:
    known = {plain(each): text for each, text in env.labels.items()}
    if name not in monitor.labels or name not in {*ALWAYS, *known, plain(HASH)}:
        yield f"--selector by {name}", "a label that pods have and their monitor passes on"
        return
    wanted = value.replace("{rollout}", env.raw["metadata"]["name"])
    if known.get(name, wanted) != wanted:
        yield f"--selector by {name}={value}", f"{name}={known[name]}, as its pods are labelled"
