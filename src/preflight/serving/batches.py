"""Batches and streams: many rows, answered beside the others and within a time of their own."""

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from operator import itemgetter
from typing import Any

import msgspec
import numpy as np

from preflight.params import Mode, Serving
from preflight.serving.answers import Answerer, Prediction
from preflight.serving.compiled import Columns
from preflight.serving.exchange import Exchange, too_large, too_slow
from preflight.serving.metrics import Metrics
from preflight.serving.problems import Refusal, details
from preflight.serving.recorder import Asked, Unlogged
from preflight.serving.requests import Decoder, Invalid, of_contract
from preflight.serving.room import Room

Remember = Callable[[Asked, Columns, Sequence[Prediction]], None]
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
        remember: Remember,
        limits: Serving,
        mode: Callable[[Exchange], Mode],
    ) -> None:
        """`mode` says what holds when a part is answered, or raises Refusal; so does `remember`."""
        self._remember = remember
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
                found = await self._threaded(lambda: self._many(content, exchange, start))
            except Exception as error:
                # What breaks the contract is no failure of ours, and judges nobody.
                if isinstance(error, (Invalid, Refusal)) and not isinstance(error, Unlogged):
                    raise
                self._metrics.answered("batch", bucket, time.perf_counter() - start, failed=True)
                raise
        self._metrics.answered("batch", bucket, time.perf_counter() - start)
        return found

    def _many(self, content: bytes, exchange: Exchange, start: float) -> bytes:
        columns, mode = self._decoder.batch(content), self._mode(exchange)
        for row, invalid in self._answerer.refused(columns, mode).items():
            raise Invalid(f"instances[{row}].{invalid.field}", invalid.found, invalid.expected)
        found = self._answered(columns, Asked(exchange, mode, start))
        return encode({"predictions": found})

    def _answered(self, columns: Columns, asked: Asked) -> list[Prediction]:
        """Predictions for arrays of shape (rows,), recorded."""
        found = self._answerer.many(columns, asked.exchange.caller.bucket, asked.mode)
        self._remember(asked, columns, found)
        return found

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
        occasion = Asked(exchange, self._mode(exchange), time.perf_counter())
        asked = {place: line for place, line in enumerate(lines, before + 1) if line.strip()}
        if not asked:
            return b""
        columns, refused = self._decoder.lines(list(asked.values()))
        found: list[Any] = []
        if columns is not None:
            kept = [row for row in range(len(asked)) if row not in refused]
            unseen = self._answerer.refused(columns, occasion.mode)
            refused |= {kept[row]: invalid for row, invalid in unseen.items()}
            seen = np.delete(np.arange(len(kept)), list(unseen))
            columns = {name: values[seen] for name, values in columns.items()}
            found += self._answered(columns, occasion) if len(seen) else []
        places = list(asked)
        for row, invalid in sorted(refused.items(), key=itemgetter(0)):
            found.insert(row, details(of_contract(invalid)) | {"line": places[row]})
        return b"".join(encode(each) + b"\n" for each in found)
