"""Rollouts for tests as they are scraped: a watcher's file, and a Prometheus server."""

import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from preflight.rollout import envoy, scrapes
from preflight.rollout.observed import ARMS, Observed
from preflight.rollout.scrapes import Round, Scrapes, reading
from preflight.serving.metrics import BUCKETS
from rollouts import EVERY

Samples = dict[str, list[tuple[dict[str, str], float]]]
Labels = tuple[tuple[str, str], ...]
ENVOY = "envoy-1"


def page(found: Observed, arm: int, look: int, began: float) -> Samples:
    """What the one process of an arm shows at a look."""
    shown: Samples = {}

    def add(name: str, value: float, **labels: str) -> None:
        shown.setdefault(name, []).append((labels, float(value)))

    errors, slow = found.shares["errors"], found.shares["slow"]
    for place, bucket in enumerate(BUCKETS):
        at = look, arm, place
        of = {"entity_bucket": bucket}
        add(scrapes.LATENCY, errors.total[at], route="predict", **of)
        fast = errors.total[at] - slow.hits[at]
        add(scrapes.BUCKETS, fast, route="predict", le="0.1", **of)
        add(scrapes.BUCKETS, errors.total[at], route="predict", le="+Inf", **of)
        add(scrapes.ERRORS, errors.hits[at], route="predict", **of)
        add(scrapes.FLAGGED, found.shares["flags"].hits[at], **of)
        add(scrapes.FALLBACKS, found.shares["fallbacks"].hits[at], reason="mode", **of)
        add(scrapes.WIDTH, found.widths.hits[at], **of)
        for edge, count in zip(found.edges[arm], found.bins[at], strict=True):
            add(scrapes.PREDICTIONS, count, bin=edge, **of)
    count = errors.total[look, arm].sum()
    add(scrapes.REQUESTS, count, route="predict", version="v1", client="a", status="200")
    add(scrapes.BEGAN, began)
    add(scrapes.WORKERS, began, pid="7")
    add(scrapes.MEMORY, 1.7e8, pid="7")
    return shown


def proxied(found: Observed, look: int, clusters: Mapping[str, str], began: float) -> Samples:
    """What Envoy shows at a look."""
    assert found.proxied is not None
    shown: Samples = {name: [] for name in envoy.NEEDED}
    for arm, each in enumerate(ARMS):
        of = {envoy.CLUSTER: clusters[each]}
        values = dict.fromkeys(envoy.NEEDED, 0.0)
        values[f"envoy_cluster_{envoy.HANDED}"] = float(found.proxied.sent[look, arm])
        for name, value in values.items():
            shown[name].append((of, value))
    shown[envoy.UPTIME] = [({}, float(found.times[look]) - began)]
    return shown


def recorded(path: Path, found: Observed, until: int | None = None) -> None:
    """Write a watcher's file of a rollout, up to a look; both arms began before its first."""
    kept, began = Scrapes(path), float(found.times[0]) - 100
    clusters = {arm: arm for arm in ARMS}
    for look, at in enumerate(found.times.tolist()[:until]):
        kept.append(
            Round(
                at,
                tuple(
                    reading(arm, f"{arm}-1", page(found, place, look, began))
                    for place, arm in enumerate(ARMS)
                ),
                envoy.readings(proxied(found, look, clusters, began), ENVOY, clusters, at),
            )
        )


class Prometheus(BaseHTTPRequestHandler):
    """Answers from its server's `stored`: series with their samples; or what it `says`."""

    server: Any

    def do_POST(self) -> None:
        """Answer a query at an instant."""
        text = self.rfile.read(int(self.headers["content-length"])).decode()
        asked = {name: value for name, (value,) in parse_qs(text).items()}
        self.server.asked.append(asked["query"])
        self.server.gate.wait(20)
        content = self.server.says
        if content is None:
            found = self._found(asked["query"], float(asked["time"]))
            content = json.dumps({"status": "success", "data": {"result": found}}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _found(self, query: str, time: float) -> list[dict[str, Any]]:
        first = query.startswith("count(up{")
        length = re.search(r"\[(\d+)(ms|s)", query)
        assert length is not None
        since = time - int(length[1]) / (1000 if length[2] == "ms" else 1)
        matched = [
            (metric, [[at, repr(value)] for at, value in values if since < at <= time])
            for key, values in self.server.stored.items()
            for metric in (dict(key),)
            if self._matches(query, metric) and (not first or metric["__name__"] == "up")
        ]
        kept = [(metric, values) for metric, values in matched if values]
        if first:
            times = sorted({at for _, values in kept for at, _ in values})
            return [{"metric": {}, "values": [[at, "1"] for at in times]}] if times else []
        return [{"metric": metric, "values": values} for metric, values in kept]

    @staticmethod
    def _matches(query: str, metric: Mapping[str, str]) -> bool:
        return all(
            re.fullmatch(value if kind == "=~" else re.escape(value), metric.get(name, ""))
            for name, kind, value in re.findall(r'(\w+)(=~|=)"([^"]*)"', query)
        )

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Stored(ThreadingHTTPServer):
    """A Prometheus server. `says` replaces its answers, a closed `gate` keeps them back."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Prometheus)
        self.stored: dict[Labels, list[tuple[float, float]]] = {}
        self.asked: list[str] = []
        self.says: bytes | None = None
        self.gate = threading.Event()
        self.gate.set()
        self.address = f"http://127.0.0.1:{self.server_address[1]}"

    def store(self, name: str, found: Observed, arms: Mapping[str, Mapping[str, str]]) -> None:
        """Scrapes of a rollout, of targets with the labels of `arms`.

        Envoy's clusters are named NAME-stable and NAME-canary, its target is job="envoy-NAME".
        """
        times, began = found.times.tolist(), float(found.times[0]) - 100
        for place, arm in enumerate(ARMS):
            target = {**arms[arm], "instance": f"{arm}-1"}
            pages = [page(found, place, look, began) for look in range(len(times))]
            self._keep(target, times, pages)
        clusters = {arm: f"{name}-{arm}" for arm in ARMS}
        pages = [proxied(found, look, clusters, began) for look in range(len(times))]
        self._keep({"job": f"envoy-{name}", "instance": ENVOY}, times, pages)

    def _keep(self, target: dict[str, str], times: list[float], pages: list[Samples]) -> None:
        up: Samples = {"up": [({}, 1.0)]}
        for at, one in zip(times, pages, strict=True):
            for name, samples in (up | one).items():
                for labels, value in samples:
                    key = tuple(({"__name__": name} | labels | target).items())
                    self.stored.setdefault(key, []).append((at - EVERY / 3, value))


@contextmanager
def listening() -> Iterator[Stored]:
    """A Prometheus server on 127.0.0.1 that knows nothing yet."""
    server = Stored()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.gate.set()
        server.shutdown()
        thread.join()
        server.server_close()
