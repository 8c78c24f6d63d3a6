"""What the model may not answer is answered by its baseline, flagged, warned of and counted."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from asked import TRIP, ask, loaded, samples
from preflight import reference
from preflight.serving.answers import WARNINGS
from preflight.serving.app import ModelService
from taxi.contract import CONTRACT

Loaded = tuple[ModelService, str]
TRIPS = [TRIP | {"trip_distance": miles} for miles in (0.5, 1.9, 20.0)]
OUTSIDE = [math.nan, math.inf, -math.inf, 0.999, 60.001]


@pytest.fixture(scope="module")
def asked(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loaded]:
    """A loaded service of the small repository, and a key of all scopes."""
    with loaded(built, tmp_path_factory.mktemp("answers")) as found:
        yield found


def one(asked: Loaded) -> list[Any]:
    """Three trips, asked one by one."""
    answers = [ask(asked[0], "POST", "/v1/predict", asked[1], json=trip) for trip in TRIPS]
    return [answer.json() for answer in answers]


def batch(asked: Loaded) -> list[Any]:
    """Three trips in a batch."""
    body = {"instances": TRIPS}
    found: list[Any] = ask(asked[0], "POST", "/v1/predict/batch", asked[1], json=body).json()[
        "predictions"
    ]
    return found


def lines(asked: Loaded) -> list[Any]:
    """Three trips in a stream."""
    body = "\n".join(map(json.dumps, TRIPS))
    answer = ask(asked[0], "POST", "/v1/predict/lines", asked[1], content=body)
    return [json.loads(line) for line in answer.text.splitlines()]


WAYS = pytest.mark.parametrize("way", [one, batch, lines])


def saying(monkeypatch: pytest.MonkeyPatch, asked: Loaded, output: float, last: bool) -> None:
    """Let the model say `output` for every row, or for the longest trip alone."""
    model = asked[0]._model.model
    place = list(model.features).index("trip_distance")
    sound = model.predict

    def predict(matrix: np.ndarray) -> np.ndarray:
        chosen = matrix[:, place] > (10.0 if last else 0.0)
        found: np.ndarray = np.where(chosen, output, sound(matrix))
        return found

    monkeypatch.setattr(model, "predict", predict)


def baseline(asked: Loaded) -> list[float]:
    """What the baseline says of the three trips."""
    distance = {"trip_distance": np.array([trip["trip_distance"] for trip in TRIPS])}
    found: list[float] = asked[0]._model.model.baseline(distance).tolist()
    return found


@WAYS
@pytest.mark.parametrize("output", OUTSIDE)
def test_an_output_outside_its_bounds_is_answered_by_the_baseline(
    asked: Loaded, monkeypatch: pytest.MonkeyPatch, way: Any, output: float
) -> None:
    saying(monkeypatch, asked, output, last=False)
    found = way(asked)
    assert [each["value"] for each in found] == baseline(asked)
    for each in found:
        assert each["flags"] == ["fallback.output"]
        assert each["warning"] == WARNINGS["output"]
        assert each["interval"] is None


@WAYS
def test_one_bad_output_among_sound_ones_is_alone_answered_by_the_baseline(
    asked: Loaded, monkeypatch: pytest.MonkeyPatch, way: Any
) -> None:
    sound = way(asked)
    saying(monkeypatch, asked, math.nan, last=True)
    found = way(asked)
    for each in sound + found:
        del each["prediction_id"]
    assert found[:2] == sound[:2]
    assert (found[2]["value"], found[2]["flags"]) == (baseline(asked)[2], ["fallback.output"])


def counted(service: ModelService) -> list[float]:
    """Fallbacks because of the output, their flags, and flagged predictions; all clients."""
    fallbacks = samples(service, "preflight_fallbacks_total")
    return [
        sum(value for labels, value in fallbacks.items() if labels[1] == "output"),
        samples(service, "preflight_flags_total").get(("fallback.output",), 0.0),
        sum(samples(service, "preflight_flagged_total").values()),
    ]


@WAYS
def test_an_answer_of_the_baseline_is_counted_with_its_reason(
    asked: Loaded, monkeypatch: pytest.MonkeyPatch, way: Any
) -> None:
    saying(monkeypatch, asked, math.nan, last=False)
    before = counted(asked[0])
    way(asked)
    assert [now - then for now, then in zip(counted(asked[0]), before, strict=True)] == [3.0] * 3


@WAYS
def test_the_widths_of_bad_outputs_are_not_counted(
    asked: Loaded, monkeypatch: pytest.MonkeyPatch, way: Any
) -> None:
    saying(monkeypatch, asked, math.nan, last=False)
    before = samples(asked[0], "preflight_interval_width_total")
    way(asked)
    assert samples(asked[0], "preflight_interval_width_total") == before


@pytest.mark.parametrize("output", [1.0, 60.0, 30.0])
def test_an_output_on_its_bounds_is_the_models_own(
    asked: Loaded, monkeypatch: pytest.MonkeyPatch, output: float
) -> None:
    saying(monkeypatch, asked, output, last=False)
    for each in one(asked) + batch(asked) + lines(asked):
        assert (each["value"], each["warning"]) == (output, None)
        assert "fallback.output" not in each["flags"]
        assert each["interval"] is not None


@WAYS
def test_all_ways_give_the_predictors_answers(asked: Loaded, way: Any) -> None:
    columns = asked[0].decoder.batch(json.dumps({"instances": TRIPS}).encode())
    expected = asked[0]._model.answer(columns)
    found = way(asked)
    assert expected.lower is not None
    assert [each["value"] for each in found] == expected.value.tolist()
    assert [each["interval"]["lower"] for each in found] == expected.lower.tolist()


def test_one_row_and_many_answer_alike_on_the_reference_requests(asked: Loaded) -> None:
    answerer, rows = asked[0].answerer, reference.columns(CONTRACT, 200, seed=5)
    together = answerer.many(rows, 0, "normal")
    for place, other in enumerate(together):
        row = {name: values[place : place + 1] for name, values in rows.items()}
        alone = answerer.one(row, 0, "normal")
        alone.prediction_id = other.prediction_id
        assert alone == other


def test_ids_of_answers_do_not_repeat(asked: Loaded) -> None:
    ids = [each["prediction_id"] for way in (one, batch, lines) for each in way(asked)]
    assert len(set(ids)) == 9
