"""What a judge counts, from series: by arm, by entity bucket and by bin, at each round."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf

import numpy as np

from preflight.errors import Problem
from preflight.rollout.counting import Track
from preflight.rollout.observed import ARMS, Array, Counts
from preflight.rollout.scrapes import (
    BUCKETS,
    ERRORS,
    FALLBACKS,
    FLAGGED,
    LATENCY,
    PREDICTIONS,
    REQUESTS,
    WIDTH,
    Round,
    Series,
)
from preflight.serving import metrics

BLOCKS = {name: place for place, name in enumerate(metrics.BUCKETS)}
FAST, TIMED, OUTPUT, BIN = "fast", "timed", "output", "bin "
JUDGED = (ERRORS, FLAGGED, FALLBACKS, OUTPUT, WIDTH)
Edges = tuple[str, ...]


@dataclass(frozen=True)
class Figures:
    """Arrays by name, of shape (rounds + 1, arms, blocks); a bin's name is BIN and its edge.

    `unshown` are names that a process of an arm, by its place, does not show.
    """

    arrays: Mapping[str, Array]
    unshown: Collection[tuple[str, int]]

    def at(self, name: str, looks: Sequence[int]) -> Array:
        """One figure at some rounds, of shape (looks, arms, blocks)."""
        return self.arrays[name][list(looks)]

    def share(self, name: str, of: str, looks: Sequence[int]) -> Counts:
        """A share, of nothing where an arm does not show the hits: none would look like none.

        A page is no snapshot: hits may be ahead of the total by what just came.
        """
        total = self.at(of, looks)
        total[:, [arm for hidden, arm in self.unshown if hidden == name]] = 0
        return Counts(np.minimum(self.at(name, looks), total), total)

    def shares(self, looks: Sequence[int]) -> dict[str, Counts]:
        """The shares of `Observed`."""
        timed = self.at(TIMED, looks)
        return {
            "errors": self.share(ERRORS, LATENCY, looks),
            "slow": Counts(np.maximum(timed - self.at(FAST, looks), 0), timed),
            "fallbacks": self.share(FALLBACKS, PREDICTIONS, looks),
            "flags": self.share(FLAGGED, PREDICTIONS, looks),
            "bad_outputs": self.share(OUTPUT, PREDICTIONS, looks),
        }

    def widths(self, looks: Sequence[int]) -> Counts:
        """Sums of interval widths, among predictions without a fallback: others have none."""
        predicted = self.share(WIDTH, PREDICTIONS, looks).total
        total = np.maximum(predicted - self.at(FALLBACKS, looks), 0)
        return Counts(self.at(WIDTH, looks), total)

    def bins(self, looks: Sequence[int], edges: Edges) -> Array:
        """Predictions by bin, of shape (looks, arms, blocks, edges)."""
        if not edges:
            return np.zeros((len(looks), len(ARMS), len(BLOCKS), 0))
        return np.stack([self.at(BIN + edge, looks) for edge in edges], axis=-1)


def figures(tracks: Sequence[Track], rounds: int) -> Figures:
    """Figures of processes' series that are judged; raises Problem on buckets not known here."""
    shape = rounds + 1, len(ARMS), len(BLOCKS)
    found: dict[str, Array] = defaultdict(lambda: np.zeros(shape))
    unshown: set[tuple[str, int]] = set()
    for each in tracks:
        places: dict[str, tuple[list[int], list[int]]] = defaultdict(lambda: ([], []))
        for column, series in enumerate(each.series):
            for name in _names(series):
                columns, blocks = places[name]
                columns.append(column)
                blocks.append(_block(series))
        arm = ARMS.index(each.arm)
        unshown |= {(name, arm) for name in JUDGED if each.series and name not in places}
        for name, (columns, blocks) in places.items():
            sums = found[name][:, arm]
            for column, block in zip(columns, blocks, strict=True):
                sums[:, block] += each.counts[:, column]
    return Figures(found, unshown)


def total(tracks: Sequence[Track], rounds: int, name: str | None = None) -> Array:
    """The sum of a series, or of all, of shape (rounds + 1, arms)."""
    found = np.zeros((rounds + 1, len(ARMS)))
    for each in tracks:
        columns = [place for place, one in enumerate(each.series) if name in (None, one.name)]
        found[:, ARMS.index(each.arm)] += each.counts[:, columns].sum(axis=1)
    return found


def edges(rounds: Sequence[Round], arm: str) -> tuple[Edges, bool]:
    """The bins of an arm's predictions, ascending, and whether all its processes have the same."""
    found = {
        frozenset(dict(one.labels)["bin"] for one in series if one.name == PREDICTIONS)
        for series in _tables(rounds, arm)
    }
    every = frozenset[str]().union(*found)
    return tuple(sorted(every, key=float)), len(found) < 2


def judged(rounds: Sequence[Round], slow_seconds: float) -> Callable[[Series], bool]:
    """Tells the series that count: of the buckets of latency, those up to `slow_seconds`.

    Raises Problem where that is no edge of a process that shows edges.
    """
    for arm in ARMS:
        for series in _tables(rounds, arm):
            listed = {dict(each.labels)["le"] for each in series if each.name == BUCKETS}
            if listed and slow_seconds not in map(float, listed):
                raise Problem(
                    f"{arm}, {BUCKETS}",
                    f"no edge at {slow_seconds:g} s",
                    f"one of {', '.join(sorted(listed, key=float))}",
                    "Declare one of them as what is slow.",
                )

    def counts(series: Series) -> bool:
        labels = dict(series.labels)
        if series.name == BUCKETS:
            return float(labels["le"]) in (slow_seconds, inf)
        return series.name != REQUESTS or _proxied(labels)

    return counts


def _tables(rounds: Sequence[Round], arm: str) -> Collection[tuple[Series, ...]]:
    return {
        id(each.series): each.series
        for one in rounds
        for each in one.readings
        if each.arm == arm and each.values is not None
    }.values()


def _names(series: Series) -> Iterator[str]:
    """What a series counts for."""
    labels = dict(series.labels)
    if series.name == BUCKETS:
        yield TIMED if float(labels["le"]) == inf else FAST
    else:
        yield series.name
    if series.name == PREDICTIONS:
        yield BIN + labels["bin"]
    if series.name == FALLBACKS and labels["reason"] == "output":
        yield OUTPUT


def _proxied(labels: Mapping[str, str]) -> bool:
    """Whether these come through a proxy, which leads /v1/ here: also where there is no route.

    A path that nobody serves has no API version. Probes and scrapes are in no count of requests.
    """
    return labels["version"] == "v1" or labels["route"] == "none"


def _block(series: Series) -> int:
    found = dict(series.labels).get("entity_bucket", metrics.BUCKETS[0])
    if found not in BLOCKS:
        expected = f"{metrics.BUCKETS[0]} to {metrics.BUCKETS[-1]}"
        raise Problem(
            f"{series.name}, label entity_bucket", found, expected, "Judge it with its own version."
        )
    return BLOCKS[found]
