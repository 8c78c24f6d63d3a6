"""What the manifests declare is what a rehearsal executes."""

import pytest

from declared import manifests
from preflight.deploy.declared import Analysis, Pause, SetWeight, declared, results, seconds
from preflight.errors import Problem


def test_steps_and_analyses_are_plain_data_in_seconds() -> None:
    found = declared(manifests())
    assert found.steps[:2] == (SetWeight(5), Pause(300.0))
    assert found.steps[-2:] == (Analysis(("decide",)), SetWeight(100))
    assert (found.background, found.starting_step) == (Analysis(("stop",)), 1)
    (decide,), (stop,) = found.metrics["decide"], found.metrics["stop"]
    assert (decide.interval, decide.count, decide.success_limit) == (30.0, 60, 1)
    assert (decide.success, decide.failure) == (frozenset({"promote"}), frozenset({"abort"}))
    assert (stop.count, stop.success) == (None, frozenset({"promote", "continue"}))


def test_the_route_tells_where_an_arm_is_and_who_stays() -> None:
    found = declared(manifests())
    assert (found.name, found.release) == ("taxi", "none")
    assert (found.stable, found.canary) == ("taxi-stable", "taxi-canary")
    assert (found.prefix, found.sticky, found.timeout) == ("/v1/", "X-Entity-Id", 2.0)
    assert found.arms == {"stable": {"X-Arm": "stable"}, "canary": {"X-Arm": "canary"}}
    assert (found.idle_seconds, found.connect_seconds) == (3.0, 2.0)


def test_without_a_time_of_its_own_a_route_has_its_policys() -> None:
    assert declared(manifests(("      timeouts: {request: 2s}\n", ""))).timeout == 35.0


def test_a_pause_without_a_duration_waits_for_somebody() -> None:
    found = declared(manifests(("pause: {duration: 5m}", "pause: {}")))
    assert found.steps[1] == Pause(None)


@pytest.mark.parametrize(
    ("duration", "expected"),
    [("5m", 300.0), ("30s", 30.0), (300, 300.0), ("300", 300.0), ("1h30m", 5400.0), ("1.5s", 1.5)],
)
def test_durations_are_seconds(duration: str | int, expected: float) -> None:
    assert seconds(duration) == expected


@pytest.mark.parametrize("duration", ["5 m", "m", "", "5d", "1h-3m"])
def test_what_is_no_duration_is_refused(duration: str) -> None:
    with pytest.raises(Problem, match="found '"):
        seconds(duration)


def test_conditions_are_equalities_joined_by_or() -> None:
    assert results("result == 'a' ||result==\"b\"") == frozenset({"a", "b"})
    assert results("") == frozenset()


@pytest.mark.parametrize(
    "condition", ["result != 'a'", "result == 'a' && true", "result == 'a' ||", "true", "'a'"]
)
def test_another_condition_is_refused(condition: str) -> None:
    with pytest.raises(Problem, match="a condition: found"):
        results(condition)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("- name: taxi-canary\n          port: 80", "- name: other\n          port: 80", "0 rules"),
        ("type: PathPrefix", "type: Exact", "one match, of a PathPrefix"),
        ("connectionIdleTimeout: 3s, ", "", "found no timeout.http.connectionIdleTimeout"),
        ("tcp: {connectTimeout: 2s}, ", "", "found no timeout.tcp.connectTimeout"),
        (
            "    consistentHash: {type: Headers",
            "    consistentHash: {type: SourceIP",
            "of type Heade",
        ),
        ("[{name: X-Entity-Id}]", "[]", "with a ConsistentHash of type Headers on one header"),
        ("kind: HTTPRoute, name: taxi}", "kind: HTTPRoute, name: cab}", "0 of BackendTrafficPoli"),
        ("- setWeight: 20", "- setCanaryScale: {weight: 1}", "step 3: found setCanaryScale"),
        ("templateName: decide", "templateName: decides", "found the AnalysisTemplate decides"),
        (
            "      count: 60\n",
            "      count: 60\n      initialDelay: 1s\n",
            "initialDelay 1s; expec",
        ),
        ("httpRoute: taxi", "httpRoute: other", "0 of HTTPRoute/other"),
    ],
)
def test_what_cannot_be_rehearsed_is_refused(old: str, new: str, words: str) -> None:
    with pytest.raises(Problem) as caught:
        declared(manifests((old, new)))
    assert words in str(caught.value)


def test_without_any_time_of_a_request_it_is_refused() -> None:
    edits = ("      timeouts: {request: 2s}\n", ""), (", requestTimeout: 35s", "")
    with pytest.raises(Problem, match=r"no timeout\.http\.requestTimeout"):
        declared(manifests(*edits))
