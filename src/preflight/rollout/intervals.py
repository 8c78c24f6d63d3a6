"""Intervals that hold at every look at once, of means by entity block."""

import numpy as np

from preflight.rollout.observed import Array


def half(variance: Array, scale: float, level: float) -> Array:
    """Half the width of an interval around a mean with this variance, infinite where that is.

    It misses the mean at any look with probability `level` at most, and is narrowest for means
    that are known to about `scale`, in the mean's unit. Two-sided normal mixture, asymptotic as
    `sequential.beyond` is. Sources: Robbins (1970); Howard, Ramdas, McAuliffe and Sekhon (2021),
    section 3.2.
    """
    known = np.maximum(variance, 1e-300)
    information = scale**2 / known
    width = (1 + 1 / np.maximum(information, 1e-300)) * (np.log1p(information) - 2 * np.log(level))
    found: Array = np.where(np.isinf(variance), np.inf, np.sqrt(known * width))
    return found


def clustered(sums: Array, many: Array) -> tuple[Array, Array]:
    """A mean and its variance from sums and numbers by block, the last axis.

    The variance is infinite with fewer than two blocks. Source: Cochran (1977), section 6.3.
    """
    whole, seen = np.maximum(many.sum(axis=-1), 1e-12), (many > 0).sum(axis=-1)
    mean = sums.sum(axis=-1) / whole
    off = ((sums - mean[..., np.newaxis] * many) ** 2).sum(axis=-1)
    variance = off * seen / np.maximum(seen - 1, 1) / whole**2
    return mean, np.where(seen > 1, variance, np.inf)
