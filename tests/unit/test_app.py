"""The routes in front of BentoML, asked through ASGI."""

import asyncio
import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from asked import TRIP, ask, bearer, inner, loaded, samples, speak
from preflight import predictor
from preflight.errors import Problem
from preflight.files import write_json
from preflight.log.segments import ended
from preflight.predictor import Predictor
from preflight.serving import openapi
from preflight.serving.app import Front, ModelService, Receive, Scope, Send
from preflight.serving.exchange import deprecation
from remembered import segments, told
from taxi.contract import CONTRACT

BATCH = "/v1/predict/batch"
Loaded = tuple[ModelService, str]


@pytest.fixture(scope="module")
def asked(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loaded]:
    """A loaded service of the small repository, and a key of all scopes."""
    with loaded(built, tmp_path_factory.mktemp("app")) as found:
        yield found


def predict(asked: Loaded, body: Any = TRIP, path: str = "/v1/predict", **more: Any) -> Any:
    """The answer to a POST with the key."""
    service, key = asked
    return ask(service, "POST", path, key, content=json.dumps(body), **more)


def test_an_answer_carries_id_version_value_interval_unit_and_flags(asked: Loaded) -> None:
    answer = predict(asked).json()
    assert UUID(answer["prediction_id"]).version == 7
    assert answer["model_version"] == "unregistered"
    assert answer["unit"] == "minute"
    assert answer["interval"]["lower"] <= answer["value"] <= answer["interval"]["upper"]
    assert answer["interval"]["coverage"] == 0.9
    assert (answer["flags"], answer["warning"]) == ([], None)


def test_an_answer_is_what_the_model_says(asked: Loaded, built: Path) -> None:
    found = asked[0].decoder.one(json.dumps(TRIP).encode())
    value = Predictor(built / "models/packaged").answer(found).value[0]
    assert predict(asked).json()["value"] == value


def test_values_that_training_did_not_see_are_flagged_by_feature(asked: Loaded) -> None:
    answer = predict(asked, TRIP | {"trip_distance": 99.0}).json()
    assert answer["flags"][0] == "trip_distance.unseen"


def test_a_batch_of_one_equals_one(asked: Loaded) -> None:
    one = predict(asked).json()
    (batch,) = predict(asked, {"instances": [TRIP]}, BATCH).json()["predictions"]
    assert one.pop("prediction_id") != batch.pop("prediction_id")
    assert one == batch


@pytest.mark.parametrize("depth", [500, 900, 973, 990, 1_000, 5_000])
def test_deeply_nested_json_is_answered(asked: Loaded, depth: int) -> None:
    for route in ("/v1/predict", BATCH):
        content = b"[" * depth + b"]" * depth
        assert ask(asked[0], "POST", route, asked[1], content=content).status_code == 422


def test_a_field_whose_name_is_no_text_is_answered(asked: Loaded) -> None:
    body = json.dumps(TRIP)[:-1] + ', "\\ud800": 1}'
    answer = ask(asked[0], "POST", "/v1/predict", asked[1], content=body)
    assert answer.status_code == 422
    assert answer.json()["found"] == "an unknown field"


def test_the_callers_ids_come_back_with_an_answer(asked: Loaded) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    answer = predict(asked, headers={"x-request-id": "order-7", "traceparent": trace})
    assert (answer.headers["x-request-id"], answer.headers["traceparent"]) == ("order-7", trace)


@pytest.mark.parametrize("sent", [b"a\r\nset-cookie: b=c", b"a\nset-cookie: b=c", b"\xff"])
def test_no_header_can_be_put_into_an_answer(asked: Loaded, sent: bytes) -> None:
    headers = [bearer(asked[1])]
    names = (b"x-request-id", b"traceparent", b"tracestate", b"x-entity-id", b"content-encoding")
    headers += [(name, sent) for name in names]
    heard = asyncio.run(speak(asked[0], "/v1/predict", [b"{}"], headers))
    assert heard.status == 422
    for name, text in heard.headers:
        assert not {b"\r", b"\n"} & {bytes([byte]) for byte in name + text}
        assert b"cookie" not in text


def test_version_names_model_commit_bento_and_mode(asked: Loaded, built: Path) -> None:
    answer = ask(asked[0], "GET", "/version", asked[1]).json()
    assert answer["model_hash"] == Predictor(built / "models/packaged").model_hash
    assert (answer["commit"], answer["bento"]) == (None, None)
    assert (answer["mode"], answer["reason"]) == ("normal", "")
    assert answer["contract"] == "taxi-trips/1"


def test_the_openapi_document_is_served_without_a_key_and_where_bentoml_looks(
    asked: Loaded,
) -> None:
    for path in ("/docs.json", "/openapi.json"):
        served = ask(asked[0], "GET", path)
        assert served.status_code == 200
        assert served.json() == openapi.document(CONTRACT, asked[0].limits)


def test_probes_metrics_and_page_are_bentomls(asked: Loaded) -> None:
    for path in ("/readyz", "/livez", "/metrics", "/"):
        assert ask(asked[0], "GET", path).status_code == 299


def test_other_paths_lead_nowhere(asked: Loaded) -> None:
    for path in ("/v2/predict", "/v1/predict/", "/schema.json", "/%76ersion"):
        assert ask(asked[0], "GET", path).status_code == 404


def test_before_loading_everything_is_bentomls_and_nothing_is_ready() -> None:
    service = ModelService()
    assert ask(service, "POST", "/v1/predict", json=TRIP).status_code == 299
    assert not service.ready
    service.beat()


def test_a_loaded_worker_is_ready_until_it_drains(
    asked: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = asked[0].ready
    assert "connection" not in predict(asked).headers
    monkeypatch.setattr(asked[0].life, "draining", True)
    assert (before, asked[0].ready) == (True, False)
    for answer in (predict(asked), predict(asked, {}), ask(asked[0], "GET", "/version")):
        assert answer.headers["connection"] == "close"


def test_a_caller_that_left_is_counted_and_not_answered(asked: Loaded) -> None:
    sent: list[Any] = []

    async def leave() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/predict",
        "headers": [bearer(asked[1])],
    }
    asyncio.run(Front(inner, asked[0])(scope, leave, send))
    assert sent == []
    counted = samples(asked[0], "preflight_requests_total")
    assert counted["predict", "v1", "tests", "499"] == 1


def test_a_deprecated_version_says_since_when(
    asked: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert deprecation(None) == []
    assert "deprecation" not in predict(asked).headers
    monkeypatch.setattr(asked[0], "_deprecated", deprecation(date(2027, 1, 31)))
    for answer in (predict(asked), predict(asked, {}, BATCH)):
        assert answer.headers["deprecation"] == "@1801353600"
    assert "deprecation" not in ask(asked[0], "GET", "/version", asked[1]).headers


class Outside:
    """An application with BentoML's one attribute that matters."""

    def __init__(self) -> None:
        self.middleware_stack: Any = inner


def test_at_the_start_the_front_moves_to_the_outside() -> None:
    async def noted(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["type"])

    seen: list[str] = []
    service, outside = ModelService(), Outside()
    scope = {"type": "lifespan", "app": outside}
    asyncio.run(Front(noted, service)(scope, None, None))  # type: ignore[arg-type]
    assert seen == ["lifespan"]
    assert isinstance(outside.middleware_stack, Front)
    assert outside.middleware_stack._app is inner
    assert service.deadlines.loop is not None


def test_while_the_server_runs_all_it_says_is_json_and_at_its_end_its_segments_end(
    built: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    locked: list[bool] = []

    def is_locked() -> bool:
        (segment,) = segments(tmp_path, "predictions")
        with ended(segment) as file:
            return file is None

    async def talked(scope: Scope, receive: Receive, send: Send) -> None:
        heard = await speak(service, "/v1/predict", [json.dumps(TRIP).encode()], [bearer(key)])
        assert heard.status == 200
        locked.append(is_locked())
        assert "access" not in capfd.readouterr().out
        service.beat()
        (line,) = told(capfd.readouterr().out)
        assert (line["stream"], line["route"]) == ("access", "predict")

    with loaded(built, tmp_path) as (service, key):
        asyncio.run(Front(talked, service)({"type": "lifespan"}, None, None))  # type: ignore[arg-type]
    locked.append(is_locked())
    assert locked == [True, False]


def test_a_model_with_a_changed_byte_is_refused_at_start(checkout: Path, tmp_path: Path) -> None:
    booster = checkout / "models/packaged/booster.txt"
    booster.unlink()  # DVC's outputs may be links into its cache
    booster.write_text((checkout / "models/fitted/booster.txt").read_text() + " ")
    with pytest.raises(Problem, match=r"booster\.txt: found hash"), loaded(checkout, tmp_path):
        pass


def test_a_model_without_calibration_answers_without_an_interval(
    checkout: Path, tmp_path: Path
) -> None:
    folder = checkout / "models/packaged"
    write_json(folder / "interval.json", None)
    (folder / "manifest.json").unlink()
    predictor.pack(folder, "taxi")
    with loaded(checkout, tmp_path) as uncalibrated:
        assert predict(uncalibrated).json()["interval"] is None
        (one,) = predict(uncalibrated, {"instances": [TRIP]}, BATCH).json()["predictions"]
        assert one["interval"] is None
