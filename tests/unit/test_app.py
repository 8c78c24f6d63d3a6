"""The routes in front of BentoML, asked through ASGI."""

import asyncio
import json
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest

from preflight import predictor
from preflight.errors import Problem
from preflight.files import write_json
from preflight.predictor import Predictor
from preflight.serving import ids, openapi
from preflight.serving.app import Front, ModelService, Receive, Scope, Send
from taxi.contract import CONTRACT

TRIP = {column.name: column.example for column in CONTRACT.known}


async def inner(scope: Scope, receive: Receive, send: Send) -> None:
    """Stands where BentoML's own application does."""
    await send({"type": "http.response.start", "status": 299, "headers": []})
    await send({"type": "http.response.body", "body": b"BentoML"})


@pytest.fixture
def service(built: Path, monkeypatch: pytest.MonkeyPatch) -> ModelService:
    """A loaded service of the small repository."""
    monkeypatch.chdir(built)
    found = ModelService()
    found.load()
    return found


def ask(service: ModelService, method: str, path: str, **more: Any) -> httpx.Response:
    """One request through the front."""

    async def talk() -> httpx.Response:
        transport = httpx.ASGITransport(app=Front(inner, service))
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.request(method, path, **more)

    return asyncio.run(talk())


def test_an_answer_carries_id_version_value_interval_unit_and_flags(
    service: ModelService,
) -> None:
    answer = ask(service, "POST", "/v1/predict", json=TRIP).json()
    assert UUID(answer["prediction_id"]).version == 7
    assert answer["model_version"] == "unregistered"
    assert answer["unit"] == "minute"
    assert answer["interval"]["lower"] <= answer["value"] <= answer["interval"]["upper"]
    assert answer["interval"]["coverage"] == 0.9
    assert answer["flags"] == []


def test_values_that_training_did_not_see_are_flagged_by_feature(service: ModelService) -> None:
    answer = ask(service, "POST", "/v1/predict", json=TRIP | {"trip_distance": 99.0}).json()
    assert answer["flags"] == ["trip_distance.unseen"]


def test_a_batch_of_one_equals_one(service: ModelService) -> None:
    one = ask(service, "POST", "/v1/predict", json=TRIP).json()
    (batch,) = ask(service, "POST", "/v1/predict/batch", json={"instances": [TRIP]}).json()[
        "predictions"
    ]
    assert one.pop("prediction_id") != batch.pop("prediction_id")
    assert one == batch


def test_a_breach_of_the_contract_is_a_problem_with_field_found_and_expected(
    service: ModelService,
) -> None:
    answer = ask(service, "POST", "/v1/predict", json=TRIP | {"pickup_zone": 999})
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["field"] == "pickup_zone"
    assert answer.json()["found"] == "999"


@pytest.mark.parametrize("depth", [500, 900, 973, 990, 1_000, 5_000])
def test_deeply_nested_json_is_answered(service: ModelService, depth: int) -> None:
    for route in ("/v1/predict", "/v1/predict/batch"):
        answer = ask(service, "POST", route, content=b"[" * depth + b"]" * depth)
        assert answer.status_code == 422


def test_a_field_whose_name_is_no_text_is_answered(service: ModelService) -> None:
    body = json.dumps(TRIP)[:-1] + ', "\\ud800": 1}'
    answer = ask(service, "POST", "/v1/predict", content=body)
    assert answer.status_code == 422
    assert answer.json()["found"] == "an unknown field"


def test_an_error_of_ours_is_an_answer_without_a_traceback(
    service: ModelService, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(service._model, "answer", None)
    answer = ask(service, "POST", "/v1/predict", json=TRIP)
    assert answer.status_code == 500
    assert "Traceback" not in answer.text
    assert "TypeError" in caplog.text


def test_ten_megabytes_are_refused_without_being_read_whole(service: ModelService) -> None:
    answer = ask(service, "POST", "/v1/predict", content=b"x" * 10_000_000)
    assert answer.status_code == 413
    assert "at most 4000000 bytes" in answer.json()["expected"]


def test_another_method_is_refused(service: ModelService) -> None:
    assert ask(service, "GET", "/v1/predict").status_code == 405


def test_version_names_model_commit_and_bento(service: ModelService, built: Path) -> None:
    answer = ask(service, "GET", "/version").json()
    assert answer["model_hash"] == Predictor(built / "models/packaged").model_hash
    assert (answer["commit"], answer["bento"]) == (None, None)


def test_the_openapi_document_is_served_where_bentoml_looks_for_it(
    service: ModelService,
) -> None:
    served = ask(service, "GET", "/docs.json").json()
    assert served == openapi.document(CONTRACT, 10_000)
    assert json.dumps(served)


def test_other_paths_are_bentomls(service: ModelService) -> None:
    assert ask(service, "GET", "/readyz").status_code == 299
    assert ask(service, "POST", "/v2/predict").status_code == 299


def test_before_loading_everything_is_bentomls() -> None:
    assert ask(ModelService(), "POST", "/v1/predict", json=TRIP).status_code == 299


def test_a_model_with_a_changed_byte_is_refused_at_start(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    booster = checkout / "models/packaged/booster.txt"
    booster.unlink()  # DVC's outputs may be links into its cache
    booster.write_text((checkout / "models/fitted/booster.txt").read_text() + " ")
    monkeypatch.chdir(checkout)
    with pytest.raises(Problem, match=r"booster\.txt: found hash"):
        ModelService().load()


def test_a_model_without_calibration_answers_without_an_interval(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = checkout / "models/packaged"
    write_json(folder / "interval.json", None)
    (folder / "manifest.json").unlink()
    predictor.pack(folder, "taxi")
    monkeypatch.chdir(checkout)
    service = ModelService()
    service.load()
    assert ask(service, "POST", "/v1/predict", json=TRIP).json()["interval"] is None


def test_ids_sort_by_time_and_do_not_repeat() -> None:
    found = [ids.prediction_id() for _ in range(2_000)]
    assert len(set(found)) == 2_000
    stamps = [UUID(each).int >> 80 for each in found]
    assert stamps == sorted(stamps)
