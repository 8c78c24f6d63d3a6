"""Connections that are kept and taken again, as a gateway's callers have them.

A third of what aiohttp or locust cost: the two cores are for the services. Nothing is tried again
in secret: what fails is told.
"""

import asyncio
import time
from collections.abc import Mapping
from typing import NamedTuple, cast
from urllib.parse import urlsplit

import httptools

MOST = 512  # at once; who comes then waits


class Reply(NamedTuple):
    """An answer: its status, headers in lower case, and body; `at` its request was written.

    That is in seconds since 1970, and later than it was asked for where a connection was awaited.
    """

    status: int
    headers: Mapping[bytes, bytes]
    body: bytes
    at: float


class Closed(ConnectionError):
    """The other side closed the connection before it had answered."""


class Connection(asyncio.Protocol):
    """One connection with at most one request under way."""

    def __init__(self) -> None:
        """It is made by the event loop."""
        self.open = False
        self._answer: asyncio.Future[Reply] | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._headers: dict[bytes, bytes] = {}
        self._body, self._at = b"", 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is there."""
        self._transport, self.open = cast(asyncio.Transport, transport), True

    def data_received(self, data: bytes) -> None:
        """Parse a part of an answer."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(error)

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone."""
        self.open = False
        self._fail(exc or Closed())

    def on_message_begin(self) -> None:
        """An answer begins."""
        self._headers, self._body = {}, b""

    def on_header(self, name: bytes, value: bytes) -> None:
        """One of its headers."""
        self._headers[name.lower()] = value

    def on_body(self, body: bytes) -> None:
        """A part of its body."""
        self._body += body

    def on_message_complete(self) -> None:
        """All of it is there."""
        if not self._parser.should_keep_alive():
            self.close()
        if self._answer is not None and not self._answer.done():
            status = self._parser.get_status_code()
            self._answer.set_result(Reply(status, self._headers, self._body, self._at))

    def close(self) -> None:
        """Leave."""
        self.open = False
        self._transport.close()

    async def ask(self, request: bytes) -> Reply:
        """Send a request and wait; raises OSError, or what is wrong with the answer."""
        self._answer = asyncio.get_running_loop().create_future()
        self._at = time.time()
        self._transport.write(request)
        return await self._answer

    def _fail(self, error: Exception) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)


class Connections:
    """At most MOST connections to one address; the one used last is the first to be taken."""

    def __init__(self, address: str, headers: Mapping[str, str]) -> None:
        """`headers` are sent with every request."""
        place = urlsplit(address)
        self._host, self._port = str(place.hostname), place.port or 80
        fixed = {"host": place.netloc, "content-type": "application/json"} | dict(headers)
        self._fixed = "".join(f"{name}: {value}\r\n" for name, value in fixed.items())
        self._free: list[Connection] = []
        self._room = asyncio.Semaphore(MOST)

    async def post(self, route: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        """POST a JSON body; raises OSError, or what is wrong with the answer."""
        more = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        head = f"POST {route} HTTP/1.1\r\n{self._fixed}{more}content-length: {len(body)}\r\n\r\n"
        async with self._room:
            connection = await self._connection()
            try:
                found = await connection.ask(head.encode() + body)
            except BaseException:  # a request that is given up, too: its answer would be another's
                connection.close()
                raise
            if connection.open:
                self._free.append(connection)
            return found

    def close(self) -> None:
        """Leave."""
        for each in self._free:
            each.close()

    async def _connection(self) -> Connection:
        while self._free:
            found = self._free.pop()
            if found.open:
                return found
        loop = asyncio.get_running_loop()
        _, made = await loop.create_connection(Connection, self._host, self._port)
        return made
