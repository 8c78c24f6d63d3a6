"""Writes a record of each prediction and outcome before its answer leaves."""

import logging
import re
import time
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import repeat
from typing import Any, NamedTuple

import msgspec

from preflight.contract import Contract
from preflight.log.schema import FIELDS, PREDICTIONS, Stream
from preflight.params import Log, Mode
from preflight.serving.answers import Prediction
from preflight.serving.clock import now
from preflight.serving.compiled import Columns
from preflight.serving.exchange import Exchange
from preflight.serving.hashing import Hasher
from preflight.serving.metrics import Metrics
from preflight.serving.problems import Refusal
from preflight.serving.sinks import Sink, sink

Explanation = dict[str, float] | None
NONE: Iterable[Explanation] = repeat(None)
KEPT = 10_000  # hashes
TOLD = re.compile(rb"[\x21-\x7e]{1,128}")
encode = msgspec.json.Encoder().encode
log = logging.getLogger("preflight")


class Unlogged(Refusal):
    """An answer that is not given, because its record cannot be written: a failure of ours."""


class Entry(msgspec.Struct, gc=False):
    """A prediction's record, without what is the same for all."""

    id: str
    at: str
    client: str
    request_id: str
    pair_id: str | None
    entity: str
    route: str
    input: dict[str, Any]
    value: float
    lower: float | None
    upper: float | None
    flags: list[str]
    latency_ms: float
    arm: str | None
    mode: Mode
    explanation: Explanation


# The other fields of a record.
SAME = [field.name for field in PREDICTIONS if field.name not in Entry.__struct_fields__]


class Asked(NamedTuple):
    """A request that is answered: in which mode, and since when by `time.perf_counter`."""

    exchange: Exchange
    mode: Mode
    start: float


class OutcomeEntry(msgspec.Struct, gc=False):
    """An outcome's record."""

    id: str
    at: str
    client: str
    request_id: str
    prediction_id: str
    value: float


class Recorder:
    """The log of one worker: a sink a stream, and what to do when one fails."""

    def __init__(self, limits: Log, contract: Contract, hasher: Hasher, metrics: Metrics) -> None:
        """Raises Problem when nothing can be written where PREFLIGHT_LOG says."""
        self._sinks: dict[Stream, Sink] = {stream: sink(stream, limits) for stream in FIELDS}
        self.behind_proxy = False  # else its headers may be a caller's
        self.arm: str | None = None  # which it is, whatever the proxy says
        self._refuses, self._metrics = limits.on_failure == "refuse", metrics
        # Entities come again and again, and a lookup costs a fifth of a hash.
        self._hash, self._hides = lru_cache(KEPT)(hasher), contract.entity.sensitive
        self._hidden = [column.name for column in contract.known if column.sensitive]
        self._failing: set[Stream] = set()
        self._rest = b"}\n"

    def identify(self, **identity: str | None) -> None:
        """What is the same in every prediction's record: which model answers."""
        self._rest = b"," + encode({name: identity[name] for name in SAME})[1:] + b"\n"

    def predictions(
        self,
        asked: Asked,
        columns: Columns,
        found: Sequence[Prediction],
        explanations: Iterable[Explanation] = NONE,
    ) -> None:
        """Record answers to arrays of shape (rows,) by one write.

        Raises Unlogged when they must not be given.
        """
        # In one piece: each further function would cost every answer some microseconds.
        exchange, mode, start = asked
        caller, given, rest = exchange.caller, exchange.given, self._rest
        entity = self._hash(caller.entity) if self._hides else caller.entity
        arm, pair = self.arm, None
        if self.behind_proxy:
            arm, pair = arm or told(given.get(b"x-arm")), told(given.get(b"x-pair-id"))
        at, client, request_id, route = now(), caller.client, exchange.request_id, exchange.route
        latency = round(1e3 * (time.perf_counter() - start), 3)
        names, lines = list(columns), []
        rows = zip(*[values.tolist() for values in columns.values()], strict=True)
        for values, each, explanation in zip(rows, found, explanations, strict=False):
            row = dict(zip(names, values, strict=False))
            for name in self._hidden:
                row[name] = self._hash(str(row[name]))
            interval = each.interval
            entry = Entry(
                each.prediction_id,
                at,
                client,
                request_id,
                pair,
                entity,
                route,
                row,
                each.value,
                None if interval is None else interval.lower,
                None if interval is None else interval.upper,
                each.flags,
                latency,
                arm,
                mode,
                explanation,
            )
            lines.append(encode(entry)[:-1] + rest)
        try:
            self._sinks["predictions"].append(b"".join(lines))
        except OSError as error:
            self._failed("predictions", error)
            if self._refuses:
                raise _unlogged() from None
            self._metrics.unlogged(len(lines))
            return
        if self._failing:
            self._well("predictions")

    def outcomes(self, entries: Sequence[OutcomeEntry]) -> None:
        """Record outcomes; raises Refusal when they cannot be kept, whatever is declared."""
        lines = b"".join(encode(entry) + b"\n" for entry in entries)
        try:
            self._sinks["outcomes"].append(lines)
        except OSError as error:
            self._failed("outcomes", error)
            raise _unlogged() from None
        self._well("outcomes")
        self._metrics.outcomes(len(entries))

    def _failed(self, stream: Stream, error: OSError) -> None:
        self._metrics.log_failure(stream)
        if stream not in self._failing:
            self._failing.add(stream)
            serves = stream == "predictions" and not self._refuses
            done = "answers are given unrecorded" if serves else "they are refused"
            log.error("the log of %s cannot be written (%s): %s", stream, error.strerror, done)

    def _well(self, stream: Stream) -> None:
        if stream in self._failing:
            self._failing.discard(stream)
            log.info("the log of %s is written again", stream)

    def beat(self) -> None:
        """Let each sink do what is due."""
        for stream, each in self._sinks.items():
            try:
                each.beat()
            except OSError as error:
                self._failed(stream, error)

    def close(self) -> None:
        """End the segments."""
        for each in self._sinks.values():
            each.close()


def told(header: bytes | None) -> str | None:
    """A header's text; None where it is absent or no plain word."""
    return header.decode() if header is not None and TOLD.fullmatch(header) else None


def _unlogged() -> Unlogged:
    return Unlogged(503, "log", "a failure to write it", "a log", {"retry-after": "5"})
