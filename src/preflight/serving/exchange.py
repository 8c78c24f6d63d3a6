"""One request and its answer: the body within its limits, the answer with its headers."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from datetime import UTC, date, datetime
from typing import Any

from preflight.serving.deadlines import Deadlines
from preflight.serving.door import ANYBODY, Caller
from preflight.serving.life import Life
from preflight.serving.problems import CLOSE, MEDIA, Headers, Refusal, body

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

JSON, LINES = b"application/json", b"application/x-ndjson"


class Gone(Exception):
    """The caller has left."""


class Exchange:
    """A request that a route answers; `headers` go with whatever is sent."""

    __slots__ = (
        "_deadlines",
        "_receive",
        "_send",
        "caller",
        "given",
        "headers",
        "life",
        "request_id",
        "route",
        "seconds",
        "status",
    )

    def __init__(
        self,
        receive: Receive,
        send: Send,
        given: dict[bytes, bytes],
        headers: Headers,
        deadlines: Deadlines,
        seconds: float,
    ) -> None:
        """`given` are the request's headers; `seconds` may pass before its body has come.

        Of `headers` the first is the caller's request id, or the one made for it.
        """
        self._receive, self._send = receive, send
        self.given, self.headers, self.seconds = given, headers, seconds
        self._deadlines = deadlines
        self.caller = Caller("-", ANYBODY, 0)
        self.status = 0
        self.life: Life | None = None  # what marks the connections of a worker that drains
        self.route = "none"
        self.request_id = headers[0][1].decode()  # the first that `echoed` gives

    async def body(self, limit: int, keep: Callable[[int], object] = bool) -> bytes:
        """The whole body, of whose parts `keep` is told the sizes.

        Raises Refusal when it is too large or too slow, and what `keep` raises.
        """
        task = self._deadlines.open(self.seconds)
        try:
            message = await self._next()
            part: bytes = message.get("body", b"")
            parts, size = [part], len(part)
            keep(size)
            while size <= limit and message.get("more_body"):
                message = await self._next()
                parts.append(message.get("body", b""))
                keep(len(parts[-1]))
                size += len(parts[-1])
        except asyncio.CancelledError:
            if not self._deadlines.missed(task):
                raise
            raise too_slow(self.seconds) from None
        finally:
            self._deadlines.close(task)
        if size > limit:
            raise too_large(limit)
        return part if len(parts) == 1 else b"".join(parts)

    async def parts(self) -> AsyncIterator[bytes]:
        """The body as it comes; raises Refusal when the next part is too slow."""
        more = True
        while more:
            try:
                async with asyncio.timeout(self.seconds):
                    message = await self._next()
            except TimeoutError:
                raise too_slow(self.seconds) from None
            more = message.get("more_body", False)
            yield message.get("body", b"")

    async def _next(self) -> MutableMapping[str, Any]:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise Gone
        return message

    async def answer(self, content: bytes, status: int = 200, media: bytes = JSON) -> None:
        """Send a whole answer."""
        self.headers.append((b"content-type", media))
        self.headers.append((b"content-length", b"%d" % len(content)))
        await self._start(status)
        await self._send({"type": "http.response.body", "body": content})

    async def _start(self, status: int) -> None:
        """Begin the answer; marked when the worker drains by now, whenever the request came."""
        self.status = status
        if self.life is not None and self.life.draining and CLOSE not in self.headers:
            self.headers.append(CLOSE)
        await self._send({"type": "http.response.start", "status": status, "headers": self.headers})

    async def refuse(self, refusal: Refusal) -> None:
        """Send a problem."""
        self.headers += [each for each in refusal.headers if each not in self.headers]
        if b"expect" in self.given and CLOSE not in self.headers:
            self.headers.append(CLOSE)  # its body would be taken for the next request
        await self.answer(body(refusal), refusal.status, MEDIA)

    async def write(self, content: bytes, *, more: bool) -> None:
        """Send a part of an answer of unknown length."""
        if not self.status:
            self.headers.append((b"content-type", LINES))
            await self._start(200)
        await self._send({"type": "http.response.body", "body": content, "more_body": more})


def too_large(limit: int) -> Refusal:
    """The rest of the body is not read, so the connection cannot be used again."""
    refusal = Refusal(413, "body", f"over {limit} bytes", f"at most {limit} bytes")
    refusal.headers.append(CLOSE)
    return refusal


def too_slow(seconds: float) -> Refusal:
    """The body did not come."""
    refusal = Refusal(408, "body", "no end of it", f"all of it within {seconds:g} s")
    refusal.headers.append(CLOSE)
    return refusal


def deprecation(since: date | None) -> Headers:
    """The header that says since when a version is deprecated (RFC 9745, section 2)."""
    if since is None:
        return []
    stamp = int(datetime(since.year, since.month, since.day, tzinfo=UTC).timestamp())
    return [(b"deprecation", b"@%d" % stamp)]
