"""Scrapes of both arms and of the proxy: rounds of readings, and the file that keeps them."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from preflight.errors import NoData, Problem
from preflight.files import full_disk
from preflight.rollout.observed import ARMS, Array

LATENCY, BUCKETS = "preflight_latency_seconds_count", "preflight_latency_seconds_bucket"
REQUESTS, ERRORS = "preflight_requests_total", "preflight_errors_total"
PREDICTIONS, WIDTH = "preflight_predictions_total", "preflight_interval_width_total"
FLAGGED, FALLBACKS = "preflight_flagged_total", "preflight_fallbacks_total"
COUNTERS = (LATENCY, BUCKETS, REQUESTS, ERRORS, PREDICTIONS, WIDTH, FLAGGED, FALLBACKS)
# When the process began whose counters are read; they survive its workers.
BEGAN = "preflight_started_seconds"
WORKERS, MEMORY = "preflight_worker_started_seconds", "preflight_worker_memory_bytes"
GAUGES = (BEGAN, WORKERS, MEMORY)
MEND = "Remove the line, or begin the rollout again with a new file."


class Series(NamedTuple):
    """A metric with its labels, sorted."""

    name: str
    labels: tuple[tuple[str, str], ...] = ()


# The proxy's figures of an arm. An attempt that got no answer ends in a retry or a failure; the
# time the proxy is up is no figure, and falls with the others when it begins anew.
ATTEMPTS, RETRIED, FAILED, UNANSWERED = "attempts", "retried", "failed", "unanswered"
PROXY = tuple(Series(name) for name in (ATTEMPTS, RETRIED, FAILED, UNANSWERED, "up_seconds"))
BEGAN_ABOUT = "began_about"  # a gauge of the proxy's, true to some seconds


@dataclass(frozen=True)
class Reading:
    """What one process showed of an arm: its counters, `values` of shape (series,), and gauges.

    `values` is None where it was silent, and `reason` says why. `instance` is the process, as a
    pod's name or host:port.
    """

    arm: str
    instance: str
    series: tuple[Series, ...] = ()
    values: Array | None = None
    gauges: tuple[tuple[Series, float], ...] = ()
    reason: str = ""


@dataclass(frozen=True)
class Round:
    """The readings of all processes of both arms, and of the proxies, at one time.

    `at` is in seconds since 1970. A process that is gone is not in it.
    """

    at: float
    readings: tuple[Reading, ...]
    proxies: tuple[Reading, ...] = ()


def reading(
    arm: str, instance: str, samples: Mapping[str, Sequence[tuple[Mapping[str, str], float]]]
) -> Reading:
    """A reading of samples as `watch.scrape` parses them: those that a judge needs."""
    found, gauges = (
        {
            Series(name, tuple(sorted(labels.items()))): value
            for name in names
            for labels, value in samples.get(name, ())
        }
        for names in (COUNTERS, GAUGES)
    )
    if not found:
        return Reading(arm, instance, reason="shows no metrics of a model service")
    values = np.array(list(found.values()), dtype=float)
    if not np.isfinite([*values, *gauges.values()]).all():
        return Reading(arm, instance, reason="shows values that are no numbers")
    return Reading(arm, instance, tuple(found), values, tuple(gauges.items()))


class Scrapes:
    """An append-only file of rounds, a line each; a list of series has a line of its own, once."""

    def __init__(self, path: Path) -> None:
        """Of what was cut while it was written, nothing stays. Raises Problem on no file."""
        self._path, self._known = path, dict[tuple[Series, ...], str]()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("ab+") as file:
                file.seek(0)
                file.truncate(file.read().rfind(b"\n") + 1)
        except OSError as error:
            raise self._unwritten(error) from None

    def append(self, found: Round) -> None:
        """Write a whole round at once; raises Problem where there is no room."""
        lines: list[Any] = []
        for each in (*found.readings, *found.proxies):
            if each.values is not None and each.series not in self._known:
                names = [[name, dict(labels)] for name, labels in each.series]
                key = hashlib.sha256(json.dumps(names).encode()).hexdigest()[:16]
                self._known[each.series] = key
                lines.append({"series": key, "names": names})
        parts = {"readings": found.readings, "proxies": found.proxies}
        round_ = {name: [self._record(each) for each in part] for name, part in parts.items()}
        lines.append({"at": found.at} | round_)
        text = "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines)
        try:
            with self._path.open("ab") as file:
                file.write(text.encode())
        except OSError as error:
            raise self._unwritten(error) from None

    def _record(self, found: Reading) -> dict[str, Any]:
        who = {"arm": found.arm, "instance": found.instance}
        if found.values is None:
            return who | {"values": None, "reason": found.reason}
        values = [int(each) if each.is_integer() else each for each in found.values.tolist()]
        gauges = [[name, dict(labels), value] for (name, labels), value in found.gauges]
        return who | {"series": self._known[found.series], "values": values, "gauges": gauges}

    def _unwritten(self, error: OSError) -> Problem:
        said = str(error.strerror)
        return full_disk(error, self._path) or Problem(
            str(self._path), said, "a file to write to", "Name another place."
        )


def read(path: Path) -> tuple[list[Round], tuple[str, ...]]:
    """The rounds of a file, and in sentences what of it was not read.

    Raises NoData when there is no file, Problem when a line is damaged.
    """
    try:
        *lines, torn = path.read_bytes().split(b"\n")
    except OSError as error:
        said = str(error.strerror)
        raise NoData(str(path), said, "a file of scrapes", "Let a watcher write it.") from None
    tables: dict[str, tuple[Series, ...]] = {}
    rounds = []
    for place, line in enumerate(lines, 1):
        try:
            found = json.loads(line)
            if "series" in found:
                tables[found["series"]] = _table(found["names"])
            else:
                rounds.append(_round(found, tables))
        except (ValueError, TypeError, KeyError, AttributeError, ArithmeticError, RecursionError):
            shown = line[:60].decode(errors="replace")
            raise Problem(f"{path}, line {place}", shown, "a round of scrapes", MEND) from None
    told = (f"{path.name}: its last line was cut while it was written, and is left out",)
    return rounds, told if torn else ()


def _table(names: Sequence[tuple[str, Mapping[str, str]]]) -> tuple[Series, ...]:
    return tuple(Series(name, tuple(labels.items())) for name, labels in names)


def _round(found: Mapping[str, Any], tables: Mapping[str, tuple[Series, ...]]) -> Round:
    def one(each: Mapping[str, Any]) -> Reading:
        arm, instance, values = each["arm"], each["instance"], each["values"]
        if arm not in ARMS:
            raise ValueError
        if values is None:
            return Reading(arm, instance, reason=str(each["reason"]))
        series, held = tables[each["series"]], np.array(values, dtype=float)
        gauges = tuple(
            (Series(name, tuple(labels.items())), float(value))
            for name, labels, value in each["gauges"]
        )
        if held.shape != (len(series),) or not np.isfinite(held).all():
            raise ValueError
        return Reading(arm, instance, series, held, gauges)

    at = float(found["at"])
    if not np.isfinite(at):
        raise ValueError
    return Round(at, tuple(map(one, found["readings"])), tuple(map(one, found["proxies"])))
