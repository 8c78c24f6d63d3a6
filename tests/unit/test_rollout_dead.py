"""Who is dead, or not to be seen, does not keep the judge from what the others show."""

from collections.abc import Iterator

import numpy as np
import pytest

from preflight.rollout import envoy
from preflight.rollout.history import observed
from preflight.rollout.judge import judge
from preflight.rollout.observed import ARMS, CANARY, Observed
from preflight.rollout.scrapes import Reading, Round, reading
from preflight.rollout.verdict import Verdict
from rollouts import LIMITS, rollout
from scraped import ENVOY, page, proxied

DEAD = 10  # the look after which somebody answers no more
BEGAN = -100.0
CLUSTERS = {arm: arm for arm in ARMS}
SILENT = Reading("canary", "canary-1", reason="ConnectionRefusedError")


@pytest.fixture(scope="module")
def healthy() -> Observed:
    return rollout(seed=1, looks=30, asked=(2700.0, 300.0))


def arms(found: Observed, look: int) -> tuple[Reading, ...]:
    return tuple(
        reading(arm, f"{arm}-1", page(found, place, look, BEGAN)) for place, arm in enumerate(ARMS)
    )


def refused(found: Observed, look: int) -> tuple[Reading, ...]:
    """What the proxy shows where it has found nobody at the canary since DEAD."""
    assert found.proxied is not None
    shown = proxied(found, look, CLUSTERS, BEGAN)
    lost = float(np.maximum(0, np.diff(found.proxied.sent[[DEAD, look], CANARY])[0]))
    canary = {envoy.CLUSTER: "canary"}
    add = {envoy.HANDED: -lost, envoy.KEPT[0]: lost, envoy.BY_CLASS: lost}
    for name, value in add.items():
        of = canary | ({"envoy_response_code_class": "5"} if name == envoy.BY_CLASS else {})
        shown[f"envoy_cluster_{name}"].append((of, value))
    return envoy.readings(shown, ENVOY, CLUSTERS, float(found.times[look]))


def verdict(rounds: Iterator[Round], found: Observed) -> Verdict:
    return judge(observed(list(rounds), 0.0, LIMITS.max_seconds, float(found.times[-1])), LIMITS)


@pytest.mark.parametrize("left", [(SILENT,), ()], ids=["silent", "gone"])
def test_a_dead_canary_is_aborted_by_what_the_proxy_shows(
    healthy: Observed, left: tuple[Reading, ...]
) -> None:
    rounds = (
        Round(
            at,
            arms(healthy, look) if look <= DEAD else (*arms(healthy, look)[:1], *left),
            refused(healthy, look),
        )
        for look, at in enumerate(healthy.times.tolist())
    )
    found = verdict(rounds, healthy)
    assert found.result == "abort"
    assert "The proxy got no answer from the canary" in found.reason
    assert next(each for each in found.metrics if each.name == "unreached").state == "worse"


def test_a_proxy_that_cannot_be_read_keeps_no_faulty_canary_alive() -> None:
    faulty = rollout(seed=1, looks=30, asked=(2700.0, 300.0), errors=0.05)
    nobody = tuple(Reading(arm, ENVOY, reason="shows no cluster") for arm in ARMS)
    rounds = (
        Round(at, arms(faulty, look), nobody) for look, at in enumerate(faulty.times.tolist())
    )
    found = verdict(rounds, faulty)
    assert found.result == "abort"
    assert "answered with an error" in found.reason


def test_a_proxy_that_cannot_be_read_any_more_promotes_nobody(healthy: Observed) -> None:
    nobody = tuple(Reading(arm, ENVOY, reason="TimeoutError") for arm in ARMS)
    rounds = (
        Round(at, arms(healthy, look), refused(healthy, DEAD) if look <= DEAD else nobody)
        for look, at in enumerate(healthy.times.tolist())
    )
    found = verdict(rounds, healthy)
    assert found.result == "continue"
    assert "nothing is known since" in found.reason
