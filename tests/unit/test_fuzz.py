"""2,000 generated requests: no error of ours, no trace, no answer that is not documented.

`make fuzz` asks 100,000. A planted fault of each kind shows that the oracle sees it.
"""

import asyncio
import json
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from asked import TRIP, ask, inner, loaded
from fuzz import campaign
from fuzz.exchange import Answer, Request, asked, curl
from fuzz.oracle import Oracle
from preflight.serving.app import App, Front, ModelService, Receive, Scope, Send
from preflight.serving.compiled import Columns
from taxi.contract import CONTRACT

COUNT, SEED = 2_000, 5
BODY = json.dumps(TRIP).encode()


@pytest.fixture(scope="module")
def served(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[App, str]]:
    """The front of a loaded service, and a key."""
    with loaded(built, tmp_path_factory.mktemp("keys")) as (service, key):
        yield Front(inner, service), key


@pytest.fixture
def service(served: tuple[App, str]) -> ModelService:
    """The service behind the front."""
    found: ModelService = served[0]._service  # type: ignore[attr-defined]
    return found


@pytest.fixture
def oracle(service: ModelService) -> Oracle:
    """A judge of its answers."""
    return Oracle(service, ask(service, "GET", "/openapi.json").json())


@pytest.fixture
def post(served: tuple[App, str]) -> Request:
    """A request that keeps the contract."""
    return Request(
        "POST", "/v1/predict", ((b"authorization", f"Bearer {served[1]}".encode()),), (BODY,)
    )


def run(app: App, oracle: Oracle, key: str, count: int) -> campaign.Findings:
    """A campaign that tells nobody how far it is."""
    return campaign.run(app, oracle, CONTRACT, key, count, SEED, lambda _: None)


def test_no_generated_request_gets_an_answer_that_may_not_be(
    served: tuple[App, str], oracle: Oracle
) -> None:
    found = run(served[0], oracle, served[1], COUNT)
    assert found.wrong == {}, found.text()
    assert found.judged >= COUNT * 0.95
    assert {200, 401, 405, 422} <= set(found.statuses)
    assert found.statuses[200] > COUNT / 10, "requests that are right are asked too"


class Planted:
    """ASGI: the service, with a fault where the body names a pick-up zone."""

    def __init__(self, app: App, body: bytes, status: int) -> None:
        self._app, self._body, self._status = app, body, status

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        message = await receive()
        first = iter([message])

        async def again() -> Any:
            return next(first, None) or await receive()

        if scope["type"] != "http" or b"pickup_zone" not in message.get("body", b""):
            await self._app(scope, again, send)
            return
        headers = [(b"x-request-id", b"1"), (b"content-type", b"application/problem+json")]
        start = {"type": "http.response.start", "status": self._status, "headers": headers}
        await send(start)
        await send({"type": "http.response.body", "body": self._body})


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [(500, b"{}", "status 500"), (422, b"Traceback (most recent", "a traceback in the answer")],
    ids=["a 5xx", "a traceback"],
)
def test_a_campaign_finds_a_planted_fault_and_its_shortest_request(
    served: tuple[App, str],
    oracle: Oracle,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    body: bytes,
    said: str,
) -> None:
    monkeypatch.setattr(campaign, "by_schema", lambda *_: None)
    found = run(Planted(served[0], body, status), oracle, served[1], 80)
    assert said in found.wrong
    assert "curl -i -X 'POST'" in found.text()
    assert len(found.wrong[said][0].body) < 150


PROBLEM = {
    "type": "about:blank",
    "title": "T",
    "status": 422,
    "detail": "d",
    "field": "f",
    "found": "a",
    "expected": "b",
}


def problem(**changed: Any) -> bytes:
    """A problem's body with other keys."""
    return json.dumps(PROBLEM | changed).encode()


def headers(media: str = "application/problem+json") -> tuple[tuple[bytes, bytes], ...]:
    """What every answer carries."""
    return ((b"x-request-id", b"1"), (b"content-type", media.encode()))


JSON = headers("application/json")
WRONG: dict[str, tuple[Answer, str]] = {
    "a 5xx": (Answer(503, headers(), problem(status=503), True), "status 503"),
    "a traceback": (
        Answer(422, headers(), problem(found='File "x.py"'), True),
        "a traceback in the",
    ),
    "no end": (Answer(422, headers(), problem(), False), "an answer without an end, or with two"),
    "no id": (Answer(422, headers()[1:], problem(), True), "no x-request-id, or several"),
    "two ids": (Answer(422, (*headers(), *headers()[:1]), problem(), True), "no x-request-id"),
    "another length": (
        Answer(422, (*headers(), (b"content-length", b"3")), problem(), True),
        "another content-length than the body's",
    ),
    "a header of two lines": (
        Answer(422, (*headers(), (b"traceparent", b"a\nb")), problem(), True),
        "a header of two lines",
    ),
    "an undocumented status": (Answer(418, headers(), problem(status=418), True), "documented"),
    "another media type": (Answer(422, JSON, problem(), True), "media type application/json"),
    "a text": (Answer(422, headers(), b"no", True), "no problem details"),
    "another status inside": (Answer(422, headers(), problem(status=400), True), "no problem"),
    "nothing expected": (Answer(422, headers(), problem(expected=""), True), "what was expected"),
    "a field that is no text": (Answer(422, headers(), problem(field=1), True), "no problem"),
    "no prediction": (Answer(200, JSON, b"{}", True), "no Prediction as documented"),
    "HTML": (Answer(200, headers("text/html"), b"<p>", True), "media type text/html"),
    "a right request refused": (Answer(422, headers(), problem(), True), "the slow decoder says"),
}


@pytest.mark.parametrize("kind", list(WRONG))
def test_the_oracle_sees(kind: str, oracle: Oracle, post: Request) -> None:
    answer, said = WRONG[kind]
    found = oracle.faults(post, answer)
    assert any(said in each for each in found), found


def test_the_oracle_lets_true_answers_pass(
    served: tuple[App, str], oracle: Oracle, post: Request
) -> None:
    batch, line = f'{{"instances": [{json.dumps(TRIP)}]}}'.encode(), BODY + b"\n{}\n"
    for request in (
        post,
        replace(post, headers=()),
        replace(post, method="PUT"),
        replace(post, parts=(b"{",)),
        replace(post, path="/v1/predict/batch", parts=(batch,)),
        replace(post, path="/v1/predict/lines", parts=(line[:30], line[30:])),
        replace(post, path="/version", method="GET"),
        replace(post, path="/readyz", method="GET"),
    ):
        answer = asyncio.run(asked(served[0], request))
        assert oracle.faults(request, answer) == [], request


def test_the_oracle_sees_another_id_than_the_callers(
    served: tuple[App, str], oracle: Oracle, post: Request
) -> None:
    mine = replace(post, headers=(*post.headers, (b"x-request-id", b"mine")))
    answer = asyncio.run(asked(served[0], post))
    assert oracle.faults(mine, answer) == ["another x-request-id than the caller's"]


def test_the_oracle_sees_nan_in_an_answer(
    served: tuple[App, str], oracle: Oracle, post: Request
) -> None:
    true = asyncio.run(asked(served[0], post))
    value = json.loads(true.body)["value"]
    odd = true.body.replace(f'"value":{value}'.encode(), b'"value":NaN')
    answer = replace(true, body=odd, headers=JSON)
    assert oracle.faults(post, answer) == ["no Prediction as documented"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "more or fewer lines than were asked"),
        (problem(status=500, line=1), "a line with status 5xx"),
        (problem(line=1), "a line answered against what the slow decoder says"),
        (b"{}", "a line that is neither"),
    ],
    ids=["too few lines", "a line with a 5xx", "a right line refused", "a line of another kind"],
)
def test_the_oracle_sees_in_a_stream(oracle: Oracle, post: Request, body: bytes, said: str) -> None:
    asked_for = replace(post, path="/v1/predict/lines")
    answer = Answer(200, headers("application/x-ndjson"), body, True)
    assert any(said in each for each in oracle.faults(asked_for, answer))


def test_the_oracle_sees_two_decoders_that_differ(
    served: tuple[App, str],
    service: ModelService,
    oracle: Oracle,
    post: Request,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    quick = service.decoder._compiled.one

    def other(body: bytes) -> Columns:
        return quick(body) | {"pickup_zone": np.array([75])}

    monkeypatch.setattr(service.decoder._compiled, "one", other)
    answer = asyncio.run(asked(served[0], post))
    (found,) = oracle.faults(post, answer)
    assert found == "the compiled decoder took what the slow one reads otherwise"


CUT = BODY.index(b", ") + 1


@pytest.mark.parametrize(
    ("body", "right"),
    [
        (BODY + BODY, [False]),
        (BODY + b"\r" + BODY, [False]),
        (BODY[:CUT] + b"\n" + BODY[CUT:] + b"\n", [False, False]),
        (BODY + BODY + b"\n" + BODY[:CUT] + b"\n" + BODY[CUT:] + b"\n", [False] * 3),
        (BODY + b"\r\n" + BODY, [True, True]),
    ],
    ids=[
        "two in a line",
        "two and a return between",
        "one over two lines",
        "both",
        "ends of Windows",
    ],
)
def test_a_line_of_a_stream_is_one_request(
    served: tuple[App, str], post: Request, body: bytes, right: list[bool]
) -> None:
    stream = replace(post, path="/v1/predict/lines", parts=(body,))
    answer = asyncio.run(asked(served[0], stream))
    said = [json.loads(line) for line in answer.body.splitlines()]
    assert ["prediction_id" in each for each in said] == right


def test_a_line_for_the_shell_sends_the_same_bytes(post: Request) -> None:
    body = bytes(range(256)) + b"%s \\n '"
    line = curl(replace(post, parts=(body[:3], body[3:])))
    assert "pf_" not in line
    assert line.endswith("# in parts of 3, 260 bytes")
    command = ("bash", "-c", f"curl() {{ cat; }}; {line}")
    done = subprocess.run(command, capture_output=True, check=True)
    assert done.stdout == body
