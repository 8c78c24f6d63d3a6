"""The statistics of the gates: paired ratios, distances of samples, noise of slices."""

from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
RESAMPLES = 400
SURE = 0.01  # chance that any of several intervals misses its value


@dataclass(frozen=True)
class Estimate:
    """A figure with the ends of its 95% interval."""

    value: float
    low: float
    high: float

    @property
    def ends(self) -> tuple[float, float]:
        """Both ends."""
        return self.low, self.high


def paired_ratio(ours: Array, theirs: Array, *, root: bool, seed: int = 1) -> Estimate:
    """Ratio of two means over the same rows, shape (rows,); with `root` of their square roots.

    Source: Efron (1979), percentile bootstrap; whole rows are drawn, so what both share cancels.
    """
    random = np.random.default_rng(seed)
    rows = len(ours)
    stacked = np.column_stack([ours, theirs])
    means = np.empty((RESAMPLES, 2))
    for number in range(RESAMPLES):
        counts = np.bincount(random.integers(0, rows, rows), minlength=rows)
        means[number] = counts @ stacked
    ratios = _ratio(means, root=root)
    # Sorted places instead of np.quantile, which makes NaN of two infinite neighbours.
    low, high = np.sort(ratios)[[int(0.025 * RESAMPLES), int(0.975 * RESAMPLES) - 1]]
    value = _ratio(stacked.mean(axis=0, keepdims=True), root=root)[0]
    return Estimate(float(value), float(low), float(high))


def _ratio(means: Array, *, root: bool) -> Array:
    # A champion without any error leaves nothing to be better than.
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = means[:, 0] / means[:, 1]
    ratio = np.where(means[:, 1] > 0, ratio, np.where(means[:, 0] > 0, np.inf, 1.0))
    found: Array = np.sqrt(ratio) if root else ratio
    return found


def critical(count: int) -> float:
    """The normal quantile for `count` two-sided intervals that all hold but with chance SURE.

    Source: Bonferroni.
    """
    return NormalDist().inv_cdf(1 - SURE / (2 * max(count, 1)))


def kolmogorov_smirnov(one: Array, other: Array, *, chance: bool = True) -> float:
    """Largest distance of two empirical distribution functions.

    With `chance` it is less what two samples of one distribution reach with probability 1%:
    1.63 sqrt((n + m) / (n m)). Source: Smirnov (1948).
    """
    grid = np.concatenate([one, other])
    grid.sort()
    steps = [
        np.searchsorted(np.sort(each), grid, side="right") / len(each) for each in (one, other)
    ]
    found = float(np.abs(steps[0] - steps[1]).max())
    allowed = 1.63 * sqrt(1 / len(one) + 1 / len(other)) if chance else 0.0
    return max(0.0, found - allowed)


def total_variation(
    one: NDArray[np.str_], other: NDArray[np.str_], *, chance: bool = True
) -> float:
    """Share of rows that would have to change label.

    With `chance` it is less what two samples of one distribution are expected to show, half the
    sum of sqrt(2 p (1/n + 1/m) / pi) over labels, with half of itself on top for its spread.
    """
    labels, places = np.unique(np.concatenate([one, other]), return_inverse=True)
    counts = [np.bincount(part, minlength=len(labels)) for part in np.split(places, [len(one)])]
    shares = [count / count.sum() for count in counts]
    pooled = sum(counts) / (len(one) + len(other))
    usual = 0.5 * np.sqrt(2 * pooled * (1 / len(one) + 1 / len(other)) / np.pi).sum()
    found = float(0.5 * np.abs(shares[0] - shares[1]).sum())
    return max(0.0, found - 1.5 * float(usual)) if chance else found


def pooled_deviation(values: Array, rows: NDArray[np.int64]) -> Array:
    """Standard deviations over repeats of slice means, shape (repeats, slices) -> (slices,).

    With few repeats a slice's own variance is unsure, so it is drawn toward the one that slices
    of its size have: a line through log variance by log rows. Source: James and Stein (1961) in
    spirit; the weights are the degrees of freedom, twice as many for the line.
    """
    own = values.var(axis=0, ddof=1)
    free = len(values) - 1
    usable = own > 0
    if usable.sum() < 3:
        return np.asarray(np.sqrt(own))
    if len(np.unique(rows[usable])) < 2:  # a line needs two sizes
        usual = np.full(len(own), own.mean())
    else:
        # E[log(chi2_k / k)] is about -1/k - 1/(3 k^2).
        logs = np.log(own[usable]) + 1 / free + 1 / (3 * free * free)
        slope, start = np.polyfit(np.log(rows[usable]), logs, 1)
        usual = np.exp(start + slope * np.log(rows))
    found: Array = np.sqrt((own + 2 * usual) / 3)
    return found
