"""Entity buckets as the unit of judgement: how much each counts, and how failures clump in them."""

import numpy as np

from preflight.rollout.observed import Array, Counts

STEADY = 10  # requests that a bucket may have before its share of the traffic is looked at


def steps(values: Array) -> Array:
    """What came between looks: differences along the axis of looks, (..., looks, arms, blocks)."""
    return np.diff(values, axis=-3, prepend=np.zeros_like(values[..., :1, :, :]))


def weights(total: Array, most: float) -> Array:
    """How much of what comes between two looks counts, of shape (..., looks, arms, blocks).

    No block of an arm counts more than `most` times its median block's traffic: a few entities
    make much of real traffic, and a bucket that holds one of them says more about that one than
    about the release. A weight depends on the traffic before, never on failures, so evidence stays
    what it is.
    """
    before = np.concatenate([np.zeros_like(total[..., :1, :, :]), total[..., :-1, :, :]], axis=-3)
    top = most * np.median(before, axis=-1, keepdims=True) + STEADY
    found: Array = np.minimum(1.0, top / np.maximum(before, 1.0))
    return found


def capped(counts: Counts, most: float) -> Counts:
    """Counts weighted by `weights`."""
    weight = weights(counts.total, most)
    hits, total = (np.cumsum(steps(each) * weight, axis=-3) for each in (counts.hits, counts.total))
    return Counts(hits, total)


def dispersion(counts: Counts) -> Array:
    """How much hits clump by block, at each look: (..., looks), 1 where they do not.

    Pearson's statistic over its degrees of freedom, each arm against its own rate, both arms
    pooled. Sources: Wedderburn (1974); McCullagh and Nelder (1989), section 4.5.
    """
    rate = counts.hits.sum(axis=-1) / np.maximum(counts.total.sum(axis=-1), 1e-12)
    expected = counts.total * rate[..., np.newaxis]
    seen = expected > 0
    off = np.where(seen, (counts.hits - expected) ** 2 / np.where(seen, expected, 1.0), 0.0)
    return _over(off.sum(axis=(-2, -1)), (seen.sum(axis=-1) - 1).clip(0).sum(axis=-1))


def dispersion_in_time(counts: Counts) -> Array:
    """How much hits clump by the interval between looks: for counts without blocks.

    Failures that come at once, as in an outage, are one event and not many.
    """
    hits, total = steps(counts.hits).sum(axis=-1), steps(counts.total).sum(axis=-1)
    squares = np.cumsum(np.where(total > 0, hits**2 / np.maximum(total, 1e-12), 0.0), axis=-2)
    whole, among = np.cumsum(hits, axis=-2), np.cumsum(total, axis=-2)
    seen = whole > 0
    rate = np.where(seen, whole / np.maximum(among, 1e-12), 1.0)
    off = np.where(seen, squares / rate - whole, 0.0).sum(axis=-1)
    looks = np.where(seen, np.cumsum(total > 0, axis=-2) - 1, 0).clip(0).sum(axis=-1)
    return _over(off, looks)


def _over(off: Array, freedom: Array) -> Array:
    found: Array = np.maximum(1.0, off / np.maximum(freedom, 1.0))
    return found
