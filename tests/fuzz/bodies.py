"""Bodies of requests: right ones, and what becomes of them."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from preflight.contract import Column

# JSON as no serializer of Python's would write it, and what is none.
ODD = [
    *Path(__file__).with_name("odd.txt").read_text(encoding="utf-8").split("\n"),
    "9" * 400,
    "1" + "0" * 5_000,
    "0." + "3" * 400,
    '"' + "a" * 3_000 + '"',
]


def mutated(bodies: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    """Bodies with up to three slices taken out, doubled, or put in another's place."""
    step = st.tuples(
        st.integers(0, 400), st.integers(0, 8), st.binary(max_size=4), st.integers(0, 3)
    )

    def change(body: bytes, steps: list[tuple[int, int, bytes, int]]) -> bytes:
        for place, length, new, times in steps:
            at = place % (len(body) + 1)
            body = body[:at] + new + body[at : at + length] * times + body[at + length :]
        return body

    return st.builds(change, bodies, st.lists(step, max_size=3))


def nested() -> st.SearchStrategy[bytes]:
    """Lists and objects, deep inside of each other, closed or not."""

    def build(depth: int, opening: str, field: str, closed: bool) -> bytes:
        shut = {"[": "]", '{"a":': "}", '[{"a":': "}]"}[opening]
        inside = opening * depth + "1" + (shut * depth if closed else "")
        return (f'{{"{field}": {inside}}}' if field else inside).encode()

    fields = st.sampled_from(("", "instances", "pickup_at", "a"))
    shapes = st.sampled_from(("[", '{"a":', '[{"a":'))
    return st.builds(build, st.integers(0, 2_400), shapes, fields, st.booleans())


def parts(bodies: st.SearchStrategy[bytes]) -> st.SearchStrategy[tuple[bytes, ...]]:
    """Bodies whole, or cut anywhere into up to four parts, some of them empty."""

    def cut(body: bytes, places: list[int]) -> tuple[bytes, ...]:
        ends = [0, *sorted(place % (len(body) + 1) for place in places), len(body)]
        return tuple(body[start:end] for start, end in pairwise(ends))

    return st.builds(cut, bodies, st.lists(st.integers(0, 2**14), max_size=3))


def anything() -> st.SearchStrategy[Any]:
    """Any small JSON data, NaN and infinities included."""
    leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
    return st.recursive(
        leaves,
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
        ),
        max_leaves=5,
    )


def right(column: Column) -> st.SearchStrategy[str]:
    """A column's values as JSON, all of them right."""
    least: Any = column.minimum
    most: Any = column.maximum
    if column.allowed is not None:
        return st.sampled_from(column.allowed).map(json.dumps)
    if column.kind == "time":
        kinds = {} if least is None else {"min_value": least, "max_value": most}
        specs = ("seconds", "seconds", "microseconds")
        return st.builds(
            lambda found, spec: json.dumps(found.isoformat(timespec=spec)),
            st.datetimes(**kinds),
            st.sampled_from(specs),
        )
    if column.kind == "text":
        return st.text(max_size=20).map(json.dumps)
    if column.kind == "integer":
        return st.integers(least, most).map(json.dumps)
    return st.floats(least, most, allow_nan=False, allow_infinity=False).map(json.dumps)


def written(fields: Any) -> str:
    """An object of fields whose values are JSON already."""
    found = fields.items() if isinstance(fields, dict) else fields
    return "{" + ", ".join(f"{json.dumps(name)}: {value}" for name, value in found) + "}"


def encoded(text: str) -> bytes:
    """A text as a body, with the halves of surrogate pairs that UTF-8 does not allow."""
    return text.encode(errors="surrogatepass")
