"""What one process has counted since the rollout's start, through restarts and missed scrapes."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import isnan, nan

import numpy as np
from numpy.typing import NDArray

from preflight.rollout.observed import Array
from preflight.rollout.scrapes import BEGAN, BEGAN_ABOUT, WORKERS, Reading, Round, Series

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


def track(
    listed: Sequence[Turn],
    times: Sequence[float],
    started: float,
    who: str,
    judged: Callable[[Series], bool],
) -> Track:
    """What a process counted in the series that are judged.

    `times` are those of the rounds after `started`, ascending.
    """
    answered = [turn for turn in listed if turn[1].values is not None]
    before = [turn for turn in answered if turn[0] <= started][-1:]
    after = [turn for turn in answered if turn[0] > started]
    series, values = _table([one for _, one in before + after], judged)
    if not after:
        return Track(listed[0][1].arm, series, np.zeros((len(times) + 1, len(series))), ())
    told: list[str] = []
    if not before:
        first, values = _first(after[0], values, started)
        told += [f"{who} {each}" for each in first]
    began = [nan] * (not before) + [_began(one, ()) for _, one in before + after]
    found, restarted = increments(values, _kept(began))
    read = [at for at, _ in after]
    steps = [*(at for at, _ in before or after[:1]), *read]
    told += _restarts(who, [steps[each : each + 2] for each in np.flatnonzero(restarted)])
    counts = np.concatenate([np.zeros_like(values[:1]), found.cumsum(axis=0)])
    rows = np.searchsorted(read, [started, *times], side="right")
    return Track(listed[0][1].arm, series, counts[rows], tuple(told))


def _first(turn: Turn, values: Array, started: float) -> tuple[Sequence[str], Array]:
    """Where counting begins for one that was first read after the start, as a row ahead."""
    if _began(turn[1]) > started:
        return (), np.concatenate([np.zeros_like(values[:1]), values])
    told = f"was first read at {clock(turn[0])}: what it counted before is lost"
    return (told,), np.concatenate([values[:1], values])


def _restarts(who: str, steps: Sequence[Sequence[float]]) -> Iterator[str]:
    """One sentence, however often it restarted: each step is from a reading to the next."""
    if steps:
        often = "restarted" if len(steps) == 1 else f"restarted {len(steps)} times"
        yield (
            f"{who} {often} between {clock(steps[0][0])} and {clock(steps[-1][1])}: what it "
            f"counted last before {'it' if len(steps) == 1 else 'each'} ended is lost"
        )


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


def _began(found: Reading, others: Sequence[str] = (WORKERS, BEGAN_ABOUT)) -> float:
    """When counting began, NaN if unknown: `others` are gauges to ask where that is not shown."""
    shown = gauge(found, BEGAN) or gauge(found, *others)
    return min(shown.values(), default=nan)


def _kept(began: Sequence[float]) -> Array:
    """Each start, or the last that was told: while no worker lives, none is."""
    found = [nan]
    for each in began:
        found.append(found[-1] if isnan(each) else each)
    return np.array(found[1:])


def _table(
    found: Sequence[Reading], judged: Callable[[Series], bool]
) -> tuple[tuple[Series, ...], Array]:
    """Counters and their values, of shape (readings, series): 0 where one is not there yet."""
    places: dict[Series, int] = {}
    taken: dict[int, tuple[NDArray[np.intp], NDArray[np.intp]]] = {}
    for series in {id(each.series): each.series for each in found}.values():
        kept = [place for place, each in enumerate(series) if judged(each)]
        into = [places.setdefault(series[place], len(places)) for place in kept]
        taken[id(series)] = np.array(kept, dtype=np.intp), np.array(into, dtype=np.intp)
    values = np.zeros((len(found), len(places)))
    for row, each in enumerate(found):
        if each.values is not None:
            columns, places_ = taken[id(each.series)]
            values[row, places_] = each.values[columns]
    return tuple(places), values
