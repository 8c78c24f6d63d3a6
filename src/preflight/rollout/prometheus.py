"""The same rounds from a Prometheus server: its raw samples, with no rate and no extrapolation."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode

import numpy as np

from preflight.errors import NoData, Problem
from preflight.rollout import envoy
from preflight.rollout.observed import ARMS, Array
from preflight.rollout.scrapes import COUNTERS, GAUGES, Reading, Round, Series
from preflight.watch.probes import DIRECT

QUERY_SECONDS = 30.0
BEFORE = 5  # intervals up to the start in which a first reading is looked for
# The others are the target's own, of which Prometheus says `exported_` where both have one.
LABELS = ("bin", "client", "entity_bucket", "le", "pid", "reason", "route", "status", "version")
Metric = Mapping[str, str]
Column = tuple[Metric, Array, Array]  # a series, its times and its values


@dataclass(frozen=True)
class Server:
    """A Prometheus server, and what tells the arms apart there.

    `arms` has a selector for each arm, as `job="taxi",pod=~"taxi-canary-.*"`; `instance` is the
    label that names a process; `every` is the interval of its scrapes in seconds. `envoy` selects
    the proxies, None without one; `clusters` are Envoy's, by arm. Of the histogram of latency only
    the edge at `slow` seconds is read, all edges where it is None.
    """

    address: str
    arms: Mapping[str, str]
    every: float
    instance: str = "instance"
    envoy: str | None = None
    clusters: Mapping[str, str] = field(default_factory=lambda: {arm: arm for arm in ARMS})
    slow: float | None = None


def rounds(server: Server, started: float, now: float) -> list[Round]:
    """The rounds before and since `started`, one for each interval that is over.

    Times are in seconds since 1970. Raises Problem where nothing answers, it is no Prometheus, or
    it refuses the query; NoData where it knows no process of an arm.
    """
    whole = int((now - started) // server.every)
    ends = np.array([started + server.every * each for each in range(1 - BEFORE, whole + 1)])
    readings: list[list[Reading]] = [[] for _ in ends]
    proxies: list[list[Reading]] = [[] for _ in ends]
    edges = "" if server.slow is None else f',le=~"|{server.slow:g}([.]0)?|[+]Inf"'
    for arm, selector in server.arms.items():
        which = f"{selector}{edges}"
        for instance, pages in _instances(server, (*COUNTERS, *GAUGES), which, ends).items():
            for place, one in _of_arm(arm, instance, pages):
                readings[place].append(one)
    if server.envoy is not None:
        names = (*envoy.NEEDED, envoy.UPTIME)
        for instance, pages in _instances(server, names, server.envoy, ends).items():
            for place, several in _of_proxy(server.clusters, instance, pages):
                proxies[place] += several
    return [
        Round(float(at), tuple(one), tuple(other))
        for at, one, other in zip(ends, readings, proxies, strict=True)
        if one or other
    ]


@dataclass(frozen=True)
class _Pages:
    """What a process showed: series, and `values` of shape (pages, series), NaN where absent.

    `places` are intervals and `times` those of the pages; in the intervals `silent` it was asked
    and did not answer.
    """

    series: Sequence[Metric]
    places: Sequence[int]
    times: Sequence[float]
    values: Array
    silent: Sequence[int]


def _of_arm(arm: str, instance: str, found: _Pages) -> Iterator[tuple[int, Reading]]:
    named = [Series(each["__name__"], _labels(each)) for each in found.series]
    counts = [place for place, each in enumerate(named) if each.name in COUNTERS]
    others = [place for place, each in enumerate(named) if each.name in GAUGES]
    series = tuple(named[place] for place in counts)
    for place, row in zip(found.places, found.values, strict=True):
        gauges = tuple((named[each], float(row[each])) for each in others if row[each] == row[each])
        values = np.nan_to_num(row[counts], nan=0.0)  # not there yet
        if not np.isnan(row[counts]).all():
            yield place, Reading(arm, instance, series, values, gauges)
        else:
            yield place, Reading(arm, instance, reason="shows no metrics of a model service")
    for place in found.silent:
        yield place, Reading(arm, instance, reason="Prometheus could not scrape it")


def _of_proxy(
    clusters: Mapping[str, str], instance: str, found: _Pages
) -> Iterator[tuple[int, Sequence[Reading]]]:
    for place, at, row in zip(found.places, found.times, found.values, strict=True):
        samples: dict[str, list[tuple[dict[str, str], float]]] = {}
        for each, value in zip(found.series, row.tolist(), strict=True):
            if value == value:
                samples.setdefault(each["__name__"], []).append((dict(each), value))
        yield place, envoy.readings(samples, instance, clusters, at)
    for place in found.silent:
        reason = "Prometheus could not scrape it"
        yield place, [Reading(arm, instance, reason=reason) for arm in ARMS]


def _labels(metric: Metric) -> tuple[tuple[str, str], ...]:
    found = {name: metric.get(f"exported_{name}", metric.get(name)) for name in LABELS}
    return tuple((name, value) for name, value in found.items() if value is not None)


def _instances(
    server: Server, names: Sequence[str], selector: str, ends: Array
) -> dict[str, _Pages]:
    """The last page of each process in each interval: `up` tells silent ones from gone ones."""
    query = f'{{__name__=~"up|{"|".join(names)}",{selector}}}'
    columns: dict[str, list[Column]] = {}
    for metric, times, values in _samples(server.address, query, ends, server.every):
        columns.setdefault(metric.get(server.instance, ""), []).append((metric, times, values))
    if not columns or "" in columns:
        found = f"series without the label {server.instance}" if columns else "no series"
        where = f"{server.address}, {{{selector}}}"
        raise NoData(where, found, "those of a scrape", "Mend the selector.")
    return {instance: _pages(listed, ends) for instance, listed in columns.items()}


def _pages(columns: Sequence[Column], ends: Array) -> _Pages:
    up = {
        at: value
        for metric, times, values in columns
        if metric["__name__"] == "up"
        for at, value in zip(times.tolist(), values.tolist(), strict=True)
    }
    last: dict[int, float] = {}
    asked = set()
    for at in sorted(up):
        place = int(np.searchsorted(ends, at))
        asked.add(place)
        if up[at] == 1:
            last[place] = at
    wanted = np.array(list(last.values()))
    shown = [each for each in columns if each[0]["__name__"] != "up"]
    values = np.full((len(wanted), len(shown)), np.nan)
    for column, (_, times, held) in enumerate(shown):
        rows = np.searchsorted(times, wanted)
        rows[rows == len(times)] = 0
        values[:, column] = np.where(times[rows] == wanted, held[rows], np.nan)
    series = [metric for metric, _, _ in shown]
    return _Pages(series, list(last), wanted.tolist(), values, sorted(asked - set(last)))


def _samples(address: str, query: str, ends: Array, every: float) -> Iterator[Column]:
    """Raw samples, with a selector of ranges at an instant; `ends` are those of intervals."""
    seconds = round((ends[-1] - ends[0] + every) * 1000)
    asked = {"query": f"{query}[{seconds}ms]", "time": f"{ends[-1]:.3f}"}
    found = answer(address, asked)
    for each in found:
        times, values = np.array(each["values"], dtype=float).T
        yield each["metric"], times, values


def answer(address: str, asked: Mapping[str, str]) -> Sequence[Mapping[str, Any]]:
    """The series that an instant query finds; raises Problem where nothing answers it."""
    place = f"{address.rstrip('/')}/api/v1/query"
    try:
        with DIRECT.open(place, urlencode(asked).encode(), timeout=QUERY_SECONDS) as answer:
            content = answer.read()
    except HTTPError as error:
        content = error.read()
    except (URLError, OSError, HTTPException, ValueError) as error:
        reason = str(getattr(error, "reason", error))
        raise Problem(place, reason, "an answer of Prometheus", "Is it the address?") from None
    try:
        found = json.loads(content)
        if found["status"] == "error":
            raise Problem(place, str(found["error"]), "a query it takes", "Mend the selector.")
        result: Sequence[Mapping[str, Any]] = found["data"]["result"]
    except (ValueError, TypeError, KeyError):
        shown = content[:60].decode(errors="replace")
        raise Problem(place, shown, "an answer of Prometheus", "Is it the address?") from None
    return result
