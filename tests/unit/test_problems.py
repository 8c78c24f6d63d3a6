"""Every refusal is a problem with field, found and expected, and with the request's id."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from asked import TRIP, Heard, ask, bearer, loaded, speak
from preflight.serving import keys, problems
from preflight.serving.app import ModelService
from preflight.serving.exchange import Exchange
from preflight.serving.keys import Cap
from preflight.serving.problems import Refusal

ONE, BATCH, LINES = "/v1/predict", "/v1/predict/batch", "/v1/predict/lines"
TRIP_BODY = json.dumps(TRIP).encode()
Loaded = tuple[ModelService, str]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the service's keys lie."""
    return tmp_path_factory.mktemp("problems")


@pytest.fixture(scope="module")
def asked(built: Path, place: Path) -> Iterator[Loaded]:
    """A service with keys, and a key of all scopes."""
    with loaded(built, place) as found:
        yield found


def refused(heard: Any, status: int, field: str) -> dict[str, Any]:
    """The problem of an answer that must be one, by httpx or as bytes."""
    if isinstance(heard, Heard):
        headers = {name.decode(): text.decode() for name, text in heard.headers}
        code, content = heard.status, b"".join(heard.parts)
    else:
        headers, code, content = heard.headers, heard.status_code, heard.content
    problem: dict[str, Any] = json.loads(content)
    assert (code, problem["status"], problem["field"]) == (status, status, field)
    assert headers["content-type"] == "application/problem+json"
    assert headers["x-request-id"] == "mine-1"
    assert int(headers["content-length"]) == len(content)
    assert set(problem) == {"type", "title", "status", "detail", "field", "found", "expected"}
    assert problem["found"] in problem["detail"]
    assert "Traceback" not in str(problem)
    return problem


MINE = {"x-request-id": "mine-1"}


def said(asked: Loaded, path: str = ONE, method: str = "POST", **more: Any) -> Any:
    """The answer to a request with a key and an id, under what `more` changes."""
    service, key = asked
    headers = MINE | more.pop("headers", {})
    more = {"content": TRIP_BODY} | more if method == "POST" else more
    return ask(service, method, path, more.pop("key", key), headers=headers, **more)


def test_no_key_is_401_and_says_how_to_send_one(asked: Loaded) -> None:
    answer = said(asked, key=None)
    assert refused(answer, 401, "authorization")["found"] == "no key"
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("scheme", ["Basic", "Token", "BearerX"])
def test_another_scheme_is_401(asked: Loaded, scheme: str) -> None:
    answer = said(asked, key=None, headers={"authorization": f"{scheme} {asked[1]}"})
    refused(answer, 401, "authorization")


def test_the_scheme_is_read_in_any_case(asked: Loaded) -> None:
    answer = said(asked, key=None, headers={"authorization": f"bearer {asked[1]}"})
    assert answer.status_code == 200


def test_an_unknown_key_is_401_and_is_not_repeated(
    asked: Loaded, caplog: pytest.LogCaptureFixture
) -> None:
    wrong = f"pf_{'0' * 12}_{'A' * 43}"
    answer = said(asked, key=wrong)
    refused(answer, 401, "authorization")
    assert "AAAA" not in answer.text + str(answer.headers) + caplog.text


def test_a_revoked_key_is_401_after_a_beat_and_is_never_logged(
    asked: Loaded, place: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = place / "keys.json"
    key = keys.add(file, "leaver", ("predict",), None)
    refused(said(asked, key=key), 401, "authorization")
    asked[0].beat()
    assert said(asked, key=key).status_code == 200
    keys.revoke(file, key.split("_")[1])
    asked[0].beat()
    refused(said(asked, key=key), 401, "authorization")
    assert "keys read again" in caplog.text
    for secret in (key, key.split("_", 2)[2]):
        assert not any(secret in repr(vars(record)) for record in caplog.records)


@pytest.mark.parametrize(
    ("scope", "method", "path"), [("outcomes", "POST", ONE), ("predict", "GET", "/version")]
)
def test_a_key_without_the_scope_is_403(
    asked: Loaded, place: Path, scope: keys.Scope, method: str, path: str
) -> None:
    key = keys.add(place / "keys.json", "narrow", (scope,), None)
    asked[0].beat()
    problem = refused(said(asked, path, method, key=key), 403, "authorization")
    assert problem["found"] == f"a key for {scope}"


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [("GET", ONE, "POST"), ("PUT", BATCH, "POST"), ("POST", "/version", "GET")],
)
def test_another_method_is_405_and_says_which_is_allowed(
    asked: Loaded, method: str, path: str, allowed: str
) -> None:
    answer = said(asked, path, method, key=None)
    refused(answer, 405, "method")
    assert answer.headers["allow"] == allowed


@pytest.mark.parametrize("path", [ONE, BATCH])
@pytest.mark.parametrize("parts", [[None], [b"{", None]], ids=["silent", "begun"])
def test_a_body_that_does_not_come_is_408(
    asked: Loaded, monkeypatch: pytest.MonkeyPatch, path: str, parts: list[bytes | None]
) -> None:
    service, key = asked
    late = service.limits.model_copy(update={"body_seconds": -1.0})
    monkeypatch.setattr(service, "limits", late)

    async def story() -> Heard:
        headers = [bearer(key), (b"x-request-id", b"mine-1")]
        caller = asyncio.create_task(speak(service, path, parts, headers))
        async with asyncio.timeout(10):
            while not service.deadlines._due:
                await asyncio.sleep(0)
            service.deadlines.expire()
            return await caller

    heard = asyncio.run(story())
    refused(heard, 408, "body")
    assert (b"connection", b"close") in heard.headers


@pytest.mark.parametrize(
    ("path", "size", "limit"),
    [(ONE, 16_385, 16_384), (BATCH, 4_000_001, 4_000_000), (LINES, 16_385, 16_384)],
)
def test_a_body_over_its_limit_is_413_and_ends_the_connection(
    asked: Loaded, path: str, size: int, limit: int
) -> None:
    answer = said(asked, path, content=b" " * size)
    assert refused(answer, 413, "body")["expected"] == f"at most {limit} bytes"
    assert answer.headers["connection"] == "close"


@pytest.mark.parametrize("path", [ONE, BATCH])
def test_the_rest_of_a_body_over_its_limit_is_not_read(asked: Loaded, path: str) -> None:
    """Parts that were left would hang this test: the last never comes."""
    headers = [bearer(asked[1]), (b"x-request-id", b"mine-1")]
    heard = asyncio.run(
        asyncio.wait_for(speak(asked[0], path, [b" " * 4_000_001, b"", None], headers), 10)
    )
    refused(heard, 413, "body")


def test_a_body_of_exactly_the_limit_is_read(asked: Loaded) -> None:
    assert said(asked, content=TRIP_BODY.ljust(16_384)).status_code == 200


@pytest.mark.parametrize("path", [ONE, BATCH, LINES])
@pytest.mark.parametrize("coding", ["gzip", "br", "identity, gzip"])
def test_a_coded_body_is_415(asked: Loaded, path: str, coding: str) -> None:
    refused(said(asked, path, headers={"content-encoding": coding}), 415, "content-encoding")


@pytest.mark.parametrize("entity", ["", "a b", "x" * 129, "é", "a\tb"])
def test_an_entity_that_is_none_is_422_and_is_not_repeated(asked: Loaded, entity: str) -> None:
    sent: Any = {"x-entity-id": entity.encode()}
    answer = ask(*asked[:1], "POST", ONE, asked[1], headers=MINE | sent, content=TRIP_BODY)
    assert refused(answer, 422, "X-Entity-Id")["found"] == f"{len(entity.encode())} bytes"


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        (ONE, b"", "body"),
        (ONE, b"trip", "body"),
        (ONE, json.dumps(TRIP | {"pickup_zone": 999}).encode(), "pickup_zone"),
        (ONE, json.dumps(TRIP | {"colour": 1}).encode(), "colour"),
        (BATCH, b'{"instances": []}', "instances"),
        (BATCH, json.dumps({"instances": [TRIP, {}]}).encode(), "instances[1].pickup_at"),
    ],
)
def test_a_breach_of_the_contract_is_422(asked: Loaded, path: str, body: bytes, field: str) -> None:
    refused(said(asked, path, content=body), 422, field)


def test_one_request_more_than_the_cap_is_429_and_says_when_to_come_back(
    asked: Loaded, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service, other = asked
    key = keys.add(place / "keys.json", "eager", ("predict",), 3.0)
    service.beat()
    monkeypatch.setattr(service.door, "_cap", Cap(lambda: 7.0))
    assert [said(asked, key=key).status_code for _ in range(3)] == [200] * 3
    answer = said(asked, key=key)
    refused(answer, 429, "authorization")
    assert answer.headers["retry-after"] == "1"
    assert said(asked, key=other).status_code == 200


@pytest.mark.parametrize(("path", "body"), [(ONE, TRIP), (BATCH, {"instances": [TRIP]})])
def test_an_error_of_ours_is_500_without_its_reason_and_the_next_is_answered(
    asked: Loaded, caplog: pytest.LogCaptureFixture, path: str, body: Any
) -> None:
    service, _ = asked
    with pytest.MonkeyPatch.context() as broken:
        broken.setattr(service._model.model, "predict", None)
        answer = said(asked, path, content=json.dumps(body))
    problem = refused(answer, 500, "request")
    assert "TypeError" in caplog.text
    assert "NoneType" not in str(problem)
    assert said(asked, path, content=json.dumps(body)).status_code == 200


def test_an_error_of_the_stream_is_500_where_no_answer_has_begun(asked: Loaded) -> None:
    with pytest.MonkeyPatch.context() as broken:
        broken.setattr(asked[0]._model.model, "predict", None)
        refused(said(asked, LINES), 500, "request")
    assert said(asked, LINES).status_code == 200


def test_a_route_that_gives_up_is_503_and_says_when_to_come_back(
    asked: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def late(_: Exchange) -> None:
        raise Refusal(503, "request", "none within 30 s", "an answer", {"retry-after": "5"})

    routes = asked[0].routes
    monkeypatch.setitem(routes, BATCH, replace(routes[BATCH], handler=late))
    answer = said(asked, BATCH)
    refused(answer, 503, "request")
    assert answer.headers["retry-after"] == "5"


@pytest.mark.parametrize("status", [401, 403, 405, 408, 413, 415, 422, 429, 500, 503])
def test_a_problem_has_the_titles_of_rfc_9110(status: int) -> None:
    found = problems.details(Refusal(status, "field", "this", "that"))
    assert found["title"] not in ("", "Request Entity Too Large", "Unprocessable Entity")
    assert found["detail"] == "field: found this; expected that"
    assert msgspec.json.decode(problems.body(Refusal(status, "field", "this", "that"))) == found
