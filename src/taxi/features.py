"""Features by name, computed from column arrays: the same code in training and in serving."""

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from preflight.errors import Problem
from preflight.project import Columns

UNKNOWN = "Unknown"
LAST_ZONE = 265
DAY_PARTS = ("night", "morning", "midday", "evening")  # six hours each, from midnight

Array = NDArray[Any]


@dataclass(frozen=True)
class Zones:
    """The zone lookup: boroughs in a fixed order, and each zone's position in it.

    A zone that the lookup lacks, or calls unknown, has borough 0, "Unknown".
    """

    boroughs: tuple[str, ...]
    borough_of: NDArray[np.int64]


def read_lookup(path: Path) -> Zones:
    """The zone lookup's CSV. "NA" and "N/A" are text there, and zone names are not unique."""
    with path.open(newline="", encoding="utf-8") as file:
        try:
            pairs = [(int(row["zone"]), row["borough"]) for row in csv.DictReader(file)]
            if odd := [zone for zone, _ in pairs if not 1 <= zone <= LAST_ZONE]:
                raise ValueError(f"zone {odd[0]}")
        except (KeyError, ValueError) as error:
            raise Problem(
                str(path), f"no zone table ({error!r})", "columns zone and borough", "Rebuild it."
            ) from None
    boroughs = (UNKNOWN, *sorted({borough for _, borough in pairs} - {UNKNOWN}))
    borough_of = np.zeros(LAST_ZONE + 1, dtype=np.int64)
    for zone, borough in pairs:
        borough_of[zone] = boroughs.index(borough)
    return Zones(boroughs, borough_of)


@dataclass(frozen=True)
class Feature:
    """One feature: whose property it is, whether its numbers are codes, and its formula."""

    entity: Literal["trip", "zone"]
    description: str
    of: Callable[[Columns, Zones], Array]
    categorical: bool = False


def _minute_of_day(columns: Columns, _: Zones) -> Array:
    time = columns["pickup_at"]
    minutes: Array = (time - time.astype("datetime64[D]")) // np.timedelta64(1, "m")
    return minutes


def _weekday(columns: Columns, _: Zones) -> Array:
    # 1970-01-01 was a Thursday; Monday is 0.
    return (columns["pickup_at"].astype("datetime64[D]").astype(np.int64) + 3) % 7


CATALOGUE = {
    "pickup_zone": Feature(
        "zone", "Zone where the trip starts", lambda c, _: c["pickup_zone"], categorical=True
    ),
    "dropoff_zone": Feature(
        "zone", "Zone where the trip ends", lambda c, _: c["dropoff_zone"], categorical=True
    ),
    "trip_distance": Feature(
        "trip", "Length of the planned route, miles", lambda c, _: c["trip_distance"]
    ),
    "minute_of_day": Feature("trip", "Minutes since midnight at pick-up", _minute_of_day),
    "weekday": Feature("trip", "Day of the week at pick-up, Monday is 0", _weekday),
    "same_zone": Feature(
        "trip",
        "Whether the trip ends in the zone where it starts",
        lambda c, _: c["pickup_zone"] == c["dropoff_zone"],
    ),
    "pickup_borough": Feature(
        "zone",
        "Borough where the trip starts, by the lookup",
        lambda c, zones: zones.borough_of[c["pickup_zone"]],
        categorical=True,
    ),
    "dropoff_borough": Feature(
        "zone",
        "Borough where the trip ends, by the lookup",
        lambda c, zones: zones.borough_of[c["dropoff_zone"]],
        categorical=True,
    ),
}


def compute(columns: Columns, lookup: Zones, names: Sequence[str]) -> NDArray[np.float64]:
    """Features by name: shape (rows, names). Columns must keep the contract."""
    rows = len(columns["pickup_at"])
    matrix = np.empty((rows, len(names)), dtype=np.float64)
    for position, name in enumerate(names):
        matrix[:, position] = CATALOGUE[name].of(columns, lookup)
    return matrix


def categorical(names: Sequence[str]) -> list[int]:
    """Positions of the features whose numbers are codes."""
    return [position for position, name in enumerate(names) if CATALOGUE[name].categorical]


def slices(columns: Columns, lookup: Zones, names: Sequence[str]) -> dict[str, Array]:
    """Labels by slice name, one a row; a name that has no rule of its own is a column."""
    rules: dict[str, Callable[[], Array]] = {
        "pickup_borough": lambda: np.array(lookup.boroughs)[
            lookup.borough_of[columns["pickup_zone"]]
        ],
        "day_part": lambda: np.array(DAY_PARTS)[_minute_of_day(columns, lookup) // 360],
    }
    return {name: rules[name]() if name in rules else columns[name].astype(str) for name in names}
