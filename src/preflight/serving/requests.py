"""Requests to column arrays, checked against the contract."""

import json
import math
from collections.abc import Callable
from datetime import datetime
from typing import Any, NoReturn

import numpy as np

from preflight.contract import Column, Contract
from preflight.serving.compiled import TIME, WHOLE, Columns, Compiled, Refused, dtype
from preflight.serving.problems import Refusal

SHOWN = 60  # characters of a caller's value that an error repeats


class Invalid(Exception):
    """A request that breaks the contract: the field, what was found and what was expected."""

    def __init__(self, field: str, found: str, expected: str) -> None:
        self.field, self.found, self.expected = field, found, expected
        super().__init__(f"{field}: found {found}; expected {expected}")


def of_contract(invalid: Invalid) -> Refusal:
    """A breach of the contract as the answer to its request."""
    return Refusal(422, invalid.field, invalid.found, invalid.expected)


class Decoder:
    """Decodes the columns that a caller knows: compiled, and value by value where that refuses."""

    def __init__(self, contract: Contract, max_batch: int) -> None:
        self._compiled = Compiled(contract.known, max_batch)
        self._checks = {column.name: _check(column) for column in contract.known}
        self._types = {column.name: dtype(column) for column in contract.known}
        self._max_batch = max_batch

    def one(self, body: bytes) -> Columns:
        """A JSON object -> arrays of shape (1,). Raises Invalid."""
        try:
            return self._compiled.one(body)
        except Refused:
            return self._arrays([self._row(parse(body), "")])

    def batch(self, body: bytes) -> Columns:
        """{"instances": [...]} -> arrays of shape (rows,). Raises Invalid."""
        try:
            return self._compiled.batch(body)
        except Refused:
            return self._arrays(self._rows(parse(body)))

    def lines(self, lines: list[bytes]) -> tuple[Columns | None, dict[int, Invalid]]:
        """JSON objects, one a line -> arrays of those that keep the contract, and the others.

        The arrays are None when no line does; each refused line has its position.
        """
        try:
            return self._compiled.lines(lines), {}
        except Refused:
            rows: list[list[Any]] = []
            refused: dict[int, Invalid] = {}
            for place, line in enumerate(lines):
                try:
                    rows.append(self._row(parse(line), ""))
                except Invalid as invalid:
                    refused[place] = invalid
            return (self._arrays(rows) if rows else None), refused

    def _rows(self, found: Any) -> list[list[Any]]:
        if not isinstance(found, dict) or set(found) != {"instances"}:
            raise Invalid("body", shown(found), 'an object with the one field "instances"')
        rows = found["instances"]
        if not isinstance(rows, list) or not 1 <= len(rows) <= self._max_batch:
            size = f"{len(rows)} instances" if isinstance(rows, list) else shown(rows)
            raise Invalid("instances", size, f"a list of 1 to {self._max_batch}")
        return [self._row(row, f"instances[{place}].") for place, row in enumerate(rows)]

    def _row(self, row: Any, prefix: str) -> list[Any]:
        if not isinstance(row, dict):
            raise Invalid(prefix.rstrip(".") or "body", shown(row), "an object")
        if row.keys() != self._checks.keys():
            self._refuse_fields(row, prefix)
        try:
            return [check(row[name]) for name, check in self._checks.items()]
        except Invalid as invalid:
            raise Invalid(prefix + invalid.field, invalid.found, invalid.expected) from None

    def _refuse_fields(self, row: dict[str, Any], prefix: str) -> NoReturn:
        known = ", ".join(self._checks)
        for name in self._checks:
            if name not in row:
                raise Invalid(prefix + name, "no such field", f"all of {known}")
        (unknown, *_) = (name for name in row if name not in self._checks)
        # JSON may escape half a surrogate pair, which no answer could carry.
        name = unknown[:SHOWN].encode(errors="backslashreplace").decode()
        raise Invalid(prefix + name, "an unknown field", f"only {known}")

    def _arrays(self, rows: list[list[Any]]) -> Columns:
        return {
            name: np.array(values, dtype=kind)
            for (name, kind), values in zip(
                self._types.items(), zip(*rows, strict=True), strict=True
            )
        }


def parse(body: bytes) -> Any:
    """JSON in UTF-8, without NaN and infinities. Raises Invalid."""
    try:
        return json.loads(body.decode("utf-8-sig"), parse_constant=_refuse_constant)
    except UnicodeDecodeError:
        found = "bytes that are no UTF-8"
    except json.JSONDecodeError as error:
        found = f"no JSON ({error})" if body else "nothing"
    except RecursionError:
        found = "brackets nested too deep"
    except ValueError:
        found = "a number of too many digits"
    raise Invalid("body", found[:120], "a JSON document in UTF-8")


def shown(value: Any) -> str:
    """A caller's value as an error repeats it: short."""
    try:
        text = json.dumps(value, default=str)
    except RecursionError:
        text = "a deeply nested value"
    return text if len(text) <= SHOWN else text[:SHOWN] + "…"


def expectation(column: Column) -> str:
    """What a column's value must be, in words."""
    kind = {
        "integer": "a whole number",
        "number": "a finite number",
        "text": "a text",
        "time": "a local time without an offset, as 2021-02-03T08:15:00",
    }[column.kind]
    if column.allowed is not None:
        return f"one of {', '.join(map(str, column.allowed))}"
    if column.minimum is None:
        return kind
    unit = f" ({column.unit})" if column.unit else ""
    return f"{kind} from {_bound(column.minimum)} to {_bound(column.maximum)}{unit}"


def _bound(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else f"{value:g}"


def _refuse_constant(name: str) -> NoReturn:
    raise Invalid("body", f"no JSON ({name} is no number of JSON's)", "a JSON document in UTF-8")


def _check(column: Column) -> Callable[[Any], Any]:
    """A function from a JSON value to a Python value within the column's range."""
    name, expected = column.name, expectation(column)
    least: Any = column.minimum
    most: Any = column.maximum
    allowed = column.allowed
    convert: Callable[[Any], Any] = {
        "integer": _integer,
        "number": _number,
        "text": _text,
        "time": _time,
    }[column.kind]

    def check(value: Any) -> Any:
        plain = convert(value)
        inside = (
            plain is not None
            and (least is None or plain >= least)
            and (most is None or plain <= most)
            and (allowed is None or plain in allowed)
        )
        if not inside:
            found = "a value that is not shown" if column.sensitive else shown(value)
            raise Invalid(name, found, expected)
        return plain

    return check


def _integer(value: Any) -> int | None:
    return value if type(value) is int and WHOLE[0] <= value <= WHOLE[1] else None


def _number(value: Any) -> float | None:
    if type(value) not in (int, float):
        return None
    try:
        plain = float(value)
    except OverflowError:
        return None
    return plain if math.isfinite(plain) else None


def _text(value: Any) -> str | None:
    """A text that UTF-8 can carry: JSON may escape half a surrogate pair."""
    if type(value) is not str or any("\ud800" <= letter <= "\udfff" for letter in value):
        return None
    return value


def _time(value: Any) -> datetime | None:
    if type(value) is not str or not TIME.match(value):
        return None
    try:
        plain = datetime.fromisoformat(value)
    except ValueError:
        return None
    return plain if plain.tzinfo is None else None
