"""The proxy's own figures of each arm, from Envoy: a cluster an arm, as its statistics count it."""

import re
import time
from collections.abc import Mapping, Sequence
from http.client import HTTPException
from urllib.error import URLError
from urllib.parse import quote

import numpy as np

from preflight.rollout.observed import ARMS
from preflight.rollout.scrapes import BEGAN_ABOUT, PROXY, Reading, Series
from preflight.watch.probes import ANSWER_SECONDS, DIRECT
from preflight.watch.scrape import Samples

CLUSTER = "envoy_cluster_name"
UPTIME = "envoy_server_uptime"
# Envoy, Cluster manager statistics; each was seen to move on 1.40, with what it does not count.
HANDED = "upstream_rq_total"  # attempts that a connection took, answered or not
# Attempts that Envoy answered before a connection took them: nobody healthy, a circuit breaker
# (of two kinds), a connection refused or too late.
KEPT = (
    "upstream_cx_none_healthy",
    "upstream_rq_pending_overflow",
    "upstream_rq_active_overflow",
    "upstream_rq_pending_failure_eject",
)
# Attempts without an answer in time, and connections that the arm closed on one (HTTP/1).
LATE = (
    "upstream_rq_timeout",
    "upstream_rq_per_try_timeout",
    "upstream_cx_destroy_remote_with_active_rq",
)
RETRY = "upstream_rq_retry"  # each is one attempt more
BY_CLASS = "upstream_rq_xx"  # final answers, by the arm or by Envoy for it
NEEDED = tuple(f"envoy_cluster_{each}" for each in (HANDED, *KEPT, *LATE, RETRY, BY_CLASS))
SAMPLE = re.compile(r"^(envoy_\w+)(?:\{(.*)\})? (\S+)$", re.MULTILINE)
LABEL = re.compile(r'(\w+)="([^"]*)"')
FILTER = quote(r"^(cluster\..*\.upstream_(rq|cx)_|server\.uptime$)")


def readings(
    shown: Samples, instance: str, clusters: Mapping[str, str], at: float
) -> tuple[Reading, ...]:
    """What one Envoy says of each arm at `at`, seconds since 1970; `clusters` are named by arm."""
    return tuple(_reading(shown, instance, arm, clusters[arm], at) for arm in ARMS)


def look(address: str, clusters: Mapping[str, str]) -> tuple[Reading, ...]:
    """Ask the admin page at `address`, as http://127.0.0.1:9901; silence is a reading too."""
    try:
        place = f"{address.rstrip('/')}/stats/prometheus?filter={FILTER}"
        with DIRECT.open(place, timeout=ANSWER_SECONDS) as answer:
            text = answer.read().decode()
    except (URLError, OSError, HTTPException, ValueError) as error:
        reason = type(getattr(error, "reason", error)).__name__
        return tuple(Reading(arm, address, reason=reason) for arm in ARMS)
    return readings(samples(text), address, clusters, time.time())


def samples(page: str) -> Samples:
    """The samples that are needed of a page of Envoy's.

    The client's parser ends counters' names in `_total`, where Envoy has two: `upstream_rq`,
    which is by status, and `upstream_rq_total`.
    """
    found: dict[str, list[tuple[dict[str, str], float]]] = {}
    for name, labels, value in SAMPLE.findall(page):
        if name in NEEDED or name == UPTIME:
            found.setdefault(name, []).append((dict(LABEL.findall(labels)), float(value)))
    return found


def _reading(shown: Samples, instance: str, arm: str, cluster: str, at: float) -> Reading:
    def of(*names: str, **labels: str) -> float:
        wanted = (labels | {CLUSTER: cluster}).items()
        return sum(
            value
            for name in names
            for has, value in shown.get(f"envoy_cluster_{name}", ())
            if wanted <= has.items()
        )

    if not any(has.get(CLUSTER) == cluster for has, _ in shown.get(NEEDED[0], ())):
        return Reading(arm, instance, reason=f"shows no cluster {cluster}")
    failed = of(BY_CLASS, envoy_response_code_class="5")
    kept, uptime = of(*KEPT), _uptime(shown.get(UPTIME, ()))
    values = np.array([of(HANDED) + kept, of(RETRY), failed, kept + of(*LATE), uptime])
    if not np.isfinite(values).all():
        return Reading(arm, instance, reason="shows values that are no numbers")
    return Reading(arm, instance, PROXY, values, ((Series(BEGAN_ABOUT), at - uptime),))


def _uptime(found: Sequence[tuple[dict[str, str], float]]) -> float:
    return found[0][1] if found else 0.0
