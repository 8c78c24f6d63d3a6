"""The seam: what the machinery asks of a project, a package under src/.

params.yaml names the package. It has the modules `contract`, `params`, `data`, `features`
and `model`, with the members below. Each is imported only where it is used, so that a
pipeline stage depends on no code that it does not run.
"""

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

if TYPE_CHECKING:  # a stage that does not need them does not pay for their import
    import numpy as np
    import polars as pl
    from numpy.typing import NDArray
    from pydantic import BaseModel

    from preflight.contract import Contract
    from preflight.params import Params

Columns = Mapping[str, "NDArray[Any]"]
"""Arrays of equal length by the contract's column names; times are datetime64."""


class DataModule(Protocol):
    """`data`: where rows come from, and what is wrong with a row."""

    def ingest(self, params: "Params", month: str, target: Path) -> None:
        """Write one month in the contract's columns to a Parquet file."""

    def lookup(self, params: "Params", target: Path) -> None:
        """Write the table that enriches requests; bundled with the model."""

    def row_rules(self, month: str) -> "dict[str, pl.Expr]":
        """Rules beyond the contract's, by name: true where a row breaks one."""


class Lookup(Protocol):
    """The bundled table in memory."""


class FeaturesModule(Protocol):
    """`features`: one function for training and serving."""

    def read_lookup(self, path: Path) -> Lookup:
        """The lookup from the file that `data.lookup` wrote."""

    def compute(
        self, columns: Columns, lookup: Lookup, names: Sequence[str]
    ) -> "NDArray[np.float64]":
        """Features by name: shape (rows, names)."""

    def categorical(self, names: Sequence[str]) -> list[int]:
        """Positions of the features whose numbers are codes."""

    def slices(
        self, columns: Columns, lookup: Lookup, names: Sequence[str]
    ) -> "dict[str, NDArray[Any]]":
        """Labels by slice name, one a row."""


class Model(Protocol):
    """A fitted model over a feature matrix, with the trivial baseline it must beat."""

    features: tuple[str, ...]

    def predict(self, matrix: "NDArray[np.float64]") -> "NDArray[np.float64]":
        """Predictions in the target's unit: shape (rows,)."""

    def baseline(self, columns: Columns) -> "NDArray[np.float64]":
        """The baseline's predictions: shape (rows,)."""

    def contributions(self, matrix: "NDArray[np.float64]") -> "NDArray[np.float64]":
        """Exact additive shares: shape (rows, features + 1); rows sum to the prediction."""

    def complexity(self) -> dict[str, int]:
        """Counts that say how large the model is, by name, as `trees`."""

    def save(self, folder: Path) -> None:
        """Write plain files into an existing folder."""


class ModelModule(Protocol):
    """`model`: fitting and loading. Its section of params.yaml has a key `seed`."""

    def feature_names(self, params: Any) -> tuple[str, ...]:
        """The features that the parameters choose."""

    def fit(
        self,
        matrix: "NDArray[np.float64]",
        columns: Columns,
        target: "NDArray[np.float64]",
        categorical: list[int],
        params: Any,
    ) -> Model:
        """Fit on a matrix of shape (rows, features); deterministic for equal input."""

    def load(self, folder: Path) -> Model:
        """The model that `save` wrote."""


def contract(project: str) -> "Contract":
    """The project's data contract."""
    found: Contract = _part(project, "contract").CONTRACT
    return found


def sections(project: str) -> "dict[str, type[BaseModel]]":
    """The project's own sections of params.yaml, by name."""
    part = _part(project, "params")
    if not hasattr(part, "SECTIONS"):
        raise _no_project(project, "params")
    found: dict[str, type[BaseModel]] = part.SECTIONS
    return found


def data(project: str) -> DataModule:
    """The project's data module."""
    return cast(DataModule, _part(project, "data"))


def features(project: str) -> FeaturesModule:
    """The project's features module."""
    return cast(FeaturesModule, _part(project, "features"))


def model(project: str) -> ModelModule:
    """The project's model module."""
    return cast(ModelModule, _part(project, "model"))


def _part(project: str, name: str) -> Any:
    try:
        return import_module(f"{project}.{name}")
    except ModuleNotFoundError as error:
        if error.name not in (project, f"{project}.{name}"):
            raise
        raise _no_project(project, name) from None


def _no_project(project: str, name: str) -> Exception:
    from preflight.errors import Problem

    return Problem(
        "params.yaml: project",
        repr(project),
        f"a package under src/ with a module `{name}` as docs/fork.md describes it",
        "Mend the name, or add the module.",
    )
