"""What the service counts: one table of names and labels, kept by the Prometheus client."""

import os
import time
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import psutil
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, multiprocess, values

from preflight.log.schema import FIELDS

ENTITY_BUCKETS = 32
BUCKETS = tuple(f"{place:02d}" for place in range(ENTITY_BUCKETS))
# Seconds. The limits on latency in params.yaml are edges: 0.1 and 0.2.
LATENCY = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
MODES = ("normal", "fallback", "off")
Reason = Literal["mode", "output"]


@dataclass(frozen=True)
class Row:
    """One metric: its name without suffix, what it is, and its labels."""

    name: str
    kind: Literal["counter", "histogram", "gauge"]
    what: str
    labels: tuple[str, ...] = ()


TABLE = (
    Row(
        "preflight_requests",
        "counter",
        "Requests of every kind; `version` is the API's, `client` is - where no key was accepted",
        ("route", "version", "client", "status"),
    ),
    Row(
        "preflight_latency_seconds",
        "histogram",
        "From a request's last byte to its answer, of those that were let in and kept the "
        "contract; its count is what a rollout is judged on",
        ("route", "entity_bucket"),
    ),
    Row(
        "preflight_errors",
        "counter",
        "Those of them that were answered with a 5xx",
        ("route", "entity_bucket"),
    ),
    Row(
        "preflight_predictions",
        "counter",
        "Predictions, in bins of the contract; `bin` is the upper edge, which it includes",
        ("entity_bucket", "bin"),
    ),
    Row(
        "preflight_interval_width",
        "counter",
        "Widths of prediction intervals, added up, in the target's unit",
        ("entity_bucket",),
    ),
    Row(
        "preflight_flagged",
        "counter",
        "Predictions with at least one flag",
        ("entity_bucket",),
    ),
    Row(
        "preflight_fallbacks",
        "counter",
        "Predictions of the baseline, because of the `mode` or because the model's `output` was "
        "no number within the contract's range",
        ("entity_bucket", "reason"),
    ),
    Row("preflight_flags", "counter", "Flags by their name", ("flag",)),
    Row("preflight_mode", "gauge", "1 for the mode that holds, else 0", ("mode",)),
    Row(
        "preflight_build_info",
        "gauge",
        "Always 1; what is running stands in the labels",
        ("model_version", "model_hash", "commit", "bento", "contract"),
    ),
    Row("preflight_worker_memory_bytes", "gauge", "Resident memory of each worker (`pid`)"),
    Row(
        "preflight_worker_processor_seconds",
        "gauge",
        "Processor time of each worker (`pid`) since it started",
    ),
    Row(
        "preflight_started_seconds",
        "gauge",
        "When the service began, its counters at 0: they outlive its workers",
    ),
    Row("preflight_worker_started_seconds", "gauge", "When each worker (`pid`) became ready"),
    Row("preflight_outcomes", "counter", "Outcomes that were received and kept"),
    Row(
        "preflight_refused",
        "counter",
        "Requests refused by `guards.refuse`: a feature's value was not seen in training",
        ("feature",),
    ),
    Row(
        "preflight_log_failures",
        "counter",
        "Records of a stream that could not be written, and beats of it that failed",
        ("stream",),
    ),
    Row(
        "preflight_unlogged",
        "counter",
        "Predictions that were given though they could not be recorded (`log.on_failure: serve`)",
    ),
    Row("preflight_messages", "counter", "Messages of the service's own log", ("level",)),
    Row(
        "preflight_unread_files",
        "counter",
        "Failed tries to read a file, of keys or switches: one a second while it cannot be read",
        ("file",),
    ),
)
KINDS: dict[str, Any] = {"counter": Counter, "histogram": Histogram, "gauge": Gauge}
PER_WORKER = tuple(row.name for row in TABLE if row.name.startswith("preflight_worker_"))


class Metrics:
    """The metrics of one worker; `registry` holds them where there is one process only."""

    def __init__(self, bins: Sequence[float]) -> None:
        """`bins` are the contract's inner edges, in the target's unit."""
        if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
            # The client asks the kernel for the process's id each time it counts, which costs more
            # than the counting. A worker never forks.
            number = os.getpid()
            kind = values.MultiProcessValue
            values.ValueClass = kind(process_identifier=lambda: number)  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        made = {row.name.removeprefix("preflight_"): self._made(row) for row in TABLE}
        self._requests, self._latency, self._errors = (
            made[name] for name in ("requests", "latency_seconds", "errors")
        )
        self._flags, self._mode, self._unread = (
            made[name] for name in ("flags", "mode", "unread_files")
        )
        self._build, self._memory, self._started = (
            made[name] for name in ("build_info", "worker_memory_bytes", "worker_started_seconds")
        )
        self._began = made["started_seconds"]
        self._processor = made["worker_processor_seconds"]
        self._outcomes, self._refused = made["outcomes"], made["refused"]
        self._log_failures, self._unlogged = made["log_failures"], made["unlogged"]
        self._messages = made["messages"]
        for level in ("error", "warning"):
            self._messages.labels(level)
        for stream in FIELDS:
            self._log_failures.labels(stream)
        self._process = psutil.Process()
        self._edges = tuple(bins)
        names = [*(f"{edge:g}" for edge in bins), "+Inf"]
        # Looking a child up by its labels costs as much as counting, so they are kept. Those a
        # rollout is judged on are there from the start: a judge must tell none from no data.
        self._bins = [
            [made["predictions"].labels(bucket, name) for name in names] for bucket in BUCKETS
        ]
        self._widths = [made["interval_width"].labels(bucket) for bucket in BUCKETS]
        self._flagged = [made["flagged"].labels(bucket) for bucket in BUCKETS]
        self._fallbacks = {
            reason: [made["fallbacks"].labels(bucket, reason) for bucket in BUCKETS]
            for reason in ("mode", "output")
        }
        self._children: dict[tuple[str, ...], Any] = {}
        self._judged: dict[str, tuple[list[Any], list[Any]]] = {}

    def _made(self, row: Row) -> Any:
        more: dict[str, Any] = {"registry": self.registry}
        if row.kind == "histogram":
            more["buckets"] = LATENCY
        if row.kind == "gauge":
            more["multiprocess_mode"] = "liveall" if row.name in PER_WORKER else "livemostrecent"
        return KINDS[row.kind](row.name, row.what, row.labels, **more)

    def judge(self, route: str) -> None:
        """Count a route's latency and errors by entity bucket, from now on."""
        self._judged[route] = (
            [self._latency.labels(route, bucket) for bucket in BUCKETS],
            [self._errors.labels(route, bucket) for bucket in BUCKETS],
        )

    def request(self, route: str, version: str, client: str, status: str) -> None:
        """Count an answered request."""
        self._child(self._requests, route, version, client, status).inc()

    def _child(self, metric: Any, *labels: str) -> Any:
        child = self._children.get(labels)
        if child is None:
            child = self._children[labels] = metric.labels(*labels)
        return child

    def answered(self, route: str, bucket: int, seconds: float, *, failed: bool = False) -> None:
        """Count a request that was let in and kept the contract."""
        latency, errors = self._judged[route]
        latency[bucket].observe(seconds)
        if failed:
            errors[bucket].inc()

    def prediction(
        self, bucket: int, value: float, width: float | None, fallback: Reason | None
    ) -> None:
        """Count one prediction; `width` and `value` are in the target's unit."""
        self._bins[bucket][bisect_left(self._edges, value)].inc()
        if width is not None:
            self._widths[bucket].inc(width)
        if fallback is not None:
            self._fallbacks[fallback][bucket].inc()

    def predictions(
        self, bucket: int, found: NDArray[np.float64], width: float, fallbacks: dict[Reason, int]
    ) -> None:
        """Count a batch's predictions, of shape (rows,); `width` is the sum of their widths."""
        counts = np.bincount(np.searchsorted(self._edges, found))
        for place in np.flatnonzero(counts).tolist():
            self._bins[bucket][place].inc(int(counts[place]))
        self._widths[bucket].inc(width)
        for reason, count in fallbacks.items():
            self._fallbacks[reason][bucket].inc(count)

    def flagged(self, bucket: int, flags: Sequence[Sequence[str]]) -> None:
        """Count the flags of the predictions that have some."""
        self._flagged[bucket].inc(len(flags))
        for name in (name for each in flags for name in each):
            self._child(self._flags, name).inc()

    def mode(self, mode: str) -> None:
        """Show the mode that holds."""
        for name in MODES:
            self._mode.labels(name).set(name == mode)

    def unread(self, file: str) -> None:
        """Count a version of a file that could not be read."""
        self._unread.labels(file).inc()

    def outcomes(self, count: int) -> None:
        """Count outcomes that were kept."""
        self._outcomes.inc(count)

    def refused(self, feature: str) -> None:
        """Count a request with a value of a feature that a guard refuses."""
        self._refused.labels(feature).inc()

    def log_failure(self, stream: str) -> None:
        """Count a failure to write a stream of the log."""
        self._log_failures.labels(stream).inc()

    def unlogged(self, count: int) -> None:
        """Count predictions that were given unrecorded."""
        self._unlogged.inc(count)

    def message(self, level: str) -> None:
        """Count a message of the service's own log."""
        self._messages.labels(level).inc()

    def ready(self, **build: str) -> None:
        """Show what is running, and since when; forget gauges of workers that are gone."""
        self._build.labels(**build).set(1)
        self._started.set(time.time())
        shared = "PROMETHEUS_MULTIPROC_DIR" in os.environ  # by the workers of one parent
        self._began.set(psutil.Process(os.getppid() if shared else None).create_time())
        self.beat()
        if place := os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
            for pid in {int(path.stem.split("_")[-1]) for path in Path(place).glob("gauge_*.db")}:
                if not psutil.pid_exists(pid):
                    multiprocess.mark_process_dead(pid)  # type: ignore[no-untyped-call]

    def beat(self) -> None:
        """Show this worker's memory and processor time."""
        times = self._process.cpu_times()
        self._memory.set(self._process.memory_info().rss)
        self._processor.set(times.user + times.system)
