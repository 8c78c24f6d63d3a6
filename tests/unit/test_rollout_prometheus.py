"""A Prometheus server gives the same rounds as the watcher: raw samples, an interval a round."""

import json
import re
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, ClassVar
from urllib.parse import parse_qs

import pytest

from preflight.errors import NoData, Problem
from preflight.rollout.history import observed
from preflight.rollout.observed import CANARY
from preflight.rollout.prometheus import Server, rounds
from preflight.rollout.scrapes import BUCKETS, ERRORS, LATENCY, REQUESTS, WORKERS, Round

START = 1_800_000_000.0
EVERY = 10.0
BUCKET = {"route": "predict", "entity_bucket": "03"}


class Prometheus(BaseHTTPRequestHandler):
    """Answers a selector of ranges from `stored`: labels, with values by time."""

    stored: ClassVar[list[tuple[dict[str, str], dict[float, float]]]] = []
    says: tuple[int, bytes] | None = None
    asked: ClassVar[list[str]] = []

    def do_POST(self) -> None:
        """Answer."""
        body = parse_qs(self.rfile.read(int(self.headers["content-length"])).decode())
        query, time = body["query"][0], float(body["time"][0])
        self.asked.append(query)
        status, content = self.says or (200, json.dumps(self.found(query, time)).encode())
        self.send_response(status)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def found(self, query: str, time: float) -> dict[str, Any]:
        """The raw samples within the range."""
        match = re.fullmatch(
            r'\{__name__=~"([^"]+)",job="(\w+)"(?:,le=~"([^"]+)")?\}\[(\d+)ms\]', query
        )
        assert match is not None
        result = [
            {"metric": labels, "values": kept}
            for labels, values in self.stored
            if labels["job"] == match[2] and re.fullmatch(match[1], labels["__name__"])
            if match[3] is None or re.fullmatch(match[3], labels.get("le", ""))
            if (
                kept := [
                    [at, repr(value)]
                    for at, value in values.items()
                    if time - int(match[4]) / 1000 < at <= time
                ]
            )
        ]
        return {"status": "success", "data": {"resultType": "matrix", "result": result}}

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def listening() -> Iterator[str]:
    """The address of a Prometheus."""
    server = HTTPServer(("127.0.0.1", 0), Prometheus)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def server(listening: str) -> Iterator[Server]:
    """One that knows nothing yet."""
    Prometheus.stored, Prometheus.says, Prometheus.asked = [], None, []
    yield Server(listening, {arm: f'job="{arm}"' for arm in ("stable", "canary")}, EVERY)
    Prometheus.stored, Prometheus.says = [], None


def store(
    arm: str, instance: str, counts: list[int | None], offset: float = -4, began: float = 1e9
) -> None:
    """What an instance showed at each interval from the start's on; None is no answer."""
    target = {"job": arm, "instance": instance, "version": "of the target"}
    times = [START + offset + EVERY * place for place in range(len(counts))]
    shown = {at: float(each) for at, each in zip(times, counts, strict=True) if each is not None}
    requests = {"route": "predict", "exported_version": "v1", "client": "a", "status": "200"}
    for labels, values in (
        ({"__name__": "up"}, {at: float(at in shown) for at in times}),
        ({"__name__": LATENCY, **BUCKET}, shown),
        ({"__name__": BUCKETS, **BUCKET, "le": "0.1"}, shown),
        ({"__name__": BUCKETS, **BUCKET, "le": "+Inf"}, shown),
        ({"__name__": ERRORS, **BUCKET}, dict.fromkeys(shown, 0.0)),
        ({"__name__": REQUESTS, **requests}, shown),
        ({"__name__": WORKERS, "pid": "7"}, dict.fromkeys(shown, began)),
    ):
        Prometheus.stored.append((target | labels, values))


def answered(found: list[Round]) -> list[float]:
    """The canary's requests at each look."""
    look = observed(found, START, 0.1, found[-1].at)
    total: list[float] = look.shares["errors"].total[:, CANARY].sum(axis=1).tolist()
    return total


def test_raw_samples_become_a_round_an_interval_whenever_each_was_scraped(server: Server) -> None:
    store("stable", "s1", [100, 200, 300], offset=-1.25)
    store("canary", "c1", [5, 9, 12], offset=-8.5)
    found = rounds(server, START, START + 25)
    assert [each.at for each in found] == [START, START + 10, START + 20]
    assert answered(found) == [0, 4, 7]
    assert all("increase" not in query for query in Prometheus.asked)


def test_of_two_scrapes_in_an_interval_the_last_counts(server: Server) -> None:
    store("stable", "s1", [100, 200])
    store("canary", "c1", [5, 9])
    for labels, values in Prometheus.stored:
        if labels["instance"] == "c1":
            values[START + 9] = values[START + 6] + (labels["__name__"] != "up")
    assert answered(rounds(server, START, START + 10)) == [0, 5]


def test_a_silent_instance_is_told_from_one_that_is_gone(server: Server) -> None:
    store("stable", "s1", [100, 200, 300])
    store("canary", "silent", [5, 9, None])
    store("canary", "gone", [5, 9])
    last = rounds(server, START, START + 20)[-1]
    assert [(each.instance, each.reason) for each in last.readings if each.arm == "canary"] == [
        ("silent", "Prometheus could not scrape it")
    ]


def test_a_new_pod_counts_from_zero_and_an_unused_one_is_there(server: Server) -> None:
    store("stable", "s1", [100, 200, 300])
    store("canary", "c1", [0, 0, 0])
    store("canary", "c2", [30, 40], offset=6, began=START + 2)
    assert answered(rounds(server, START, START + 20)) == [0, 30, 40]


def test_the_targets_own_labels_are_not_the_metrics(server: Server) -> None:
    store("stable", "s1", [100, 200])
    store("canary", "c1", [5, 9])
    (series,) = (
        each
        for each in rounds(server, START, START + 10)[-1].readings[1].series
        if each.name == REQUESTS
    )
    assert dict(series.labels) == {
        "client": "a", "route": "predict", "status": "200", "version": "v1",
    }  # fmt: skip


def test_the_proxys_figures_come_from_the_same_server(server: Server) -> None:
    store("stable", "s1", [100, 200])
    store("canary", "c1", [5, 9])
    target = {"job": "envoy", "instance": "e1"}
    times = (START - 2, START + 8)
    for labels, counts in (
        ({"__name__": "up"}, (1, 1)),
        ({"__name__": "envoy_server_uptime"}, (500, 510)),
        ({"__name__": "envoy_cluster_upstream_rq_total", "envoy_cluster_name": "blue"}, (90, 190)),
        ({"__name__": "envoy_cluster_upstream_rq_total", "envoy_cluster_name": "green"}, (7, 12)),
    ):
        values = dict(zip(times, map(float, counts), strict=True))
        Prometheus.stored.append((target | labels, values))
    clusters = {"stable": "blue", "canary": "green"}
    asked = replace(server, envoy='job="envoy"', clusters=clusters)
    proxied = observed(rounds(asked, START, START + 10), START, 0.1, START).proxied
    assert proxied is not None
    assert proxied.sent[-1].tolist() == [100, 5]
    assert proxied.counted[-1].tolist() == [100, 4]


def test_an_arm_that_it_does_not_know_is_no_data(server: Server) -> None:
    with pytest.raises(NoData, match="found no series"):
        rounds(server, START, START + 10)


def test_a_label_of_instances_that_is_none_is_no_data(server: Server) -> None:
    store("stable", "s1", [100])
    with pytest.raises(NoData, match="series without the label pod"):
        rounds(replace(server, instance="pod"), START, START + 10)


@pytest.mark.parametrize(
    ("says", "told"),
    [
        ((400, b'{"status": "error", "error": "parse error: bad"}'), "found parse error: bad"),
        ((200, b"<html>"), "found <html>; expected an answer of Prometheus"),
        ((200, b"[]"), "expected an answer of Prometheus"),
    ],
)
def test_what_it_refuses_or_is_not_is_told(
    server: Server, says: tuple[int, bytes], told: str
) -> None:
    Prometheus.says = says
    with pytest.raises(Problem, match=told):
        rounds(server, START, START + 10)


def test_where_nobody_listens_is_told() -> None:
    with HTTPServer(("127.0.0.1", 0), Prometheus) as closed:
        address = f"http://127.0.0.1:{closed.server_address[1]}"
    with pytest.raises(Problem, match="refused; expected an answer of Prometheus"):
        rounds(Server(address, {"stable": "", "canary": ""}, EVERY), START, START + 10)


def test_of_latency_only_the_edge_that_is_judged_is_read(server: Server) -> None:
    for arm in ("stable", "canary"):
        store(arm, f"{arm}-1", [5, 9])
    odd = {"job": "canary", "instance": "canary-1", "__name__": BUCKETS, **BUCKET, "le": "0.2"}
    Prometheus.stored.append((odd, {START - 4: 5.0, START + EVERY - 4: 9.0}))

    def edges(read: Server) -> set[str]:
        found = rounds(read, START, START + EVERY)
        every = (each for one in found for reading in one.readings for each in reading.series)
        return {dict(each.labels)["le"] for each in every if each.name == BUCKETS}

    assert edges(server) == {"0.1", "0.2", "+Inf"}
    assert edges(replace(server, slow=0.1)) == {"0.1", "+Inf"}
