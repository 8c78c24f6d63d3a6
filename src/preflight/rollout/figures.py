"""What a judge counts, from series: by arm, by entity bucket and by bin, at each round."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

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
FAST, OUTPUT, BIN = "fast", "output", "bin "
Edges = tuple[str, ...]


@dataclass(frozen=True)
class Figures:
    """Arrays by name, of shape (rounds + 1, arms, blocks); a bin's name is BIN and its edge."""

    arrays: Mapping[str, Array]

    def at(self, name: str, looks: Sequence[int]) -> Array:
        """One figure at some rounds, of shape (looks, arms, blocks)."""
        return self.arrays[name][list(looks)]

    def share(self, name: str, of: str, looks: Sequence[int]) -> Counts:
        """A share; a page is no snapshot, so hits may be ahead of the total by what just came."""
        total = self.at(of, looks)
        return Counts(np.minimum(self.at(name, looks), total), total)

    def shares(self, looks: Sequence[int]) -> dict[str, Counts]:
        """The shares of `Observed`."""
        answered = self.at(LATENCY, looks)
        slow = np.maximum(answered - self.at(FAST, looks), 0)
        return {
            "errors": self.share(ERRORS, LATENCY, looks),
            "slow": Counts(slow, answered),
            "fallbacks": self.share(FALLBACKS, PREDICTIONS, looks),
            "flags": self.share(FLAGGED, PREDICTIONS, looks),
            "bad_outputs": self.share(OUTPUT, PREDICTIONS, looks),
        }

    def widths(self, looks: Sequence[int]) -> Counts:
        """Sums of interval widths, among predictions without a fallback: others have none."""
        total = self.at(PREDICTIONS, looks) - self.at(FALLBACKS, looks)
        return Counts(self.at(WIDTH, looks), np.maximum(total, 0))

    def bins(self, looks: Sequence[int], edges: Edges) -> Array:
        """Predictions by bin, of shape (looks, arms, blocks, edges)."""
        if not edges:
            return np.zeros((len(looks), len(ARMS), len(BLOCKS), 0))
        return np.stack([self.at(BIN + edge, looks) for edge in edges], axis=-1)


def figures(tracks: Sequence[Track], rounds: int, slow_seconds: float) -> Figures:
    """Figures of processes; raises Problem on edges without `slow_seconds`, or strange buckets."""
    shape = rounds + 1, len(ARMS), len(BLOCKS)
    found: dict[str, Array] = defaultdict(lambda: np.zeros(shape))
    for each in tracks:
        _require_edge(each, slow_seconds)
        places: dict[str, tuple[list[int], list[int]]] = defaultdict(lambda: ([], []))
        for column, series in enumerate(each.series):
            for name in _names(series, slow_seconds):
                columns, blocks = places[name]
                columns.append(column)
                blocks.append(_block(series))
        arm = ARMS.index(each.arm)
        for name, (columns, blocks) in places.items():
            np.add.at(found[name][:, arm], (slice(None), blocks), each.counts[:, columns])
    return Figures(found)


def total(tracks: Sequence[Track], rounds: int, name: str | None = None) -> Array:
    """The sum of a series, or of all, of shape (rounds + 1, arms)."""
    found = np.zeros((rounds + 1, len(ARMS)))
    for each in tracks:
        columns = [place for place, one in enumerate(each.series) if name in (None, one.name)]
        found[:, ARMS.index(each.arm)] += each.counts[:, columns].sum(axis=1)
    return found


def edges(rounds: Sequence[Round], arm: str) -> tuple[Edges, bool]:
    """The bins of an arm's predictions, ascending, and whether all its processes have the same."""
    listed = {
        id(each.series): each.series for one in rounds for each in one.readings if each.arm == arm
    }
    found = {
        frozenset(dict(one.labels)["bin"] for one in series if one.name == PREDICTIONS)
        for series in listed.values()
        if series
    }
    every = frozenset[str]().union(*found)
    return tuple(sorted(every, key=float)), len(found) < 2


def _names(series: Series, slow_seconds: float) -> Iterator[str]:
    """What a series counts for. Raises nothing: what is not judged counts for nothing."""
    labels = dict(series.labels)
    if series.name == BUCKETS:
        if float(labels["le"]) == slow_seconds:
            yield FAST
    elif series.name != REQUESTS or _proxied(labels):
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


def _require_edge(found: Track, slow_seconds: float) -> None:
    listed = {dict(each.labels)["le"] for each in found.series if each.name == BUCKETS}
    shown = sorted(listed, key=float)
    if listed and slow_seconds not in map(float, shown):
        raise Problem(
            f"{found.arm}, {BUCKETS}",
            f"no edge at {slow_seconds:g} s",
            f"one of {', '.join(shown)}",
            "Declare one of them as what is slow.",
        )
