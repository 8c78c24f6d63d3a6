"""How odd a row is though each of its values is usual: a density ratio, learnt by telling apart.

Training rows are told from copies of them whose values do not belong together. The log odds of
being such a copy is the score. Source: Hastie, Tibshirani, Friedman (2009), section 14.2.4.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from preflight import boosting
from preflight.contract import Column
from preflight.errors import Problem
from preflight.files import read_json, write_json
from preflight.project import Columns
from preflight.usual import Crossed, Usual, placed

Matrix = NDArray[np.float64]
Compute = Callable[[Columns], Matrix]

MOST_ROWS = 200_000  # fitted on; more are sampled
MANY_CODES = 32  # a code with more is seen through what is usual for it
TAILS = 0.001  # of a number, left out of its even draws
SEED = 1
ROUNDS = 40
PARAMETERS = boosting.REPEATABLE | {
    "objective": "binary",
    "num_leaves": 31,
    "learning_rate": 0.2,
    "min_data_in_leaf": 300,
    "lambda_l2": 5.0,
    "seed": SEED,
}


class Joint:
    """The fitted score over a feature matrix; a higher one is odder."""

    def __init__(self, kept: tuple[int, ...], usual: Usual | None, booster: Any) -> None:
        self._kept, self._usual, self._booster = kept, usual, booster
        self._width = len(kept) + (3 if usual else 0)
        self._ask = boosting.one_row(booster, self._width, boosting.RAW)

    @classmethod
    def fit(
        cls, columns: Columns, known: Sequence[Column], compute: Compute, categorical: list[int]
    ) -> "Joint":
        """Fit on training rows' known columns; `compute` gives their features.

        `categorical` are positions of codes among the features. Equal input gives equal bytes.
        """
        random = np.random.default_rng(SEED)
        columns = _sampled(columns, random)
        matrix = compute(columns)
        place = placed(matrix, categorical)
        crossed = Crossed(matrix, place, random) if place else None
        many = [code for code in categorical if len(np.unique(matrix[:, code])) > MANY_CODES]
        kept = tuple(each for each in range(matrix.shape[1]) if not (crossed and each in many))
        parts = [_seen(matrix, kept, crossed)]
        parts += [_seen(compute(copy), kept, crossed) for copy in _copies(columns, known, random)]
        mixed = np.repeat([0.0, 1.0], [len(matrix), len(matrix) * (len(parts) - 1)])
        codes = [place for place, each in enumerate(kept) if each in categorical]
        library = boosting.lightgbm()
        data = library.Dataset(np.concatenate(parts), mixed, categorical_feature=codes)
        booster = library.train(PARAMETERS, data, ROUNDS)
        return cls(kept, crossed.whole() if crossed else None, booster)

    def score(self, matrix: Matrix) -> Matrix:
        """Scores of shape (rows,)."""
        seen = _seen(matrix, self._kept, self._usual)
        found: Matrix = self._booster.predict(seen, raw_score=True, num_threads=1)
        return found

    def one(self, row: Sequence[float]) -> float:
        """What `score` says of one row of plain numbers."""
        values = [row[position] for position in self._kept]
        if self._usual:
            usual, rows = self._usual.one(row)
            values += (usual, self._usual.place.gap(row[self._usual.place.number], usual), rows)
        return self._ask(values)

    def save(self, folder: Path) -> None:
        """Write joint.json and joint.txt, and the usual values' files."""
        write_json(folder / "joint.json", {"kept": self._kept, "usual": self._usual is not None})
        (folder / "joint.txt").write_text(boosting.plain(self._booster), encoding="utf-8")
        if self._usual:
            self._usual.save(folder)

    @classmethod
    def load(cls, folder: Path) -> "Joint":
        """What `save` wrote; raises Problem where there is none."""
        if not (folder / "joint.json").is_file():
            raise Problem(
                str(folder / "joint.json"),
                "no joint score",
                "a model packaged with its guards",
                "Run `make repro`.",
            )
        plain = read_json(folder / "joint.json")
        booster = boosting.lightgbm().Booster(model_file=str(folder / "joint.txt"))
        return cls(tuple(plain["kept"]), Usual.load(folder) if plain["usual"] else None, booster)


def shuffled(
    columns: Columns, names: Sequence[str], random: np.random.Generator
) -> dict[str, NDArray[Any]]:
    """Columns of which the named ones are permuted, each by itself."""
    return {
        name: values[random.permutation(len(values))] if name in names else values
        for name, values in columns.items()
    }


def _copies(
    columns: Columns, known: Sequence[Column], random: np.random.Generator
) -> Iterator[Columns]:
    """The rows with values that do not belong together.

    Numbers alone are permuted or drawn evenly, the more often so, or all columns are permuted.
    """
    names = [column.name for column in known]
    numbers = [column.name for column in known if column.kind == "number"]
    if not numbers:
        yield shuffled(columns, names, random)
        return
    yield shuffled(columns, numbers, random)
    yield _even(columns, numbers, random)
    yield _even(columns, numbers, random)
    yield shuffled(columns, names, random)
    yield _even(shuffled(columns, names, random), numbers, random)


def _even(columns: Columns, numbers: Sequence[str], random: np.random.Generator) -> Columns:
    """Columns with numbers drawn evenly from their range, on a logarithmic scale where positive."""
    drawn = dict(columns)
    for name in numbers:
        low, high = np.quantile(columns[name], (TAILS, 1 - TAILS))
        rows = len(columns[name])
        if low > 0:
            drawn[name] = np.exp(random.uniform(np.log(low), np.log(high), rows))
        else:
            drawn[name] = random.uniform(low, high, rows)
    return drawn


def _seen(matrix: Matrix, kept: Sequence[int], usual: Usual | Crossed | None) -> Matrix:
    """What the score sees of rows: features, the usual value, the gap to it and its support."""
    features = matrix[:, kept]
    if usual is None:
        return features
    value, rows = usual.of(matrix)
    gap = usual.place.gap(matrix[:, usual.place.number], value)
    return np.column_stack([features, value, gap, rows])


def _sampled(columns: Columns, random: np.random.Generator) -> Columns:
    rows = len(next(iter(columns.values())))
    if rows <= MOST_ROWS:
        return columns
    chosen = np.sort(random.choice(rows, MOST_ROWS, replace=False))
    return {name: values[chosen] for name, values in columns.items()}
