"""Each odd request is answered or refused as its contract implies, by the service itself."""

import asyncio

import httpx
import pytest

from preflight import oddities, params, project
from preflight.oddities import Oddity
from preflight.serving.app import Front, ModelService, Receive, Scope, Send

PARAMS = params.load()
CONTRACT = project.contract(PARAMS.project)
ODDITIES = oddities.requests(CONTRACT, PARAMS.serving)


async def _nothing(scope: Scope, receive: Receive, send: Send) -> None:
    """Stands behind the front: no request of a model comes here."""
    await send({"type": "http.response.start", "status": 404, "headers": []})
    await send({"type": "http.response.body", "body": b""})


@pytest.fixture(scope="module")
def front() -> Front:
    """The service over this checkout's packaged model."""
    service = ModelService()
    service.load()
    return Front(_nothing, service)


def ask(front: Front, route: str, body: bytes) -> httpx.Response:
    """One request, in this process."""

    async def talk() -> httpx.Response:
        transport = httpx.ASGITransport(app=front)
        async with httpx.AsyncClient(
            transport=transport, base_url="http://test", trust_env=False
        ) as client:
            return await client.post(route, content=body)

    return asyncio.run(talk())


@pytest.mark.parametrize("oddity", [pytest.param(each, id=each.name) for each in ODDITIES])
def test_it_is_answered_or_refused_as_defined(front: Front, oddity: Oddity) -> None:
    answer = ask(front, oddity.route, oddity.body)
    media = answer.headers["content-type"]
    wrong = oddities.breaches(oddity, CONTRACT, answer.status_code, media, answer.text)
    assert not wrong, "; ".join(wrong[:3])
