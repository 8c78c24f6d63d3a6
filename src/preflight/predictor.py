"""A packaged model folder: plain files, a manifest of their hashes, and answers."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from preflight import project as seam
from preflight.conformal import Interval
from preflight.contract import Contract
from preflight.errors import Problem
from preflight.files import read_json, sha256, write_json
from preflight.guards import FILE, Guards
from preflight.joint import Joint
from preflight.project import Columns
from preflight.ranges import Ranges

MANIFEST = "manifest.json"
LOOKUP = "lookup.csv"


@dataclass(frozen=True)
class Answers:
    """Predictions of shape (rows,) with interval ends, and the values unseen in training.

    `outside` has shape (rows, features); the ends are None for a model without calibration.
    `invalid` marks rows whose output was no number within the target's range, `odd` those
    over the joint score's limit, `wide` those whose interval is wider than its limit.
    """

    value: NDArray[np.float64]
    lower: NDArray[np.float64] | None
    upper: NDArray[np.float64] | None
    outside: NDArray[np.bool_]
    invalid: NDArray[np.bool_]
    odd: NDArray[np.bool_]
    wide: NDArray[np.bool_]


@dataclass(frozen=True)
class One:
    """One row's answer as plain numbers; `outside` holds the positions of unseen features."""

    value: float
    lower: float | None
    upper: float | None
    outside: list[int]
    invalid: bool
    odd: bool
    wide: bool


class Predictor:
    """Everything that turns columns into answers, loaded from one verified folder."""

    def __init__(self, folder: Path) -> None:
        """Load a folder that `pack` sealed; raises Problem when a byte of it has changed."""
        manifest = verify(folder)
        self.project: str = manifest["project"]
        self.contract: Contract = seam.contract(self.project)
        if self.contract.hash != manifest["contract"]:
            raise Problem(
                str(folder),
                "a model of another contract",
                f"contract {self.contract.hash[:12]}",
                "Run `make repro` so that model and contract are of one commit.",
            )
        self.model_hash = sha256(folder / MANIFEST)
        self._features = seam.features(self.project)
        self.lookup = self._features.read_lookup(folder / LOOKUP)
        self.model = seam.model(self.project).load(folder)
        self.ranges = Ranges(read_json(folder / "ranges.json"))
        interval = read_json(folder / "interval.json")
        self.interval = Interval.from_dict(interval) if interval else None
        guards = Guards.load(folder)
        self.joint = Joint.load(folder)
        self.joint_limit, self.max_width = guards.joint_limit, guards.max_width
        self.refused = [self.model.features.index(name) for name in guards.refuse]
        target = self.contract.target
        self.ends = float(target.minimum), float(target.maximum)  # type: ignore[arg-type]

    def matrix(self, columns: Columns) -> NDArray[np.float64]:
        """The model's features: shape (rows, features)."""
        return self._features.compute(columns, self.lookup, self.model.features)

    def slices(self, columns: Columns) -> dict[str, NDArray[Any]]:
        """Labels by the contract's slice names."""
        return self._features.slices(columns, self.lookup, self.contract.slices)

    def answer(self, columns: Columns) -> Answers:
        """Answers for columns that keep the contract; values are kept within the target's range."""
        matrix = self.matrix(columns)
        predicted = self.model.predict(matrix)
        least, most = self.ends
        lower, upper, wide = None, None, np.zeros(len(matrix), dtype=bool)
        if self.interval is not None:
            lower, upper = self.interval.bounds(predicted, least, most)
            wide = upper - lower > self.max_width
        return Answers(
            np.clip(predicted, least, most),
            lower,
            upper,
            self.ranges.outside(matrix),
            ~((predicted >= least) & (predicted <= most)),
            self.score(matrix) > self.joint_limit,
            wide,
        )

    def score(self, matrix: NDArray[np.float64]) -> NDArray[np.float64]:
        """How odd rows of features are, their values taken together: shape (rows,)."""
        return self.joint.score(matrix)

    def one(self, columns: Columns) -> One:
        """What `answer` says of a single row, in a third of the time."""
        matrix = self.matrix(columns)
        predicted: float = self.model.predict(matrix).item()
        least, most = self.ends
        row: list[float] = matrix[0].tolist()
        lower, upper, wide = None, None, False
        if self.interval is not None:
            lower, upper = self.interval.one(predicted, least, most)
            wide = upper - lower > self.max_width
        return One(
            min(max(predicted, least), most),
            lower,
            upper,
            self.ranges.one(row),
            not least <= predicted <= most,
            self.joint.one(row) > self.joint_limit,
            wide,
        )

    def given(self, columns: Columns, found: Answers | None = None) -> NDArray[np.float64]:
        """Values as the service gives them: the baseline's where the output is invalid."""
        found = found or self.answer(columns)
        return np.where(found.invalid, self.model.baseline(columns), found.value)


def require_finite(value: NDArray[np.float64], columns: Columns) -> None:
    """Refuse predictions that are no numbers; Problem names the values that their rows share."""
    odd = ~np.isfinite(value)
    if odd.any():
        shared = {name: np.unique(values[odd]) for name, values in columns.items()}
        alone = [f"{name} {values[0]}" for name, values in shared.items() if len(values) == 1]
        where = f", all with {', '.join(alone)}" if alone else ""
        raise Problem(
            "the model's predictions",
            f"{int(odd.sum())} of {len(value)} that are NaN or infinite{where}",
            "finite numbers",
            "Mend the model, or the features of these rows.",
        )


def pack(folder: Path, project: str) -> None:
    """Seal a folder: the contract, and a manifest of every file's hash and the guards' limits."""
    contract = seam.contract(project)
    write_json(folder / "contract.json", contract.as_dict())
    files = {path.name: sha256(path) for path in sorted(folder.iterdir())}
    write_json(
        folder / MANIFEST,
        {
            "format": 1,
            "project": project,
            "contract": contract.hash,
            "files": files,
            "guards": read_json(folder / FILE)["limits"],
        },
    )


def verify(folder: Path) -> dict[str, Any]:
    """The manifest of an unchanged folder; raises Problem that names the changed file."""
    if not (folder / MANIFEST).is_file():
        raise Problem(str(folder), "no model", "a packaged model", "Bring it with `make restore`.")
    manifest: dict[str, Any] = read_json(folder / MANIFEST)
    found = {path.name for path in folder.iterdir()} - {MANIFEST}
    if odd := sorted(found ^ set(manifest["files"])):
        raise Problem(
            str(folder / odd[0]),
            "a file too many or missing",
            "the files of the manifest",
            "Bring the model back with `make restore`.",
        )
    for name, expected in manifest["files"].items():
        if (got := sha256(folder / name)) != expected:
            raise Problem(
                str(folder / name),
                f"hash {got[:12]}",
                f"{expected[:12]}, as the manifest says",
                "The file was changed; bring the model back with `make restore`.",
            )
    return manifest
