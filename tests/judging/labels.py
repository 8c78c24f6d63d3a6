"""Rollouts judged by outcomes that come late, and later where the answer was wrong.

A long trip's outcome comes after a short one's, and long trips are those that models miss. While
the canary's weight changes, outcomes in the order of their arrival mix predictions of different
weights; in the order of predictions they do not.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.random import Generator

from judging.rivals import Course, Flags
from judging.scenarios import LOOKS, METRICS, load
from judging.study import course
from preflight.rollout import simulation
from preflight.rollout.limits import Limits
from preflight.rollout.observed import CANARY, Array

WRONG = 0.2
DELAYS = (4.0, 25.0)  # mean looks until an outcome, of right and of wrong answers
MATURITY = 60  # looks after which a prediction is judged, by the outcomes that came until then
Order = Literal["prediction", "arrival"]
ORDERS: tuple[Order, ...] = ("prediction", "arrival")


@dataclass(frozen=True)
class Labels:
    """Wrong answers of both arms, `ratio` of the canary's to stable's, weights by thirds."""

    ratio: float
    weights: tuple[float, float, float]
    limits: Limits

    def __call__(self, runs: int, random: Generator) -> dict[str, Course]:
        """By each order, as one metric of METRICS; sent are predictions up to each look."""
        return {f"{order} order": self._judged(order, runs, random) for order in ORDERS}

    def _judged(self, order: Order, runs: int, random: Generator) -> Course:
        expected = load(np.repeat(self.weights, [66, 67, 67]))
        wrong = WRONG * np.array([1.0, self.ratio])
        each = [
            simulation.requests(seen(expected * share, delay, order), runs, random)
            for share, delay in zip((1 - wrong, wrong), DELAYS, strict=True)
        ]
        evidence = simulation.share(
            each[0] + each[1], each[1], self.limits.max_worse.wrong, self.limits
        )
        limit = np.log(METRICS / self.limits.max_false_abort)
        worse: Flags = evidence[0] >= limit
        sent = np.broadcast_to(expected[:, CANARY].cumsum(), (runs, LOOKS))
        return course([(worse, np.zeros_like(worse))], sent, self.limits)


def seen(expected: Array, delay: float, order: Order) -> Array:
    """Outcomes expected to be known anew at each look, (looks, arms); Poisson's either way."""
    comes = np.diff(-np.exp(-np.arange(LOOKS + 1) / delay))
    if order == "arrival":
        return np.stack([np.convolve(arm, comes)[:LOOKS] for arm in expected.T], axis=-1)
    known = np.zeros_like(expected)
    known[MATURITY:] = expected[:-MATURITY] * comes[:MATURITY].sum()
    return known
