"""A model service in this process, and questions to it through ASGI."""

import asyncio
import json
import os
from collections.abc import Iterator, MutableMapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from preflight import bento
from preflight.serving import keys
from preflight.serving.app import Front, ModelService, Receive, Scope, Send
from taxi.contract import CONTRACT

TRIP = {column.name: column.example for column in CONTRACT.known}


async def inner(scope: Scope, receive: Receive, send: Send) -> None:
    """Stands where BentoML's own application does."""
    await send({"type": "http.response.start", "status": 299, "headers": []})
    await send({"type": "http.response.body", "body": b"BentoML"})


@contextmanager
def loaded(root: Path, scratch: Path) -> Iterator[tuple[ModelService, str]]:
    """A service of a checkout with its keys and switches in `scratch`, and a key of all scopes.

    The present folder and the environment are the service's while the block lasts.
    """
    place = scratch / "keys.json"
    key = keys.add(place, "tests", keys.SCOPES, 1e9)
    names = {"PREFLIGHT_KEYS": str(place)} | bento.remembering(scratch)
    before, kept = Path.cwd(), {name: os.environ.get(name) for name in names}
    os.environ.update(names)
    os.chdir(root)
    try:
        service = ModelService()
        service.load()
        yield service, key
    finally:
        os.chdir(before)
        for name, value in kept.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def ask(
    service: ModelService, method: str, path: str, key: str | None = None, **more: Any
) -> httpx.Response:
    """One request through the front."""
    headers = {"authorization": f"Bearer {key}"} if key else {}
    headers |= more.pop("headers", {})

    async def talk() -> httpx.Response:
        transport = httpx.ASGITransport(app=Front(inner, service))
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.request(method, path, headers=headers, **more)

    return asyncio.run(talk())


@dataclass(frozen=True)
class Heard:
    """What a caller was sent: the status, the headers, and the body as it came."""

    status: int
    headers: list[tuple[bytes, bytes]]
    parts: list[bytes]

    @property
    def lines(self) -> list[Any]:
        """The body's JSON lines."""
        return [json.loads(line) for line in b"".join(self.parts).splitlines()]


async def speak(
    service: ModelService,
    path: str,
    parts: Sequence[bytes | None],
    headers: Sequence[tuple[bytes, bytes]],
) -> Heard:
    """A POST as bytes: its parts one by one, where None never comes."""
    waiting, sent = list(parts), []

    async def receive() -> MutableMapping[str, Any]:
        part = waiting.pop(0) if waiting else None
        if part is None:
            await asyncio.Event().wait()
        return {"type": "http.request", "body": part, "more_body": bool(waiting)}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": path, "headers": list(headers)}
    await Front(inner, service)(scope, receive, send)
    start, *bodies = sent
    return Heard(start["status"], start["headers"], [body["body"] for body in bodies])


def bearer(key: str) -> tuple[bytes, bytes]:
    """The header that carries a key."""
    return b"authorization", f"Bearer {key}".encode()


def samples(service: ModelService, name: str) -> dict[tuple[str, ...], float]:
    """The values of one series by its labels' values, in their order; zeros are left out."""
    return {
        tuple(sample.labels.values()): sample.value
        for metric in service.metrics.registry.collect()
        for sample in metric.samples
        if sample.name == name and sample.value
    }
