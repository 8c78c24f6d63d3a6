"""Plausible records of the log, and the segments that a service would have left."""

import random
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from preflight.log.schema import FIELDS, Stream
from preflight.log.segments import Segments

START = datetime(2021, 2, 3, 8, tzinfo=UTC)
MATURITY = timedelta(hours=24)
MANY = 1 << 30  # bytes of a segment: it does not rotate
encode = msgspec.json.Encoder().encode


def identity(at: datetime, chance: random.Random) -> str:
    """A UUID of version 7 that was made at this time."""
    stamp, rest = f"{int(at.timestamp() * 1000):012x}", f"{chance.getrandbits(74):019x}"
    variant = "89ab"[int(rest[0])]
    return f"{stamp[:8]}-{stamp[8:]}-7{rest[1:4]}-{variant}{rest[4:7]}-{rest[7:]}"


def stamp(at: datetime) -> str:
    """A time as records have it."""
    return f"{at:%Y-%m-%dT%H:%M:%S.%fZ}"


def predictions(
    rows: int,
    start: datetime = START,
    seed: int = 1,
    every: timedelta = timedelta(seconds=1),
    **fixed: Any,
) -> list[dict[str, Any]]:
    """Records of predictions, one each `every`, of 100 entities; `fixed` fields are all alike."""
    chance = random.Random(seed)  # noqa: S311 (no secret)
    return [_prediction(start + place * every, chance) | fixed for place in range(rows)]


def _prediction(at: datetime, chance: random.Random) -> dict[str, Any]:
    local = at.replace(tzinfo=None) - timedelta(hours=5)
    miles = round(chance.uniform(0.5, 12.0), 2)
    value = 3.0 + 3.1 * miles + chance.gauss(0, 1)
    found = identity(at, chance)
    return {
        "id": found,
        "at": stamp(at),
        "client": "dispatch",
        "request_id": found,
        "pair_id": None,
        "entity": f"hash:{chance.randrange(100):032x}",
        "route": "predict",
        "input": {
            "pickup_at": local.isoformat(timespec="seconds"),
            "pickup_zone": chance.randrange(1, 264),
            "dropoff_zone": chance.randrange(1, 264),
            "trip_distance": miles,
        },
        "value": value,
        "lower": value - 4.0,
        "upper": value + 6.0,
        "flags": [],
        "latency_ms": round(chance.lognormvariate(0, 0.4), 3),
        "arm": "stable",
        "mode": "normal",
        "explanation": None,
        "model_version": "3",
        "model_hash": "1" * 64,
        "commit": "a" * 40,
        "bento": "taxi:abc",
        "contract": "taxi-trips-1",
    }


def outcomes(
    found: Iterable[Mapping[str, Any]],
    after: timedelta = timedelta(hours=1),
    seed: int = 2,
    **fixed: Any,
) -> list[dict[str, Any]]:
    """Records of what really happened to predictions, received `after` their own times."""
    chance = random.Random(seed)  # noqa: S311 (no secret)
    return [_outcome(each, after, chance) | fixed for each in found]


def _outcome(
    prediction: Mapping[str, Any], after: timedelta, chance: random.Random
) -> dict[str, Any]:
    at = datetime.fromisoformat(prediction["at"]) + after
    found = identity(at, chance)
    value = min(60.0, max(1.0, prediction["value"] + chance.gauss(0, 2)))
    return {
        "id": found,
        "at": stamp(at),
        "client": "dispatch",
        "request_id": found,
        "prediction_id": prediction["id"],
        "value": value,
    }


def write(
    folder: Path, stream: Stream, records: Sequence[Mapping[str, Any]], live: bool = False
) -> Segments:
    """Write records as one segment of a log; a live one is locked until it is closed."""
    assert all(record.keys() == {field.name for field in FIELDS[stream]} for record in records[:1])
    segments = Segments(folder / stream, MANY, float(MANY), None)
    segments.append(b"".join(encode(record) + b"\n" for record in records))
    if not live:
        segments.close()
    return segments
