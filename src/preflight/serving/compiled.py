"""The contract compiled for speed: JSON straight to typed rows, and rows to column arrays.

What this refuses, `requests.Decoder` looks at again, value by value: it has the last word and
says what is wrong. So this may refuse too much, and must never accept too much.
"""

import re
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from preflight.contract import Column

Columns = dict[str, NDArray[Any]]
Row = Any  # a struct with the fields c0, c1, ... in the order of the columns
TIME = re.compile(r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?\Z", re.ASCII)
WHOLE = (-(2**63), 2**63 - 1)
FINITE = (-sys.float_info.max, sys.float_info.max)
# 2021-02-03T08:15:00: the length, and where its marks stand.
SECONDS, MARKS = 19, {4: "-", 7: "-", 10: "T", 13: ":", 16: ":"}


class Refused(Exception):
    """Not accepted here; whether and why it breaks the contract, `Decoder` says."""


class Compiled:
    """Decoders of one row, of a batch and of lines, for the columns that a caller knows."""

    def __init__(self, columns: Sequence[Column], max_batch: int) -> None:
        self._columns = columns
        fields = [f"c{place}" for place in range(len(columns))]
        self._row = msgspec.defstruct(
            "Row",
            [(field, _type(column)) for field, column in zip(fields, columns, strict=True)],
            rename=dict(zip(fields, (column.name for column in columns), strict=True)),
            forbid_unknown_fields=True,
            gc=False,
        )
        rows = Annotated[list[self._row], msgspec.Meta(min_length=1, max_length=max_batch)]  # type: ignore[name-defined]
        batch = msgspec.defstruct("Batch", [("instances", rows)], forbid_unknown_fields=True)
        self._one = msgspec.json.Decoder(self._row)
        self._batch: Any = msgspec.json.Decoder(batch)
        # A getter of a single name gives no tuple.
        get = attrgetter(*fields)
        self._values: Callable[[Row], tuple[Any, ...]] = (
            get if len(fields) > 1 else lambda row: (get(row),)
        )
        self._single = [_single(column) for column in columns]
        self._many = [_many(column) for column in columns]

    def one(self, body: bytes) -> Columns:
        """A JSON object -> arrays of shape (1,). Raises Refused."""
        try:
            values = self._values(self._one.decode(body))
            return {
                column.name: array(value)
                for column, array, value in zip(self._columns, self._single, values, strict=True)
            }
        except (msgspec.MsgspecError, ValueError, RecursionError):
            raise Refused from None

    def batch(self, body: bytes) -> Columns:
        """{"instances": [...]} -> arrays of shape (rows,). Raises Refused."""
        try:
            return self._arrays(self._batch.decode(body).instances)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            raise Refused from None

    def lines(self, lines: Sequence[bytes]) -> Columns:
        """JSON objects, one a line -> arrays of shape (lines,). Raises Refused."""
        try:
            # Not `decode_lines`, which takes a row over two lines, and two rows on one.
            return self._arrays([self._one.decode(line) for line in lines])
        except (msgspec.MsgspecError, ValueError, RecursionError):
            raise Refused from None

    def _arrays(self, rows: Iterable[Row]) -> Columns:
        parts = zip(*map(self._values, rows), strict=True)
        return {
            column.name: array(values)
            for column, array, values in zip(self._columns, self._many, parts, strict=True)
        }


def _type(column: Column) -> Any:
    """What msgspec checks while it parses."""
    if column.allowed is not None:
        return Literal[column.allowed]
    if column.kind == "time":
        return Annotated[str, msgspec.Meta(max_length=SECONDS, min_length=SECONDS)]
    if column.kind == "text":
        return str
    kind: type = int if column.kind == "integer" else float
    widest = WHOLE if column.kind == "integer" else FINITE
    ends: Any = (column.minimum, column.maximum)
    low, high = (most if end is None else end for end, most in zip(ends, widest, strict=True))
    return Annotated[kind, msgspec.Meta(ge=low, le=high)]


def _single(column: Column) -> Callable[[Any], NDArray[Any]]:
    if column.kind == "time":
        ends: Any = (column.minimum or datetime.min, column.maximum or datetime.max)
        # Whole seconds within the ends; as texts of one form they are ordered as their times are.
        least = (ends[0] + timedelta(microseconds=999_999)).isoformat()[:SECONDS]
        most = ends[1].isoformat()[:SECONDS]

        def time(value: str) -> NDArray[Any]:
            if not (TIME.match(value) and least <= value <= most):  # NumPy takes other forms too
                raise Refused
            return np.array([value], dtype="datetime64[us]")

        return time
    kind = dtype(column)
    return lambda value: np.array([value], dtype=kind)


def _many(column: Column) -> Callable[[tuple[Any, ...]], NDArray[Any]]:
    if column.kind == "time":
        return lambda values: _times(values, column)
    kind = dtype(column)
    return lambda values: np.array(values, dtype=kind)


def _times(values: tuple[str, ...], column: Column) -> NDArray[Any]:
    """ISO texts of 19 characters; NumPy reads many other forms, so each mark is looked at."""
    letters = np.array(values, dtype=f"U{SECONDS}").view(np.uint32).reshape(-1, SECONDS)
    for place in range(SECONDS):
        part = letters[:, place]
        mark = MARKS.get(place)
        fits = (part == ord(mark)) if mark else (part >= ord("0")) & (part <= ord("9"))
        if not fits.all():
            raise Refused
    times = np.array(values, dtype="datetime64[us]")
    least: Any = datetime.min if column.minimum is None else column.minimum
    most: Any = datetime.max if column.maximum is None else column.maximum
    if (times < np.datetime64(least, "us")).any() or (times > np.datetime64(most, "us")).any():
        raise Refused
    return times


def dtype(column: Column) -> Any:
    """The type of a column's array."""
    kinds = {"integer": np.int64, "number": np.float64, "text": object, "time": "datetime64[us]"}
    return kinds[column.kind]
