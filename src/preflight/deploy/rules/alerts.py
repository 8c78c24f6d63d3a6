"""Rules of alerts and dashboards: each metric that they read, with its labels, somebody emits."""

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import promql_parser

from preflight.deploy import manifests
from preflight.deploy.tree import PLATFORM, Finding, Tree
from preflight.errors import Problem
from preflight.serving.metrics import PER_WORKER, TABLE

EMITTERS = PLATFORM / "monitoring/emitters.yaml"  # others than the service, and what they emit
SUFFIXES = {
    "counter": ("_total",),
    "gauge": ("",),
    "histogram": ("_bucket", "_count", "_sum"),
}
# What a target gets from where it was found: the operator's, and the judge's own.
TARGET = {
    *("app", "namespace", "pod", "container", "endpoint", "job", "instance", "prometheus"),
    *("rollouts_pod_template_hash", "__name__"),
}
VARIABLE = re.compile(r"\$\{?__(?:rate_interval|interval|range)\}?")


@cache
def ours() -> Mapping[str, frozenset[str]]:
    """The service's metrics as Prometheus has them, with the labels that they may have."""
    found = {}
    for row in TABLE:
        more = {"pid"} if row.name in PER_WORKER else set()
        for suffix in SUFFIXES[row.kind]:
            edge = {"le"} if suffix == "_bucket" else set()
            found[row.name + suffix] = frozenset({*row.labels, *more, *edge})
    return found


def alerts(tree: Tree) -> Iterator[Finding]:
    """Alerts and dashboards read only metrics that somebody emits, by labels that these have."""
    known = emitted(tree)
    for file, each in tree.all("PrometheusRule"):
        for name, expr in _rules(each):
            for found, expected in wrong(expr, known):
                remedy = "It would never fire: mend it, or name who emits it in emitters.yaml."
                yield file.finding(each, name, found, expected, remedy)
    for path, name, expr in dashboards(tree.root):
        for found, expected in wrong(VARIABLE.sub("5m", expr), known):
            remedy = "It would stay empty: mend it, or name who emits it in emitters.yaml."
            yield Finding(str(path.relative_to(tree.root)), name, "expr", found, expected, remedy)


def emitted(tree: Tree) -> frozenset[str]:
    """Every metric that there is: the service's, the exporters', and what rules record."""
    recorded = {
        rule["record"]
        for _, each in tree.all("PrometheusRule")
        for group in each["spec"].get("groups") or ()
        for rule in group.get("rules") or ()
        if "record" in rule
    }
    return frozenset({*ours(), *_exporters(tree.root / EMITTERS), *recorded})


def _exporters(path: Path) -> Iterator[str]:
    """Names of the file that says what others emit: by emitter a list of metrics."""
    if not path.is_file():
        return
    for whole in manifests.documents(path.read_text(encoding="utf-8"), str(EMITTERS)):
        if not isinstance(whole, dict) or not all(isinstance(v, list) for v in whole.values()):
            found, expected = "another form", "emitters, each with a list of its metrics"
            raise Problem(str(EMITTERS), found, expected, "Write it so.")
        yield from (str(name) for names in whole.values() for name in names)


def _rules(each: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for group in each["spec"].get("groups") or ():
        for rule in group.get("rules") or ():
            name = rule.get("alert") or rule.get("record")
            yield f"{group['name']}.{name}", str(rule["expr"])


def dashboards(root: Path) -> Iterator[tuple[Path, str, str]]:
    """Each query of each dashboard: its file, its panel's title, the expression."""
    for path in sorted((root / PLATFORM).rglob("*.json")):
        try:
            whole = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise Problem(str(path), str(error), "JSON", "Mend it.") from None
        for title, expr in _queries(whole, path.stem):
            yield path, title, expr


def _queries(value: Any, title: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        title = str(value.get("title") or title)
        if isinstance(value.get("expr"), str):
            yield title, value["expr"]
        for inner in value.values():
            yield from _queries(inner, title)
    elif isinstance(value, list):
        for inner in value:
            yield from _queries(inner, title)


def wrong(expr: str, known: frozenset[str]) -> Iterator[tuple[str, str]]:
    """What is wrong with an expression: (found, expected) of each metric and label of ours."""
    try:
        read = promql_parser.parse(expr)
    except ValueError as error:
        yield f"{expr[:60]!r}: {str(error)[:80]}", "PromQL"
        return
    for name, labels in dict.fromkeys(_read(read)):
        mine = ours().get(name)
        if name not in known:
            yield f"the metric {name}", "one that somebody emits"
        if mine is None:
            continue
        for label in sorted(labels - mine - TARGET):
            yield f"{name} by the label {label}", f"one of {', '.join(sorted(mine)) or 'none'}"


def _read(expr: promql_parser.Expr) -> Iterator[tuple[str, frozenset[str]]]:
    """Each metric of an expression, with the labels that are asked for."""
    found: list[tuple[str, frozenset[str]]] = []

    def visit(node: promql_parser.Expr) -> bool:
        if isinstance(node, promql_parser.VectorSelector):
            asked = {each.name: each.value for each in node.matchers.matchers}
            name = node.name or asked.get("__name__", "{} without a name")
            found.append((name, frozenset(asked)))
        return True

    promql_parser.walk(expr, visit)
    yield from found
