"""The slices of a table: the contract's, their pairs, codes, parts of a number, hours and days."""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from itertools import combinations, pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from preflight.contract import Contract

Labels = NDArray[np.str_]
PARTS = 10
PAIR = "\x1f"  # between two names, and between their labels


class Slices:
    """Slices with enough rows, with sums over each at once."""

    def __init__(self, dimensions: Mapping[str, Labels], least: int) -> None:
        """`dimensions` are labels of shape (rows,) by name; a slice is NAME=LABEL."""
        self._groups: list[tuple[NDArray[np.int64], NDArray[np.int64], list[str]]] = []
        self.names: list[str] = []
        sizes: list[int] = []
        self.small: dict[str, int] = {}
        for name, labels in dimensions.items():
            kinds, codes, counts = np.unique(labels, return_inverse=True, return_counts=True)
            kept = np.flatnonzero(counts >= least)
            names = [_named(name, kind) for kind in kinds.tolist()]
            self._groups.append((codes, kept, names))
            self.names += [names[place] for place in kept]
            sizes += counts[kept].tolist()
            small = np.flatnonzero(counts < least)
            self.small |= {names[place]: int(counts[place]) for place in small}
        self.rows = np.array(sizes, dtype=np.int64)

    def __len__(self) -> int:
        return len(self.names)

    def means(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Means of `values`, shape (rows,), in each slice: shape (slices,)."""
        if not len(self):
            return np.empty(0)
        parts = [
            np.bincount(codes, values, minlength=len(names))[kept]
            for codes, kept, names in self._groups
        ]
        found: NDArray[np.float64] = np.concatenate(parts) / self.rows
        return found

    def covered(self, patterns: Sequence[str]) -> NDArray[np.bool_]:
        """Rows of the slices, small ones too, whose names fit one of the patterns: (rows,)."""
        found = np.zeros(len(self._groups[0][0]) if self._groups else 0, dtype=bool)
        for codes, _, names in self._groups:
            hit = [any(fnmatchcase(name, pattern) for pattern in patterns) for name in names]
            found |= np.array(hit, dtype=bool)[codes]
        return found

    def errors(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Standard errors of `means` by the spread of rows."""
        variance = self.means(values**2) - self.means(values) ** 2
        found: NDArray[np.float64] = np.sqrt(np.maximum(variance, 0) / self.rows)
        return found


def _named(name: str, label: str) -> str:
    parts = (
        zip(name.split(PAIR), label.split(PAIR), strict=True) if PAIR in name else [(name, label)]
    )
    return ", ".join(f"{one}={value}" for one, value in parts)[:120]


def counts(labels: Mapping[str, Labels]) -> dict[str, int]:
    """Rows by slice, NAME=LABEL, whatever their number."""
    found: dict[str, int] = {}
    for name, values in labels.items():
        kinds, rows = np.unique(values, return_counts=True)
        found |= {
            _named(name, kind): n for kind, n in zip(kinds.tolist(), rows.tolist(), strict=True)
        }
    return found


def dimensions(
    contract: Contract, columns: Mapping[str, NDArray[Any]], labels: Mapping[str, Labels]
) -> dict[str, Labels]:
    """Everything that rows are sliced by: `labels` are the contract's slices, one a row."""
    found = dict(labels)
    for one, other in combinations(labels, 2):
        found[f"{one}{PAIR}{other}"] = np.char.add(np.char.add(labels[one], PAIR), labels[other])
    for column in contract.known:
        if column.sensitive:
            continue
        values = columns[column.name]
        if column.kind == "time":
            found |= _times(column.name, values)
        elif column.kind == "number":
            found[column.name] = _parts(values)
        else:
            found[column.name] = values.astype(str)
    return found


def _times(name: str, values: NDArray[Any]) -> dict[str, Labels]:
    days = values.astype("datetime64[D]")
    hours = (values.astype("datetime64[h]") - days).astype(np.int64)
    weekdays = np.array(("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"))
    # 1970-01-01 was a Thursday.
    return {
        f"hour of {name}": np.char.zfill(hours.astype(str), 2),
        f"weekday of {name}": weekdays[(days.astype(np.int64) + 3) % 7],
    }


def _parts(values: NDArray[np.float64]) -> Labels:
    """Parts of equal size by value, labelled with their ends."""
    edges = np.unique(np.quantile(values, np.arange(1, PARTS) / PARTS))
    ends = [float(values.min()), *edges.tolist(), float(values.max())]
    # Two ends may look the same; their numbers keep the parts apart, and in order.
    spans = enumerate(pairwise(ends), 1)
    names = [f"{low:.3g} to {high:.3g} (part {number})" for number, (low, high) in spans]
    found: Labels = np.array(names)[np.searchsorted(edges, values)]
    return found
