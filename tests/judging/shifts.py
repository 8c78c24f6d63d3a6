"""Rollouts in which answers differ, or the width of their intervals; answers go by entity."""

from dataclasses import dataclass
from math import log

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.stats import norm

from judging.rivals import Course
from judging.scenarios import LOOKS, METRICS, NOMINAL, REQUESTS
from judging.study import course
from preflight.rollout import blocks, means
from preflight.rollout.limits import Limits
from preflight.rollout.observed import CANARY, STABLE, Array, Counts
from preflight.serving.metrics import ENTITY_BUCKETS

Places = NDArray[np.int64]
EDGES = np.linspace(-2.2, 2.2, 13)
SPREAD = 0.4


@dataclass(frozen=True)
class Entities:
    """Who asks: `many`, the k-th in proportion to 1 / (k + start), as the taxi's riders do.

    `own` is the share of an answer's variance that is the entity's.
    """

    many: int = 5000
    start: int = 50
    own: float = 0.1

    def drawn(self, random: Generator) -> tuple[Array, tuple[Places, Places], Array]:
        """Requests between two looks, arm and bucket, and the entity's own standard normal."""
        traffic: Array = 1 / (np.arange(self.many) + self.start)
        arm = np.where(random.random(self.many) < NOMINAL, CANARY, STABLE)
        place = (arm, random.integers(0, ENTITY_BUCKETS, self.many))
        return REQUESTS * traffic / traffic.sum(), place, random.normal(size=self.many)


RIDERS = Entities()


@dataclass(frozen=True)
class Predictions:
    """Normal answers, the canary's moved so far that `distance` of them change sides somewhere."""

    distance: float
    limits: Limits
    who: Entities = RIDERS

    def __call__(self, runs: int, random: Generator) -> dict[str, Course]:
        """Judged as one metric of METRICS."""
        moved = 2 * float(norm.isf((1 - self.distance) / 2))
        expected = np.stack([self._expected(moved, random) for _ in range(runs)])
        size = (runs, LOOKS, *expected.shape[1:])
        made = random.poisson(expected[:, np.newaxis], size).astype(float)
        weight = blocks.weights(made.cumsum(axis=1).sum(axis=-1), self.limits.max_traffic_ratio)
        found = means.shifted(
            (made * weight[..., np.newaxis]).cumsum(axis=1), self.limits.max_shift
        )
        sent = made[:, :, CANARY].sum(axis=(-2, -1)).cumsum(axis=1)
        return {"judge": _one(found.worse, found.fine, sent, self.limits)}

    def _expected(self, moved: float, random: Generator) -> Array:
        """Predictions between looks, (arms, blocks, bins)."""
        traffic, place, own = self.who.drawn(random)
        mean = self.who.own**0.5 * own + moved * (place[0] == CANARY)
        # One edge lies where the arms differ most.
        edges = EDGES + moved / 2
        below = norm.cdf((edges - mean[:, np.newaxis]) / (1 - self.who.own) ** 0.5)
        share = np.diff(below, axis=1, prepend=0, append=1)
        found = np.zeros((2, ENTITY_BUCKETS, share.shape[1]))
        np.add.at(found, place, traffic[:, np.newaxis] * share)
        return found


@dataclass(frozen=True)
class Widths:
    """Lognormal widths of intervals (sd 0.4 of the logarithm), the canary's `ratio` as wide."""

    ratio: float
    limits: Limits
    who: Entities = RIDERS

    def __call__(self, runs: int, random: Generator) -> dict[str, Course]:
        """Judged as one metric of METRICS."""
        one, two, three = np.moveaxis(np.stack([self._moments(random) for _ in range(runs)]), 1, 0)
        total = random.poisson(one[:, np.newaxis], (runs, LOOKS, *one.shape[1:])).astype(float)
        some = np.maximum(one, 1e-300)
        mean, square = (two / some)[:, np.newaxis], (three / some)[:, np.newaxis]
        spread = np.sqrt(np.maximum(square - mean**2, 0) * total)
        hits = np.maximum(total * mean + spread * random.normal(size=total.shape), 0)
        capped = blocks.capped(
            Counts(hits.cumsum(axis=1), total.cumsum(axis=1)), self.limits.max_traffic_ratio
        )
        # As preflight.rollout.metrics has it, of many rollouts.
        most = self.limits.max_width_ratio
        stable = capped.hits[:, :, STABLE].sum(-1) / capped.total[:, :, STABLE].sum(-1).clip(1e-12)
        scale = np.maximum((most - 1) * stable, 1e-12)
        worse, fine = means.above(means.difference(capped, most), 0.0, scale)
        sent = total[:, :, CANARY].sum(axis=-1).cumsum(axis=1)
        return {"judge": _one(worse, fine, sent, self.limits)}

    def _moments(self, random: Generator) -> Array:
        """Requests, widths and their squares expected between looks, (3, arms, blocks)."""
        traffic, place, own = self.who.drawn(random)
        middle = np.exp(SPREAD * self.who.own**0.5 * own) * (1 + (self.ratio - 1) * place[0])
        found = np.zeros((3, 2, ENTITY_BUCKETS))
        for power in range(3):
            around = np.exp((power * SPREAD) ** 2 / 2 * (1 - self.who.own))
            np.add.at(found[power], place, traffic * middle**power * around)
        return found


def _one(worse: Array, fine: Array, sent: Array, limits: Limits) -> Course:
    aborts = worse >= log(METRICS / limits.max_false_abort)
    return course([(aborts, fine >= log(1 / limits.max_false_promotion))], sent, limits)
