"""Requests as the reference month has them: a day in miniature, single, batched and malformed."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from preflight import reference
from preflight.contract import Contract

# With a tenth in batches p50 is a single row's, p95 the middle batch's, p99 a large batch's:
# none lies on the step between two kinds, where a request more or less would move it far.
BATCHED = 0.1
BATCH_ROWS = (20, 100)
MALFORMED = 0.02
SINGLE, BATCH = "/v1/predict", "/v1/predict/batch"
DAY = 86_400_000_000  # microseconds


class Request(NamedTuple):
    """One request: when it is due as a share of the day, its route, JSON body, expected status."""

    due: float
    route: str
    body: str
    expected: int


def day(rows: pl.DataFrame, contract: Contract, count: int, seed: int) -> list[Request]:
    """`count` requests of a month's rows in the order of the day.

    Rows are drawn at random, and each is due at its own time of day, so that the rate follows
    the month's. Shares and sizes of batches are the same under every seed.
    """
    random = np.random.default_rng(seed)
    drawn = rows[random.integers(0, len(rows), count)]
    drawn = drawn[np.argsort(_times(drawn, contract), kind="stable")]
    due, instances = _times(drawn, contract), _instances(drawn, contract)
    kinds = np.array(["single"] * count, dtype=object)
    places = random.permutation(count)
    batches, malformed = round(BATCHED * count), round(MALFORMED * count)
    kinds[places[:batches]] = "batch"
    kinds[places[batches : batches + malformed]] = "malformed"
    sizes = iter(random.permutation(np.linspace(*BATCH_ROWS, max(batches, 1)).astype(int)).tolist())
    found = []
    for place, (when, kind, instance) in enumerate(zip(due, kinds, instances, strict=True)):
        if kind == "batch":
            chosen = rows[random.integers(0, len(rows), next(sizes))]
            asked = (BATCH, json.dumps({"instances": _instances(chosen, contract)}), 200)
        elif kind == "malformed":
            asked = (*_malformed(instance, place), 422)
        else:
            asked = (SINGLE, json.dumps(instance), 200)
        found.append(Request(float(when), *asked))
    return found


def _times(rows: pl.DataFrame, contract: Contract) -> NDArray[np.float64]:
    """Each row's time of day as a share of the day, shape (rows,)."""
    times = rows[contract.time.name].to_numpy().astype("datetime64[us]").astype(np.int64)
    found: NDArray[np.float64] = (times % DAY) / DAY
    return found


def _instances(rows: pl.DataFrame, contract: Contract) -> list[dict[str, Any]]:
    return reference.instances({each.name: rows[each.name].to_numpy() for each in contract.known})


def _malformed(instance: Mapping[str, Any], place: int) -> tuple[str, str]:
    """Route and body of a request that breaks the contract, in one of four ways."""
    names = list(instance)
    lacking = {name: instance[name] for name in names[1:]}
    wrong = {**instance, names[-1]: ["no value"]}
    ways = (
        (SINGLE, json.dumps(lacking)),
        (SINGLE, json.dumps(wrong)),
        (SINGLE, json.dumps(instance)[:-1]),
        (BATCH, json.dumps({"instances": [instance, lacking]})),
    )
    return ways[place % len(ways)]
