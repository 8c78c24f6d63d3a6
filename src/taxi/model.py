"""The model: LightGBM on trips, with a trivial baseline, saved as plain files."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from preflight import boosting
from preflight.files import read_json, write_json
from preflight.project import Columns
from taxi.params import Model as ModelParams

Matrix = NDArray[np.float64]

BASELINE_COLUMN = "trip_distance"
BASELINE_GROUPS = 20
NOT_PARAMETERS = {"features", "rounds"}


@dataclass(frozen=True)
class Baseline:
    """Mean target by groups of equal size of the planned distance: what must be beaten."""

    edges: tuple[float, ...]
    means: tuple[float, ...]

    @classmethod
    def fit(cls, distance: Matrix, target: Matrix) -> "Baseline":
        """Fit on arrays of shape (rows,)."""
        cuts = np.quantile(distance, np.arange(1, BASELINE_GROUPS) / BASELINE_GROUPS)
        edges = np.unique(cuts)
        group = np.searchsorted(edges, distance)
        overall = float(target.mean())
        means = [
            float(target[group == k].mean()) if (group == k).any() else overall
            for k in range(len(edges) + 1)
        ]
        return cls(tuple(edges.tolist()), tuple(means))

    def predict(self, distance: Matrix) -> Matrix:
        """Predictions of shape (rows,) from distances in miles."""
        return np.array(self.means)[np.searchsorted(np.array(self.edges), distance)]


class TripModel:
    """A fitted booster and its baseline over the same feature matrix."""

    def __init__(self, booster: Any, features: tuple[str, ...], baseline: Baseline) -> None:
        self.features = features
        self._booster, self._baseline = booster, baseline

    @cached_property
    def _one_row(self) -> Callable[[Sequence[float]], float]:
        return boosting.one_row(self._booster, len(self.features))

    def predict(self, matrix: Matrix) -> Matrix:
        """Minutes, shape (rows,)."""
        found: Matrix = self._output(matrix)
        return found

    def _output(self, matrix: Matrix) -> Matrix:
        if len(matrix) == 1:
            return np.array([self._one_row(matrix[0].tolist())])
        found: Matrix = self._booster.predict(matrix, num_threads=1)
        return found

    def baseline(self, columns: Columns) -> Matrix:
        """The baseline's minutes, shape (rows,)."""
        return self._baseline.predict(columns[BASELINE_COLUMN])

    def contributions(self, matrix: Matrix) -> Matrix:
        """Exact additive shares in minutes, shape (rows, features + 1); the last is the mean.

        Source: Lundberg et al. (2020), TreeSHAP, as LightGBM's pred_contrib computes it.
        """
        found: Matrix = self._booster.predict(matrix, pred_contrib=True, num_threads=1)
        return found

    def complexity(self) -> dict[str, int]:
        """How many trees."""
        return {"trees": self._booster.num_trees()}

    def save(self, folder: Path) -> None:
        """Write the booster as text and the rest as JSON."""
        (folder / "booster.txt").write_text(self._booster.model_to_string(), encoding="utf-8")
        write_json(folder / "features.json", list(self.features))
        write_json(
            folder / "baseline.json",
            {"edges": self._baseline.edges, "means": self._baseline.means},
        )


def feature_names(params: ModelParams) -> tuple[str, ...]:
    """The features that the parameters choose."""
    return tuple(params.features)


def fit(
    matrix: Matrix,
    columns: Columns,
    target: Matrix,
    categorical: list[int],
    params: ModelParams,
) -> TripModel:
    """Fit on a matrix of shape (rows, features); equal input gives equal bytes."""
    lightgbm = boosting.lightgbm()
    chosen = params.model_dump(exclude=NOT_PARAMETERS) | {
        "objective": "regression",
        "deterministic": True,
        "force_col_wise": True,
        "verbose": -1,
    }
    data = lightgbm.Dataset(matrix, target, categorical_feature=categorical)
    booster = lightgbm.train(chosen, data, params.rounds)
    baseline = Baseline.fit(columns[BASELINE_COLUMN], target)
    return TripModel(booster, feature_names(params), baseline)


def load(folder: Path) -> TripModel:
    """The model that `save` wrote."""
    baseline = read_json(folder / "baseline.json")
    booster = boosting.lightgbm().Booster(model_file=str(folder / "booster.txt"))
    return TripModel(
        booster,
        tuple(read_json(folder / "features.json")),
        Baseline(tuple(baseline["edges"]), tuple(baseline["means"])),
    )
