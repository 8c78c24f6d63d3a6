"""Shares with their intervals, and whether one is clearly above another."""

from dataclasses import dataclass
from math import sqrt

SURE = 2.576  # standard errors: an interval of 99%


@dataclass(frozen=True)
class Share:
    """`count` of `whole`, as a share with the ends of its 99% interval. Source: Wilson (1927)."""

    count: int
    whole: int

    @property
    def value(self) -> float:
        """The share; 0 of nothing is 0."""
        return self.count / self.whole if self.whole else 0.0

    @property
    def ends(self) -> tuple[float, float]:
        """Both ends of the interval; of nothing, anything from 0 to 1."""
        if not self.whole:
            return 0.0, 1.0
        weight = SURE**2 / self.whole
        middle = self.value + weight / 2
        half = sqrt(weight * (self.value * (1 - self.value) + weight / 4))
        return max(0.0, (middle - half) / (1 + weight)), min(1.0, (middle + half) / (1 + weight))

    def __str__(self) -> str:
        return f"{self.value:.2%} ({self.count:,} of {self.whole:,})"


def least_growth(now: Share, before: Share) -> float:
    """The lower end of how far a share grew, 99%. Source: Newcombe (1998), method 10."""
    low, high = now.ends[0], before.ends[1]
    grown = now.value - before.value
    return grown - sqrt((now.value - low) ** 2 + (high - before.value) ** 2)


def p95_ends(count: int) -> tuple[float, float]:
    """The ranks, as shares, between which the 95th percentile of `count` values lies, 99%.

    Source: the binomial distribution of how many values lie below it, by its normal limit.
    """
    half = SURE * sqrt(0.95 * 0.05 / max(count, 1))
    return max(0.0, 0.95 - half), min(1.0, 0.95 + half)
