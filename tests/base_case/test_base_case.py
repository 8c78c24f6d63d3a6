"""Trips whose times a person can check by hand, with loose bounds: what any sound model says.

YOURS: a fork writes its own. Run first, since nothing else is worth knowing if these fail.
"""

from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from preflight import reference
from preflight.layout import PACKAGED
from preflight.predictor import Answers, Predictor

Minutes = NDArray[np.float64]
Route = tuple[int, int]

# Pairs of zones with many trips: Harlem, Morningside, Queens, Brooklyn, and within one zone.
ROUTES = ((74, 75), (75, 74), (41, 74), (74, 42), (166, 41), (95, 82), (97, 97), (7, 7))
LOCAL = ((74, 74), (75, 75), (41, 41), (42, 42), (7, 7), (97, 97), (95, 95), (82, 82))
UNKNOWN = {
    "both_264": (264, 264),
    "both_265": (265, 265),
    "to_265": (74, 265),
    "from_264": (264, 75),
}
WEDNESDAY = "2021-02-03"


@pytest.fixture(scope="module")
def model() -> Predictor:
    """This checkout's packaged model."""
    return Predictor(PACKAGED)


def ask(model: Predictor, routes: Sequence[Route], miles: float, time: str) -> Answers:
    """The model's answers on a Wednesday, one a route."""
    count = len(routes)
    return model.answer(
        {
            "pickup_at": np.array(
                [datetime.fromisoformat(f"{WEDNESDAY}T{time}")] * count, "M8[us]"
            ),
            "pickup_zone": np.array([start for start, _ in routes]),
            "dropoff_zone": np.array([end for _, end in routes]),
            "trip_distance": np.full(count, miles),
        }
    )


def minutes(model: Predictor, routes: Sequence[Route], miles: float, time: str) -> Minutes:
    """How long the trips take."""
    return ask(model, routes, miles, time).value


def varied(model: Predictor, rows: int = 50) -> tuple[Answers, Minutes]:
    """Answers on requests over all of the contract's ranges, and the baseline's."""
    columns = reference.columns(model.contract, rows)
    return model.answer(columns), model.model.baseline(columns)


@pytest.mark.parametrize(
    "route", [pytest.param(each, id=f"{each[0]}to{each[1]}-longer_trip") for each in ROUTES]
)
def test_a_longer_trip_takes_longer(model: Predictor, route: Route) -> None:
    """On the same zones at noon, 1 mile takes less than 4, and 4 less than 10."""
    times = [minutes(model, [route], miles, "12:00")[0] for miles in (1.0, 4.0, 10.0)]
    assert all(shorter < longer for shorter, longer in pairwise(times)), times


@pytest.mark.parametrize(
    ("miles", "margin"),
    [
        pytest.param(1.0, 0.25, id="one_mile-by_hour"),
        pytest.param(4.0, 1.0, id="four_miles-by_hour"),
    ],
)
def test_the_evening_is_slower_than_the_night(
    model: Predictor, miles: float, margin: float
) -> None:
    """Trips take longer at 17:00 than at 03:00, and less than four times as long."""
    night = minutes(model, ROUTES, miles, "03:00").mean()
    evening = minutes(model, ROUTES, miles, "17:00").mean()
    assert night + margin < evening < 4 * night


@pytest.mark.parametrize(
    ("miles", "least", "most"),
    [
        pytest.param(1.0, 2, 20, id="one_mile-speed"),
        pytest.param(2.0, 4, 35, id="two_miles-speed"),
        pytest.param(4.0, 8, 50, id="four_miles-speed"),
        pytest.param(10.0, 15, 60, id="ten_miles-speed"),
    ],
)
def test_a_trip_is_driven_at_a_plausible_speed(
    model: Predictor, miles: float, least: float, most: float
) -> None:
    """At noon a cab makes between 3 and 40 miles an hour."""
    times = minutes(model, ROUTES, miles, "12:00")
    assert ((least <= times) & (times <= most)).all(), times


def test_a_short_trip_within_a_zone_is_short(model: Predictor) -> None:
    """Half a mile within a zone takes less than 20 minutes."""
    times = minutes(model, LOCAL, 0.5, "12:00")
    assert ((times >= 1) & (times < 20)).all(), times


def test_a_long_trip_takes_at_least_ten_minutes_more_than_a_short_one(model: Predictor) -> None:
    """Twelve miles against one."""
    longer = minutes(model, ROUTES, 12.0, "12:00") - minutes(model, ROUTES, 1.0, "12:00")
    assert (longer >= 10).all(), longer


def test_the_way_back_takes_about_as_long(model: Predictor) -> None:
    """Two miles there and two miles back differ by less than ten minutes."""
    back = [(end, start) for start, end in ROUTES]
    there = minutes(model, ROUTES, 2.0, "12:00")
    assert (np.abs(there - minutes(model, back, 2.0, "12:00")) < 10).all()


@pytest.mark.parametrize(
    "route", [pytest.param(each, id=f"{name}-unknown_zone") for name, each in UNKNOWN.items()]
)
def test_an_unknown_zone_is_answered(model: Predictor, route: Route) -> None:
    """Two miles from or to an unknown zone take a plausible time."""
    assert 3 <= minutes(model, [route], 2.0, "12:00")[0] <= 45


def test_each_value_lies_in_its_interval(model: Predictor) -> None:
    """Intervals hold their values, and are wider than nothing and narrower than an hour."""
    for miles in (0.5, 1.0, 2.0, 4.0, 10.0):
        found = ask(model, ROUTES, miles, "12:00")
        assert found.lower is not None and found.upper is not None, "the model has no interval"
        assert ((found.lower <= found.value) & (found.value <= found.upper)).all()
        width = found.upper - found.lower
        assert ((width > 0) & (width < 60)).all()


def test_every_answer_is_finite(model: Predictor) -> None:
    """Over all of the contract's ranges."""
    found, baseline = varied(model, 500)
    for values in (found.value, found.lower, found.upper, baseline):
        assert values is None or np.isfinite(values).all()


def test_predictions_vary(model: Predictor) -> None:
    """Fifty varied requests differ by more than a minute: the model is no constant."""
    assert varied(model)[0].value.std() > 1


def test_the_model_is_not_its_baseline(model: Predictor) -> None:
    """They differ on varied requests."""
    found, baseline = varied(model)
    assert np.abs(found.value - baseline).mean() > 0.1


def test_equal_trips_get_equal_answers(model: Predictor) -> None:
    """Asked alone or among others, now or again."""
    together = minutes(model, ROUTES, 2.0, "12:00")
    alone = [minutes(model, [route], 2.0, "12:00")[0] for route in ROUTES]
    assert together.tolist() == alone
