"""The one route that a rollout moves: whither, with which headers, and who stays where."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from preflight.deploy.manifests import Manifests, Object, label
from preflight.errors import Problem

ARMS = ("stable", "canary")
POLICY = "BackendTrafficPolicy"


@dataclass(frozen=True)
class Routed:
    """Paths of `prefix`, headers by arm, the header that keeps an entity with one, and durations:
    of a request, of a connection that idles, and until there is one.
    """

    prefix: str
    arms: Mapping[str, Mapping[str, str]]
    sticky: str
    timeout: str
    idle: str
    connect: str


def routed(manifests: Manifests, name: str, services: tuple[str, str]) -> Routed:
    """The HTTPRoute `name` to the services of stable and canary; raises Problem if it is none."""
    found = manifests.one("HTTPRoute", name)
    where = f"{manifests.where}: {label(found)}"
    rules = [each for each in found["spec"].get("rules", ()) if weighted(each, services)]
    if len(rules) != 1:
        expected = f"one rule to {' and '.join(services)}"
        raise Problem(where, f"{len(rules)} rules to both", expected, "Route both arms alike.")
    (rule,) = rules
    backends = {each["name"]: each for each in rule["backendRefs"]}
    arms = dict(zip(ARMS, (headers(backends[each]) for each in services), strict=True))
    policy = _policy(manifests, name)
    of_rule = (rule.get("timeouts") or {}).get("request")
    return Routed(
        prefix=_prefix(rule, where),
        arms=arms,
        sticky=_sticky(policy, manifests.where),
        timeout=of_rule or _timeout(policy, "http.requestTimeout", manifests.where),
        idle=_timeout(policy, "http.connectionIdleTimeout", manifests.where),
        connect=_timeout(policy, "tcp.connectTimeout", manifests.where),
    )


def policies(manifests: Manifests, name: str) -> tuple[Object, ...]:
    """The BackendTrafficPolicies of the HTTPRoute `name`."""
    return tuple(each for each in manifests.all(POLICY) if name in _targets(each))


def hashes(policy: Object) -> tuple[str, ...]:
    """The headers by whose hash a policy chooses; none where it chooses otherwise."""
    balanced = policy["spec"].get("loadBalancer") or {}
    known = balanced.get("consistentHash") or {}
    if (balanced.get("type"), known.get("type")) != ("ConsistentHash", "Headers"):
        return ()
    return tuple(str(each["name"]) for each in known.get("headers") or ())


def filters(rule: Mapping[str, Any], kind: str) -> Iterator[Mapping[str, Any]]:
    """A rule's or a backend's filters of a kind: Mirror, HeaderModifier."""
    for each in rule.get("filters") or ():
        if each.get("type") == f"Request{kind}":
            yield each


def mirrors(rule: Mapping[str, Any]) -> list[str]:
    """The Services that get copies of a rule's requests, by its backends' filters too."""
    both = (rule, *(rule.get("backendRefs") or ()))
    copies = [copy for each in both for copy in filters(each, "Mirror")]
    return [str(each["requestMirror"]["backendRef"]["name"]) for each in copies]


def rules(manifests: Manifests) -> Iterator[tuple[Object, Mapping[str, Any], str]]:
    """Each rule of each HTTPRoute, and its field."""
    for each in manifests.all("HTTPRoute"):
        for at, rule in enumerate(each["spec"].get("rules") or ()):
            yield each, rule, f"spec.rules.{at}"


def backends(manifests: Manifests) -> Iterator[tuple[Object, Mapping[str, Any], str]]:
    """Each backend of each HTTPRoute, and its field."""
    for each, rule, place in rules(manifests):
        for backend in rule.get("backendRefs") or ():
            yield each, backend, f"{place}.backendRefs.{backend['name']}"


def weighted(rule: Mapping[str, Any], services: tuple[str, str]) -> bool:
    """Whether a rule leads to both services, each once, and to no other."""
    names = [each.get("name") for each in rule.get("backendRefs") or ()]
    return sorted(map(str, names)) == sorted(services)


def headers(backend: Mapping[str, Any]) -> dict[str, str]:
    """What the headers of a request to a backend are set to."""
    return {
        header["name"]: header["value"]
        for each in filters(backend, "HeaderModifier")
        for header in each["requestHeaderModifier"].get("set") or ()
    }


def _targets(policy: Object) -> list[str]:
    spec = policy["spec"]
    known = [*(spec.get("targetRefs") or ()), *filter(None, [spec.get("targetRef")])]
    return [each["name"] for each in known if each.get("kind") == "HTTPRoute"]


def _policy(manifests: Manifests, name: str) -> Object:
    found = policies(manifests, name)
    if len(found) == 1:
        return found[0]
    expected = f"one whose targetRefs name HTTPRoute/{name}"
    remedy = "How an arm is asked stands in one place."
    raise Problem(manifests.where, f"{len(found)} of {POLICY}", expected, remedy)


def _sticky(policy: Object, where: str) -> str:
    """The header by which requests stay with an arm."""
    found = hashes(policy)
    if len(found) == 1:
        return found[0]
    expected = f"a {POLICY} with a ConsistentHash of type Headers on one header"
    raise Problem(where, "none", expected, "Add it: entities must stay with an arm.")


def _timeout(policy: Object, field: str, where: str) -> str:
    found: Any = policy["spec"].get("timeout")
    for key in field.split("."):
        found = (found or {}).get(key)
    if found is None:
        remedy = f"Set it in {label(policy)}: the proxy's default may be another tomorrow."
        raise Problem(where, f"no timeout.{field}", "a duration", remedy)
    return str(found)


def _prefix(rule: Object, where: str) -> str:
    paths = [each.get("path", {}) for each in rule.get("matches") or ()]
    if len(paths) != 1 or paths[0].get("type") != "PathPrefix":
        expected = "one match, of a PathPrefix"
        raise Problem(where, f"{len(paths)} matches", expected, "Match that prefix alone.")
    return str(paths[0]["value"])
