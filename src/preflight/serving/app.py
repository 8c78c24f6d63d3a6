"""The front of a model service: ASGI, ahead of BentoML's own."""

import asyncio
import logging
import time
from collections.abc import MutableMapping
from typing import Any

from preflight.serving import logs
from preflight.serving.door import echoed, require_once
from preflight.serving.exchange import App, Exchange, Gone, Receive, Scope, Send
from preflight.serving.problems import CLOSE, Refusal, body, internal
from preflight.serving.requests import Invalid, of_contract
from preflight.serving.service import ModelService, Route

__all__ = ["App", "Front", "ModelService", "Receive", "Scope", "Send"]
log = logging.getLogger("preflight")
# All that BentoML is asked for. It keeps series and logs by path, so a stranger who may choose
# paths could fill memory and disk.
BENTOML = {
    *("/", "/livez", "/readyz", "/healthz", "/metrics"),
    "/static_content/favicon-dark-32x32.png",
    "/static_content/favicon-light-32x32.png",
    "/static_content/index.css",
    "/static_content/swagger-initializer.js",
    "/static_content/swagger-ui-bundle.js",
    "/static_content/swagger-ui-standalone-preset.js",
    "/static_content/swagger-ui.css",
}


async def _nowhere(_: Exchange) -> None:
    raise Refusal(404, "path", "no such route", "one of /openapi.json")


NOWHERE = Route("none", "", _nowhere)


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
            with logs.written(service.said), service.life.running():
                try:
                    await self._app(scope, receive, send)
                finally:
                    service.end()
            return
        if kind != "http":
            await send({"type": "websocket.close"})
            return
        path = scope["path"]
        if path in BENTOML or not service.routes:
            await self._app(scope, receive, self._marked(send))
            return
        # A gateway's rules see the path as it was sent.
        plain = b"%" not in scope.get("raw_path", b"")
        route = service.routes.get(path, NOWHERE) if plain else NOWHERE
        given = dict(scope["headers"])
        headers, start = echoed(given, service.ids), time.perf_counter()
        exchange = Exchange(
            receive, send, given, headers, service.deadlines, service.limits.body_seconds
        )
        exchange.life, exchange.route = service.life, route.name
        await self._answer(route, scope, exchange)
        client, status = exchange.caller.client, exchange.status
        service.metrics.request(route.name, route.version, client, str(status))
        service.access(route.name, status, client, exchange.request_id, time.perf_counter() - start)

    def _marked(self, send: Send) -> Send:
        """Marks the connection of an answer of BentoML's that begins while the worker drains."""

        async def marked(message: MutableMapping[str, Any]) -> None:
            if self._service.life.draining and message["type"] == "http.response.start":
                others = [each for each in message.get("headers", ()) if each != CLOSE]
                message["headers"] = [*others, CLOSE]  # once, though a front is in and outside
            await send(message)

        return marked

    async def _answer(self, route: Route, scope: Scope, exchange: Exchange) -> None:
        try:
            method = scope["method"]
            if (
                route.scope
                and method == route.method
                and len(exchange.given) != len(scope["headers"])
            ):
                require_once(scope["headers"])
            self._service.admit(route, method, exchange)
            await route.handler(exchange)
        except Refusal as refusal:
            await _refuse(exchange, refusal)
        except Invalid as invalid:
            await _refuse(exchange, of_contract(invalid))
        except Gone:
            exchange.status = 499  # as nginx counts a caller that left
        except Exception:
            # A caller without an answer would wait, and hold up the shutdown.
            which = {"request_id": exchange.request_id}
            log.exception("no answer to a request of %s", route.name, extra=which)
            await _refuse(exchange, internal())


async def _refuse(exchange: Exchange, refusal: Refusal) -> None:
    """A problem as the answer, or as the last line of one that has begun."""
    if exchange.status:
        exchange.status = refusal.status
        await exchange.write(body(refusal) + b"\n", more=False)
    else:
        await exchange.refuse(refusal)
