"""Callers that keep connections busy: python -P callers.py PORT CONNECTIONS SECONDS < requests.

Standard input has one request a line, as the JSON of its bytes in Latin-1; all are asked in turn.
A rate as a fourth word paces them: each request has its time, and what is late is made up for;
its latency counts from that time, so that a stall is not left out. Prints a JSON object: answers,
failures, seconds and latencies. A process of its own, of plain sockets: anything slower would
measure itself.
"""

import asyncio
import json
import sys
import time
from array import array
from itertools import cycle
from typing import cast

import uvloop

SHOWN = 20_000  # latencies kept


class Caller(asyncio.Protocol):
    """One connection: asks, waits for the whole answer, asks again."""

    def __init__(self, run: "Run") -> None:
        self._run, self._got, self._needed = run, b"", 0
        self._finished = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the first time."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass
        self._ask()

    def _ask(self) -> None:
        due = self._run.due()
        if due is None:
            self._finished = True
            self._transport.close()
            return
        wait = due - time.perf_counter()
        if wait > 0:
            asyncio.get_running_loop().call_later(wait, self._send, due)
        else:
            self._send(due)

    def _send(self, due: float) -> None:
        if self._transport.is_closing():
            return
        self._asked = min(due, time.perf_counter())  # the loop's timers may be early
        self._transport.write(next(self._run.requests))

    def data_received(self, data: bytes) -> None:
        """Collect the answer; ask again when it is whole."""
        got = self._got = self._got + data if self._got else data
        if not self._needed:
            end = got.find(b"\r\n\r\n")
            if end < 0:
                return
            head = got[:end].lower()
            start = head.index(b"content-length:") + 15
            stop = head.find(b"\r\n", start)
            self._needed = end + 4 + int(head[start : stop if stop > 0 else None])
        if len(got) >= self._needed:
            self._run.keep(time.perf_counter() - self._asked, fine=got.startswith(b"HTTP/1.1 200"))
            self._got, self._needed = b"", 0
            self._ask()

    def connection_lost(self, exc: Exception | None) -> None:
        """A connection that the server closed in the middle is a failure."""
        self._run.lost(early=not self._finished)


class Run:
    """What all connections share: requests, the end, and what came of it."""

    def __init__(
        self, requests: list[bytes], connections: int, seconds: float, rate: float
    ) -> None:
        self.requests = cycle(requests)
        self._open, self._gap = connections, 1 / rate if rate else 0.0
        self.start = time.perf_counter()
        self.end = self.start + seconds
        self.latencies = array("d")
        self.failures = 0
        self.done = asyncio.get_running_loop().create_future()
        self._due = self.start

    def due(self) -> float | None:
        """When the next request is due; None at the end."""
        now = time.perf_counter()
        if not self._gap:
            return now if now < self.end else None
        self._due += self._gap
        return self._due if max(self._due, now) < self.end else None

    def keep(self, seconds: float, *, fine: bool) -> None:
        """Count an answer."""
        self.latencies.append(seconds)
        self.failures += not fine

    def lost(self, *, early: bool) -> None:
        """Count a connection that ended."""
        self.failures += early
        self._open -= 1
        if not self._open:
            self.done.set_result(None)


async def main(port: int, connections: int, seconds: float, rate: float = 0.0) -> None:
    """Ask for so many seconds over so many connections, and print what came of it."""
    requests = [json.loads(line).encode("latin-1") for line in sys.stdin]
    loop = asyncio.get_running_loop()
    run = Run(requests, connections, seconds, rate)
    for _ in range(connections):
        await loop.create_connection(lambda: Caller(run), "127.0.0.1", port)
    await asyncio.wait_for(run.done, seconds + 30)
    found = sorted(run.latencies)
    sys.stdout.write(
        json.dumps(
            {
                "answers": len(found),
                "failures": run.failures,
                "seconds": time.perf_counter() - run.start,
                "latencies": found[:: max(1, len(found) // SHOWN)] + found[-1:],
            }
        )
    )


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), int(sys.argv[2]), *map(float, sys.argv[3:])))
