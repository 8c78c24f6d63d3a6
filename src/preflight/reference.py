"""The reference set: requests made from the contract alone, so that Git holds no data."""

from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from preflight.contract import Column, Contract
from preflight.predictor import Predictor

TOLERANCE = 1e-6


def columns(contract: Contract, rows: int, seed: int = 1) -> dict[str, NDArray[Any]]:
    """Arrays of shape (rows,) for the columns of a request, within the contract's ranges.

    Numbers lie denser near their minimum, where most real ones do.
    """
    random = np.random.default_rng(seed)
    return {column.name: _values(column, rows, random) for column in contract.known}


def answers(model: Predictor, rows: int) -> dict[str, list[Any]]:
    """All that the service says, and the baseline, on the reference requests, as plain lists."""
    asked = columns(model.contract, rows)
    found = model.answer(asked)
    return {
        "value": found.value.tolist(),
        "lower": [] if found.lower is None else found.lower.tolist(),
        "upper": [] if found.upper is None else found.upper.tolist(),
        "baseline": model.model.baseline(asked).tolist(),
        "outside": found.outside.astype(int).tolist(),
        "odd": found.odd.astype(int).tolist(),
        "wide": found.wide.astype(int).tolist(),
    }


def furthest(one: dict[str, list[Any]], other: dict[str, list[Any]]) -> tuple[str, float]:
    """The answer that moved most between two models, and how far; infinite where one lacks it."""
    moved = {name: float("inf") for name in one.keys() ^ other.keys()}
    for name in one.keys() & other.keys():
        a, b = np.array(one[name], float), np.array(other[name], float)
        if a.shape == b.shape and np.isfinite([a, b]).all():
            moved[name] = float(np.abs(a - b).max(initial=0))
        else:
            moved[name] = float("inf")
    return max(moved.items(), key=lambda each: each[1])


def instances(columns: dict[str, NDArray[Any]]) -> list[dict[str, Any]]:
    """Column arrays as a request's instances; times as ISO texts."""
    plain = {name: [_json(value) for value in values.tolist()] for name, values in columns.items()}
    return [dict(zip(plain, row, strict=True)) for row in zip(*plain.values(), strict=True)]


def _json(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def _values(column: Column, rows: int, random: np.random.Generator) -> NDArray[Any]:
    if column.allowed is not None:
        return np.array(column.allowed)[random.integers(0, len(column.allowed), rows)]
    if column.kind == "time":
        # A year around the example holds every hour, weekday and season.
        start = np.datetime64(datetime.fromisoformat(column.example).replace(month=1, day=1), "us")
        return start + random.integers(0, 365 * 86_400, rows) * np.timedelta64(1_000_000, "us")
    low, high = column.minimum, column.maximum
    if column.kind == "integer":
        return random.integers(int(low), int(high) + 1, rows)  # type: ignore[arg-type]
    part = random.integers(0, 10_001, rows) / 10_000
    return float(low) + (float(high) - float(low)) * part * part * part  # type: ignore[arg-type]
