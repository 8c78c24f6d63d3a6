"""What Envoy counts of an arm: each request once, and those that it answered itself."""

import pytest

from preflight.rollout import envoy
from preflight.rollout.scrapes import PROXY

# Of Envoy 1.40: ten requests to each cluster, named for what came of them. Where the name has
# `retry`, each was tried three times.
PAGE = """\
# TYPE envoy_cluster_upstream_rq_total counter
envoy_cluster_upstream_rq_total{envoy_cluster_name="ok"} 10
envoy_cluster_upstream_rq_total{envoy_cluster_name="own503"} 10
envoy_cluster_upstream_rq_total{envoy_cluster_name="none"} 0
envoy_cluster_upstream_rq_total{envoy_cluster_name="refused"} 0
envoy_cluster_upstream_rq_total{envoy_cluster_name="overflow"} 2
envoy_cluster_upstream_rq_total{envoy_cluster_name="busy"} 1
envoy_cluster_upstream_rq_total{envoy_cluster_name="reset"} 10
envoy_cluster_upstream_rq_total{envoy_cluster_name="reset_after"} 10
envoy_cluster_upstream_rq_total{envoy_cluster_name="timeout"} 10
envoy_cluster_upstream_rq_total{envoy_cluster_name="client_left"} 10
envoy_cluster_upstream_rq_total{envoy_cluster_name="retry_err"} 30
envoy_cluster_upstream_rq_total{envoy_cluster_name="retry_refused"} 0
envoy_cluster_upstream_cx_none_healthy{envoy_cluster_name="none"} 10
envoy_cluster_upstream_cx_destroy_remote_with_active_rq{envoy_cluster_name="reset"} 10
envoy_cluster_upstream_cx_destroy_remote_with_active_rq{envoy_cluster_name="reset_after"} 10
envoy_cluster_upstream_rq_pending_failure_eject{envoy_cluster_name="refused"} 10
envoy_cluster_upstream_rq_pending_failure_eject{envoy_cluster_name="retry_refused"} 30
envoy_cluster_upstream_rq_pending_overflow{envoy_cluster_name="overflow"} 8
envoy_cluster_upstream_rq_active_overflow{envoy_cluster_name="busy"} 9
envoy_cluster_upstream_rq_timeout{envoy_cluster_name="timeout"} 10
envoy_cluster_upstream_rq_retry{envoy_cluster_name="retry_err"} 20
envoy_cluster_upstream_rq_retry{envoy_cluster_name="retry_refused"} 20
# TYPE envoy_cluster_upstream_rq counter
envoy_cluster_upstream_rq{envoy_response_code="200",envoy_cluster_name="ok"} 10
envoy_cluster_upstream_rq{envoy_response_code="503",envoy_cluster_name="own503"} 10
envoy_cluster_upstream_rq_xx{envoy_response_code_class="2",envoy_cluster_name="ok"} 10
envoy_cluster_upstream_rq_xx{envoy_response_code_class="5",envoy_cluster_name="own503"} 10
envoy_cluster_upstream_rq_xx{envoy_response_code_class="5",envoy_cluster_name="none"} 10
envoy_cluster_upstream_rq_xx{envoy_response_code_class="5",envoy_cluster_name="refused"} 10
envoy_cluster_upstream_rq_xx{envoy_response_code_class="2",envoy_cluster_name="overflow"} 2
envoy_cluster_upstream_rq_xx{envoy_response_code_class="5",envoy_cluster_name="overflow"} 8
envoy_cluster_upstream_rq_xx{envoy_response_code_class="5",envoy_cluster_name="busy"} 9
envoy_cluster_upstream_rq_xx{envoy_response_code_class="5",envoy_cluster_name="reset"} 10
envoy_cluster_upstream_rq_xx{envoy_response_code_class="2",envoy_cluster_name="reset_after"} 10
envoy_cluster_upstream_rq_xx{envoy_response_code_class="5",envoy_cluster_name="timeout"} 10
envoy_cluster_upstream_rq_xx{envoy_response_code_class="5",envoy_cluster_name="retry_err"} 10
envoy_cluster_upstream_rq_xx{envoy_response_code_class="5",envoy_cluster_name="retry_refused"} 10
# TYPE envoy_server_uptime gauge
envoy_server_uptime{} 20
"""


@pytest.mark.parametrize(
    ("cluster", "attempts", "retried", "failed", "unanswered"),
    [
        ("ok", 10, 0, 0, 0),
        ("own503", 10, 0, 10, 0),
        ("none", 10, 0, 10, 10),
        ("refused", 10, 0, 10, 10),
        ("overflow", 10, 0, 8, 8),
        ("busy", 10, 0, 9, 9),
        ("reset", 10, 0, 10, 10),
        ("reset_after", 10, 0, 0, 10),
        ("timeout", 10, 0, 10, 10),
        ("client_left", 10, 0, 0, 0),
        ("retry_err", 30, 20, 10, 0),
        ("retry_refused", 30, 20, 10, 30),
    ],
)
def test_each_request_is_one_attempt_more_than_its_retries(
    cluster: str, attempts: int, retried: int, failed: int, unanswered: int
) -> None:
    clusters = {"stable": "ok", "canary": cluster}
    stable, canary = envoy.readings(envoy.samples(PAGE), "envoy", clusters, 1000)
    assert (stable.arm, canary.arm, canary.series) == ("stable", "canary", PROXY)
    assert canary.values is not None
    assert canary.values.tolist() == [attempts, retried, failed, unanswered, 20]
    assert [value for _, value in canary.gauges] == [980]


def test_a_cluster_that_is_not_there_is_silence_and_no_zero() -> None:
    clusters = {"stable": "ok", "canary": "canary-v2"}
    _, canary = envoy.readings(envoy.samples(PAGE), "envoy", clusters, 1000)
    assert (canary.values, canary.reason) == (None, "shows no cluster canary-v2")
