"""Entity buckets as the unit of judgement: how much each counts, and how failures clump in them."""

import numpy as np
from numpy.typing import NDArray

from preflight.rollout.observed import CANARY, Array, Counts

CLOSED = 20  # requests of both arms, after which an interval's shares of them say something
STEADY = 10  # requests that a bucket may have before its share of the traffic is looked at


def steps(values: Array) -> Array:
    """What came between looks: differences along the axis of looks, (..., looks, arms, blocks)."""
    return np.diff(values, axis=-3, prepend=np.zeros_like(values[..., :1, :, :]))


def since(counts: Counts, requests: float) -> Counts:
    """Counts since the look at which the canary had so many requests, (looks, arms, blocks).

    Which look that is depends on requests alone, so evidence stays what it is.
    """
    had = counts.total[:, CANARY].sum(axis=-1) >= requests
    first = int(had.argmax()) if had.any() else len(had) - 1
    hits, total = (np.maximum(each - each[first], 0) for each in (counts.hits, counts.total))
    return Counts(hits, total)


def closed(counts: Counts) -> Counts:
    """Counts that change only once CLOSED more requests came: intervals that can be compared.

    Of a single request between two looks one arm has all, and where it fell says nothing. When an
    interval ends depends on requests and never on failures, so evidence stays what it is.
    """
    many = np.floor(counts.total.sum(axis=(-2, -1)) / CLOSED)
    ended = np.diff(many, axis=-1, prepend=0) > 0
    last = np.maximum.accumulate(np.where(ended, np.arange(many.shape[-1]), -1), axis=-1)
    hits, total = (
        np.where(
            last[..., None, None] < 0,
            0.0,
            np.take_along_axis(each, np.maximum(last, 0)[..., None, None], axis=-3),
        )
        for each in (counts.hits, counts.total)
    )
    return Counts(hits, total)


def weights(total: Array, most: float) -> Array:
    """How much of what comes between two looks counts, of shape (..., looks, arms, blocks).

    No block of an arm counts more than `most` times the median traffic of its blocks that have any:
    a few entities make much of real traffic, and a bucket that holds one of them says more about
    that one than about the release. A weight depends on the traffic before, never on failures, so
    evidence stays what it is.
    """
    before = np.concatenate([np.zeros_like(total[..., :1, :, :]), total[..., :-1, :, :]], axis=-3)
    top = most * _median(before) + STEADY
    found: Array = np.minimum(1.0, top / np.maximum(before, 1.0))
    return found


def _median(values: Array) -> Array:
    """Of those above 0 on the last axis, the upper one of two: few entities leave blocks empty."""
    ascending, empty = np.sort(values, axis=-1), (values <= 0).sum(axis=-1, keepdims=True)
    middle = np.minimum((values.shape[-1] + empty) // 2, values.shape[-1] - 1)
    found: Array = np.take_along_axis(ascending, middle, axis=-1)
    return found


def capped(counts: Counts, most: float) -> Counts:
    """Counts weighted by `weights`."""
    weight = weights(counts.total, most)
    hits, total = (np.cumsum(steps(each) * weight, axis=-3) for each in (counts.hits, counts.total))
    return Counts(hits, total)


def matched(counts: Counts) -> Counts:
    """Both arms as if their requests had come at the same times, in numbers that say as much.

    As the canary's weight moves, its requests come later than stable's, and means follow the hour.
    Each interval counts by what it says of a difference. With a constant weight nothing changes.
    Source: Mantel and Haenszel (1959), for means.
    """
    held = closed(counts)
    hits, total = steps(held.hits), steps(held.total)
    asked = total.sum(axis=-1)
    every = asked.sum(axis=-1)
    rho = np.where(every > 0, asked[..., CANARY] / np.where(every > 0, every, 1.0), 0.0)
    weight = np.stack([rho, 1 - rho], axis=-1)
    squares = np.cumsum(weight**2 * asked, axis=-2)
    scale = np.cumsum(weight * asked, axis=-2) / np.where(squares > 0, squares, 1.0)
    first, second = (
        np.cumsum(each * weight[..., np.newaxis], axis=-3) * scale[..., np.newaxis]
        for each in (hits, total)
    )
    return Counts(first, second)


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

    Failures that come at once, as in an outage of one arm, are one event and not many. Where both
    arms fail, only how unevenly they do: what hits both at once cancels.
    """
    hits, total = steps(counts.hits).sum(axis=-1), steps(counts.total).sum(axis=-1)
    both = (hits > 0).all(axis=-1)
    off, looks = _of_split(hits, total, both)
    hits, total = (np.where(both[..., np.newaxis], 0.0, each) for each in (hits, total))
    squares = np.cumsum(np.where(total > 0, hits**2 / np.maximum(total, 1e-12), 0.0), axis=-2)
    whole, among = np.cumsum(hits, axis=-2), np.cumsum(total, axis=-2)
    seen = whole > 0
    rate = np.where(seen, whole / np.maximum(among, 1e-12), 1.0)
    off = off + np.where(seen, squares / rate - whole, 0.0).sum(axis=-1)
    many = np.where(seen, np.cumsum(total > 0, axis=-2) - 1, 0).clip(0).sum(axis=-1)
    return _over(off, many + looks)


def _of_split(hits: Array, total: Array, both: NDArray[np.bool_]) -> tuple[Array, Array]:
    """Pearson's statistic of how failures fall on the arms, in some looks, and its freedom."""
    every = total.sum(axis=-1)
    rho = total[..., CANARY] / np.where(every > 0, every, 1.0)
    expected = hits.sum(axis=-1) * rho
    seen = both & (rho > 0) & (rho < 1)
    off = (hits[..., CANARY] - expected) ** 2 / np.where(seen, expected * (1 - rho), 1.0)
    return np.cumsum(np.where(seen, off, 0.0), axis=-1), np.cumsum(seen, axis=-1)


def _over(off: Array, freedom: Array) -> Array:
    found: Array = np.maximum(1.0, off / np.maximum(freedom, 1.0))
    return found
