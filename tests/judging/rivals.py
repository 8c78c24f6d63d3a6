"""What judges a rollout: the judge, the same without its robustness, and what others use.

Each takes requests and failures between looks, (runs, looks, arms, blocks), and says at each look
whether the metric is worse, and whether it is fine, of shape (runs, looks).
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import log

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom, norm

from preflight.rollout import shares, simulation
from preflight.rollout.limits import Limits, Worse
from preflight.rollout.observed import CANARY, Array, Counts

Flags = NDArray[np.bool_]
Rival = Callable[[Array, Array, int, Limits], tuple[Flags, Flags]]
MARGIN = Worse(max_ratio=2.0, max_amount=0.005)
LEAST = 200  # requests before the first z-test
# The rule as documentation shows it: success of at least this, in so many requests, and so on.
SUCCESS, INTERVAL, ALLOWED, INTERVALS = 0.95, 200, 3, 40


def judge(asked: Array, failed: Array, tests: int, limits: Limits) -> tuple[Flags, Flags]:
    """The judge, as it is."""
    return _held(simulation.share(asked, failed, MARGIN, limits), tests, limits)


def uncapped(asked: Array, failed: Array, tests: int, limits: Limits) -> tuple[Flags, Flags]:
    """The judge with no cap on a bucket's traffic."""
    return judge(asked, failed, tests, limits.model_copy(update={"max_traffic_ratio": 1e9}))


def by_request(asked: Array, failed: Array, tests: int, limits: Limits) -> tuple[Flags, Flags]:
    """The same e-processes with each request taken for independent: no clumps, no caps."""
    counts = Counts(failed.cumsum(axis=1), asked.cumsum(axis=1))
    found = shares.evidence(counts, MARGIN, np.ones(asked.shape[:2]))
    return _held((found.worse, found.fine), tests, limits)


def _held(evidence: tuple[Array, Array], tests: int, limits: Limits) -> tuple[Flags, Flags]:
    worse, fine = evidence
    held = fine >= log(1 / limits.max_false_promotion)
    return worse >= log(tests / limits.max_false_abort), held


def peeking(asked: Array, failed: Array, tests: int, limits: Limits) -> tuple[Flags, Flags]:
    """A z-test of two proportions at every look, one-sided; it promotes nothing.

    From LEAST requests of the canary on: before, its normal limit is none.
    """
    hits, total = (each.sum(axis=-1).cumsum(axis=1) for each in (failed, asked))
    some = np.maximum(total, 1)
    rate = hits.sum(axis=-1) / some.sum(axis=-1)
    spread = np.sqrt(np.maximum(rate * (1 - rate), 1e-12) * (1 / some).sum(axis=-1))
    apart = np.diff(hits / some, axis=-1)[..., 0] / spread
    worse = (apart > norm.isf(limits.max_false_abort / tests)) & (total[..., CANARY] >= LEAST)
    return worse, np.zeros_like(worse)


def threshold(asked: Array, failed: Array, tests: int, limits: Limits) -> tuple[Flags, Flags]:
    """Success of SUCCESS in each INTERVAL requests of the canary, or more than ALLOWED fail."""
    del tests, limits
    hits, total = (each[:, :, CANARY].sum(axis=-1) for each in (failed, asked))
    worse = np.zeros(hits.shape, bool)
    bad, good, failures, intervals = (np.zeros(len(hits)) for _ in range(4))
    for look in range(hits.shape[1]):
        bad, good = bad + hits[:, look], good + total[:, look]
        closed = (good >= INTERVAL) & (intervals < INTERVALS)
        failures += closed & (1 - bad / np.maximum(good, 1) < SUCCESS)
        intervals += closed
        bad, good = np.where(closed, 0, bad), np.where(closed, 0, good)
        worse[:, look] = failures > ALLOWED
    return worse, np.zeros_like(worse)


def threshold_power(rate: float) -> float:
    """The share of canaries with this failure rate that the rule aborts in all its intervals.

    Exact, for independent failures.
    """
    least = int(INTERVAL * (1 - SUCCESS) + 1e-9)
    return float(binom.sf(ALLOWED, INTERVALS, binom.sf(least, INTERVAL, rate)))


JUDGE = "judge"
RIVALS: dict[str, Rival] = {
    JUDGE: judge,
    "per request": by_request,
    "z-test, peeking": peeking,
    "fixed threshold": threshold,
}


@dataclass(frozen=True)
class Course:
    """How many rollouts went: looks, NEVER for none, of shape (runs,).

    `aborts` and `promotes` are the first looks with enough for either, whichever came first;
    `sent` are requests of the canary up to each look, (runs, looks).
    """

    aborts: NDArray[np.int64]
    promotes: NDArray[np.int64]
    sent: Array

    def falsely(self) -> int:
        """How many were aborted at any look, also after they would have been promoted."""
        return int((self.aborts != simulation.NEVER).sum())

    def decided(self) -> simulation.Decided:
        """What came first; an abort where both came at once."""
        first = self.aborts <= self.promotes
        return simulation.Decided(
            np.where(first, self.aborts, simulation.NEVER),
            np.where(first, simulation.NEVER, self.promotes),
            self.sent,
        )
