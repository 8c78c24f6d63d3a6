"""The callers of a rehearsal, in a process of their own: an open loop of requests at a fixed rate.

python -m preflight.rehearsal.generator ADDRESS REQUESTS RATE ANSWERS. The key is the first line of
standard input, where pause, resume and stop follow; its end is a stop, so that no generator
outlives who started it.
"""

import asyncio
import contextlib
import re
import sys
import time
from collections.abc import Sequence
from itertools import cycle
from pathlib import Path
from typing import IO

import msgspec
import uvloop

from preflight.rehearsal.answers import ENCODER, NOBODY, Answer
from preflight.rehearsal.connections import Connections, Reply
from preflight.rehearsal.outcomes import Outcome, Outcomes, body

ANSWER_SECONDS = 15.0
WRITE_SECONDS = 0.25
TELL_SECONDS = 0.5  # between batches of outcomes that are known
AGAIN_SECONDS = 1.0  # until outcomes that were refused are told again
BEHIND_SECONDS = 1.0  # that are made up for; what is later than that is not sent
SENT = "{} requests sent"  # what it says last
PREDICTED = re.compile(rb'"prediction_id": ?"([0-9a-f-]{36})"')


class Trip(msgspec.Struct):
    """A request: its body, whose it is, what really happened, and after how many seconds."""

    body: str
    entity: str
    outcome: float
    after: float


class Generator:
    """Sends trips again and again, and later their outcomes, until it is told to stop."""

    def __init__(self, address: str, key: str, trips: Sequence[Trip], rate: float) -> None:
        """`rate` is of requests a second."""
        self._trips, self._rate = trips, rate
        self._to = Connections(address, {"authorization": f"Bearer {key}"})
        self._outcomes = Outcomes()
        self._lines: list[bytes] = []
        self._going, self.stopped = asyncio.Event(), asyncio.Event()
        self._going.set()
        self._sent = 0

    def obey(self, word: str) -> None:
        """pause, resume or stop."""
        if word == "pause":
            self._going.clear()
        else:
            self._going.set()
        if word == "stop":
            self.stopped.set()

    async def run(self, file: Path) -> int:
        """Until it is stopped and what is under way has ended; answers are written to a file.

        Returns how many requests were sent: each is a line of the file.
        """
        with file.open("ab") as opened:
            async with asyncio.TaskGroup() as beside:
                writing = beside.create_task(self._write(opened))
                async with asyncio.TaskGroup() as under_way:
                    under_way.create_task(self._tell())
                    await self._send(under_way)
                writing.cancel()
            opened.write(b"".join(self._lines))
        self._to.close()
        return self._sent

    async def _send(self, under_way: asyncio.TaskGroup) -> None:
        due = time.perf_counter()
        for trip in cycle(self._trips):
            if not self._going.is_set():
                await self._going.wait()
                due = time.perf_counter()
            early = due - time.perf_counter()
            if self.stopped.is_set() or (early > 0 and await self._ended(early)):
                return
            under_way.create_task(self._ask(trip))
            due = max(due + 1 / self._rate, time.perf_counter() - BEHIND_SECONDS)

    async def _ended(self, seconds: float) -> bool:
        """Whether it is stopped within so many seconds."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.stopped.wait(), seconds)
        return self.stopped.is_set()

    async def _ask(self, trip: Trip) -> None:
        found = await self._post("/v1/predict", trip.body.encode(), trip.entity)
        told = PREDICTED.search(found.body) if found is not None and found.status == 200 else None
        if told is not None:
            known = time.monotonic() + trip.after
            self._outcomes.add([Outcome(known, told[1].decode(), trip.outcome)])

    async def _post(self, route: str, content: bytes, entity: str = "") -> Reply | None:
        """Ask, and keep what came of it; None without an answer."""
        self._sent += 1
        at, found, said = time.time(), None, ""
        headers = {"x-entity-id": entity} if entity else {}
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                found = await self._to.post(route, content, headers)
        except Exception as error:  # whatever it was, the request was sent, and failed
            said = type(error).__name__
        at = at if found is None else found.at
        ms = round(1e3 * (time.time() - at), 3)
        self._keep(Answer(at, entity, NOBODY, 0, ms, "", said), found)
        return found

    def _keep(self, silence: Answer, found: Reply | None) -> None:
        answer = silence
        if found is not None:
            told = PREDICTED.search(found.body)
            answer = silence._replace(
                arm=found.headers.get(b"x-arm", NOBODY.encode()).decode("ascii", "replace"),
                status=found.status,
                prediction_id=told[1].decode() if told else "",
                said="" if found.status < 400 else found.body[:200].decode(errors="replace"),
            )
        self._lines.append(ENCODER.encode(answer) + b"\n")

    async def _tell(self) -> None:
        """Tell outcomes as they become known; those that are refused once more."""
        while not await self._ended(TELL_SECONDS):
            if not (known := self._outcomes.due(time.monotonic())):
                continue
            found = await self._post("/v1/outcomes", body(known))
            if found is None or found.status != 202:
                later = time.monotonic() + AGAIN_SECONDS
                self._outcomes.add(each._replace(known=later) for each in known)

    async def _write(self, file: IO[bytes]) -> None:
        while True:
            await asyncio.sleep(WRITE_SECONDS)
            lines, self._lines = self._lines, []
            file.write(b"".join(lines))
            file.flush()


async def _main(address: str, requests: Path, rate: float, answers: Path) -> None:
    told = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(told), sys.stdin
    )
    key = (await told.readline()).decode().strip()
    trips = msgspec.json.Decoder(Trip).decode_lines(requests.read_bytes())
    generator = Generator(address, key, trips, rate)
    sending = asyncio.create_task(generator.run(answers))
    listening = asyncio.create_task(_listen(told, generator))
    sent = await sending
    listening.cancel()
    sys.stdout.write(SENT.format(sent) + "\n")


async def _listen(told: asyncio.StreamReader, generator: Generator) -> None:
    while not generator.stopped.is_set():
        generator.obey((await told.readline()).decode().strip() or "stop")


if __name__ == "__main__":
    where, requests, rate, answers = sys.argv[1:]
    uvloop.run(_main(where, Path(requests), float(rate), Path(answers)))
