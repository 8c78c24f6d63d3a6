"""Answers to column arrays: the model's, or the baseline's where the model may not answer."""

import msgspec
import numpy as np

from preflight.params import Mode
from preflight.predictor import Predictor
from preflight.serving.compiled import Columns
from preflight.serving.ids import Ids
from preflight.serving.metrics import Metrics, Reason
from preflight.serving.requests import Invalid

COMBINATION, WIDE = "combination.unseen", "interval.wide"
UNSEEN = "a value that training did not see"
SEEN = "a value that training saw (guards.refuse)"
WARNINGS: dict[Reason, str] = {
    "mode": "Answered by a simpler model: the service is in fallback mode.",
    "output": "Answered by a simpler model: the answer was outside the range that can be right.",
}


class Interval(msgspec.Struct, gc=False):
    """The ends of a prediction interval, in the target's unit, and its nominal coverage."""

    lower: float
    upper: float
    coverage: float


class Prediction(msgspec.Struct, gc=False):
    """One answer; a fallback has a warning and no interval."""

    prediction_id: str
    model_version: str
    value: float
    unit: str
    interval: Interval | None
    flags: list[str]
    warning: str | None


class Answerer:
    """Answers one row or many, and counts what it said."""

    def __init__(self, model: Predictor, version: str, metrics: Metrics) -> None:
        self._model, self._version, self._metrics = model, version, metrics
        self._ids = Ids()
        self._unit = model.contract.target.unit or ""
        self._unseen = [f"{name}.unseen" for name in model.model.features]
        self._coverage = model.interval.coverage if model.interval else 0.0

    def one(self, columns: Columns, bucket: int, mode: Mode) -> Prediction:
        """The answer to arrays of shape (1,), counted in an entity bucket.

        Raises Invalid for a value that a guard refuses.
        """
        if mode != "normal":
            return self._fallback(columns, bucket, "mode")
        found = self._model.one(columns)
        if found.outside and self._model.refused:
            self._require_seen(columns, found.outside)
        if found.invalid:
            return self._fallback(columns, bucket, "output")
        interval, width = None, None
        if found.lower is not None and found.upper is not None:
            interval = Interval(found.lower, found.upper, self._coverage)
            width = found.upper - found.lower
        flags = [self._unseen[place] for place in found.outside]
        if found.odd:
            flags.append(COMBINATION)
        if found.wide:
            flags.append(WIDE)
        self._metrics.prediction(bucket, found.value, width, None)
        if flags:
            self._metrics.flagged(bucket, [flags])
        return Prediction(
            self._ids.one(), self._version, found.value, self._unit, interval, flags, None
        )

    def _require_seen(self, columns: Columns, outside: list[int]) -> None:
        for place in outside:
            if place in self._model.refused:
                raise self._unseen_value(columns, place, 0)

    def _unseen_value(self, columns: Columns, place: int, row: int) -> Invalid:
        name = self._model.model.features[place]
        self._metrics.refused(name)
        shown = {column.name for column in self._model.contract.known if not column.sensitive}
        return Invalid(name, str(columns[name][row]) if name in shown else UNSEEN, SEEN)

    def refused(self, columns: Columns, mode: Mode) -> dict[int, Invalid]:
        """Rows of arrays of shape (rows,) that a guard refuses, in their order."""
        if mode != "normal" or not self._model.refused:
            return {}
        outside = self._model.ranges.outside(self._model.matrix(columns))
        found: dict[int, Invalid] = {}
        for row, place in np.argwhere(outside).tolist():
            if place in self._model.refused and row not in found:
                found[row] = self._unseen_value(columns, place, row)
        return found

    def _fallback(self, columns: Columns, bucket: int, reason: Reason) -> Prediction:
        value = self._model.model.baseline(columns).item()
        flags = [f"fallback.{reason}"]
        self._metrics.prediction(bucket, value, None, reason)
        self._metrics.flagged(bucket, [flags])
        warning = WARNINGS[reason]
        return Prediction(self._ids.one(), self._version, value, self._unit, None, flags, warning)

    def many(self, columns: Columns, bucket: int, mode: Mode) -> list[Prediction]:
        """The answers to arrays of shape (rows,)."""
        if mode != "normal":
            return self._fallbacks(columns, bucket)
        found = self._model.answer(columns)
        values, rows = found.value, len(found.value)
        flags: list[list[str]] = [[] for _ in range(rows)]
        warnings: list[str | None] = [None] * rows
        for row, place in np.argwhere(found.outside).tolist():
            flags[row].append(self._unseen[place])
        for name, fired in ((COMBINATION, found.odd), (WIDE, found.wide)):
            for row in np.flatnonzero(fired).tolist():
                flags[row].append(name)
        intervals: list[Interval | None] = [None] * rows
        width = 0.0
        if found.lower is not None and found.upper is not None:
            width = float((found.upper - found.lower)[~found.invalid].sum())
            ends = zip(found.lower.tolist(), found.upper.tolist(), strict=True)
            intervals = [Interval(lower, upper, self._coverage) for lower, upper in ends]
        if found.invalid.any():
            values = np.where(found.invalid, self._model.model.baseline(columns), values)
            for row in np.flatnonzero(found.invalid).tolist():
                intervals[row], flags[row] = None, ["fallback.output"]
                warnings[row] = WARNINGS["output"]
        invalid = int(found.invalid.sum())
        self._metrics.predictions(bucket, values, width, {"output": invalid})
        self._metrics.flagged(bucket, [each for each in flags if each])
        return [
            Prediction(number, self._version, value, self._unit, interval, flagged, warning)
            for number, value, interval, flagged, warning in zip(
                self._ids.many(rows), values.tolist(), intervals, flags, warnings, strict=True
            )
        ]

    def _fallbacks(self, columns: Columns, bucket: int) -> list[Prediction]:
        values = self._model.model.baseline(columns)
        rows, flags = len(values), ["fallback.mode"]
        self._metrics.predictions(bucket, values, 0.0, {"mode": rows})
        self._metrics.flagged(bucket, [flags] * rows)
        return [
            Prediction(number, self._version, value, self._unit, None, flags, WARNINGS["mode"])
            for number, value in zip(self._ids.many(rows), values.tolist(), strict=True)
        ]
