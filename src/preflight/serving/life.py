"""The life of a worker: the files it watches, and an end in which no accepted request is lost."""

import asyncio
import ctypes
import logging
import signal
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psutil

# Linux, <asm-generic/socket.h> and <linux/filter.h>: load the byte of TCP's flags; where it has
# SYN, return 0, which drops; else all. Were the rest dropped too, a caller half way in would
# believe it was connected, and lose what it sent.
ATTACH, DETACH = 26, 27
PROGRAM = ((0x30, 0, 0, 13), (0x45, 0, 1, 0x02), (0x06, 0, 0, 0), (0x06, 0, 0, 0xFFFFFFFF))
DROP = b"".join(struct.pack("HBBI", *each) for each in PROGRAM)
BEAT_SECONDS = 1.0
ONCE_SECONDS = 1.0  # systemd signals arbiter and workers, and the arbiter its workers again
UNREAD_MILLISECONDS = 30_000  # that an answer waits for its reader
SETTLE_SECONDS = 0.3  # for what had arrived when the door closed
log = logging.getLogger("preflight")


class Life:
    """Runs `beat` every second; drains on SIGTERM before the server's own end begins."""

    def __init__(self, beat: Callable[[], None]) -> None:
        self._beat = beat
        self.draining = False
        self.drain_seconds, self._told = 0.0, 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        """From the server's start to its end, in its event loop."""
        loop = asyncio.get_running_loop()
        self._doors = doors()
        if sys.platform == "linux":
            # Connections take it over. Those who never read their answers would hold up the end.
            for door in self._doors:
                door.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNREAD_MILLISECONDS)
        ticker = loop.create_task(self._tick())
        end: Any = None
        if threading.current_thread() is threading.main_thread():
            end = signal.getsignal(signal.SIGTERM)
            signal.signal(signal.SIGTERM, lambda *_: loop.call_soon_threadsafe(self._drain, end))
        try:
            yield
        finally:
            ticker.cancel()
            for door in self._doors:
                door.close()
            if end is not None:
                signal.signal(signal.SIGTERM, end)

    async def _tick(self) -> None:
        while True:
            try:
                if not self.draining:
                    let_in(self._doors)
                self._beat()
            except Exception:  # the next beat comes all the same
                log.exception("a beat of the worker failed")
            await asyncio.sleep(BEAT_SECONDS)

    def _drain(self, end: Any) -> None:
        now = time.monotonic()
        if self.draining:
            if now - self._told > ONCE_SECONDS:  # asked twice: at once
                end(signal.SIGTERM, None)
            return
        self.draining, self._told = True, now
        log.info("draining for %g s", self.drain_seconds)
        self._ending = asyncio.get_running_loop().create_task(self._end(end))

    async def _end(self, end: Any) -> None:
        """Answer, closing each connection after its answer, until nobody has another open.

        Connections without a request for as long as this lasts are closed by the server, so
        at the end an open one has never carried a request. Then new ones are kept out, before
        the listening socket closes on what waits in its queue.
        """
        await asyncio.sleep(self.drain_seconds)
        keep_out(self._doors)
        await asyncio.sleep(SETTLE_SECONDS)
        end(signal.SIGTERM, None)


def doors() -> list[socket.socket]:
    """The sockets on which this process listens; the workers of a service share them."""
    return [
        socket.fromfd(found.fd, found.family, found.type)
        for found in psutil.Process().net_connections()
        if found.status == psutil.CONN_LISTEN and found.fd >= 0
    ]


def keep_out(sockets: list[socket.socket]) -> None:
    """Let the kernel drop new connections, for all workers; those who call try again, and wait.

    A worker that ends alone so keeps others from new callers for a beat at most.
    """
    if sys.platform == "linux":
        code = ctypes.create_string_buffer(DROP)
        for each in sockets:
            each.setsockopt(
                socket.SOL_SOCKET, ATTACH, struct.pack("HL", len(PROGRAM), ctypes.addressof(code))
            )


def let_in(sockets: list[socket.socket]) -> None:
    """Undo what a worker that ended did."""
    if sys.platform == "linux":
        for each in sockets:
            with suppress(OSError):  # there is none to undo
                each.setsockopt(socket.SOL_SOCKET, DETACH, 0)


def give_back() -> None:
    """Give the system the memory that loading has freed, where the C library can.

    Else requests first fill it up: resident memory would be too high, and hide a leak for hours.
    """
    if sys.platform == "linux":
        with suppress(AttributeError):  # a C library without it
            ctypes.CDLL(None).malloc_trim(0)
