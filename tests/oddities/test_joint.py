"""Trips whose values are usual one by one and odd together are flagged; honest ones are not.

The score is fitted here on the generator's January, whatever the packaged model was fitted on:
a small profile's model has seen too little to know a city.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import inf
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from oddities.joint import (
    ENOUGH_KINDS,
    KINDS,
    KNOWN,
    Kind,
    columns,
    described,
    reached,
    shares,
)
from preflight import params, table
from preflight.guards import joint_limit
from preflight.joint import Joint
from preflight.project import Columns
from preflight.ranges import Ranges
from taxi import data, features, synthetic, tlc
from taxi.contract import CONTRACT

ROWS = 60_000  # a month
PARAMS = params.load()
NAMES = tuple(PARAMS.model.features)
LAST_WEEK = pl.col("pickup_at").dt.day() > 24
Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class City:
    """A fitted score with its limit, the seen ranges, and an honest later month."""

    joint: Joint
    limit: float
    ranges: Ranges
    compute: Callable[[Columns], Matrix]
    later: pl.DataFrame
    month: pl.DataFrame

    def odd(self, asked: Columns, limit: float | None = None) -> NDArray[np.bool_]:
        """Which rows the score flags."""
        found: NDArray[np.bool_] = self.joint.score(self.compute(asked)) > (limit or self.limit)
        return found


def trips(month: str) -> pl.DataFrame:
    """The generator's valid rows of a month, known columns alone."""
    frame = tlc.canonical(synthetic.scan(month, ROWS, 7), 7)
    rules = table.row_rules(CONTRACT) | data.row_rules(month)
    broken = pl.any_horizontal(rules.values()).fill_null(value=False)
    return frame.filter(~broken).select(KNOWN).collect()


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> City:
    """Fitted on the generator's January, its last week for the limit."""
    lookup = tmp_path_factory.mktemp("city") / "lookup.csv"
    generated = PARAMS.data.model_copy(update={"source": "synthetic"})
    data.lookup(PARAMS.model_copy(update={"data": generated}), lookup)
    zones = features.read_lookup(lookup)
    compute = partial(features.compute, lookup=zones, names=NAMES)
    codes = features.categorical(NAMES)
    january, later = trips("2021-01"), trips("2021-02")
    known = table.arrays(january.filter(~LAST_WEEK))
    joint = Joint.fit(known, CONTRACT.known, compute, codes)
    scores = joint.score(compute(table.arrays(january.filter(LAST_WEEK))))
    ranges = Ranges.fit(compute(known), NAMES, codes)
    inside = ~ranges.outside(compute(table.arrays(later))).any(axis=1)
    month = described(later.filter(pl.Series(inside)), Path(lookup))
    limit = joint_limit(scores, PARAMS.guards.joint_flags)
    return City(joint, limit, ranges, compute, later, month)


def test_there_are_twenty_kinds_with_a_sentence_each() -> None:
    assert len({kind.name for kind in KINDS}) == len({kind.sentence for kind in KINDS}) == 20


@pytest.mark.parametrize("kind", [pytest.param(each, id=each.name) for each in KINDS])
def test_each_value_by_itself_was_seen_in_training(city: City, kind: Kind) -> None:
    assert not city.ranges.outside(city.compute(columns(kind, city.month))).any()


def test_most_kinds_are_flagged(city: City) -> None:
    found = shares(city.odd, city.month)
    assert reached(found) >= ENOUGH_KINDS, found


def test_a_guard_that_never_fires_reaches_none(city: City) -> None:
    assert reached(shares(partial(city.odd, limit=inf), city.month)) == 0


def test_honest_trips_of_a_later_month_are_seldom_flagged(city: City) -> None:
    assert 0 < city.odd(table.arrays(city.later)).mean() <= 0.01
