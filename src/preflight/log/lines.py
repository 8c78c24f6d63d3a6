"""Which lines of a segment are records, and what becomes of those that are none."""

import json
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from preflight.log.schema import FIELDS, Stream

TYPES: dict[str, Any] = {
    "VARCHAR": str | None,
    "TIMESTAMP": datetime,
    "JSON": msgspec.Raw,
    "DOUBLE": float | None,
    "VARCHAR[]": list[str] | None,
}


@dataclass(frozen=True)
class Damage:
    """A line that is no record: its segment, its place from 1, what is wrong with it."""

    segment: str
    line: int
    found: str


@cache
def decoder(stream: Stream) -> msgspec.json.Decoder[Any]:
    """What reads a line as a record with exactly the schema's fields; raises ValueError."""
    fields = [(field.name, TYPES[field.type]) for field in FIELDS[stream]]
    fields[0] = ("id", str)
    kind = msgspec.defstruct("Record", fields, forbid_unknown_fields=True, gc=False)
    return msgspec.json.Decoder(kind)


def checked(path: Path, stream: Stream, apart: Path) -> tuple[int, list[Damage]]:
    """Records of a segment, and the lines that are none, which are also kept in `apart`."""
    decode, damaged, place = decoder(stream).decode, [], 0
    with path.open("rb") as file:
        for place, line in enumerate(file, 1):
            try:
                decode(line)
                if not line.isascii():
                    line.decode()
            except (ValueError, RecursionError) as error:
                damaged.append(Damage(path.name, place, _why(error)))
                _keep(apart, damaged[-1], line)
    return place - len(damaged), damaged


def _why(error: Exception) -> str:
    """What is wrong with a line, in words that hold nothing of it."""
    if isinstance(error, UnicodeDecodeError):
        return "no UTF-8"
    return "a field that the schema lacks" if "unknown field" in str(error) else str(error)


def _keep(apart: Path, damage: Damage, line: bytes) -> None:
    """Append a damaged line; bytes that are no UTF-8 become lone surrogates, and can go back."""
    text = line.rstrip(b"\n").decode(errors="surrogateescape")
    kept = {"segment": damage.segment, "line": damage.line, "found": damage.found, "text": text}
    with apart.open("a", encoding="ascii") as file:
        file.write(json.dumps(kept) + "\n")


def without(path: Path, damaged: list[Damage], whole: Path) -> Path:
    """A copy of a segment without its damaged lines."""
    leave, copy = {each.line for each in damaged}, whole / path.name
    with path.open("rb") as file, copy.open("wb") as target:
        target.writelines(line for place, line in enumerate(file, 1) if place not in leave)
    return copy
