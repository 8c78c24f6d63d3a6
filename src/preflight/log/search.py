"""Finding one prediction by its id, without reading the others as records."""

import json
import mmap
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from preflight.log.lines import decoder
from preflight.log.schema import FIELDS


def in_parquet(paths: list[Path], wanted: str) -> dict[str, Any] | None:
    """The prediction with this id in some files of Parquet, if it is there."""
    import duckdb

    if not paths:
        return None
    with duckdb.connect() as connection:
        found = connection.execute(
            "FROM read_parquet($paths, union_by_name = true, hive_partitioning = false) "
            "WHERE id = $wanted LIMIT 1",
            {"paths": [str(path) for path in paths], "wanted": wanted},
        )
        names = [column[0] for column in found.description or ()]
        row = found.fetchone()
    return _record(dict(zip(names, row, strict=True))) if row else None


def _record(row: dict[str, Any]) -> dict[str, Any]:
    """A record as it was written, from a row of Parquet."""
    whole = {field.name: row.get(field.name) for field in FIELDS["predictions"]}
    for field in FIELDS["predictions"]:
        found = whole[field.name]
        if field.type == "JSON" and found is not None:
            whole[field.name] = json.loads(found)
        elif field.type == "TIMESTAMP" and found is not None:
            whole[field.name] = f"{found:%Y-%m-%dT%H:%M:%S.%fZ}"
    return whole


def in_segments(paths: list[Path], wanted: str) -> dict[str, Any] | None:
    """The prediction with this id in some segments, if it is there."""
    key = f'"{wanted}"'.encode()  # a shipper may put spaces around it
    for path in paths:
        with suppress(FileNotFoundError), path.open("rb") as file:
            if not os.fstat(file.fileno()).st_size:
                continue
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                found = _in_lines(content, key, wanted)
            if found:
                return found
    return None


def _in_lines(content: mmap.mmap, key: bytes, wanted: str) -> dict[str, Any] | None:
    """The record among a segment's lines whose own id it is, whatever else may hold the words."""
    at = content.find(key)
    while at >= 0:
        start, end = content.rfind(b"\n", 0, at) + 1, content.find(b"\n", at)
        if end < 0:
            return None
        with suppress(ValueError, RecursionError):
            decoder("predictions").decode(content[start:end])
            record: dict[str, Any] = json.loads(content[start:end])
            if record["id"] == wanted:
                return record
        at = content.find(key, end)
    return None
