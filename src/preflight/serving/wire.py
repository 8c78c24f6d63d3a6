"""HTTP as uvicorn speaks it, with the limits on a request's head that it lacks."""

import time
from typing import Any

from uvicorn import config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_BYTES, HEAD_SECONDS = 65_536, 10.0


class Protocol(HttpToolsProtocol):
    """Closes a connection whose next request's head is too large, or does not come."""

    open: "set[Protocol]" = set()  # noqa: RUF012 (of the process, as its connections are)

    def connection_made(self, transport: Any) -> None:
        """A caller has come."""
        super().connection_made(transport)
        self._head, self._since = 0, time.monotonic()
        Protocol.open.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """A caller has left."""
        Protocol.open.discard(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count what came since a head was complete; a body's parts do not add up."""
        self._head += len(data)
        super().data_received(data)
        if self._head > HEAD_BYTES and not self.transport.is_closing():
            self.transport.close()

    def on_headers_complete(self) -> None:
        """A head is complete."""
        self._head = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A part of a body, which has limits of its own."""
        self._head = 0
        super().on_body(body)

    def on_response_complete(self) -> None:
        """The wait for the next head begins."""
        self._since = time.monotonic()
        super().on_response_complete()

    def handle_websocket_upgrade(self) -> None:
        """Another protocol takes over; the front refuses at once."""
        Protocol.open.discard(self)
        super().handle_websocket_upgrade()

    def late(self, now: float) -> bool:
        """Whether a head is awaited for too long."""
        cycle: Any = self.cycle  # none before the first head
        return (cycle is None or cycle.response_complete) and now - self._since > HEAD_SECONDS


def expire() -> None:
    """Close the connections that keep this worker waiting for a head."""
    now = time.monotonic()
    for each in [each for each in Protocol.open if each.late(now)]:
        each.transport.abort()


# BentoML lets uvicorn choose; it chooses this before the service is loaded.
config.HTTP_PROTOCOLS["auto"] = "preflight.serving.wire:Protocol"
