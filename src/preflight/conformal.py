"""Prediction intervals by split conformal calibration, in groups by predicted value."""

from bisect import bisect_left
from dataclasses import asdict, dataclass
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

from preflight.errors import Problem

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """Offsets below and above a prediction, by groups between `edges` of predicted value.

    Within each group both tails hold at most (1 - coverage) / 2 of exchangeable rows.
    Sources: Vovk, Gammerman, Shafer (2005), section 4.5 (Mondrian groups); Romano, Patterson,
    Candès (2019), section 4 (each tail by itself).
    """

    coverage: float
    edges: tuple[float, ...]
    lower: tuple[float, ...]
    upper: tuple[float, ...]

    @classmethod
    def fit(cls, predicted: Array, target: Array, coverage: float, groups: int) -> "Interval":
        """Calibrate on arrays of shape (rows,) that no model was fitted on.

        Raises Problem when a group is too small for its quantile to exist.
        """
        edges = np.unique(np.quantile(predicted, np.arange(1, groups) / groups))
        group = np.searchsorted(edges, predicted)
        residual = target - predicted
        tail = (1 - coverage) / 2
        parts = [residual[group == k] for k in range(len(edges) + 1)]
        return cls(
            coverage,
            tuple(edges.tolist()),
            tuple(-_quantile(-part, tail) for part in parts),
            tuple(_quantile(part, tail) for part in parts),
        )

    def bounds(self, predicted: Array, least: float, most: float) -> tuple[Array, Array]:
        """Lower and upper ends, shape (rows,), kept within [least, most]."""
        group = np.searchsorted(self.edges, predicted)
        lower = predicted + np.array(self.lower)[group]
        upper = predicted + np.array(self.upper)[group]
        return np.clip(lower, least, most), np.clip(upper, least, most)

    def one(self, predicted: float, least: float, most: float) -> tuple[float, float]:
        """The ends of one prediction, as `bounds` gives them."""
        group = bisect_left(self.edges, predicted)
        lower, upper = predicted + self.lower[group], predicted + self.upper[group]
        return min(max(lower, least), most), min(max(upper, least), most)

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON data."""
        return asdict(self)

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> "Interval":
        """The interval that `as_dict` gave."""
        return cls(plain["coverage"], *(tuple(plain[name]) for name in ("edges", "lower", "upper")))


def _quantile(scores: Array, tail: float) -> float:
    """The smallest score that a further exchangeable one exceeds with probability <= tail."""
    # Rounded, because (1 - 0.9) / 2 is a little under 0.05 and would ask for a row too many.
    rank = ceil(round((len(scores) + 1) * (1 - tail), 9))
    if rank > len(scores):
        raise Problem(
            "the calibration rows",
            f"a group of {len(scores)}",
            f"at least {ceil(round(1 / tail, 9)) - 1} in each group",
            "Raise split.calibrate_days, or lower calibrate.groups.",
        )
    return float(np.partition(scores, rank - 1)[rank - 1])
