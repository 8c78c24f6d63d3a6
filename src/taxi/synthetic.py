"""A seeded generator of months that look like TLC's: shape, gaps and dirt included.

The bytes must be the same on every machine, so there are integers and tables only: a
library's exponential or normal draw may differ in the last bit between processors.
"""

from collections.abc import Iterator

import numpy as np
import polars as pl
from numpy.typing import NDArray
from polars.io.plugins import register_io_source

from taxi.hashing import below, choose, draw

Integers = NDArray[np.int64]

BATCH = 100_000
ZONES, UNKNOWN_ZONES = 263, (264, 265)
MICROSECONDS = 1_000_000
DAY = 86_400

# Invented boroughs: name, first and last zone, south-west corner and size in 1/100 mile.
BOROUGHS = (
    ("Harbour", 1, 60, 0, 0, 350),
    ("Northbank", 61, 130, 200, 400, 450),
    ("Old Town", 131, 190, 500, 150, 300),
    ("Eastfield", 191, 262, 750, 50, 600),
    ("Airfield", 263, 263, 1_300, 700, 60),
)
NAMES_FIRST = ("Mill", "Ferry", "Chapel", "Garden", "Market", "River", "Castle", "Station")
NAMES_LAST = ("Row", "Hill", "Square", "Green", "Gate", "Park", "Yard", "Point", "Cross")

# fmt: off
# Trips by hour, and by weekday from Monday; average speed in 1/10 mile an hour by hour.
HOURS = (16, 10, 7, 5, 6, 12, 26, 45, 52, 50, 49, 50,
         53, 54, 60, 66, 66, 68, 63, 50, 40, 34, 28, 22)
WEEKDAYS = (98, 101, 103, 105, 108, 92, 78)
SPEED = (195, 205, 215, 220, 215, 190, 150, 125, 112, 115, 118, 118,
         116, 115, 108, 102, 100, 102, 112, 130, 145, 158, 170, 182)
SEASON = (1000, 930, 1060, 1040, 1080, 1050, 1000, 980, 1020, 1060, 1010, 990)
# Quantiles of a log-normal factor (sigma 0.26) in 1/1000, at equal steps of probability.
NOISE = (473, 616, 671, 710, 741, 769, 794, 817, 839, 860, 881,
         901, 921, 940, 960, 980, 1000, 1021, 1042, 1064, 1086, 1110,
         1135, 1162, 1192, 1224, 1260, 1301, 1349, 1408, 1490, 1623, 2114)
# fmt: on

# Dirt in 1/100,000 of the rows, about as often as in real months.
DIRT = (
    ("zero_duration", 120),
    ("day_long", 180),
    ("long", 1_200),
    ("negative_duration", 40),
    ("zero_distance", 3_000),
    ("far", 90),
    ("wrong_month", 30),
    ("unknown_zone", 300),
    ("reversal", 200),
    ("duplicate", 60),
)
BLOCK = ("passenger_count", "RatecodeID", "payment_type", "trip_type")


def zone_table() -> list[tuple[int, str, str, str]]:
    """Rows of the lookup: zone, borough, name, service zone. Names repeat, as TLC's do."""
    rows = []
    for borough, first, last, *_ in BOROUGHS:
        service = "Airports" if borough == "Airfield" else "Boro Zone"
        for zone in range(first, last + 1):
            name = f"{NAMES_FIRST[zone % 8]} {NAMES_LAST[zone % 9]}"
            rows.append((zone, borough, name, service))
    return [*rows, (264, "Unknown", "NV", "N/A"), (265, "Unknown", "NA", "N/A")]


def _places(seed: int) -> tuple[Integers, Integers, Integers]:
    """Positions east and north, in 1/100 mile, and popularity, of zones 1 to 263."""
    east, north = np.empty(ZONES, np.int64), np.empty(ZONES, np.int64)
    for _, first, last, x, y, size in BOROUGHS:
        count = last - first + 1
        east[first - 1 : last] = x + below(draw(seed, 1, first, count), size)
        north[first - 1 : last] = y + below(draw(seed, 2, first, count), size)
    popularity = 100_000 // (3 + below(draw(seed, 3, 0, ZONES), 120))
    return east, north, popularity


class _City:
    """Tables that one seed fixes."""

    def __init__(self, seed: int) -> None:
        east, north, self.popularity = _places(seed)
        # Streets are a grid: a route is the sum of both ways, and a tenth more.
        self.route = (np.abs(east[:, None] - east) + np.abs(north[:, None] - north)) * 11 // 10 + 60
        self.traffic = 800 + below(draw(seed, 4, 0, ZONES), 500)
        pull = self.popularity * 1_000 // (100 + self.route * self.route // 120)
        ends = np.cumsum(pull, axis=1)
        self._total = ends[:, -1]
        # One sorted array for all rows: row k lies between k and k + 1 times the largest total.
        self._stride = int(self._total.max()) + 1
        self._ends = (ends + np.arange(ZONES)[:, None] * self._stride).ravel()

    def dropoff(self, pickup: Integers, words: NDArray[np.uint64]) -> Integers:
        """Where trips end, drawn by popularity and nearness; zones count from 0."""
        drawn = (words >> np.uint64(32)).astype(np.int64) * self._total[pickup] >> 32
        found = np.searchsorted(self._ends, pickup * self._stride + drawn, side="right")
        zones: Integers = found - pickup * ZONES
        return zones


def _interpolated(table: tuple[int, ...], words: NDArray[np.uint64]) -> Integers:
    """Values of an evenly spaced quantile table at random probabilities."""
    position = below(words, (len(table) - 1) * 1_000)
    knots = np.array(table, dtype=np.int64)
    step, rest = position // 1_000, position % 1_000
    return (knots[step] * (1_000 - rest) + knots[step + 1] * rest) // 1_000


class _Month:
    """One month of raw records, made batch by batch; a row depends on its number alone."""

    def __init__(self, month: str, rows: int, seed: int) -> None:
        self.rows = rows * SEASON[int(month[5:]) - 1] // 1_000
        self._city = _City(seed)
        self._number = int(month[:4]) * 12 + int(month[5:])
        self._seed = seed * 100_003 + self._number
        first = np.datetime64(month, "M")
        self._first_day = int(first.astype("datetime64[D]").astype(np.int64))
        days = int((first + 1).astype("datetime64[D]").astype(np.int64)) - self._first_day
        weekdays = [WEEKDAYS[(self._first_day + day + 3) % 7] for day in range(days)]
        self._day_weights = np.array(weekdays, dtype=np.int64)

    def batch(self, start: int, rows: int) -> dict[str, Integers]:
        """Columns of rows `start` to `start + rows`, under TLC's names, before gaps."""
        stream = iter(range(10, 40))

        def words() -> NDArray[np.uint64]:
            return draw(self._seed, next(stream), start, rows)

        city = self._city
        day = self._first_day + choose(words(), self._day_weights)
        hour = choose(words(), np.array(HOURS, dtype=np.int64))
        seconds = day * DAY + hour * 3_600 + below(words(), 3_600)
        pickup = choose(words(), city.popularity)
        dropoff = city.dropoff(pickup, words())
        distance = city.route[pickup, dropoff] * (850 + below(words(), 400)) // 1_000
        lasting = self._lasting(distance, hour, day, pickup, dropoff, _interpolated(NOISE, words()))
        trip = {
            "pickup": seconds,
            "lasting": lasting,
            "from": pickup + 1,
            "to": dropoff + 1,
            "distance": distance,
            "cents": 300 + distance * 5 // 2 + lasting // 2,
            "vendor": 1 + (below(words(), 100) < 86).astype(np.int64),
            "passengers": 1 + choose(words(), np.array([86, 8, 2, 1, 2, 1], dtype=np.int64)),
            "payment": 1 + choose(words(), np.array([60, 38, 1, 1], dtype=np.int64)),
            "dispatched": 1 + (below(words(), 100) < 3).astype(np.int64),
            "gap": below(words(), 1_000),
        }
        return self._soiled(trip, words(), words())

    def _lasting(
        self,
        distance: Integers,
        hour: Integers,
        day: Integers,
        pickup: Integers,
        dropoff: Integers,
        noise: Integers,
    ) -> Integers:
        """Seconds of a trip: stops, then distance over the hour's speed, worse in busy zones."""
        speed = np.array(SPEED, dtype=np.int64)[hour]
        weekend = (day + 3) % 7 >= 5
        speed = np.where(weekend, speed * 115 // 100, speed)
        traffic = (self._city.traffic[pickup] + self._city.traffic[dropoff]) // 2
        # Roads get a little faster from month to month, as they did after 2021.
        easing = 1_000 - 3 * np.clip(self._number - 2021 * 12 - 1, 0, 60)
        # Beyond five miles a route takes faster roads.
        slow = np.minimum(distance, 500) + np.maximum(distance - 500, 0) * 4 // 10
        driving = slow * 360 // speed * traffic // 1_000 * easing // 1_000
        found: Integers = (75 + driving) * noise // 1_000
        return found

    def _soiled(
        self, trip: dict[str, Integers], kind: NDArray[np.uint64], size: NDArray[np.uint64]
    ) -> dict[str, Integers]:
        """The known kinds of dirt laid over clean trips."""
        position, amount = below(kind, 100_000), below(size, 10_000)
        where, end = {}, 0
        for name, share in DIRT:
            where[name] = (position >= end) & (position < end + share)
            end += share
        for name in ("reversal", "duplicate"):  # a copy of the row before
            rows = np.flatnonzero(where[name][1:]) + 1
            for column in trip.values():
                column[rows] = column[rows - 1]
            if name == "reversal":
                trip["cents"][rows] *= -1
        lasting = trip["lasting"]
        lasting[where["zero_duration"]] = 0
        lasting[where["day_long"]] = DAY - 600 + amount[where["day_long"]] // 10
        lasting[where["long"]] = 3_660 + amount[where["long"]]
        lasting[where["negative_duration"]] = -1 - amount[where["negative_duration"]] // 10
        trip["distance"][where["zero_distance"]] = 0
        trip["distance"][where["far"]] = 10_100 + amount[where["far"]] * 2_900
        trip["pickup"][where["wrong_month"]] -= 400 * DAY
        trip["to"][where["unknown_zone"]] = UNKNOWN_ZONES[0] + amount[where["unknown_zone"]] % 2
        return trip


def _frame(trip: dict[str, Integers], month: str) -> pl.DataFrame:
    """A batch under TLC's names, in the types of the month's schema generation."""
    old = month < "2023-02"
    whole, gappy = (pl.Int64, pl.Float64) if old else (pl.Int32, pl.Int64)
    columns = {
        "VendorID": pl.Series(trip["vendor"], dtype=whole),
        "lpep_pickup_datetime": (trip["pickup"] * MICROSECONDS).view("datetime64[us]"),
        "lpep_dropoff_datetime": ((trip["pickup"] + trip["lasting"]) * MICROSECONDS).view(
            "datetime64[us]"
        ),
        "RatecodeID": np.where(trip["dispatched"] == 2, 5, 1),
        "PULocationID": pl.Series(trip["from"], dtype=whole),
        "DOLocationID": pl.Series(trip["to"], dtype=whole),
        "passenger_count": trip["passengers"],
        "trip_distance": trip["distance"] / 100,
        "fare_amount": trip["cents"] / 100,
        "total_amount": (trip["cents"] + np.where(trip["cents"] < 0, -80, 80)) / 100,
        "payment_type": trip["payment"],
        "trip_type": trip["dispatched"],
    }
    # Meters of some vendors sent a part of the columns not at all, in 2021-01 nearly half.
    missing = pl.Series(trip["gap"]) < (470 if month == "2021-01" else 80)
    gaps = [
        pl.when(missing).then(None).otherwise(pl.col(name)).cast(gappy).alias(name)
        for name in BLOCK
    ]
    return pl.DataFrame(columns).with_columns(gaps)


def scan(month: str, rows: int, seed: int) -> pl.LazyFrame:
    """A month of about `rows` raw records in TLC's columns, made in batches while it is read."""
    source = _Month(month, rows, seed)

    def batches(
        with_columns: list[str] | None,
        predicate: pl.Expr | None,
        n_rows: int | None,
        batch_size: int | None,  # noqa: ARG001 (the engine's protocol; rows come in our batches)
    ) -> Iterator[pl.DataFrame]:
        total = source.rows if n_rows is None else min(n_rows, source.rows)
        for start in range(0, total, BATCH):
            frame = _frame(source.batch(start, min(BATCH, total - start)), month)
            if with_columns is not None:
                frame = frame.select(with_columns)
            yield frame if predicate is None else frame.filter(predicate)

    return register_io_source(batches, schema=_frame(source.batch(0, 1), month).schema)
