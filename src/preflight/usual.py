"""What a row's codes lead one to expect of one of its numbers, and how well they are known."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from preflight import boosting
from preflight.files import read_json, write_json

Matrix = NDArray[np.float64]
Keys = NDArray[np.int64]

FOLDS = 4
SHRINK = 3.0  # rows' worth of doubt about the mean of a combination
MOST_GUESSES = 50_000  # kept of combinations that training did not have
MOST_KEYS = 2**53  # whole numbers that a float holds
ROUNDS = 200
PARAMETERS = boosting.REPEATABLE | {
    "objective": "regression",
    "num_leaves": 31,
    "learning_rate": 0.15,
    "min_data_per_group": 5,
    "max_cat_threshold": 64,
    "cat_smooth": 5.0,
    "cat_l2": 2.0,
    "seed": 1,
}
FEWEST_VALUES = 10  # of what is a number; fewer are rather a code
LEAST_TOLD = 0.02  # of a number's variance by a code
TABLE = np.dtype([("key", "<i8"), ("usual", "<f8"), ("rows", "<f8")])


@dataclass(frozen=True)
class Place:
    """Which number is expected from which codes: positions in the feature matrix.

    A combination of codes is one key: the sum of each code, or its end where it is none below that
    (larger, negative or NaN), times its stride; training saw no such code. A number that is
    `positive` is taken on the logarithmic scale.
    """

    number: int
    positive: bool
    codes: tuple[int, ...]
    ends: tuple[int, ...]
    strides: tuple[int, ...]

    def known(self, matrix: Matrix) -> Matrix:
        """Codes of rows as far as training had such, shape (rows, codes)."""
        codes = matrix[:, self.codes]
        return np.where((codes >= 0) & (codes < self.ends), codes, self.ends)

    def keys(self, matrix: Matrix) -> Keys:
        """Keys of rows, shape (rows,)."""
        found: Keys = (self.known(matrix) @ np.array(self.strides, dtype=float)).astype(np.int64)
        return found

    def scaled(self, matrix: Matrix) -> Matrix:
        """The number on its scale, shape (rows,)."""
        values = matrix[:, self.number]
        return np.log(values) if self.positive else values

    def gap(self, value: Any, usual: Any) -> Any:
        """How far values lie from the usual ones: a ratio, or a difference."""
        return value / usual if self.positive else value - usual

    def plain(self, scaled: Matrix) -> Matrix:
        """Scaled numbers as they were."""
        return np.exp(scaled) if self.positive else scaled


def placed(matrix: Matrix, categorical: Sequence[int]) -> Place | None:
    """The number that a code tells most about, or None where no code tells of any."""
    told = {
        number: max((_told(matrix, number, code) for code in categorical), default=0.0)
        for number in range(matrix.shape[1])
        if number not in categorical and len(np.unique(matrix[:, number])) > FEWEST_VALUES
    }
    number = max(told, key=lambda each: told[each], default=None)
    if number is None or told[number] < LEAST_TOLD:
        return None
    ends = {code: int(matrix[:, code].max()) + 1 for code in categorical}
    codes, strides, product = [], [], 1
    for code in sorted(ends, key=lambda each: -ends[each]):
        if product * (ends[code] + 1) <= MOST_KEYS:
            codes.append(code)
            strides.append(product)
            product *= ends[code] + 1
    positive = bool((matrix[:, number] > 0).all())
    return Place(
        number, positive, tuple(codes), tuple(ends[code] for code in codes), tuple(strides)
    )


def _told(matrix: Matrix, number: int, code: int) -> float:
    """Share of a number's variance between a code's groups, adjusted for how many there are."""
    values = matrix[:, number]
    _, group, counts = np.unique(matrix[:, code], return_inverse=True, return_counts=True)
    within = float(((values - (np.bincount(group, values) / counts)[group]) ** 2).sum())
    freedom = max(len(values) - len(counts), 1) / max(len(values) - 1, 1)
    total = float(((values - values.mean()) ** 2).sum())
    return 1 - within / total / freedom if total else 0.0


class Known:
    """Rows of each combination of codes, and the sum of what a first guess left over of each."""

    def __init__(self, keys: Keys, left: Matrix) -> None:
        self.keys, inverse, counts = np.unique(keys, return_inverse=True, return_counts=True)
        self.rows, self.sums = counts.astype(float), np.bincount(inverse, left)

    def at(self, keys: Keys) -> tuple[Matrix, Matrix]:
        """Rows and sums by key, shape (rows,) each; nothing where a key was not seen."""
        place = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        seen = self.keys[place] == keys
        return np.where(seen, self.rows[place], 0.0), np.where(seen, self.sums[place], 0.0)


class Usual:
    """A number's usual value by combination of codes: a table, and a booster for the others."""

    def __init__(self, place: Place, table: NDArray[Any], booster: Any) -> None:
        self.place, self._table, self._booster = place, table, booster
        pairs = zip(table["usual"].tolist(), table["rows"].tolist(), strict=True)
        self._at: dict[int, tuple[float, float]] = dict(
            zip(table["key"].tolist(), pairs, strict=True)
        )
        self._most = len(self._at) + MOST_GUESSES
        self._terms = tuple(zip(place.codes, place.ends, place.strides, strict=True))
        self._ask = boosting.one_row(booster, len(place.codes))

    def of(self, matrix: Matrix) -> tuple[Matrix, Matrix]:
        """The usual value and the training rows that support it, shape (rows,) each."""
        keys = self.place.keys(matrix)
        position = np.minimum(np.searchsorted(self._table["key"], keys), len(self._table) - 1)
        found = self._table[position]
        usual, rows, new = found["usual"], found["rows"], found["key"] != keys
        if new.any():
            usual[new], rows[new] = self._guess(matrix[new]), 0.0
        return usual, rows

    def one(self, row: Sequence[float]) -> tuple[float, float]:
        """What `of` says of one row of plain numbers."""
        key, codes = 0.0, []
        for position, end, stride in self._terms:
            code = row[position]
            codes.append(code if 0 <= code < end else end)
            key += codes[-1] * stride
        found = self._at.get(int(key))
        if found is None:
            guess = np.array([self._ask(codes)])
            found = float(self.place.plain(guess)[0]), 0.0
            if len(self._at) < self._most:
                self._at[int(key)] = found
        return found

    def _guess(self, matrix: Matrix) -> Matrix:
        return self.place.plain(_predicted(self._booster, self.place, matrix))

    def save(self, folder: Path) -> None:
        """Write usual.json, usual.npy and usual.txt."""
        place = self.place
        write_json(folder / "usual.json", place.__dict__)
        buffer = io.BytesIO()
        np.save(buffer, self._table, allow_pickle=False)
        (folder / "usual.npy").write_bytes(buffer.getvalue())
        (folder / "usual.txt").write_text(boosting.plain(self._booster), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "Usual":
        """What `save` wrote."""
        plain = read_json(folder / "usual.json")
        lists = (tuple(plain[name]) for name in ("codes", "ends", "strides"))
        place = Place(plain["number"], plain["positive"], *lists)
        booster = boosting.lightgbm().Booster(model_file=str(folder / "usual.txt"))
        return cls(place, np.load(folder / "usual.npy", allow_pickle=False), booster)


class Crossed:
    """Usual values as rows that the guess was not fitted on would get them.

    Rows are in folds; a row's guess comes from the other folds, its support from the other rows.
    """

    def __init__(self, matrix: Matrix, place: Place, random: np.random.Generator) -> None:
        self.place = place
        self._fold = random.permutation(len(matrix)) % FOLDS
        self._boosters = [_fitted(place, matrix[self._fold != fold]) for fold in range(FOLDS)]
        self._keys, self._left = place.keys(matrix), np.empty(0)
        self._left = place.scaled(matrix) - self._guess(matrix)
        self._known = Known(self._keys, self._left)
        self._whole = _fitted(place, matrix)

    def of(self, matrix: Matrix) -> tuple[Matrix, Matrix]:
        """As `Usual.of`, for the fitted rows or for as many changed ones, in their order."""
        keys = self.place.keys(matrix)
        rows, sums = self._known.at(keys)
        own = keys == self._keys
        rows, sums = rows - own, sums - own * self._left
        return self.place.plain(self._guess(matrix) + sums / (rows + SHRINK)), rows

    def whole(self) -> Usual:
        """The usual values from all rows."""
        known = self._known
        table = np.zeros(len(known.keys), dtype=TABLE)
        codes = _codes_of(known.keys, self.place)
        guess = self._whole.predict(codes, num_threads=1)
        table["key"], table["rows"] = known.keys, known.rows
        table["usual"] = self.place.plain(guess + known.sums / (known.rows + SHRINK))
        return Usual(self.place, table, self._whole)

    def _guess(self, matrix: Matrix) -> Matrix:
        found = np.empty(len(matrix))
        for fold, booster in enumerate(self._boosters):
            mine = self._fold == fold
            found[mine] = _predicted(booster, self.place, matrix[mine])
        return found


def _codes_of(keys: Keys, place: Place) -> Matrix:
    """The codes behind keys: shape (keys, codes)."""
    left, columns = keys.copy(), []
    for stride in reversed(place.strides):  # the largest first
        columns.append(left // stride)
        left = left % stride
    return np.column_stack(columns[::-1]).astype(float)


def _fitted(place: Place, matrix: Matrix) -> Any:
    library = boosting.lightgbm()
    data = library.Dataset(
        matrix[:, place.codes],
        place.scaled(matrix),
        categorical_feature=list(range(len(place.codes))),
    )
    return library.train(PARAMETERS, data, ROUNDS)


def _predicted(booster: Any, place: Place, matrix: Matrix) -> Matrix:
    """The guess for rows; each combination of codes is asked for once."""
    _, first, inverse = np.unique(place.keys(matrix), return_index=True, return_inverse=True)
    found: Matrix = booster.predict(place.known(matrix[first]), num_threads=1)[inverse]
    return found
