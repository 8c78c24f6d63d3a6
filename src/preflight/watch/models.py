"""The exact model of a record or of a registered version, by its hash."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from preflight.contract import Contract
from preflight.errors import Problem
from preflight.explanation import Arrays, Facts, facts, workings
from preflight.files import sha256
from preflight.layout import PACKAGED
from preflight.predictor import MANIFEST, Predictor
from preflight.project import Columns

if TYPE_CHECKING:  # one explanation by this tree's model pays for neither
    from preflight.gates.side import Side


class Exact(Protocol):
    """A model that answers logged inputs again: arrays of shape (rows,) by name."""

    @property
    def contract(self) -> Contract:
        """Its contract."""

    @property
    def model_hash(self) -> str:
        """SHA-256 of its manifest."""

    def answers(self, columns: Columns) -> Arrays:
        """Value, lower, upper, baseline, given and invalid, as `Side.predict` gives them."""

    def workings(self, columns: Columns) -> tuple[Facts, Arrays]:
        """What `preflight.explanation.workings` gives."""

    def labels(self, columns: Columns) -> Arrays:
        """The contract's slices that these columns tell, by name."""


class Here:
    """The packaged model of this tree, in this process."""

    def __init__(self, folder: Path) -> None:
        self._model = Predictor(folder)
        self.contract, self.model_hash = self._model.contract, self._model.model_hash

    def answers(self, columns: Columns) -> Arrays:
        """See Exact."""
        from preflight.gates.worker import answers

        return answers(self._model, columns)

    def workings(self, columns: Columns) -> tuple[Facts, Arrays]:
        """See Exact."""
        return facts(self._model), workings(self._model, columns)

    def labels(self, columns: Columns) -> Arrays:
        """See Exact."""
        from preflight.gates.worker import labels

        return labels(self._model, columns)


class Elsewhere:
    """The model of another commit, in a process of its own code."""

    def __init__(self, side: "Side") -> None:
        self._side = side

    @cached_property
    def contract(self) -> Contract:
        """See Exact."""
        return self._side.contract

    @cached_property
    def model_hash(self) -> str:
        """See Exact."""
        return self._side.model_hash

    def answers(self, columns: Columns) -> Arrays:
        """See Exact."""
        return self._side.predict(_frame(columns))

    def workings(self, columns: Columns) -> tuple[Facts, Arrays]:
        """See Exact."""
        known, found = self._side.workings(_frame(columns))
        return Facts(**known), found

    def labels(self, columns: Columns) -> Arrays:
        """See Exact."""
        return self._side.slices(_frame(columns))


def _frame(columns: Columns) -> Any:
    import polars as pl

    return pl.DataFrame(dict(columns))


def current(root: Path) -> Here:
    """The packaged model of the tree `root`; raises Problem when it has none."""
    return Here(root / PACKAGED)


@contextmanager
def exact(root: Path, model_hash: str | None, commit: str | None) -> Iterator[Exact]:
    """The model with this hash: this tree's, or the one of `commit`, brought and checked.

    Raises Problem when the model of that commit has another hash, as a rebuilt one may.
    """
    manifest = root / PACKAGED / MANIFEST
    if manifest.is_file() and sha256(manifest) == model_hash:
        yield current(root)
        return
    if not commit:
        raise Problem(
            f"model {str(model_hash)[:12]}",
            "no commit in its records: it was never registered",
            "this tree's packaged model, or one with a commit",
            "Bring back the tree that served it; release only registered models.",
        )
    from preflight.champion import Champion, bring
    from preflight.gates.side import Side

    place = bring(root, Champion("named", commit))
    assert place.root is not None  # noqa: S101
    with Side(place.root, f"model of commit {commit[:12]}", place.python) as side:
        if side.model_hash != model_hash:
            raise Problem(
                f"the model of commit {commit[:12]}",
                f"hash {side.model_hash[:12]} ({place.origin})",
                f"{str(model_hash)[:12]}, which is wanted",
                "Bring the very bytes from DVC's remote (`make pull`) or the registry.",
            )
        yield Elsewhere(side)


@contextmanager
def of_version(root: Path, version: str | None) -> Iterator[Exact]:
    """The registry's version, or this tree's model for None; see `exact`."""
    if version is None or version == "current":
        yield current(root)
        return
    from preflight import registry

    found = registry.info(root, version)
    with exact(root, found["model_hash"], found["commit"]) as model:
        yield model
