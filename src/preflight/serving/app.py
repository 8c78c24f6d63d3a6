"""The routes of a model service, as ASGI in front of BentoML's own."""

import asyncio
import gc
import logging
import os
import sys
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from preflight import params, reference
from preflight.files import read_json
from preflight.layout import PACKAGED
from preflight.params import Switches
from preflight.predictor import Predictor
from preflight.serving import keys, openapi, switches
from preflight.serving.answers import Answerer
from preflight.serving.deadlines import Deadlines
from preflight.serving.door import Door, echoed
from preflight.serving.exchange import (
    App,
    Exchange,
    Gone,
    Receive,
    Scope,
    Send,
    deprecation,
    too_large,
    too_slow,
)
from preflight.serving.ids import Ids
from preflight.serving.life import Life
from preflight.serving.metrics import Metrics
from preflight.serving.problems import CLOSE, Refusal, body, details, internal
from preflight.serving.requests import Decoder, Invalid
from preflight.serving.watched import Watched

Handler = Callable[[Exchange], Awaitable[None]]

BUILD = Path("build.json")
UNREGISTERED = {"model_version": "unregistered", "commit": None, "bento": None}
BODIES = 32  # of batches, held in memory at once; others wait
encode = msgspec.json.Encoder().encode
log = logging.getLogger("preflight")


@dataclass(frozen=True)
class Route:
    """What answers a path: its method, its API version, and the scope that a key needs."""

    name: str
    method: str
    handler: Handler
    version: str = "-"
    scope: keys.Scope | None = None


class ModelService:
    """A loaded model with its routes; paths are relative to a Bento's or checkout's root."""

    def __init__(self) -> None:
        self.routes: dict[str, Route] = {}
        self.life = Life(self.beat)
        self.deadlines = Deadlines()
        self.ids = Ids()
        self._loaded = False

    @property
    def ready(self) -> bool:
        """Whether this worker should be sent requests: loaded, warm, and not about to end."""
        return self._loaded and not self.life.draining

    def load(self) -> None:
        """Check the switches, load and verify the model, answer once to warm up. Raises Problem."""
        limits = self.limits = params.load().serving
        self._build = read_json(BUILD) if BUILD.exists() else UNREGISTERED
        if BUILD.exists():
            switches.require_production(os.environ, sys.argv)
        file = switches.path()
        self._file = Watched(file, lambda path: switches.read(limits, path)) if file else None
        self.life.drain_seconds = limits.drain_seconds
        self.door = Door(self._keys(), limits.max_rate, limits.entity_salt)
        self._model = Predictor(PACKAGED)
        contract = self._model.contract
        self.metrics = Metrics(contract.target_bins)
        self.answers = Answerer(self._model, str(self._build["model_version"]), self.metrics)
        self.decoder = Decoder(contract, limits.max_batch)
        self._threads = ThreadPoolExecutor(limits.max_batches, "batch")
        self._room = asyncio.Semaphore(BODIES)
        self._document = encode(openapi.document(contract, limits))
        self.routes = {
            "/v1/predict": Route("predict", "POST", self._one, "v1", "predict"),
            "/v1/predict/batch": Route("batch", "POST", self._batch, "v1", "predict"),
            "/v1/predict/lines": Route("lines", "POST", self._lines, "v1", "predict"),
            "/version": Route("version", "GET", self._version, scope="admin"),
            "/openapi.json": Route("openapi", "GET", self._openapi),
            "/docs.json": Route("openapi", "GET", self._openapi),  # where BentoML's page looks
        }
        self._deprecated = deprecation(limits.deprecated)
        self._warm()
        self.metrics.ready(**{name: str(each) for name, each in self._identity().items()})
        self.metrics.mode(self.switches.mode)
        # What was loaded stays for good: a full collection need not walk through it each time.
        gc.collect()
        gc.freeze()
        self._loaded = True

    def _keys(self) -> Watched[keys.Keys] | None:
        if self.switches.auth == "off":
            switches.require_loopback()
            return None
        found = Watched(keys.place(), keys.read)
        if not found.value.by_id:
            raise keys.missing(found.path)
        return found

    def _warm(self) -> None:
        """The first answers cost more than others; nobody shall wait for them, or be counted."""
        self._model.one(reference.columns(self._model.contract, 1))
        self._model.answer(reference.columns(self._model.contract, 100))
        for route in ("predict", "batch"):
            self.metrics.judge(route)

    def _identity(self) -> dict[str, Any]:
        contract = self._model.contract
        return self._build | {
            "model_hash": self._model.model_hash,
            "contract": f"{contract.name}/{contract.version}",
        }

    @property
    def switches(self) -> Switches:
        """What holds now."""
        return self._file.value if self._file else self.limits

    def beat(self) -> None:
        """Read again what others may have changed; called every second."""
        if not self._loaded:
            return
        self.deadlines.expire()
        for name, watched in (("keys", self.door.keys), ("switches", self._file)):
            changed = watched.refresh() if watched else False
            if changed is None:
                self.metrics.unread(name)
            elif changed:
                log.info("%s read again", name)
        self.metrics.mode(self.switches.mode)
        self.metrics.beat()

    async def _one(self, exchange: Exchange) -> None:
        content = await exchange.body(self.limits.max_line_bytes)
        start, bucket = time.perf_counter(), exchange.caller.bucket
        columns = self.decoder.one(content)
        try:
            found = encode(self.answers.one(columns, bucket, self.switches.mode))
        except Exception:
            self.metrics.answered("predict", bucket, time.perf_counter() - start, failed=True)
            raise
        self.metrics.answered("predict", bucket, time.perf_counter() - start)
        await exchange.answer(found)

    async def _batch(self, exchange: Exchange) -> None:
        try:
            async with asyncio.timeout(self.limits.batch_seconds):
                await self._room.acquire()
        except TimeoutError:
            raise self._late() from None
        try:
            content = await exchange.body(self.limits.max_body_bytes)
            start, bucket = time.perf_counter(), exchange.caller.bucket
            try:
                found = await self._work(lambda: self._many(content, bucket))
            except Invalid:
                raise  # what breaks the contract is no failure of ours, and judges nobody
            except Exception:
                self.metrics.answered("batch", bucket, time.perf_counter() - start, failed=True)
                raise
            self.metrics.answered("batch", bucket, time.perf_counter() - start)
        finally:
            self._room.release()
        await exchange.answer(found)

    def _many(self, content: bytes, bucket: int) -> bytes:
        columns = self.decoder.batch(content)
        return encode({"predictions": self.answers.many(columns, bucket, self.switches.mode)})

    async def _work(self, work: Callable[[], bytes]) -> bytes:
        """Run what takes long beside the others, within its time."""
        try:
            async with asyncio.timeout(self.limits.batch_seconds):
                return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        except TimeoutError:
            raise self._late() from None

    def _late(self) -> Refusal:
        late = f"none within {self.limits.batch_seconds:g} s"
        return Refusal(503, "request", late, "an answer", {"retry-after": "5"})

    async def _lines(self, exchange: Exchange) -> None:
        """Answer lines as they come: a line for each, in their order."""
        limit, bucket, seconds = (
            self.limits.max_line_bytes,
            exchange.caller.bucket,
            self.limits.stream_seconds,
        )
        rest, count = b"", 0
        try:
            async with asyncio.timeout(seconds):
                async for part in exchange.parts():
                    *lines, rest = (rest + part).split(b"\n")
                    if max(map(len, [*lines, rest])) > limit:
                        raise too_large(limit)
                    if lines:
                        work = partial(self._answer_lines, lines, count, bucket)
                        await exchange.write(await self._work(work), more=True)
                    count += len(lines)
                work = partial(self._answer_lines, [rest], count, bucket)
                last = await self._work(work)
        except TimeoutError:
            raise too_slow(seconds) from None
        await exchange.write(last, more=False)

    def _answer_lines(self, lines: list[bytes], before: int, bucket: int) -> bytes:
        """Answers to those of the lines that are not empty; `before` lines came earlier."""
        asked = {place: line for place, line in enumerate(lines, before + 1) if line.strip()}
        if not asked:
            return b""
        columns, refused = self.decoder.lines(list(asked.values()))
        found: list[Any] = []
        if columns is not None:
            found += self.answers.many(columns, bucket, self.switches.mode)
        places = list(asked)
        for row, invalid in refused.items():
            found.insert(row, details(_invalid(invalid)) | {"line": places[row]})
        return b"".join(encode(each) + b"\n" for each in found)

    async def _version(self, exchange: Exchange) -> None:
        now = self.switches
        found = self._identity() | {"mode": now.mode, "reason": now.reason}
        await exchange.answer(encode(found))

    async def _openapi(self, exchange: Exchange) -> None:
        await exchange.answer(self._document)

    def admit(self, route: Route, method: str, exchange: Exchange) -> None:
        """Let a request in, or raise Refusal."""
        if method != route.method:
            allow = {"allow": route.method}
            raise Refusal(405, "method", method[:20], route.method, allow)
        if route.scope is None:
            return
        exchange.caller = self.door.admit(exchange.given, route.scope)
        if route.version == "-":
            return
        exchange.headers += self._deprecated
        now = self.switches
        if now.mode == "off":
            reason = now.reason or "no reason given"
            raise Refusal(503, "mode", f"off: {reason}", "normal", {"retry-after": "60"})
        coding = exchange.given.get(b"content-encoding", b"identity")
        if coding != b"identity":
            raise Refusal(415, "content-encoding", "a coded body", "identity")


def _invalid(invalid: Invalid) -> Refusal:
    return Refusal(422, invalid.field, invalid.found, invalid.expected)


class Front:
    """ASGI: answers the service's routes and passes everything else on.

    BentoML puts it inside of its own middleware. When the server starts it moves to the
    outside: the limits, timers and traces of BentoML are for BentoML's routes.
    """

    def __init__(self, app: App, service: ModelService) -> None:
        self._app, self._service = app, service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind, service = scope["type"], self._service
        if kind == "lifespan":
            if "app" in scope:
                scope["app"].middleware_stack = Front(scope["app"].middleware_stack, service)
            service.deadlines.loop = asyncio.get_running_loop()
            with service.life.running():
                await self._app(scope, receive, send)
            return
        route = service.routes.get(scope["path"]) if kind == "http" else None
        if route is None:
            await self._app(scope, receive, send)
            return
        given = dict(scope["headers"])
        headers = echoed(given, service.ids)
        if service.life.draining:
            headers.append(CLOSE)
        exchange = Exchange(
            receive, send, given, headers, service.deadlines, service.limits.body_seconds
        )
        await self._answer(route, scope["method"], exchange)
        client, status = exchange.caller.client, str(exchange.status)
        service.metrics.request(route.name, route.version, client, status)

    async def _answer(self, route: Route, method: str, exchange: Exchange) -> None:
        try:
            self._service.admit(route, method, exchange)
            await route.handler(exchange)
        except Refusal as refusal:
            await _refuse(exchange, refusal)
        except Invalid as invalid:
            await _refuse(exchange, _invalid(invalid))
        except Gone:
            exchange.status = 499  # as nginx counts a caller that left
        except Exception:
            # A caller without an answer would wait, and hold up the shutdown.
            log.exception("no answer to a request of %s", route.name)
            await _refuse(exchange, internal())


async def _refuse(exchange: Exchange, refusal: Refusal) -> None:
    """A problem as the answer, or as the last line of one that has begun."""
    if exchange.status:
        exchange.status = refusal.status
        await exchange.write(body(refusal) + b"\n", more=False)
    else:
        await exchange.refuse(refusal)
