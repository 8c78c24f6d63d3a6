"""What one process has counted since the rollout's start, through restarts and missed scrapes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from preflight.rollout.observed import Array
from preflight.rollout.scrapes import BEGAN, WORKERS, Reading, Round, Series

RESTART_SECONDS = 3.0  # a start is told to the second or so, and nobody starts twice within this
ROUNDING = 1e-9  # sums of widths, added up in another order
Turn = tuple[float, Reading]  # a reading with its time, in seconds since 1970


@dataclass(frozen=True)
class Track:
    """One process: its counters, and `counts` of shape (rounds + 1, series) since the start.

    The first row is the start; a round that did not read it repeats the row before. `told` says
    in sentences what was lost or could not be known.
    """

    arm: str
    series: tuple[Series, ...]
    counts: Array
    told: tuple[str, ...]


def clock(at: float) -> str:
    """A time of the day as an operator reads it."""
    return datetime.fromtimestamp(at, UTC).strftime("%H:%M:%S UTC")


def turns(
    rounds: Sequence[Round], *, proxies: bool = False
) -> Mapping[tuple[str, str], list[Turn]]:
    """The readings of each process, by arm and instance, in the rounds' order."""
    found: dict[tuple[str, str], list[Turn]] = {}
    for each in rounds:
        for one in each.proxies if proxies else each.readings:
            found.setdefault((one.arm, one.instance), []).append((each.at, one))
    return found


def track(listed: Sequence[Turn], times: Sequence[float], started: float, who: str) -> Track:
    """What a process counted; `times` are those of the rounds after `started`, ascending."""
    answered = [turn for turn in listed if turn[1].values is not None]
    before = [turn for turn in answered if turn[0] <= started][-1:]
    after = [turn for turn in answered if turn[0] > started]
    series, values = _table([one for _, one in before + after])
    if not after:
        return Track(listed[0][1].arm, series, np.zeros((len(times) + 1, len(series))), ())
    told = []
    if not before:
        fresh = _began(after[0][1]) > started
        values = np.concatenate([np.zeros_like(values[:1]) if fresh else values[:1], values])
        if not fresh:
            told = [f"{who} was first read at {clock(after[0][0])}: what it counted before is lost"]
    began = np.array([np.nan] * (not before) + [_began(one, ()) for _, one in before + after])
    found, restarted = increments(values, began)
    read = [at for at, _ in after]
    for place in np.flatnonzero(restarted):
        last = before[0][0] if place == 0 else read[place - 1]
        told.append(
            f"{who} restarted between {clock(last)} and {clock(read[place])}: "
            "what it counted last before it ended is lost"
        )
    counts = np.concatenate([np.zeros_like(values[:1]), found.cumsum(axis=0)])
    place = np.searchsorted(read, [started, *times], side="right")
    return Track(listed[0][1].arm, series, counts[place], tuple(told))


def increments(values: Array, began: Array) -> tuple[Array, NDArray[np.bool_]]:
    """What was counted from each reading to the next, of shape (readings - 1, series).

    A counter that fell, or a later start (`began`, NaN where unknown) is a restart, told for each
    step: all that it shows then is new.
    """
    change = np.diff(values, axis=0)
    fell = (change < -ROUNDING * values[:-1]).any(axis=1)
    restarted = fell | (np.diff(began) > RESTART_SECONDS)
    return np.where(restarted[:, None], values[1:], np.maximum(change, 0)), restarted


def gauge(found: Reading, *names: str) -> dict[Series, float]:
    """The values of gauges that are shown: 0 is that of one which is gone."""
    return {each: value for each, value in found.gauges if each.name in names and value > 0}


def _began(found: Reading, others: Sequence[str] = (WORKERS,)) -> float:
    """When counting began, NaN if unknown: `others` are gauges to ask where that is not shown."""
    shown = gauge(found, BEGAN) or gauge(found, *others)
    return min(shown.values(), default=float("nan"))


def _table(found: Sequence[Reading]) -> tuple[tuple[Series, ...], Array]:
    """Counters and their values, of shape (readings, series): 0 where one is not there yet."""
    places: dict[Series, int] = {}
    into = {
        id(series): np.array([places.setdefault(each, len(places)) for each in series], dtype=int)
        for series in {id(each.series): each.series for each in found}.values()
    }
    values = np.zeros((len(found), len(places)))
    for row, each in enumerate(found):
        values[row, into[id(each.series)]] = each.values
    return tuple(places), values
