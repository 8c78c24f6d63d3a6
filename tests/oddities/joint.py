"""Twenty kinds of trips whose values are each usual and together are not.

They were written down before any guard was fitted, from the geography that an honest month has:
a change to a guard must not change them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from preflight import table
from preflight.project import Columns
from taxi.contract import CONTRACT

KNOWN = [column.name for column in CONTRACT.known]
ROWS = 300  # of a kind
PAIR = ["pickup_zone", "dropoff_zone"]
ENOUGH, ENOUGH_KINDS = 0.9, 18  # share of a kind's rows, and kinds, that a guard must flag
LEAST_TRIPS = 3  # of a pair of zones whose usual distance is known

Make = Callable[[np.random.Generator, pl.DataFrame], pl.DataFrame]
Odd = Callable[[Columns], NDArray[np.bool_]]

MILES, USUAL = pl.col("trip_distance"), pl.col("usual")
APART = pl.col("pickup_zone") != pl.col("dropoff_zone")
HOUR, DAY = pl.col("pickup_at").dt.hour(), pl.col("pickup_at").dt.weekday()
NIGHT, NOON, WEEKEND = HOUR < 5, HOUR.is_between(11, 14), DAY >= 6
RUSH = (HOUR.is_between(7, 9) | HOUR.is_between(16, 18)) & (DAY <= 5)
NEIGHBOURS = APART & (USUAL <= 1.5)
MIDDLE = APART & USUAL.is_between(2.5, 5)
FAR = APART & (USUAL >= 6)
BOROUGHS = pl.col("from_borough") != pl.col("to_borough")
AIRPORT = APART & pl.col("airport")


@dataclass(frozen=True)
class Kind:
    """One kind of oddity: its name, what is odd in a sentence, and how rows of it are made.

    `make` takes a seeded generator and what `described` gave of an honest month.
    """

    name: str
    sentence: str
    make: Make


def described(honest: pl.DataFrame, lookup: Path) -> pl.DataFrame:
    """An honest month's known columns with what its geography says of each trip.

    `usual` is the median distance of the trip's pair of zones, null where the pair has few trips.
    """
    zones = pl.read_csv(lookup, infer_schema=False).select(
        pl.col("zone").cast(pl.Int64), "borough", airport=pl.col("service_zone") == "Airports"
    )
    start, end = (
        zones.rename({"zone": zone, "borough": f"{way}_borough", "airport": f"{way}_airport"})
        for zone, way in zip(PAIR, ("from", "to"), strict=True)
    )
    rows = honest.select(KNOWN).with_columns(pl.col(PAIR).cast(pl.Int64))
    rows = rows.join(start, on=PAIR[0], maintain_order="left")
    rows = rows.join(end, on=PAIR[1], maintain_order="left")
    trips, median = pl.len().over(PAIR), MILES.median().over(PAIR)
    return rows.with_columns(
        usual=pl.when(trips >= LEAST_TRIPS).then(median),
        airport=pl.col("from_airport") | pl.col("to_airport"),
    )


def _trips(where: pl.Expr, miles: pl.Expr | float) -> Make:
    """Honest trips that meet `where`, with another distance."""

    def make(random: np.random.Generator, month: pl.DataFrame) -> pl.DataFrame:
        distance = pl.lit(miles) if isinstance(miles, float) else miles
        return _known(
            _drawn(random, month.filter(where)).with_columns(trip_distance=distance), month
        )

    return make


def _swapped(where: pl.Expr, others: pl.Expr) -> Make:
    """Honest trips that meet `where`, with the distance of one that meets `others`."""

    def make(random: np.random.Generator, month: pl.DataFrame) -> pl.DataFrame:
        taken = _drawn(random, month.filter(others))["trip_distance"]
        return _known(_drawn(random, month.filter(where)).with_columns(taken), month)

    return make


def _elsewhere(where: pl.Expr, pairs: pl.Expr) -> Make:
    """Honest trips that meet `where`, to a zone whose pair with the start meets `pairs`."""

    def make(random: np.random.Generator, month: pl.DataFrame) -> pl.DataFrame:
        ends = month.filter(pairs).select(PAIR).unique(maintain_order=True)
        left = month.filter(where).drop("dropoff_zone").join(ends, on="pickup_zone")
        return _known(_drawn(random, left.sort(KNOWN)), month)

    return make


def _strangers(random: np.random.Generator, month: pl.DataFrame) -> pl.DataFrame:
    """Trips between busy zones that have none, as long as those from the same start usually are."""
    counts = {
        name: set(month[name].value_counts().sort("count", name)[-100:][name]) for name in PAIR
    }
    busy = [pl.col(name).is_in(list(zones)) for name, zones in counts.items()]
    rows = month.filter(*busy).with_columns(trip_distance=MILES.median().over("pickup_zone"))
    mixed = _drawn(random, rows, 50 * ROWS).with_columns(
        _drawn(random, rows, 50 * ROWS)["dropoff_zone"]
    )
    never = mixed.join(month.select(PAIR).unique(), on=PAIR, how="anti", maintain_order="left")
    return _known(never.head(ROWS), month)


def _drawn(random: np.random.Generator, rows: pl.DataFrame, count: int = ROWS) -> pl.DataFrame:
    return rows[random.integers(0, len(rows), count)]


def _known(rows: pl.DataFrame, month: pl.DataFrame) -> pl.DataFrame:
    """The contract's known columns, with distances that the month knows."""
    miles = month["trip_distance"].to_numpy()
    rows = rows.select(KNOWN).with_columns(MILES.clip(miles.min(), miles.max()).round(2))
    return rows.cast({name: table.schema(CONTRACT)[name] for name in KNOWN})


KINDS = (
    Kind(
        "neighbours-ten-rush",
        "Ten miles between neighbouring zones in rush hour",
        _trips(NEIGHBOURS & RUSH, 10.0),
    ),
    Kind(
        "neighbours-twenty-night",
        "Twenty miles between neighbouring zones at night",
        _trips(NEIGHBOURS & NIGHT, 20.0),
    ),
    Kind(
        "neighbours-eightfold",
        "Neighbouring zones, and eight times their usual distance",
        _trips(NEIGHBOURS, USUAL * 8),
    ),
    Kind("same-zone-twelve", "Twelve miles within one zone", _trips(~APART, 12.0)),
    Kind("same-zone-nine-noon", "Nine miles within one zone at noon", _trips(~APART & NOON, 9.0)),
    Kind("far-half", "Half a mile between zones six or more miles apart", _trips(FAR, 0.5)),
    Kind("far-one", "One mile between zones six or more miles apart", _trips(FAR, 1.0)),
    Kind(
        "far-two-rush",
        "Two miles in rush hour between zones eight or more miles apart",
        _trips(FAR & RUSH & (USUAL >= 8), 2.0),
    ),
    Kind(
        "far-threefold",
        "Zones six to eight miles apart, and three times that",
        _trips(FAR & (USUAL <= 8), USUAL * 3),
    ),
    Kind(
        "boroughs-third",
        "0.3 mile from one borough to another, between zones three or more miles apart",
        _trips(BOROUGHS & (USUAL >= 3), 0.3),
    ),
    Kind(
        "boroughs-rare",
        "One mile between two boroughs that few trips join",
        _trips(BOROUGHS & (pl.len().over("from_borough", "to_borough") < 0.01 * pl.len()), 1.0),
    ),
    Kind(
        "middle-tenth",
        "A tenth of a mile between zones 2.5 to 5 miles apart",
        _trips(MIDDLE, 0.1),
    ),
    Kind(
        "middle-fivefold",
        "Zones 2.5 to 5 miles apart, and five times that",
        _trips(MIDDLE, USUAL * 5),
    ),
    Kind(
        "middle-fourfold-weekend",
        "Zones 2.5 to 5 miles apart, and four times that at the weekend",
        _trips(MIDDLE & WEEKEND, USUAL * 4),
    ),
    Kind(
        "airport-half",
        "Half a mile to or from an airport five or more miles away",
        _trips(AIRPORT & (MILES >= 5), 0.5),
    ),
    Kind(
        "swapped-long",
        "Trips of neighbours with the distance of trips of ten miles and more",
        _swapped(NEIGHBOURS, MILES >= 10),
    ),
    Kind(
        "swapped-short",
        "Trips of zones eight or more miles apart with the distance of trips under a mile",
        _swapped(FAR & (USUAL >= 8), MILES < 1),
    ),
    Kind(
        "ends-next-door",
        "Trips of eight miles and more that end in a neighbouring zone",
        _elsewhere(MILES >= 8, NEIGHBOURS),
    ),
    Kind(
        "ends-far-away",
        "Trips of a mile and less that end in a zone six or more miles away",
        _elsewhere(MILES <= 1, FAR),
    ),
    Kind(
        "strangers",
        "Busy zones that no trip joins, and the usual distance from the start",
        _strangers,
    ),
)


def shares(odd: Odd, month: pl.DataFrame, seed: int = 1) -> dict[str, float]:
    """Share of each kind's rows that `odd` flags, by name; `month` is what `described` gave."""
    return {kind.name: float(odd(columns(kind, month, seed)).mean()) for kind in KINDS}


def columns(kind: Kind, month: pl.DataFrame, seed: int = 1) -> dict[str, NDArray[Any]]:
    """One kind's rows as column arrays."""
    random = np.random.default_rng([seed, KINDS.index(kind)])
    return table.arrays(kind.make(random, month))


def reached(found: dict[str, float]) -> int:
    """Kinds of which enough rows are flagged."""
    return sum(share >= ENOUGH for share in found.values())


def shown(found: dict[str, float]) -> str:
    """A Markdown table by kind."""
    rows = [f"| {kind.sentence} | {found[kind.name]:.0%} |" for kind in KINDS]
    return "\n".join(["| kind | rows flagged |", "|---|---|", *rows])
