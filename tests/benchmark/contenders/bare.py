"""A bare ASGI function around the same model: no framework, no duties, no checks.

The same: model, one prediction with its interval a request, loop and parser.
"""

import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import numpy as np

from preflight.layout import PACKAGED
from preflight.predictor import Predictor
from preflight.serving.compiled import dtype

Message = MutableMapping[str, Any]
MODEL = Predictor(PACKAGED)
TYPES = {column.name: dtype(column) for column in MODEL.contract.known}
HEADERS = [(b"content-type", b"application/json")]


async def app(
    scope: Message,
    receive: Callable[[], Awaitable[Message]],
    send: Callable[[Message], Awaitable[None]],
) -> None:
    """A row in, a value out."""
    if scope["type"] != "http":
        raise RuntimeError("no lifespan")  # uvicorn goes on without
    row = json.loads((await receive())["body"])
    columns = {name: np.array([row[name]], dtype=kind) for name, kind in TYPES.items()}
    body = json.dumps({"value": MODEL.one(columns).value}).encode()
    length = (b"content-length", b"%d" % len(body))
    await send({"type": "http.response.start", "status": 200, "headers": [*HEADERS, length]})
    await send({"type": "http.response.body", "body": body})
