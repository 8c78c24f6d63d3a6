"""The OpenAPI document is valid, whole and true: what it shows is asked, and answers as it says."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jsonschema_rs
import pytest
from schemathesis.specs.openapi.definitions import OPENAPI_31_VALIDATOR

from asked import TRIP, ask, loaded
from conftest import ROOT
from preflight import params
from preflight.serving import keys, openapi
from preflight.serving.app import ModelService
from taxi.contract import CONTRACT

Plain = dict[str, Any]
Served = tuple[ModelService, str]
DOCUMENT = openapi.document(CONTRACT, params.load(ROOT / "params.yaml").serving)
OPERATIONS = {
    (path, method): operation
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
}
JSON, LINES, PROBLEM = "application/json", "application/x-ndjson", "application/problem+json"
# For BentoML's page alone; the same document under another name.
UNDOCUMENTED = {"/docs.json"}
# What a stranger must not learn: classes, files, tools and traces.
INNARDS = re.compile(
    r"Traceback|File \"|\.py\b|\bline \d+, in\b|msgspec|numpy|lightgbm|bentoml|uvicorn|prometheus"
    r"|ModelService|Front|Exchange|Refusal|Decoder|preflight\.|taxi\.|0x[0-9a-f]{6,}"
    rf"|{re.escape(str(ROOT))}|num_leaves|learning_rate|max_rate|entity_salt|entity-buckets|sha256",
    re.IGNORECASE,
)


@pytest.fixture(scope="module")
def served(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A loaded service and a key of all scopes."""
    with loaded(built, tmp_path_factory.mktemp("keys")) as found:
        yield found


def keeps(schema: Plain, value: Any) -> None:
    """Raise where a value breaks a schema of the document."""
    whole = schema | {"components": DOCUMENT["components"]}
    jsonschema_rs.validate(whole, value, validate_formats=True)


def asked_for(operation: Plain, media: str = JSON) -> Any:
    """The example of a request."""
    return operation["requestBody"]["content"][media]["example"]


def content(operation: Plain, status: str) -> Plain:
    """The one content of an answer."""
    ((media, found),) = operation["responses"][status]["content"].items()
    return {"media": media, **found}


def test_the_document_is_valid_openapi_3_1() -> None:
    assert DOCUMENT["openapi"].startswith("3.1.")
    OPENAPI_31_VALIDATOR.validate(DOCUMENT)
    broken = json.loads(json.dumps(DOCUMENT))
    broken["paths"]["/v1/predict"]["post"]["responses"] = ["200"]
    with pytest.raises(jsonschema_rs.ValidationError):
        OPENAPI_31_VALIDATOR.validate(broken)


@pytest.mark.parametrize("name", list(DOCUMENT["components"]["schemas"]))
def test_every_schema_is_valid_and_takes_its_own_examples(name: str) -> None:
    schema = DOCUMENT["components"]["schemas"][name]
    jsonschema_rs.Draft202012Validator(schema | {"components": DOCUMENT["components"]})
    for example in schema.get("examples", ()):
        keeps(schema, example)
    for part in schema["properties"].values():
        for example in part.get("examples", ()):
            keeps(part, example)


def test_every_reference_and_every_scheme_is_there() -> None:
    names = re.findall(r'"#/components/schemas/(\w+)"', json.dumps(DOCUMENT))
    assert set(names) == set(DOCUMENT["components"]["schemas"])
    known = set(DOCUMENT["components"]["securitySchemes"])
    used = {name for each in OPERATIONS.values() for need in each["security"] for name in need}
    assert used == known


def test_the_service_serves_this_document_under_both_its_names(served: Served) -> None:
    found = [ask(served[0], "GET", path).json() for path in ("/openapi.json", "/docs.json")]
    assert found == [DOCUMENT, DOCUMENT]


def test_every_route_is_documented_with_its_method_and_scope(served: Served) -> None:
    routes = {path: route for path, route in served[0].routes.items() if path not in UNDOCUMENTED}
    assert {(path, route.method.lower()) for path, route in routes.items()} == set(OPERATIONS)
    for (path, _), operation in OPERATIONS.items():
        scope = routes[path].scope
        assert operation["security"] == ([{"key": [scope]}] if scope else [])


ASKED = [place for place, each in OPERATIONS.items() if "requestBody" in each]


@pytest.mark.parametrize("path", [path for path, _ in ASKED])
def test_a_route_that_is_asked_shows_a_request_that_its_schema_takes(path: str) -> None:
    ((media, shown),) = OPERATIONS[path, "post"]["requestBody"]["content"].items()
    assert "example" in shown, "no example: add one"
    rows = shown["example"].splitlines() if media == LINES else [shown["example"]]
    for row in rows:
        keeps(shown["schema"], row)


@pytest.mark.parametrize("place", list(OPERATIONS), ids=lambda place: place[0])
def test_an_example_asked_as_shown_is_answered_as_documented(
    served: Served, place: tuple[str, str]
) -> None:
    operation, (path, method) = OPERATIONS[place], place
    body: dict[str, Any] = {}
    if "requestBody" in operation:
        ((media, shown),) = operation["requestBody"]["content"].items()
        example = shown.get("example", json.dumps(TRIP))
        if path == "/explain":  # of a prediction that there is
            told = ask(served[0], "POST", "/v1/predict", served[1], json=TRIP).json()
            example = {"prediction_id": told["prediction_id"]}
        data = example if isinstance(example, str) else json.dumps(example)
        body = {"content": data, "headers": {"content-type": media}}
    answer = ask(served[0], method.upper(), path, served[1], **body)
    good = min(operation["responses"])
    expected = content(operation, good)
    found = str(answer.status_code), answer.headers["content-type"]
    assert found == (good, expected["media"])
    assert set(operation["responses"][good]["headers"]) <= {"X-Request-Id", "Deprecation"}
    assert answer.headers["x-request-id"]
    keeps(expected["schema"], answer.text if expected["media"] == LINES else answer.json())


@pytest.mark.parametrize("path", ["/v1/predict", "/v1/predict/batch"])
def test_the_answer_shown_is_one_that_the_service_could_give(served: Served, path: str) -> None:
    operation = OPERATIONS[path, "post"]
    shown = content(operation, "200")
    keeps(shown["schema"], shown["example"])
    told = ask(served[0], "POST", path, served[1], json=asked_for(operation)).json()
    assert fields(shown["example"]) == fields(told)


def fields(found: Any) -> Any:
    """The shape of JSON data: names and kinds, with no values."""
    if isinstance(found, dict):
        return {name: fields(each) for name, each in found.items()}
    if isinstance(found, list):
        return [fields(each) for each in found]
    return type(found)


def test_the_problem_shown_is_the_answer_to_a_request_of_nothing(served: Served) -> None:
    (shown,) = DOCUMENT["components"]["schemas"]["Problem"]["examples"]
    answer = ask(served[0], "POST", "/v1/predict", served[1], content=b"")
    assert answer.status_code == shown["status"]
    assert answer.json() == shown


def refusals(served: Served, place: Path) -> Iterator[tuple[str, httpx.Response]]:
    """Refusals of every kind that can be asked for here, with the path that gave them."""
    service, key = served
    lesser = keys.add(place, "lesser", ("outcomes",), 1e9)
    slow = keys.add(place, "slow", keys.SCOPES, 1)
    service.beat()
    service.door._cap = keys.Cap(lambda: 7.0)
    ask(service, "GET", "/version", slow)
    for (path, method), operation in OPERATIONS.items():
        verb = method.upper()
        yield path, ask(service, "TRACE", path, key)
        if operation["security"]:
            yield path, ask(service, verb, path)
            yield path, ask(service, verb, path, "pf_nobody")
            yield path, ask(service, verb, path, lesser)
            yield path, ask(service, verb, path, slow)
            yield path, ask(service, verb, path, key, headers={"x-entity-id": "two words"})
        if "requestBody" in operation:
            coded = {"content-encoding": "gzip"}
            yield path, ask(service, verb, path, key, content=b"{}", headers=coded)
            yield path, ask(service, verb, path, key, content=b"x" * 5_000_000)
        if "requestBody" in operation and not path.endswith("lines"):
            yield path, ask(service, verb, path, key, content=b"\xff")


def test_every_refusal_is_a_documented_problem(served: Served) -> None:
    assert served[0].door.keys is not None
    found = set()
    for path, answer in refusals(served, served[0].door.keys.path):
        ((_, operation),) = DOCUMENT["paths"][path].items()
        status = str(answer.status_code)
        assert status in operation["responses"], (path, answer.text)
        assert answer.headers["content-type"] == content(operation, status)["media"] == PROBLEM
        keeps(content(operation, status)["schema"], answer.json())
        assert answer.json()["status"] == answer.status_code
        assert answer.headers["x-request-id"]
        assert not INNARDS.search(answer.text)
        found.add(status)
    assert found == {"401", "403", "405", "413", "415", "422", "429"}


@pytest.mark.parametrize("path", [path for path, _ in ASKED if path.startswith("/v1/predict")])
def test_a_service_that_is_off_answers_as_documented(
    served: Served, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    service, key = served
    off = service.limits.model_copy(update={"mode": "off", "reason": "a new model is coming"})
    monkeypatch.setattr(service, "limits", off)
    answer = ask(service, "POST", path, key, json=TRIP)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "60")
    assert answer.json()["found"] == "off: a new model is coming"
    keeps(content(OPERATIONS[path, "post"], "503")["schema"], answer.json())


STATUS = re.compile(r"Refusal\(\s*(\d{3})")


def test_every_status_that_the_code_can_answer_is_documented() -> None:
    """A refusal with a new status has to be put into the document with it."""
    files = sorted((ROOT / "src/preflight/serving").glob("*.py"))
    answered = {status for file in files for status in STATUS.findall(file.read_text())}
    documented = {status for each in OPERATIONS.values() for status in each["responses"]}
    assert len(answered) >= 9
    assert documented == answered | {"200", "202"}
    assert set(openapi.REFUSALS) == answered


def test_the_document_shows_nothing_of_what_is_inside() -> None:
    found = INNARDS.search(json.dumps(DOCUMENT))
    assert found is None, found
    hidden = {column.name for column in CONTRACT.columns} - {each.name for each in CONTRACT.known}
    shown = {name for name in hidden if re.search(rf"\b{name}\b", json.dumps(DOCUMENT))}
    assert shown == set(), "columns that no caller sends"


@pytest.mark.parametrize("error", [ValueError("secret"), KeyError("secret"), OSError("/secret/x")])
def test_an_error_of_ours_shows_nothing_of_what_is_inside(
    served: Served, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise error

    monkeypatch.setattr(served[0].answerer, "one", fails)
    answer = ask(served[0], "POST", "/v1/predict", served[1], json=TRIP)
    assert answer.status_code == 500
    keeps(content(OPERATIONS["/v1/predict", "post"], "500")["schema"], answer.json())
    assert not INNARDS.search(answer.text)
    assert "secret" not in answer.text
    assert type(error).__name__ not in answer.text


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[" * 2_000,
        b'{"\xff',
        b'{"pickup_at": NaN}',
        json.dumps(TRIP | {"pickup_zone": 10**400}).encode(),
        b'{"pickup_zone": ' + b"9" * 5_000 + b"}",
        json.dumps(TRIP | {"__class__": 1}).encode(),
    ],
    ids=["cut", "deep", "no UTF-8", "NaN", "huge", "5,000 digits", "an attribute's name"],
)
def test_an_odd_body_is_refused_in_plain_words(served: Served, body: bytes) -> None:
    answer = ask(served[0], "POST", "/v1/predict", served[1], content=body)
    assert answer.status_code == 422
    keeps(content(OPERATIONS["/v1/predict", "post"], "422")["schema"], answer.json())
    assert not INNARDS.search(answer.text)
    assert not re.search(r"Error|Exception|sys\.|set_int|codec", answer.text)
