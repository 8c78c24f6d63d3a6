"""The routes of a model service, as ASGI in front of BentoML's own."""

import gc
import json
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

import anyio.to_thread
import numpy as np
from numpy.typing import NDArray

from preflight import params, reference
from preflight.files import read_json
from preflight.layout import PACKAGED
from preflight.predictor import Predictor
from preflight.serving import openapi
from preflight.serving.ids import prediction_id
from preflight.serving.requests import Decoder, Invalid

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Handler = Callable[[bytes], Awaitable[Any]]

BUILD = Path("build.json")
UNREGISTERED = {"model_version": "unregistered", "commit": None, "bento": None}
STATUS = {
    405: "Method not allowed",
    413: "Content too large",
    422: "Breaks the contract",
    500: "Internal error",
}
log = logging.getLogger("preflight")


class ModelService:
    """A loaded model with its routes; paths are relative to a Bento's or checkout's root."""

    def __init__(self) -> None:
        self.ready = False
        self.routes: dict[str, tuple[str, Handler]] = {}
        self.max_body = 0

    def load(self) -> None:
        """Load and verify the model, then answer once to warm up. Raises Problem."""
        limits = params.load().serving
        self.max_body = limits.max_body_bytes
        self._model = Predictor(PACKAGED)
        self._build = read_json(BUILD) if BUILD.exists() else UNREGISTERED
        self._decoder = Decoder(self._model.contract, limits.max_batch)
        self._document = openapi.document(self._model.contract, limits.max_batch)
        self._model.answer(reference.columns(self._model.contract, 1))
        self.routes = {
            "/v1/predict": ("POST", self._one),
            "/v1/predict/batch": ("POST", self._batch),
            "/version": ("GET", self._version),
            "/openapi.json": ("GET", self._openapi),
            "/docs.json": ("GET", self._openapi),  # where BentoML's page looks for it
        }
        # What was loaded stays for good: a full collection need not walk through it each time.
        gc.collect()
        gc.freeze()
        self.ready = True

    async def _one(self, body: bytes) -> Any:
        return self._answers(self._decoder.one(body))[0]

    async def _batch(self, body: bytes) -> Any:
        # Thousands of rows take long enough that others must not wait for them.
        return await anyio.to_thread.run_sync(self._answer_batch, body)

    def _answer_batch(self, body: bytes) -> Any:
        return {"predictions": self._answers(self._decoder.batch(body))}

    async def _version(self, _: bytes) -> Any:
        return self._build | {
            "model_hash": self._model.model_hash,
            "contract": f"{self._model.contract.name}/{self._model.contract.version}",
        }

    async def _openapi(self, _: bytes) -> Any:
        return self._document

    def _answers(self, columns: dict[str, NDArray[Any]]) -> list[dict[str, Any]]:
        found = self._model.answer(columns)
        interval = self._model.interval
        unseen: list[bool] = np.any(found.outside, axis=1).tolist()
        answers = []
        for row, value in enumerate(found.value.tolist()):
            ends = None
            if interval and found.lower is not None and found.upper is not None:
                ends = {
                    "lower": float(found.lower[row]),
                    "upper": float(found.upper[row]),
                    "coverage": interval.coverage,
                }
            answers.append(
                {
                    "prediction_id": prediction_id(),
                    "model_version": self._build["model_version"],
                    "value": value,
                    "unit": self._model.contract.target.unit,
                    "interval": ends,
                    "flags": self._flags(found.outside, row) if unseen[row] else [],
                }
            )
        return answers

    def _flags(self, outside: NDArray[np.bool_], row: int) -> list[str]:
        names = self._model.model.features
        return [f"{names[position]}.unseen" for position in np.flatnonzero(outside[row])]


class Front:
    """ASGI middleware: answers the service's routes and passes everything else on."""

    def __init__(self, app: App, service: ModelService) -> None:
        self._app, self._service = app, service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        route = self._service.routes.get(scope["path"]) if scope["type"] == "http" else None
        if route is None:
            await self._app(scope, receive, send)
            return
        method, handler = route
        if scope["method"] != method:
            await _send(send, 405, _problem(405, "method", scope["method"], method), method)
            return
        limit = self._service.max_body
        body = await _body(receive, limit)
        if body is None:
            found, expected = f"over {limit} bytes", f"at most {limit} bytes"
            await _send(send, 413, _problem(413, "body", found, expected))
            return
        try:
            answer = await handler(body)
        except Invalid as invalid:
            problem = _problem(422, invalid.field, invalid.found, invalid.expected)
            await _send(send, 422, problem)
            return
        except Exception:
            # A caller without an answer would wait, and hold up the shutdown.
            log.exception("no answer to a request of %s", scope["path"])
            await _send(send, 500, _problem(500, "request", "an error here", "an answer"))
            return
        await _send(send, 200, answer)


async def _body(receive: Receive, limit: int) -> bytes | None:
    """The request's body, or None when it is larger than `limit` bytes."""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        part = message.get("body", b"")
        size += len(part)
        if size > limit:
            return None
        parts.append(part)
        if not message.get("more_body"):
            return b"".join(parts)


def _problem(status: int, field: str, found: str, expected: str) -> dict[str, Any]:
    """Problem details (RFC 9457)."""
    return {
        "type": "about:blank",
        "title": STATUS[status],
        "status": status,
        "field": field,
        "found": found,
        "expected": expected,
    }


async def _send(send: Send, status: int, answer: Any, allow: str = "") -> None:
    kind = b"application/json" if status < 400 else b"application/problem+json"
    body = json.dumps(answer, allow_nan=False).encode()
    headers = [(b"content-type", kind), (b"content-length", b"%d" % len(body))]
    headers += [(b"allow", allow.encode())] if allow else []
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
