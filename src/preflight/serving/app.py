"""The front of a model service: ASGI, ahead of BentoML's own."""

import asyncio
import logging
from collections.abc import MutableMapping
from typing import Any

from preflight.serving.door import echoed
from preflight.serving.exchange import App, Exchange, Gone, Receive, Scope, Send
from preflight.serving.problems import CLOSE, Refusal, body, internal
from preflight.serving.requests import Invalid, of_contract
from preflight.serving.service import ModelService, Route

__all__ = ["App", "Front", "ModelService", "Receive", "Scope", "Send"]
log = logging.getLogger("preflight")


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
            await self._app(scope, receive, self._marked(send) if kind == "http" else send)
            return
        given = dict(scope["headers"])
        headers = echoed(given, service.ids)
        exchange = Exchange(
            receive, send, given, headers, service.deadlines, service.limits.body_seconds
        )
        exchange.life = service.life
        await self._answer(route, scope["method"], exchange)
        client, status = exchange.caller.client, str(exchange.status)
        service.metrics.request(route.name, route.version, client, status)

    def _marked(self, send: Send) -> Send:
        """Marks the connection of an answer of BentoML's that begins while the worker drains."""

        async def marked(message: MutableMapping[str, Any]) -> None:
            if self._service.life.draining and message["type"] == "http.response.start":
                others = [each for each in message.get("headers", ()) if each != CLOSE]
                message["headers"] = [*others, CLOSE]  # once, though a front is in and outside
            await send(message)

        return marked

    async def _answer(self, route: Route, method: str, exchange: Exchange) -> None:
        try:
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
            log.exception("no answer to a request of %s", route.name)
            await _refuse(exchange, internal())


async def _refuse(exchange: Exchange, refusal: Refusal) -> None:
    """A problem as the answer, or as the last line of one that has begun."""
    if exchange.status:
        exchange.status = refusal.status
        await exchange.write(body(refusal) + b"\n", more=False)
    else:
        await exchange.refuse(refusal)
