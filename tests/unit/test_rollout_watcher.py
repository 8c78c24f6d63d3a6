"""The watcher reads all, survives whoever does not answer, and keeps each round."""

import threading
import time
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from preflight.errors import Problem
from preflight.rollout.scrapes import LATENCY, WORKERS, read
from preflight.rollout.watcher import Targets, Watcher, watch

PAGE = f"""\
# TYPE preflight_latency_seconds histogram
{LATENCY}{{route="predict",entity_bucket="03"}} 7.0
# TYPE {WORKERS} gauge
{WORKERS}{{pid="5"}} 1.8e+09
# TYPE preflight_mode gauge
preflight_mode{{mode="normal"}} 1.0
"""
ENVOY = """\
envoy_cluster_upstream_rq_total{envoy_cluster_name="stable"} 90
envoy_cluster_upstream_rq_total{envoy_cluster_name="canary"} 10
"""


class Pages(BaseHTTPRequestHandler):
    """Answers what its server's `pages` say, and hangs until `release` without end at /hang."""

    pages: Mapping[str, bytes] = {
        "/readyz": b"",
        "/metrics": PAGE.encode(),
        "/stats/prometheus": ENVOY.encode(),
    }
    release = threading.Event()

    def do_GET(self) -> None:
        """Answer."""
        if self.path.startswith("/hang"):
            self.release.wait(20)
        content = self.pages.get(self.path.partition("?")[0])
        self.send_response(404 if content is None else 200)
        self.send_header("content-length", str(len(content or b"")))
        self.end_headers()
        self.wfile.write(content or b"")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A server of both arms' pages and Envoy's."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    Pages.release.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def nobody() -> str:
    """An address at which nothing listens."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Pages) as server:
        return f"http://127.0.0.1:{server.server_address[1]}"


def test_rounds_are_kept_though_one_does_not_answer(
    address: str, nobody: str, tmp_path: Path
) -> None:
    targets = Targets({"stable": [address], "canary": [nobody]})
    stop, file, yielded = threading.Event(), tmp_path / "scrapes.jsonl", []
    for found in watch(targets, file, 0.01, stop):
        yielded.append(found.at)
        if len(yielded) == 3:
            stop.set()
    rounds, told = read(file)
    assert ([each.at for each in rounds], told) == (yielded, ())
    stable, canary = rounds[-1].readings
    assert stable.values is not None
    assert (stable.series[0].name, stable.values.tolist()) == (LATENCY, [7])
    assert [(each.name, value) for each, value in stable.gauges] == [(WORKERS, 1.8e9)]
    assert (canary.values, canary.reason) == (None, "ConnectionRefusedError")


def test_envoys_figures_come_with_each_round(address: str, nobody: str) -> None:
    watcher = Watcher(Targets({"stable": [nobody], "canary": []}, envoy=address))
    stable, canary = watcher.round().proxies
    assert stable.values is not None
    assert canary.values is not None
    assert (stable.values[0], canary.values[0]) == (90, 10)
    without = Watcher(Targets({"stable": [address], "canary": []}, envoy=nobody)).round()
    assert [each.reason for each in without.proxies] == ["ConnectionRefusedError"] * 2


def test_a_round_ends_though_a_target_does_not(address: str) -> None:
    hanging = f"{address}/hang"
    watcher = Watcher(Targets({"stable": [address], "canary": []}, envoy=hanging))
    start = time.monotonic()
    for _ in range(2):
        found = watcher.round(0.3)
        assert [each.reason for each in found.proxies] == ["its answer has no end"] * 2
        assert found.readings[0].values is not None
    assert time.monotonic() - start < 3
    watcher.close()


def test_what_is_no_address_is_told() -> None:
    watcher = Watcher(Targets({"stable": ["127.0.0.1:3000"], "canary": []}))
    with pytest.raises(Problem, match="as http://127"):
        watcher.round()
