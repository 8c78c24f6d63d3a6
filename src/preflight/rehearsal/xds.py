"""What Envoy is told: its bootstrap, the route and the clusters, as xDS resources in files.

What Envoy Gateway v1.9 sets by default for a route of this kind is set here too.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from preflight.deploy.declared import Declared
from preflight.errors import Problem

Resource = dict[str, Any]
BOOTSTRAP, RDS, CDS = "bootstrap.json", "rds.json", "cds.json"
LISTENER = ROUTES = "rehearsal"  # the names under which Envoy counts both
API = "type.googleapis.com/envoy"
WHOLE = 10_000  # parts of all traffic
INSTANCE = re.compile(r"http://([\d.]+):(\d{1,5})/?")
PAIR, ARM = "X-Pair-Id", "X-Arm"


def bootstrap(folder: Path, port: int, admin: int) -> Resource:
    """An Envoy on ports of 127.0.0.1 that lives from the files of `folder`, renamed into place."""
    return {
        "node": {"id": "rehearsal", "cluster": "rehearsal"},
        "admin": {"address": _address("127.0.0.1", admin)},
        # The time it is up is else true to five seconds, which are minutes of a rehearsal.
        "stats_flush_on_admin": True,
        "dynamic_resources": {"cds_config": _file(folder / CDS)},
        "static_resources": {"listeners": [_listener(folder, port)]},
    }


def routes(
    declared: Declared, weights: Mapping[str, int], release: str, mirror: str | None, version: int
) -> Resource:
    """The route's xDS answer: the prefix declared, split by `weights` of both clusters.

    An entity's place is a hash of the release and its id, so that each release has a cohort of
    its own, and it falls to the canary below a mark that only rises with the weight. Raises
    Problem when the weights name another cluster, or are none.
    """
    route: Resource = {
        "name": declared.name,
        "match": _match(declared.prefix),
        "route": {
            "weighted_clusters": {
                "clusters": _weighted(declared, weights),
                "use_hash_policy": True,
            },
            "hash_policy": [_salted(declared.sticky, release)],
            "timeout": _seconds(declared.timeout),
        },
    }
    if mirror is None:
        route["request_headers_to_remove"] = [PAIR]
    else:
        route["route"]["request_mirror_policies"] = [_mirror(declared, mirror)]
        route["request_headers_to_add"] = _headers({PAIR: "%STREAM_ID%"})
    config = {
        "@type": f"{API}.config.route.v3.RouteConfiguration",
        "name": ROUTES,
        "validate_clusters": True,
        "virtual_hosts": [{"name": declared.name, "domains": ["*"], "routes": [route]}],
    }
    return {"version_info": str(version), "resources": [config]}


def clusters(declared: Declared, instances: Mapping[str, Sequence[str]], version: int) -> Resource:
    """The clusters' xDS answer: by name the addresses of instances, as http://127.0.0.1:3000."""
    return {
        "version_info": str(version),
        "resources": [
            _cluster(declared, name, places) for name, places in sorted(instances.items())
        ],
    }


def _listener(folder: Path, port: int) -> Resource:
    manager: Resource = {
        "@type": f"{API}.extensions.filters.network.http_connection_manager.v3"
        ".HttpConnectionManager",
        "stat_prefix": LISTENER,
        "rds": {"route_config_name": ROUTES, "config_source": _file(folder / RDS)},
        "http_filters": [
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": f"{API}.extensions.filters.http.router.v3.Router"},
            }
        ],
        # Every caller is a stranger: a request id of its own is replaced.
        "use_remote_address": True,
        "normalize_path": True,
        "merge_slashes": True,
        "path_with_escaped_slashes_action": "UNESCAPE_AND_REDIRECT",
        "common_http_protocol_options": {"headers_with_underscores_action": "REJECT_REQUEST"},
    }
    filters = [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]
    return {
        "name": LISTENER,
        "address": _address("127.0.0.1", port),
        "enable_reuse_port": False,  # else a second process would share the port unnoticed
        "filter_chains": [{"filters": filters}],
    }


def _match(prefix: str) -> Resource:
    # Gateway API, PathPrefix: of whole elements, and a slash at its end is ignored.
    whole = prefix.rstrip("/")
    return {"path_separated_prefix": whole} if whole else {"prefix": "/"}


def _weighted(declared: Declared, weights: Mapping[str, int]) -> list[Resource]:
    # The canary first, always: its cohort is what lies below its weight.
    arms = {declared.canary: "canary", declared.stable: "stable"}
    total = sum(weights.values())
    if set(weights) - set(arms) or min(weights.values(), default=0) < 0 or not total:
        raise Problem(
            "the weights of a route",
            str(dict(weights)),
            f"whole numbers, not all 0, for {' and '.join(sorted(arms))}",
            "Mend the step.",
        )
    canary = round(WHOLE * weights.get(declared.canary, 0) / total)
    shares = {declared.canary: canary, declared.stable: WHOLE - canary}
    return [
        {
            "name": name,
            "weight": shares[name],
            "request_headers_to_add": _headers(_literal(declared.arms.get(arm, {}))),
            "response_headers_to_add": _headers({ARM.lower(): arm}),
        }
        for name, arm in arms.items()
    ]


def _salted(header: str, release: str) -> Resource:
    # A mutation of the header would come too late: filters run after the choice of the cluster.
    salt = release.replace("\\", r"\\")
    rewrite = {"pattern": {"regex": "^"}, "substitution": f"{salt}/"}
    return {"header": {"header_name": header, "regex_rewrite": rewrite}}


def _mirror(declared: Declared, cluster: str) -> Resource:
    own = _headers(_literal(declared.arms.get("shadow", {ARM: "shadow"})))
    return {
        "cluster": cluster,
        "disable_shadow_host_suffix_append": True,
        # The copy has the headers of the arm that answers, unless they are overwritten.
        "request_headers_mutations": [{"append": each} for each in own],
    }


def _cluster(declared: Declared, name: str, places: Sequence[str]) -> Resource:
    options = {
        "@type": f"{API}.extensions.upstreams.http.v3.HttpProtocolOptions",
        "common_http_protocol_options": {"idle_timeout": _seconds(declared.idle_seconds)},
        "explicit_http_config": {"http_protocol_options": {}},
    }
    found = [{"endpoint": {"address": _address(*_host(place))}} for place in places]
    return {
        "@type": f"{API}.config.cluster.v3.Cluster",
        "name": name,
        "type": "STATIC",
        "lb_policy": "MAGLEV",  # an entity stays with its instance
        "connect_timeout": _seconds(declared.connect_seconds),
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": found}]},
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": options
        },
    }


def _host(place: str) -> tuple[str, int]:
    found = INSTANCE.fullmatch(place)
    if found is None:
        raise Problem("an instance", place[:80], "as http://127.0.0.1:3000", "Mend it.")
    return found[1], int(found[2])


def _address(host: str, port: int) -> Resource:
    return {"socket_address": {"address": host, "port_value": port}}


def _file(path: Path) -> Resource:
    return {"path_config_source": {"path": str(path)}, "resource_api_version": "V3"}


def _headers(values: Mapping[str, str]) -> list[Resource]:
    return [
        {"header": {"key": name, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
        for name, value in values.items()
    ]


def _literal(values: Mapping[str, str]) -> dict[str, str]:
    return {name: value.replace("%", "%%") for name, value in values.items()}


def _seconds(seconds: float) -> str:
    return f"{seconds:g}s"
