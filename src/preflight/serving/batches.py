"""Batches and streams: many rows, answered beside the others and within a time of their own."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import msgspec

from preflight.params import Mode, Serving
from preflight.serving.answers import Answerer
from preflight.serving.exchange import Exchange, too_large, too_slow
from preflight.serving.metrics import Metrics
from preflight.serving.problems import Refusal, details
from preflight.serving.requests import Decoder, Invalid, of_contract
from preflight.serving.room import Room

BODIES = 64_000_000  # bytes that a worker holds at once
LINES = 500  # of a stream, answered at a time, so that others come in between
encode = msgspec.json.Encoder().encode


class Batches:
    """Answers many rows in threads, of which there are as many as batches at once."""

    def __init__(
        self,
        answerer: Answerer,
        decoder: Decoder,
        metrics: Metrics,
        limits: Serving,
        mode: Callable[[Exchange], Mode],
    ) -> None:
        """`mode` says what holds when a part is answered, or raises Refusal."""
        self._answerer, self._decoder, self._metrics = answerer, decoder, metrics
        self._limits, self._mode = limits, mode
        self._threads = ThreadPoolExecutor(limits.max_batches, "batch")
        self._room = Room(BODIES)

    async def batch(self, exchange: Exchange) -> None:
        """A JSON document of many rows."""
        bucket = exchange.caller.bucket
        try:
            async with asyncio.timeout(self._limits.batch_seconds):
                found = await self._judged(exchange, bucket)
        except TimeoutError:
            self._metrics.answered("batch", bucket, self._limits.batch_seconds, failed=True)
            raise self._late() from None
        await exchange.answer(found)

    async def _judged(self, exchange: Exchange, bucket: int) -> bytes:
        with self._room.held() as keep:
            content = await exchange.body(self._limits.max_body_bytes, keep)
            start = time.perf_counter()
            try:
                found = await self._threaded(lambda: self._many(content, exchange))
            except (Invalid, Refusal):
                raise  # what breaks the contract is no failure of ours, and judges nobody
            except Exception:
                self._metrics.answered("batch", bucket, time.perf_counter() - start, failed=True)
                raise
        self._metrics.answered("batch", bucket, time.perf_counter() - start)
        return found

    def _many(self, content: bytes, exchange: Exchange) -> bytes:
        columns, mode = self._decoder.batch(content), self._mode(exchange)
        bucket = exchange.caller.bucket
        return encode({"predictions": self._answerer.many(columns, bucket, mode)})

    async def _threaded(self, work: Callable[[], bytes]) -> bytes:
        """Run what takes long beside the others."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def _late(self) -> Refusal:
        late = f"none within {self._limits.batch_seconds:g} s"
        return Refusal(503, "request", late, "an answer", {"retry-after": "5"})

    async def lines(self, exchange: Exchange) -> None:
        """Answer lines as they come: a line for each, in their order."""
        seconds, rest, count = self._limits.stream_seconds, b"", 0
        try:
            async with asyncio.timeout(seconds):
                async for part in exchange.parts():
                    *lines, rest = (rest + part).split(b"\n")
                    if max(map(len, [*lines, rest])) > self._limits.max_line_bytes:
                        raise too_large(self._limits.max_line_bytes)
                    for start in range(0, len(lines), LINES):
                        found = await self._chunk(lines[start : start + LINES], count, exchange)
                        await exchange.write(found, more=True)
                        count += len(lines[start : start + LINES])
                last = await self._chunk([rest], count, exchange)
        except TimeoutError:
            raise too_slow(seconds) from None
        await exchange.write(last, more=False)

    async def _chunk(self, lines: list[bytes], before: int, exchange: Exchange) -> bytes:
        """Answers to some lines, before which others came."""
        work = partial(self._answer_lines, lines, before, exchange)
        try:
            async with asyncio.timeout(self._limits.batch_seconds):
                return await self._threaded(work)
        except TimeoutError:
            raise self._late() from None

    def _answer_lines(self, lines: list[bytes], before: int, exchange: Exchange) -> bytes:
        """Answers to those of the lines that are not empty."""
        mode, bucket = self._mode(exchange), exchange.caller.bucket
        asked = {place: line for place, line in enumerate(lines, before + 1) if line.strip()}
        if not asked:
            return b""
        columns, refused = self._decoder.lines(list(asked.values()))
        found: list[Any] = []
        if columns is not None:
            found += self._answerer.many(columns, bucket, mode)
        places = list(asked)
        for row, invalid in refused.items():
            found.insert(row, details(of_contract(invalid)) | {"line": places[row]})
        return b"".join(encode(each) + b"\n" for each in found)
