"""Odd requests by name, derived from a contract, and what is wrong with an answer to one."""

import gzip
import json
import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import combinations
from typing import Any, Literal

from preflight import reference
from preflight.contract import Column, Contract
from preflight.params import Serving

ONE, BATCH = "/v1/predict", "/v1/predict/batch"
# Factors from a unit to those that callers confuse with it.
CONFUSED = {
    "mile": {"metres": 1609.344, "kilometres": 1.609344},
    "kilometre": {"metres": 1000.0, "miles": 0.621371},
    "minute": {"seconds": 60.0, "hours": 1 / 60},
    "second": {"minutes": 1 / 60, "milliseconds": 1000.0},
}
TRACES = ("Traceback", 'File "')


@dataclass(frozen=True)
class Oddity:
    """One odd request and the behaviour defined for it.

    `field` is what a refusal must name; `rows` counts the predictions of an answer.
    """

    kind: str
    column: str | None
    body: bytes
    expected: Literal["answered", "refused"]
    field: str | None = None
    route: str = ONE
    rows: int = 1
    too_large: bool = False

    @property
    def name(self) -> str:
        """As in `trip_distance-above_maximum`."""
        return f"{self.column}-{self.kind}" if self.column else self.kind

    @property
    def status(self) -> int:
        """The HTTP status that the defined behaviour has."""
        if self.expected == "answered":
            return 200
        return 413 if self.too_large else 422


def requests(contract: Contract, limits: Serving) -> tuple[Oddity, ...]:
    """Every kind of oddity that the contract implies for each column, then those of a body."""
    trip = {column.name: column.example for column in contract.known}
    found: list[Oddity] = []
    for column in contract.known:
        found += _of_column(column, trip)
    found += [*_swapped(contract, trip), *_of_bodies(trip), *_of_batches(trip, limits)]
    return (*found, _full_batch(contract, limits))


def breaches(oddity: Oddity, contract: Contract, status: int, media: str, text: str) -> list[str]:
    """How an answer (status, media type and body) departs from the behaviour defined; [] if not."""
    found = [f"the answer shows {trace!r}" for trace in TRACES if trace in text]
    if status != oddity.status:
        return [*found, f"status {status}; expected {oddity.status}: {text[:200]}"]
    wanted = "application/json" if status == 200 else "application/problem+json"
    if media != wanted:
        found.append(f"media type {media!r}; expected {wanted!r}")
    try:
        answer = json.loads(text)
        if oddity.expected == "refused":
            if answer["field"] != oddity.field:
                found.append(f"it names {answer['field']!r}; expected {oddity.field!r}")
            return found
        predictions = [answer] if oddity.route == ONE else answer["predictions"]
        if len(predictions) != oddity.rows:
            found.append(f"{len(predictions)} predictions; expected {oddity.rows}")
        return found + [line for each in predictions for line in _implausible(each, contract)]
    except (ValueError, TypeError, KeyError) as error:
        return [*found, f"no answer of the documented form ({error!r}): {text[:200]}"]


def _implausible(prediction: dict[str, Any], contract: Contract) -> list[str]:
    value, interval = prediction["value"], prediction["interval"]
    target = contract.target
    found = []
    if not _fits(target, value):
        found.append(f"value {value}; expected {target.minimum} to {target.maximum}")
    if interval is not None:
        lower, upper = interval["lower"], interval["upper"]
        if not all(_fits(target, end) for end in (lower, upper)):
            found.append(f"interval {lower} to {upper} leaves the target's range")
        if not lower <= value <= upper:
            found.append(f"value {value} outside its interval {lower} to {upper}")
    return found


def _fits(column: Column, value: Any) -> bool:
    """Whether a JSON value keeps a column's contract: stated here again, to check the service."""
    # JSON's true is no number, though Python's is.
    kinds: dict[str, tuple[type, ...]] = {
        "integer": (int,),
        "number": (int, float),
        "text": (str,),
        "time": (str,),
    }
    if type(value) not in kinds[column.kind]:
        return False
    plain: Any = value
    if column.kind == "time":
        try:
            plain = datetime.fromisoformat(value)
        except ValueError:
            return False
        if plain.tzinfo is not None or "T" not in value:
            return False
    if column.kind == "number" and not abs(value) <= sys.float_info.max:
        return False
    if column.kind == "integer" and not -(2**63) <= value < 2**63:
        return False
    low: Any = column.minimum
    high: Any = column.maximum
    inside = (low is None or plain >= low) and (high is None or plain <= high)
    return inside and (column.allowed is None or plain in column.allowed)


def _of_column(column: Column, trip: dict[str, Any]) -> Iterator[Oddity]:
    name = column.name
    without = {key: value for key, value in trip.items() if key != name}
    yield Oddity("missing", name, _json(without), "refused", name)
    # Python writes them as the tokens NaN and Infinity, which JSON does not know.
    for kind, number in (("nan", math.nan), ("infinity", math.inf), ("minus_infinity", -math.inf)):
        yield Oddity(kind, name, _json(trip | {name: number}), "refused", "body")
    yield Oddity("null", name, _json(trip | {name: None}), "refused", name)
    bad = _json({"instances": [trip, trip | {name: None}]})
    yield Oddity("one_bad_row", name, bad, "refused", f"instances[1].{name}", BATCH)
    for kind, value in _values(column).items():
        expected: Literal["answered", "refused"] = "answered" if _fits(column, value) else "refused"
        field = None if expected == "answered" else name
        yield Oddity(kind, name, _json(trip | {name: value}), expected, field)


def _values(column: Column) -> dict[str, Any]:
    """Odd values by kind, some of which keep the contract at its edge."""
    example = column.example
    odd: dict[str, Any] = {
        "empty_text": "",
        "boolean": True,
        "list": [example],
        "object": {"value": example},
    }
    if column.allowed is not None:
        odd["unknown_category"] = _unknown(column.allowed)
    of_kind: dict[str, Callable[[Column], dict[str, Any]]] = {
        "integer": _integers,
        "number": _numbers,
        "text": lambda _: {"number_for_text": 5},
        "time": _times,
    }
    return odd | of_kind[column.kind](column) | _edges(column)


def _unknown(allowed: tuple[int | str, ...]) -> int | str:
    numbers = [value for value in allowed if isinstance(value, int)]
    return max(numbers) + 1 if numbers else "no such category"


def _integers(column: Column) -> dict[str, Any]:
    return {
        "text_for_number": str(column.example),
        "float_for_integer": float(column.example),
        "fraction_for_integer": column.example + 0.5,
        "huge_integer": 10**30,
        "negative": -abs(column.example) - 1,
    }


def _numbers(column: Column) -> dict[str, Any]:
    units = CONFUSED.get(column.unit or "", {})
    return {
        "text_for_number": str(column.example),
        "nan_text": "NaN",
        "huge_integer": 10**30,
        "beyond_float": 10**400,
        "negative": -abs(column.example) - 1.0,
        **{f"in_{unit}": column.example * factor for unit, factor in units.items()},
    }


def _times(column: Column) -> dict[str, Any]:
    at = datetime.fromisoformat(column.example)
    leap = at.year + -at.year % 4
    return {
        "epoch_seconds": 1_612_340_100,
        "epoch_milliseconds_text": "1612340100000",
        "with_offset": f"{column.example}+01:00",
        "in_utc": f"{column.example}Z",
        "without_seconds": at.isoformat(timespec="minutes"),
        "with_microseconds": at.replace(microsecond=1).isoformat(),
        "date_only": at.date().isoformat(),
        "space_for_t": at.isoformat(sep=" "),
        "day_first": at.strftime("%d/%m/%YT%H:%M:%S"),
        "impossible_date": f"{at.year}-02-30T08:15:00",
        "impossible_hour": f"{at.date()}T24:61:00",
        "leap_day": f"{leap}-02-29T08:15:00",
        "no_leap_day": f"{leap + 1}-02-29T08:15:00",
    }


def _edges(column: Column) -> dict[str, Any]:
    """Values at, just inside and just outside the ends of the range, where it has ends."""
    odd: dict[str, Any] = {}
    low, high = column.minimum, column.maximum
    if low is not None:
        odd["at_minimum"] = _plain(column, low)
        odd["below_minimum"] = _next(column, low, -1)
        odd["just_above_minimum"] = _next(column, low, 1)
    if high is not None:
        odd["at_maximum"] = _plain(column, high)
        odd["above_maximum"] = _next(column, high, 1)
        odd["just_below_maximum"] = _next(column, high, -1)
    return odd


def _plain(column: Column, end: float | datetime) -> Any:
    if isinstance(end, datetime):
        return end.isoformat()
    return int(end) if column.kind == "integer" else float(end)


def _next(column: Column, end: float | datetime, way: int) -> Any:
    """The nearest other value, as JSON has it: a second, a whole number, or the next float."""
    if isinstance(end, datetime):
        return (end + timedelta(seconds=way)).isoformat()
    return int(end) + way if column.kind == "integer" else math.nextafter(end, way * math.inf)


def _swapped(contract: Contract, trip: dict[str, Any]) -> Iterator[Oddity]:
    """Each pair of columns with their values changed for each other's."""
    for one, other in combinations(contract.known, 2):
        mixed = trip | {one.name: trip[other.name], other.name: trip[one.name]}
        wrong = [column.name for column in contract.known if not _fits(column, mixed[column.name])]
        kind = "swapped_one_kind" if one.kind == other.kind else "swapped_kinds"
        names, body = f"{one.name}-{other.name}", _json(mixed)
        if wrong:
            yield Oddity(kind, names, body, "refused", wrong[0])
        else:
            yield Oddity(kind, names, body, "answered")


def _of_bodies(trip: dict[str, Any]) -> Iterator[Oddity]:
    whole = _json(trip)
    first = json.dumps(next(iter(trip)))
    refused = {
        "empty_body": b"",
        "not_json": b"a trip, please",
        "truncated_json": whole[:-5],
        "two_documents": whole + whole,
        "nested_brackets": b"[" * 1_000 + b"]" * 1_000,
        "array_for_object": b"[" + whole + b"]",
        "text_for_object": json.dumps(whole.decode()).encode(),
        "invalid_utf8": whole[:2] + b"\xff\xfe" + whole[2:],
        "gzip": gzip.compress(whole, mtime=0),
    }
    for kind, body in refused.items():
        yield Oddity(kind, None, body, "refused", "body")
    yield Oddity("extra_field", None, _json(trip | {"shoe_size": 43}), "refused", "shoe_size")
    shouted = {key.upper(): value for key, value in trip.items()}
    yield Oddity("upper_case_fields", None, _json(shouted), "refused", next(iter(trip)))
    yield Oddity("byte_order_mark", None, b"\xef\xbb\xbf" + whole, "answered")
    # Of equal keys the last counts, here the honest one.
    doubled = b"{" + first.encode() + b": null, " + whole[1:]
    yield Oddity("duplicated_keys", None, doubled, "answered")
    yield Oddity("reordered_fields", None, _json(dict(reversed(trip.items()))), "answered")


def _of_batches(trip: dict[str, Any], limits: Serving) -> Iterator[Oddity]:
    def batch(rows: list[Any]) -> bytes:
        return _json({"instances": rows})

    def refused(kind: str, body: bytes, field: str) -> Oddity:
        return Oddity(kind, None, body, "refused", field, BATCH)

    yield Oddity("duplicate_rows", None, batch([trip, trip, trip]), "answered", None, BATCH, 3)
    yield refused("empty_batch", batch([]), "instances")
    yield refused("batch_over_limit", batch([trip] * (limits.max_batch + 1)), "instances")
    yield refused("array_for_batch", _json([trip]), "body")
    yield refused("one_for_batch", _json(trip), "body")
    yield refused("object_for_rows", _json({"instances": trip}), "instances")
    yield refused("row_of_another_type", batch([trip, 5]), "instances[1]")
    yield refused("empty_row", batch([trip, {}]), f"instances[1].{next(iter(trip))}")
    large = b" " * limits.max_body_bytes + _json(trip)
    yield Oddity("body_over_limit", None, large, "refused", "body", too_large=True)


def _full_batch(contract: Contract, limits: Serving) -> Oddity:
    """As many rows as are allowed, over all ranges: far from what training saw, a value strays."""
    count = limits.max_batch
    rows = reference.instances(reference.columns(contract, count))
    body = _json({"instances": rows})
    return Oddity("batch_at_limit", None, body, "answered", None, BATCH, count)


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()
