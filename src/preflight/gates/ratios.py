"""Ratios of times from paired sets: an interval that counts variance between processes."""

from dataclasses import dataclass
from math import ceil, exp, log, sqrt

import numpy as np
from scipy.stats import t as student

from preflight.evidence import Status

LEAST = 3  # sets, or no variance can be told


@dataclass(frozen=True)
class Ratio:
    """A ratio with the ends of its interval, over so many sets of fresh processes.

    `spread` is the standard deviation of a set's log ratio: the noise that more sets average out.
    """

    value: float
    low: float
    high: float
    sets: int
    spread: float
    chance: float

    @property
    def ends(self) -> tuple[float, float]:
        """Both ends."""
        return self.low, self.high

    def at_most(self, most: float) -> Status:
        """pass when the whole interval lies below `most`, fail when above, else no-data."""
        if self.low > most:
            return "fail"
        return "pass" if self.high <= most else "no-data"

    def needed(self, most: float) -> int | None:
        """Sets after which an interval of this spread would leave `most` aside; None: hardly any.

        From the interval's width, sqrt(sets) = t spread / distance, with today's quantile t.
        """
        distance = abs(log(self.value) - log(most))
        z = float(student.ppf(1 - self.chance / 2, max(self.sets - 1, 1)))
        found = ceil((z * self.spread / max(distance, 1e-9)) ** 2)
        return found if found <= 1_000 else None


def ratio(logs: list[float], chance: float = 0.05) -> Ratio:
    """Interval of a mean log ratio, one value a set of processes; misses with `chance`.

    The sets are independent draws of everything that differs between processes, so their own
    variance counts, and not that of the many calls in one. Source: Student (1908).
    """
    if len(logs) < LEAST:
        raise ValueError(f"{len(logs)} sets; at least {LEAST} are needed")
    values = np.asarray(logs, dtype=np.float64)
    spread = float(values.std(ddof=1))
    half = float(student.ppf(1 - chance / 2, len(values) - 1)) * spread / sqrt(len(values))
    mean = float(values.mean())
    return Ratio(exp(mean), exp(mean - half), exp(mean + half), len(values), spread, chance)
