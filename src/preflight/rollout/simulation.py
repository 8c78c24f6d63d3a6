"""Rollouts that never happened: many at once, judged at every look as real ones are.

The planner's and the study's yardstick. Requests come by Poisson's law to each arm and bucket,
failures among them one by one or in clumps of one entity.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from math import log

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from preflight.rollout import blocks, means, shares
from preflight.rollout.limits import Limits, Worse
from preflight.rollout.observed import CANARY, STABLE, Array, Counts
from preflight.serving.metrics import ENTITY_BUCKETS

NEVER = np.iinfo(np.int64).max
Looks = NDArray[np.int64]


@dataclass(frozen=True)
class Decided:
    """When each simulated rollout was decided: looks and requests of the canary, shape (runs,).

    `aborted` and `promoted` are the look of the first decision, NEVER where it was another or none;
    `requests` those of the canary up to each look, of shape (runs, looks).
    """

    aborted: Looks
    promoted: Looks
    requests: Array

    def share(self, which: Looks) -> float:
        """The share of rollouts that were decided so."""
        return float((which != NEVER).mean())

    def after(self, which: Looks) -> Array:
        """Requests of the canary until then; infinite where it was never so."""
        looks = np.minimum(which, self.requests.shape[1] - 1)
        found = np.take_along_axis(self.requests, looks[:, np.newaxis], axis=1)[:, 0]
        return np.where(which == NEVER, np.inf, found)


def requests(expected: Array, runs: int, random: Generator) -> Array:
    """Requests between looks, (runs, looks, arms, blocks), where (looks, arms) are expected."""
    rate = np.repeat(expected[..., np.newaxis] / ENTITY_BUCKETS, ENTITY_BUCKETS, axis=-1)
    return random.poisson(rate, size=(runs, *rate.shape)).astype(float)


def failures(
    asked: Array, rates: tuple[float, float], random: Generator, clump: float = 1.0
) -> Array:
    """Failures among requests between looks, at one rate an arm.

    With `clump` above 1 they come in clumps of geometric size with that mean.
    """
    rate = np.array(rates)[:, np.newaxis]
    if clump == 1:
        return random.binomial(asked.astype(int), np.broadcast_to(rate, asked.shape)).astype(float)
    many = random.poisson(asked * rate / clump)
    more = random.negative_binomial(np.maximum(many, 1), 1 / clump)
    found: Array = many + np.where(many > 0, more, 0.0)
    return found


def share(asked: Array, failed: Array, margin: Worse, limits: Limits) -> tuple[Array, Array]:
    """Log-evidence at each look that a share is worse, and that it is fine, as the judge has it."""
    counts = Counts(failed.cumsum(axis=1), asked.cumsum(axis=1))
    capped = blocks.capped(counts, limits.max_traffic_ratio)
    found = shares.evidence(capped, margin, blocks.dispersion(capped))
    return np.where(found.blocks > limits.max_clumped, found.worse, -np.inf), found.fine


def decided(
    evidence: Iterable[tuple[Array, Array | None]], tests: int, asked: Array, limits: Limits
) -> Decided:
    """When the judge would first have decided, by the evidence of all metrics at each look."""
    sent = asked[:, :, CANARY].sum(axis=-1).cumsum(axis=1)
    worse, fine = np.zeros(sent.shape, bool), sent >= limits.min_requests
    for one, other in evidence:
        worse |= one >= log(tests / limits.max_false_abort)
        if other is not None:
            fine &= other >= log(1 / limits.max_false_promotion)
    aborted, promoted = (_first(each) for each in (worse, fine))
    return Decided(
        aborted=np.where(aborted <= promoted, aborted, NEVER),
        promoted=np.where(promoted < aborted, promoted, NEVER),
        requests=sent,
    )


def pooled(parts: Sequence[Decided]) -> Decided:
    """Simulations in several parts as one."""
    return Decided(
        *(np.concatenate([getattr(each, part.name) for each in parts]) for part in fields(Decided))
    )


def _first(held: NDArray[np.bool_]) -> Looks:
    found: Looks = np.where(held.any(axis=1), held.argmax(axis=1), NEVER)
    return found


def of_shares(
    asked: Array,
    rates: Mapping[str, tuple[float, float]],
    limits: Limits,
    random: Generator,
    clump: float = 1.0,
) -> Iterator[tuple[str, Array, Array]]:
    """Of shares with given rates of stable and canary, by the names in `max_worse`: the evidence.

    A name, and log-evidence at each look that it is worse and that it is fine.
    """
    for name, both in rates.items():
        margin: Worse = getattr(limits.max_worse, name)
        yield name, *share(asked, failures(asked, both, random, clump), margin, limits)


def of_bounds(
    asked: Array, limits: Limits, random: Generator, shift: float = 0.0, wider: float = 1.0
) -> Iterator[tuple[str, Array, Array]]:
    """Of predictions, halved by one edge and shifted over it, and of intervals `wider` in canary.

    The half is where a share varies most. Widths vary by half their mean.
    """
    total = asked.cumsum(axis=1)
    low = np.stack(
        [
            random.binomial(asked[..., arm, :].astype(int), 0.5 + shift * arm)
            for arm in (STABLE, CANARY)
        ],
        axis=-2,
    )
    weight = blocks.weights(total, limits.max_traffic_ratio)
    bins = np.stack([low, asked - low], axis=-1) * weight[..., np.newaxis]
    found = means.shifted(bins.cumsum(axis=1), limits.max_shift)
    yield "predictions", found.worse, found.fine
    mean = np.array([1.0, wider])[:, np.newaxis]
    sums = mean * (asked + 0.5 * np.sqrt(asked) * random.standard_normal(asked.shape))
    counts = blocks.capped(Counts(sums.cumsum(axis=1), total), limits.max_traffic_ratio)
    most = limits.max_width_ratio
    yield "widths", *means.above(means.difference(blocks.matched(counts), most), 0.0, most - 1)
