"""The one route that a rollout moves: whither, with which headers, and who stays where."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from preflight.deploy.manifests import Manifests, Object, label
from preflight.errors import Problem

ARMS = ("stable", "canary")


@dataclass(frozen=True)
class Routed:
    """Paths of `prefix`, headers by arm, a request's time, and the Service that gets copies."""

    prefix: str
    arms: Mapping[str, Mapping[str, str]]
    timeout: str
    mirror: str | None


def routed(manifests: Manifests, name: str, services: tuple[str, str]) -> Routed:
    """The HTTPRoute `name` to the services of stable and canary; raises Problem if it is none."""
    found = manifests.one("HTTPRoute", name)
    where = f"{manifests.where}: {label(found)}"
    rules = [each for each in found["spec"].get("rules", ()) if _leads(each, services)]
    if len(rules) != 1:
        expected = f"one rule to {' and '.join(services)}"
        raise Problem(where, f"{len(rules)} rules to both", expected, "Route both arms alike.")
    (rule,) = rules
    backends = {each["name"]: each for each in rule["backendRefs"]}
    arms = dict(zip(ARMS, (_headers(backends[each]) for each in services), strict=True))
    mirrors = [each["requestMirror"]["backendRef"]["name"] for each in filters(rule, "Mirror")]
    return Routed(_prefix(rule, where), arms, _timeout(rule, manifests), next(iter(mirrors), None))


def sticky(manifests: Manifests) -> str:
    """The header by which requests stay with an arm; raises Problem where there is none."""
    for policy in manifests.all("BackendTrafficPolicy"):
        known = policy["spec"].get("loadBalancer", {}).get("consistentHash", {})
        named = known.get("headers") or [known[each] for each in ("header",) if each in known]
        if len(named) == 1:
            return str(named[0]["name"])
    expected = "a BackendTrafficPolicy with a ConsistentHash on one header"
    raise Problem(manifests.where, "none", expected, "Add it: entities must stay with an arm.")


def filters(rule: Mapping[str, Any], kind: str) -> Iterator[Mapping[str, Any]]:
    """A rule's or a backend's filters of a kind: Mirror, HeaderModifier."""
    for each in rule.get("filters") or ():
        if each.get("type") == f"Request{kind}":
            yield each


def _leads(rule: Object, services: tuple[str, str]) -> bool:
    return {each.get("name") for each in rule.get("backendRefs") or ()} == set(services)


def _headers(backend: Mapping[str, Any]) -> dict[str, str]:
    """What the headers of a request to a backend are set to."""
    return {
        header["name"]: header["value"]
        for each in filters(backend, "HeaderModifier")
        for header in each["requestHeaderModifier"].get("set", ())
    }


def _prefix(rule: Object, where: str) -> str:
    paths = [each.get("path", {}) for each in rule.get("matches") or ()]
    if len(paths) != 1 or paths[0].get("type") != "PathPrefix":
        expected = "one match, of a PathPrefix"
        raise Problem(where, f"{len(paths)} matches", expected, "Match that prefix alone.")
    return str(paths[0]["value"])


def _timeout(rule: Object, manifests: Manifests) -> str:
    found = (rule.get("timeouts") or {}).get("request")
    for policy in manifests.all("BackendTrafficPolicy"):
        http = policy["spec"].get("timeout", {}).get("http", {})
        found = found or http.get("requestTimeout")
    if found is None:
        remedy = "Set timeouts.request in the HTTPRoute's rule."
        raise Problem(manifests.where, "no timeout of a request", "one", remedy)
    return str(found)
