"""A campaign: so many generated requests, each answer judged, the shortest failures kept."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import hypothesis
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from schemathesis import engine
from schemathesis.engine import events

from fuzz.exchange import Answer, Message, Request, Said, asked, curl
from fuzz.oracle import Oracle
from fuzz.strategies import Requests
from preflight.contract import Contract
from preflight.serving.exchange import App, Receive, Scope, Send

EVERY_SECONDS = 5.0
# One request in SHARE is of schemathesis, which takes 10 ms for each, and MOST of it at all. FIXED
# are those that it makes of the document's examples and limits.
SHARE, MOST, FIXED = 8, 4_000, 200
SMALLER = 200  # requests of a kind to look for a shorter one, once an answer is wrong
Tell = Callable[[str], None]


@dataclass
class Findings:
    """How many answers were judged, and the shortest request for each thing that was wrong."""

    tell: Tell
    total: int
    judged: int = 0
    statuses: dict[int, int] = field(default_factory=dict)
    wrong: dict[str, tuple[Request, Answer]] = field(default_factory=dict)
    _told: float = field(default_factory=time.monotonic)

    def add(self, request: Request, answer: Answer, faults: list[str]) -> None:
        """Count an answer, with what is wrong with it."""
        self.judged += 1
        self.statuses[answer.status] = self.statuses.get(answer.status, 0) + 1
        for said in faults:
            if said not in self.wrong or request.size < self.wrong[said][0].size:
                self.wrong[said] = request, answer
        if time.monotonic() > self._told + EVERY_SECONDS:
            self._told = time.monotonic()
            self.tell(f"fuzz: {self.judged} of about {self.total}, {len(self.wrong)} wrong")

    def text(self) -> str:
        """What was found, as a person reads it."""
        counts = ", ".join(f"{status}: {self.statuses[status]}" for status in sorted(self.statuses))
        lines = [f"fuzz: {self.judged} answers judged ({counts}), {len(self.wrong)} wrong"]
        for said, (request, answer) in sorted(self.wrong.items()):
            start = answer.body[:200].decode(errors="replace")
            lines += ["", f"  {said}: status {answer.status}, {start!r}", f"  {curl(request)}"]
        return "\n".join(lines)


def run(
    app: App, oracle: Oracle, contract: Contract, key: str, count: int, seed: int, tell: Tell
) -> Findings:
    """Ask about `count` requests of an application that keeps a contract; `key` is let in."""
    found = Findings(tell, count)
    by_schema(app, oracle, key, min(count // SHARE, MOST), seed, found)
    kinds = Requests(contract, key).kinds()
    each = max(1, (count - found.judged) // len(kinds))
    with asyncio.Runner() as runner:

        def judge(request: Request) -> list[str]:
            answer = runner.run(asked(app, request))
            faults = oracle.faults(request, answer)
            found.add(request, answer, faults)
            return faults

        for kind in kinds.values():
            by_kind(kind, judge, each, seed)
    return found


def by_kind(
    kind: st.SearchStrategy[Request], judge: Callable[[Request], list[str]], count: int, seed: int
) -> None:
    """So many requests of one kind, and some smaller ones once something is wrong."""
    smaller, started = iter(range(SMALLER, -1, -1)), list[Request]()

    @hypothesis.seed(seed)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        derandomize=False,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
        verbosity=hypothesis.Verbosity.quiet,
    )
    @hypothesis.given(kind)
    def answered(request: Request) -> None:
        faults = judge(request)
        if faults:
            started.append(request)
        if started and next(smaller) == 0:
            raise Enough
        if faults:
            raise Wrong(faults)

    try:
        answered()
    except (Wrong, Enough, BaseExceptionGroup, hypothesis.errors.HypothesisException):
        return  # the findings have it, and the shortest


class Wrong(AssertionError):
    """An answer with a fault."""


class Enough(BaseException):
    """The request is as short as it needs to be; hypothesis would go on for minutes."""


class Watched:
    """ASGI: passes requests on and has their answers judged."""

    def __init__(self, app: App, oracle: Oracle, found: Findings) -> None:
        self._app, self._oracle, self._found = app, oracle, found

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":  # the service is up already
            for word in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{word}.complete"})
            return
        said, parts = Said(), []

        async def watched_receive() -> Message:
            message = await receive()
            parts.append(message.get("body", b""))
            return message

        async def watched_send(message: Message) -> None:
            await said.send(message)
            await send(message)

        await self._app(scope, watched_receive, watched_send)
        headers = tuple((bytes(name), bytes(value)) for name, value in scope["headers"])
        request = Request(scope["method"], scope["path"], headers, tuple(parts) or (b"",))
        answer = said.answer()
        self._found.add(request, answer, self._oracle.faults(request, answer))


@schemathesis.serializer("application/x-ndjson")
def lines(_: Any, value: Any) -> bytes:
    """A stream's body as it is sent; its schema calls it a text."""
    return str(value).encode(errors="surrogatepass")


def by_schema(app: App, oracle: Oracle, key: str, count: int, seed: int, found: Findings) -> None:
    """Requests that schemathesis makes of the served document, right and wrong ones.

    Its checks judge nobody here: it holds every time that fits the pattern for a right one.
    """
    config = schemathesis.Config(seed=seed)
    project = config.projects.default
    project.update(headers={"Authorization": f"Bearer {key}"}, continue_on_failure=True)
    project.generation.database = "none"
    watched = Watched(app, oracle, found)
    loaded = schemathesis.openapi.from_asgi("/openapi.json", watched, config=config)
    project.generation.max_examples = max(1, (count - FIXED) // 4)  # of each of 4 operations
    stream = engine.from_schema(loaded).execute()
    for event in stream:
        if isinstance(event, (events.FatalError, events.NonFatalError)):
            raise event.value if isinstance(event, events.NonFatalError) else event.exception
        if found.judged >= count:
            stream.stop()
