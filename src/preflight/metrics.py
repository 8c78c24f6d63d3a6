"""The metrics: the same in training, gates and production."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from preflight.params import Section, Share

Array = NDArray[np.float64]
Metric = dict[str, float | int]


class Floors(Section):
    """What an evaluation must meet before a model is registered."""

    max_rmse: float
    max_baseline_ratio: float
    min_coverage: Share
    max_coverage: Share


@dataclass(frozen=True)
class Scored:
    """Rows with their outcome: arrays of shape (rows,) in the target's unit.

    `lower` and `upper` are None for a model without calibration.
    """

    target: Array
    value: Array
    baseline: Array
    lower: Array | None
    upper: Array | None

    def where(self, mask: NDArray[np.bool_]) -> "Scored":
        """The rows a mask of shape (rows,) keeps."""
        ends = (None if end is None else end[mask] for end in (self.lower, self.upper))
        return Scored(self.target[mask], self.value[mask], self.baseline[mask], *ends)

    def __len__(self) -> int:
        return len(self.target)


def summary(rows: Scored) -> Metric:
    """Error of model and baseline; coverage and mean width of the interval when there is one."""
    error = rows.value - rows.target
    rmse, baseline = _rms(error), _rms(rows.baseline - rows.target)
    found: Metric = {
        "rows": len(rows),
        "rmse": rmse,
        "mae": float(np.abs(error).mean()),
        "bias": float(error.mean()),
        "baseline_rmse": baseline,
        "baseline_ratio": rmse / baseline,
    }
    if rows.lower is not None and rows.upper is not None:
        inside = (rows.target >= rows.lower) & (rows.target <= rows.upper)
        found["coverage"] = float(inside.mean())
        found["width"] = float((rows.upper - rows.lower).mean())
    return found


def with_intervals(rows: Scored, resamples: int, seed: int) -> Metric:
    """`summary` with the ends of 95% bootstrap intervals for rmse, mae and coverage.

    Source: Efron (1979), percentile intervals; whole rows are drawn.
    """
    found = summary(rows)
    per_row: dict[str, tuple[Array, Callable[[float], float]]] = {
        "rmse": ((rows.value - rows.target) ** 2, np.sqrt),
        "mae": (np.abs(rows.value - rows.target), float),
    }
    if rows.lower is not None and rows.upper is not None:
        inside = (rows.target >= rows.lower) & (rows.target <= rows.upper)
        per_row["coverage"] = (inside.astype(float), float)
    stacked = np.column_stack([values for values, _ in per_row.values()])
    random = np.random.default_rng(seed)
    means = np.array([_resampled_mean(stacked, random) for _ in range(resamples)])
    for position, (name, (_, finish)) in enumerate(per_row.items()):
        low, high = np.quantile(means[:, position], (0.025, 0.975))
        found[f"{name}_low"], found[f"{name}_high"] = float(finish(low)), float(finish(high))
    return found


def _resampled_mean(values: Array, random: np.random.Generator) -> Array:
    rows = len(values)
    counts = np.bincount(random.integers(0, rows, rows), minlength=rows)
    mean: Array = counts @ values / rows
    return mean


def _rms(error: Array) -> float:
    return float(np.sqrt(np.mean(error**2)))


@dataclass(frozen=True)
class Line:
    """One limit of an evaluation: the measured value is None when there is no data."""

    name: str
    measured: float | None
    least: float | None = None
    most: float | None = None

    @property
    def status(self) -> str:
        """pass, fail or no-data."""
        if self.measured is None or not np.isfinite(self.measured):
            return "no-data"
        above = self.least is None or self.measured >= self.least
        below = self.most is None or self.measured <= self.most
        return "pass" if above and below else "fail"

    @property
    def limit(self) -> str:
        """The limit in words."""
        ends = [f">= {self.least:g}" if self.least is not None else ""]
        ends += [f"<= {self.most:g}" if self.most is not None else ""]
        return " and ".join(filter(None, ends))


def judged(test: Metric, limits: Floors) -> list[Line]:
    """The evaluation's floors, one line each."""
    coverage = test.get("coverage")
    return [
        Line("rmse", test.get("rmse"), most=limits.max_rmse),
        Line("baseline_ratio", test.get("baseline_ratio"), most=limits.max_baseline_ratio),
        Line("coverage", coverage, limits.min_coverage, limits.max_coverage),
    ]
