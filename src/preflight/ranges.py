"""The values each feature had in training, and which rows lie outside them."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]


class Ranges:
    """Seen values in the order of the features: a number's least and most, a code's set."""

    def __init__(self, seen: list[dict[str, Any]]) -> None:
        self.seen = seen
        # Codes are small non-negative integers: a table answers at once.
        self._codes = {
            position: _table(found["values"])
            for position, found in enumerate(seen)
            if "values" in found
        }
        self._holds = [_holds(found) for found in seen]

    @classmethod
    def fit(cls, matrix: Matrix, names: Sequence[str], categorical: Sequence[int]) -> "Ranges":
        """From a training matrix of shape (rows, names)."""
        seen: list[dict[str, Any]] = []
        for position, name in enumerate(names):
            column = matrix[:, position]
            if position in categorical:
                values = np.unique(column).astype(int).tolist()
                seen.append({"feature": name, "values": values})
            else:
                least, most = float(column.min()), float(column.max())
                seen.append({"feature": name, "least": least, "most": most})
        return cls(seen)

    def outside(self, matrix: Matrix) -> NDArray[np.bool_]:
        """Which values training did not see: shape of the matrix."""
        outside = np.zeros(matrix.shape, dtype=bool)
        for position, found in enumerate(self.seen):
            column = matrix[:, position]
            if position in self._codes:
                table = self._codes[position]
                inside = (column >= 0) & (column < len(table))  # no NaN is
                code = np.where(inside, column, len(table) - 1).astype(np.int64)
                outside[:, position] = ~(table[code] & (code == column))
            else:
                outside[:, position] = ~((column >= found["least"]) & (column <= found["most"]))
        return outside

    def one(self, row: Sequence[float]) -> list[int]:
        """Positions of one row's values that training did not see."""
        return [
            position
            for position, (value, holds) in enumerate(zip(row, self._holds, strict=True))
            if not holds(value)
        ]


def _holds(found: dict[str, Any]) -> Callable[[float], bool]:
    if "values" in found:
        return set(map(float, found["values"])).__contains__
    least, most = found["least"], found["most"]
    return lambda value: least <= value <= most


def _table(values: list[int]) -> NDArray[np.bool_]:
    table = np.zeros(max(values) + 2, dtype=bool)
    table[values] = True
    return table
