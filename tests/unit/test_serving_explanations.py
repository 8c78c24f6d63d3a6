"""Operators ask a replica why it said what it has in its log."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from asked import TRIP, ask, loaded
from preflight.contract import Column
from preflight.serving import keys
from preflight.serving.app import ModelService
from remembered import records, segments, varied
from taxi.contract import CONTRACT

Loaded = tuple[ModelService, str]
UNKNOWN = "019a7c41-5e10-7b3c-9d52-2f4c8e1a6b70"
HIDDEN = tuple(
    replace(column, sensitive=column.name == "trip_distance" or column.sensitive)
    for column in CONTRACT.columns
)
PHONE = 15_557_731_846
CALLED = Column(
    "rider_phone",
    "integer",
    "Whom to call",
    minimum=0,
    maximum=99_999_999_999,
    known=True,
    sensitive=True,
    example=PHONE,
)


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the service logs."""
    return tmp_path_factory.mktemp("explanations")


@pytest.fixture(scope="module")
def asked(built: Path, state: Path) -> Iterator[Loaded]:
    """A loaded service of the small repository, and a key of all scopes."""
    with loaded(built, state) as found:
        yield found


def explain(asked: Loaded, body: Any, key: str | None = None) -> httpx.Response:
    """The answer to a question why."""
    return ask(asked[0], "POST", "/explain", key or asked[1], content=json.dumps(body))


def predicted(asked: Loaded, **more: Any) -> dict[str, Any]:
    """An answer to a trip."""
    found: dict[str, Any] = ask(asked[0], "POST", "/v1/predict", asked[1], json=TRIP | more).json()
    return found


def why(asked: Loaded, prediction: dict[str, Any]) -> httpx.Response:
    """The explanation of an answer."""
    return explain(asked, {"prediction_id": prediction["prediction_id"]})


@pytest.mark.parametrize("miles", [0.5, 1.9, 20.0])
def test_contributions_sum_to_the_answer_in_its_unit(asked: Loaded, miles: float) -> None:
    prediction = predicted(asked, trip_distance=miles)
    answer = why(asked, prediction)
    assert answer.status_code == 200
    found = answer.json()
    parts = {each["feature"]: each["contribution"] for each in found["contributions"]}
    assert set(parts) == set(asked[0]._model.model.features)
    assert found["base"] + sum(parts.values()) == pytest.approx(prediction["value"], abs=1e-6)
    assert (found["value"], found["unit"]) == (prediction["value"], "minute")
    assert found["input"] == TRIP | {"trip_distance": miles}


def test_an_explanation_names_model_commit_and_the_guards_that_fired(asked: Loaded) -> None:
    found = why(asked, predicted(asked, trip_distance=99.0)).json()
    version = ask(asked[0], "GET", "/version", asked[1]).json()
    for name in ("model_version", "model_hash", "commit", "bento", "contract"):
        assert found[name] == version[name]
    (guard,) = (each for each in found["guards"] if "trip_distance" in each)
    assert "99" in guard


def test_each_row_of_a_batch_can_be_explained(asked: Loaded) -> None:
    body = {"instances": [TRIP | {"trip_distance": miles} for miles in (0.5, 1.9)]}
    batch = ask(asked[0], "POST", "/v1/predict/batch", asked[1], json=body).json()["predictions"]
    for prediction, trip in zip(batch, body["instances"], strict=True):
        assert why(asked, prediction).json()["input"] == trip


def test_an_id_that_is_not_in_this_replicas_log_is_404(asked: Loaded) -> None:
    answer = explain(asked, {"prediction_id": UNKNOWN})
    assert (answer.status_code, answer.json()["field"]) == (404, "prediction_id")
    assert "preflight explain ID" in answer.json()["expected"]


def test_an_answer_of_another_model_is_409(asked: Loaded, state: Path) -> None:
    predicted(asked)
    record = records(state)[-1] | {"id": UNKNOWN[:-1] + "1", "model_hash": "0" * 64}
    segment = segments(state, "predictions")[-1].with_name("20210203T081500-1-00000000.jsonl")
    segment.write_text(json.dumps(record, separators=(",", ":")) + "\n")
    answer = explain(asked, {"prediction_id": record["id"]})
    assert (answer.status_code, answer.json()["field"]) == (409, "prediction_id")
    assert "0" * 12 in answer.json()["found"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        UNKNOWN,
        {"prediction_id": 7},
        {"prediction_id": "7"},
        {"prediction_id": UNKNOWN + "\n"},
        {"prediction_id": "../../" + UNKNOWN},
        {"prediction_id": UNKNOWN, "more": 1},
    ],
    ids=str,
)
def test_a_question_without_one_id_is_422(asked: Loaded, body: Any) -> None:
    answer = explain(asked, body)
    assert (answer.status_code, answer.json()["field"]) == (422, "prediction_id")


def test_only_an_admins_key_explains(asked: Loaded, state: Path) -> None:
    body = {"prediction_id": predicted(asked)["prediction_id"]}
    for scope in ("predict", "outcomes"):
        key = keys.add(state / "keys.json", scope, (scope,), None)
        asked[0].beat()
        assert explain(asked, body, key).status_code == 403
    key = keys.add(state / "keys.json", "operator", ("admin",), None)
    asked[0].beat()
    assert explain(asked, body, key).status_code == 200


def test_operators_may_ask_while_the_service_is_off(
    asked: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    prediction = predicted(asked)
    switched = asked[0].limits.model_copy(update={"mode": "off"})
    monkeypatch.setattr(asked[0], "limits", switched)
    assert why(asked, prediction).status_code == 200


def test_a_fallback_is_explained_as_what_it_is(
    asked: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    switched = asked[0].limits.model_copy(update={"mode": "fallback"})
    monkeypatch.setattr(asked[0], "limits", switched)
    found = why(asked, predicted(asked)).json()
    assert "fallback mode" in found["fallback"]
    assert (found["base"], found["contributions"]) == (None, [])


def test_an_input_that_was_hashed_and_is_needed_makes_it_refuse_by_name(
    built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contract = replace(CONTRACT, columns=HIDDEN)
    with varied(built, tmp_path, contract, monkeypatch) as asked:
        answer = why(asked, predicted(asked))
    assert (answer.status_code, answer.json()["field"]) == (422, "column trip_distance")
    assert "sensitive" in answer.json()["found"]


def test_an_input_that_was_hashed_and_is_not_needed_is_explained_without_it(
    built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contract = replace(CONTRACT, columns=(*CONTRACT.columns, CALLED))
    with varied(built, tmp_path, contract, monkeypatch) as asked:
        answer = why(asked, predicted(asked, rider_phone=PHONE))
    assert answer.json()["recomputed"] == "equal, to the last bit"
    assert str(PHONE) not in answer.text
