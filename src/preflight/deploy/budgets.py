"""Budgets of disruption: how many of an object's pods a drained node leaves."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from preflight.deploy import route
from preflight.deploy.manifests import Object
from preflight.deploy.pods import labels, leads
from preflight.deploy.tree import Files, Finding


def budgeted(file: Files, each: Object, count: int) -> Iterator[Finding]:
    """A budget keeps some of `count` pods, unless they get copies alone: nobody waits for these."""
    known = labels(each)
    budgets = file.manifests.all("PodDisruptionBudget")
    mine = [one for one in budgets if _selected(one["spec"].get("selector") or {}, known)]
    for budget in (one for one in mine if not _protects(one["spec"], count)):
        told = {key: budget["spec"].get(key) for key in ("maxUnavailable", "minAvailable")}
        found = ", ".join(f"{key} {value}" for key, value in told.items() if value is not None)
        words = f"one that keeps some of {count} pods, as maxUnavailable 1"
        remedy = "Drained nodes would take all at once."
        yield file.finding(budget, "spec", found or "nothing kept", words, remedy)
    copies = {name for _, rule, _ in route.rules(file.manifests) for name in route.mirrors(rule)}
    copied = (file.manifests.named("Service", name) for name in copies)
    if not mine and not any(service and leads(service, known) for service in copied):
        words, remedy = "a PodDisruptionBudget of its pods", "Drained nodes would take all at once."
        yield file.finding(each, "", "no budget", words, remedy)


def _protects(spec: Mapping[str, Any], count: int) -> bool:
    """Whether a budget keeps one of so many pods; shares of them are rounded up."""
    if (least := spec.get("minAvailable")) is not None:
        return _share(least, count) > 0
    most = spec.get("maxUnavailable")
    return most is not None and _share(most, count) < count


def _share(value: int | str, count: int) -> int:
    text = str(value)
    return math.ceil(float(text[:-1]) * count / 100) if text.endswith("%") else int(text)


def _selected(selector: Mapping[str, Any], known: Mapping[str, str]) -> bool:
    wanted = selector.get("matchLabels") or {}
    return bool(wanted) and wanted.items() <= known.items()
