"""Is a mean, or a share of predictions, beyond a bound? Differences by entity bucket.

A new model is meant to answer differently, so widths and predictions are judged by a declared
bound: within it is fine, beyond it is not. The variance is that of whole entity buckets, and the
larger of both arms'. Arrays may have leading axes: many rollouts at once.
"""

from dataclasses import dataclass

import numpy as np

from preflight.rollout import blocks
from preflight.rollout.observed import CANARY, STABLE, Array, Counts
from preflight.rollout.sequential import beyond, mixed

LEAST = 1e-2  # of the mean: spread of one request below which it is taken for a constant's
BLOCKS = 8  # in either arm, before there is a variance


@dataclass(frozen=True)
class Difference:
    """Canary minus `factor` times stable at each look, (..., looks), and its variance.

    Infinite variance where there are too few blocks.
    """

    estimate: Array
    variance: Array


@dataclass(frozen=True)
class Shifted:
    """How far apart the arms' predictions are at each look, arrays of shape (..., looks).

    `distance` is Kolmogorov's, `worse` the log-evidence that it is beyond the bound, `fine` that it
    is within; `growth` is of `fine`, a request of the canary.
    """

    distance: Array
    worse: Array
    fine: Array
    growth: Array


def difference(counts: Counts, factor: float = 1.0) -> Difference:
    """Of cumulative sums of shape (..., looks, arms, blocks).

    Source: Cochran (1977), section 6.3, the variance of a ratio estimate by clusters.
    """
    total = np.maximum(counts.total.sum(axis=-1), 1e-12)
    mean = counts.hits.sum(axis=-1)[..., STABLE] / total[..., STABLE]
    return _difference(counts, (LEAST * mean) ** 2, factor)


def share(counts: Counts) -> Difference:
    """The same of shares: one request has at least the variance of a coin as rare as it."""
    both = counts.hits.sum(axis=(-2, -1)), counts.total.sum(axis=(-2, -1))
    rate = (both[0] + 0.5) / (both[1] + 1)
    return _difference(counts, rate * (1 - rate), 1.0)


def _difference(counts: Counts, least: Array, factor: float) -> Difference:
    """`least` is the variance that one request has at least, of shape (..., looks)."""
    total = np.maximum(counts.total.sum(axis=-1), 1e-12)
    mean = counts.hits.sum(axis=-1) / total
    many = (counts.total > 0).sum(axis=-1)
    off = (counts.hits - mean[..., np.newaxis] * counts.total) ** 2
    each = off.sum(axis=-1) / total * (many / np.maximum(many - 1, 1))
    of_one = np.maximum(each.max(axis=-1), least)
    variance = of_one * (1 / total[..., CANARY] + factor**2 / total[..., STABLE])
    enough = (many >= BLOCKS).all(axis=-1) & (of_one > 0)
    estimate = mean[..., CANARY] - factor * mean[..., STABLE]
    return Difference(np.where(enough, estimate, 0.0), np.where(enough, variance, np.inf))


def above(found: Difference, bound: float, scale: float | Array) -> tuple[Array, Array]:
    """Log-evidence that a difference is above a bound, and that it is below it."""
    centred = found.estimate - bound
    return beyond(centred, found.variance, scale), beyond(-centred, found.variance, scale)


def growth(found: Difference, requests: Array) -> Array:
    """What the evidence that a difference is below 0 gains with a request, at the last look.

    Of the leading axes' shape, as `requests` of the canary are; 0 where it is not below.
    """
    estimate, variance = np.minimum(found.estimate[..., -1], 0), found.variance[..., -1]
    gained: Array = estimate**2 / (2 * variance * np.maximum(requests, 1))
    return gained


def shifted(bins: Array, bound: float) -> Shifted:
    """Of cumulative predictions by bin, (..., looks, arms, blocks, bins): how the arms differ.

    At each edge between bins, the difference in the share of predictions up to it; the greatest
    is Kolmogorov's distance. It is beyond the bound at some edge (the mean of all edges' evidence
    says), or within at every one (the least does).
    """
    total = bins.sum(axis=-1)
    lower = np.moveaxis(bins.cumsum(axis=-1), -1, 0)[:-1]
    each = [share(blocks.matched(Counts(hits, total))) for hits in lower]
    both = [*each, *(Difference(-one.estimate, one.variance) for one in each)]
    logs = [above(one, bound, bound) for one in both]
    out = np.stack([worse for worse, _ in logs], axis=-1)
    centred = [Difference(one.estimate - bound, one.variance) for one in both]
    requests = total[..., -1, CANARY, :].sum(axis=-1)
    return Shifted(
        distance=np.max([one.estimate for one in both], axis=0),
        worse=mixed(out, np.ones(out.shape[-1])),
        fine=np.min([fine for _, fine in logs], axis=0),
        growth=np.min([growth(one, requests) for one in centred], axis=0),
    )
