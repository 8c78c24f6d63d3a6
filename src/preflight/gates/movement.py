"""How far predictions moved, and how far training again would have moved them."""

from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from preflight.gates.limits import Differential as Limits
from preflight.gates.slicing import Slices
from preflight.gates.statistics import pooled_deviation

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Movement:
    """Mean movement of predictions and its standard error under training again, by slice too."""

    mean: float
    error: float
    slices: Array
    errors: Array

    @classmethod
    def of(cls, moved: Array, refits: Array, slices: Slices) -> "Movement":
        """Differences of shape (rows,), with the noise that `refits`, (refits, rows), show."""
        # One fit against the mean of k others.
        factor = sqrt(1 + 1 / len(refits))
        repeats = np.array([slices.means(each) for each in refits])
        return cls(
            float(moved.mean()),
            factor * float(refits.mean(axis=1).std(ddof=1)),
            slices.means(moved),
            factor * pooled_deviation(repeats, slices.rows),
        )


def slice_limits(moved: Movement, limits: Limits) -> Array:
    """How far each slice may move: the limit, and the noise of training again on top."""
    return limits.max_slice_shift + limits.max_noise * moved.errors


def moved_share(one: Array, other: Array, distance: float | Array) -> float:
    """Share of rows whose values lie further apart than `distance`."""
    return float((np.abs(one - other) > distance).mean())


def usual_share(refits: Array, distance: float) -> float:
    """The largest share of rows that one refit moves away from the mean of the others."""
    total = refits.sum(axis=0)
    others = ((total - each) / (len(refits) - 1) for each in refits)
    pairs = zip(refits, others, strict=True)
    return max(moved_share(one, other, distance) for one, other in pairs)
