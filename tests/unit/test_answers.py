"""What the model may not answer is its baseline's to answer, or refused; what is odd is flagged."""

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from asked import TRIP, ask, loaded, samples
from preflight import reference
from preflight.serving.answers import COMBINATION, SEEN, WARNINGS, WIDE
from preflight.serving.app import ModelService
from remembered import records
from taxi.contract import CONTRACT

Loaded = tuple[ModelService, str]
TRIPS = [TRIP | {"trip_distance": miles} for miles in (0.5, 1.9, 20.0)]
OUTSIDE = [math.nan, math.inf, -math.inf, 0.999, 60.001]


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the service logs."""
    return tmp_path_factory.mktemp("answers")


@pytest.fixture(scope="module")
def asked(built: Path, state: Path) -> Iterator[Loaded]:
    """A loaded service of the small repository, and a key of all scopes."""
    with loaded(built, state) as found:
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


@pytest.fixture
def guarded(asked: Loaded, monkeypatch: pytest.MonkeyPatch) -> Loaded:
    """The service, whose joint score and width guard fire for the longest of the trips alone."""
    model = asked[0]._model
    one, answer = model.one, model.answer

    def one_odd(columns: Any) -> Any:
        long = bool(columns["trip_distance"][0] > 10)
        return replace(one(columns), odd=long, wide=long)

    def many_odd(columns: Any) -> Any:
        long = columns["trip_distance"] > 10
        return replace(answer(columns), odd=long, wide=long)

    monkeypatch.setattr(model, "one", one_odd)
    monkeypatch.setattr(model, "answer", many_odd)
    return asked


@WAYS
def test_an_odd_combination_and_a_wide_interval_are_flagged_and_counted(
    guarded: Loaded, way: Any
) -> None:
    flags = ((COMBINATION,), (WIDE,))
    before = samples(guarded[0], "preflight_flags_total")
    found = way(guarded)
    fired = [[flag for flag in each["flags"] if flag in (COMBINATION, WIDE)] for each in found]
    assert fired == [[], [], [COMBINATION, WIDE]]
    assert all(each["warning"] is None for each in found)
    after = samples(guarded[0], "preflight_flags_total")
    assert [after[flag] - before.get(flag, 0.0) for flag in flags] == [1.0, 1.0]


@WAYS
def test_flags_of_single_values_stand_before_those_of_whole_rows(
    guarded: Loaded, monkeypatch: pytest.MonkeyPatch, way: Any
) -> None:
    far = [TRIP | {"trip_distance": 99.0}] * 3
    monkeypatch.setitem(globals(), "TRIPS", far)
    for each in way(guarded):
        assert each["flags"] == ["trip_distance.unseen", COMBINATION, WIDE]


@WAYS
def test_the_baselines_answer_has_no_guards(
    guarded: Loaded, monkeypatch: pytest.MonkeyPatch, way: Any
) -> None:
    saying(monkeypatch, guarded, math.nan, last=True)
    assert way(guarded)[2]["flags"] == ["fallback.output"]


@pytest.fixture
def refusing(asked: Loaded, monkeypatch: pytest.MonkeyPatch) -> Loaded:
    """The service, which refuses distances that training did not see, and asks for long ones."""
    model = asked[0]._model
    place = list(model.model.features).index("trip_distance")
    monkeypatch.setattr(model, "refused", type(model.refused)([place]))
    far = TRIP | {"trip_distance": 99.0}
    monkeypatch.setitem(globals(), "TRIPS", [far, TRIP, far])
    return asked


def refusals(asked: Loaded) -> float:
    """How often the guard has refused."""
    return samples(asked[0], "preflight_refused_total").get(("trip_distance",), 0.0)


def test_a_guard_may_refuse_an_unseen_value_by_its_feature(refusing: Loaded) -> None:
    before = refusals(refusing)
    first, second, _ = one(refusing)
    assert (first["status"], first["field"]) == (422, "trip_distance")
    assert (first["found"], first["expected"]) == ("99.0", SEEN)
    assert second["flags"] == []
    assert refusals(refusing) == before + 2


def test_a_batch_is_refused_by_the_first_such_row(refusing: Loaded, state: Path) -> None:
    kept, before = len(records(state)), refusals(refusing)
    body = {"instances": [TRIP, *TRIPS]}
    answer = ask(refusing[0], "POST", "/v1/predict/batch", refusing[1], json=body)
    assert (answer.status_code, answer.json()["field"]) == (422, "instances[1].trip_distance")
    assert (answer.json()["found"], answer.json()["expected"]) == ("99.0", SEEN)
    assert len(records(state)) == kept
    assert refusals(refusing) > before


def test_such_lines_are_refused_in_their_places_and_the_others_answered(
    refusing: Loaded, monkeypatch: pytest.MonkeyPatch, state: Path
) -> None:
    kept, before = len(records(state)), refusals(refusing)
    bad = TRIP | {"pickup_zone": 999}
    far, *_ = TRIPS
    monkeypatch.setitem(globals(), "TRIPS", [bad, far, TRIP, far, bad, TRIP])
    found = lines(refusing)
    assert [each.get("line") for each in found] == [1, 2, None, 4, 5, None]
    assert [each.get("field") for each in found[:2]] == ["pickup_zone", "trip_distance"]
    logged = [record["id"] for record in records(state)[kept:]]
    assert logged == [found[place]["prediction_id"] for place in (2, 5)]
    assert refusals(refusing) == before + 2


def test_what_a_guard_refuses_judges_no_rollout(refusing: Loaded) -> None:
    counts = ("preflight_latency_seconds_count", "preflight_errors_total")
    before = [sum(samples(refusing[0], name).values()) for name in counts]
    one(refusing)
    ask(refusing[0], "POST", "/v1/predict/batch", refusing[1], json={"instances": TRIPS})
    after = [sum(samples(refusing[0], name).values()) for name in counts]
    assert [now - then for now, then in zip(after, before, strict=True)] == [1, 0]


def test_the_baseline_answers_what_a_guard_would_refuse(
    refusing: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    switched = refusing[0].limits.model_copy(update={"mode": "fallback"})
    monkeypatch.setattr(refusing[0], "limits", switched)
    for way in (one, batch, lines):
        assert [each["flags"] for each in way(refusing)] == [["fallback.mode"]] * 3


@pytest.mark.parametrize("way", [one, lines])
def test_what_a_guard_refuses_is_refused_whatever_the_model_would_say(
    refusing: Loaded, monkeypatch: pytest.MonkeyPatch, way: Any
) -> None:
    saying(monkeypatch, refusing, math.nan, last=False)
    first, second, third = way(refusing)
    assert (first["field"], third["field"]) == ("trip_distance", "trip_distance")
    assert second["flags"] == ["fallback.output"]


@pytest.mark.parametrize("way", [one, lines])
def test_a_sensitive_value_that_a_guard_refuses_is_not_repeated(
    refusing: Loaded, monkeypatch: pytest.MonkeyPatch, way: Any
) -> None:
    columns = [
        replace(column, sensitive=column.name == "trip_distance") for column in CONTRACT.columns
    ]
    contract = replace(CONTRACT, columns=tuple(columns))
    monkeypatch.setattr(refusing[0]._model, "contract", contract)
    first, *_ = way(refusing)
    assert first["field"] == "trip_distance"
    assert "99" not in str(first)
