"""Rules of the route in Git: who answers while no rollout runs, which paths, and for how long."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from preflight.deploy import route
from preflight.deploy.tree import Environment, Finding, Tree

PREFIX, ALL = "/v1/", 100
DURATION = re.compile(r"(\d{1,5}(h|ms|m|s)){1,4}")  # of the Gateway API
POLICIES = (route.POLICY, "ClientTrafficPolicy")


def at_rest(env: Environment) -> Iterator[Finding]:
    """In Git stable has all weight, and the arms answer /v1/ and nothing else."""
    for each, rule, place in route.rules(env.manifests):
        if not route.weighted(rule, env.services):
            continue
        for backend in rule["backendRefs"]:
            if backend["name"] == env.services[0] and (found := backend.get("weight", 1)) != ALL:
                field = f"{place}.backendRefs.{backend['name']}.weight"
                words, remedy = f"{ALL}, and the canary's 0", "Only Argo Rollouts moves weights."
                yield env.finding(each, field, str(found), words, remedy)
        for at, match in enumerate(rule.get("matches") or [{}]):
            if (path := (match.get("path") or {}).get("value", "/")) != PREFIX:
                field, words = f"{place}.matches.{at}.path.value", f"the prefix {PREFIX}"
                remedy = "/metrics, /explain and /version stay inside."
                yield env.finding(each, field, str(path), words, remedy)


def durations(tree: Tree) -> Iterator[Finding]:
    """Timeouts of routes and their policies have a unit."""
    remedy = "A server refuses it, or the proxy takes a default of its own."
    for file in tree.files:
        times = [
            (each, f"{place}.timeouts", rule.get("timeouts"))
            for each, rule, place in route.rules(file.manifests)
        ]
        for kind in POLICIES:
            found = file.manifests.all(kind)
            times += [(each, "spec.timeout", each["spec"].get("timeout")) for each in found]
        for each, place, whole in times:
            for field, value in _leaves(whole, place):
                if not DURATION.fullmatch(str(value)):
                    yield file.finding(each, field, str(value), "a duration, as 35s", remedy)


def _leaves(value: Any, field: str) -> Iterator[tuple[str, Any]]:
    """Each value within mappings, with its field."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(inner, f"{field}.{key}")
    elif value is not None:
        yield field, value
