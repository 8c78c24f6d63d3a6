"""The verdict over HTTP, for a controller that asks again and again: `GET /v1/verdict`.

What keeps the judge from seeing is the verdict `continue`, with status 200 and the reason. For
Argo Rollouts any other status is an error, and five of them in a row abort the rollout: a restart
of Prometheus must not end an honest release, and `continue` promotes none. Only a question that
can never be answered is refused. Whatever is answered is JSON: of a 2xx that is none, Argo Rollouts
has made a success, conditions unread (argo-rollouts#4535).
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import click
import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from preflight.errors import NoData, Problem
from preflight.rollout import limits, sources
from preflight.rollout.limits import Limits
from preflight.rollout.prometheus import Server
from preflight.rollout.questions import Question, question
from preflight.rollout.show import line
from preflight.rollout.sources import Found
from preflight.rollout.verdict import Verdict
from preflight.serving import logs
from preflight.serving.problems import MEDIA, Refusal, body, internal

FRESH_SECONDS = 2.0  # that a verdict is given again
ANSWER_SECONDS = 8.0  # Argo Rollouts waits for 10
READS = 4  # of Prometheus at once
LONGEST = 24 * 3600  # seconds of a rollout that are read
QUESTIONS = 32  # different ones at once
log = logging.getLogger("preflight")


class Verdicts:
    """Verdicts, each read once for all who ask within FRESH_SECONDS."""

    def __init__(self, judge: Callable[[Question], Verdict]) -> None:
        """`judge` is called in threads, at most READS at once; it raises nothing."""
        self._judge, self._reads = judge, asyncio.Semaphore(READS)
        self._known: dict[Question, tuple[float, asyncio.Task[Verdict]]] = {}

    async def __call__(self, asked: Question) -> Verdict:
        """The verdict, within ANSWER_SECONDS."""
        now = time.monotonic()
        self._known = {
            each: (at, task)
            for each, (at, task) in self._known.items()
            if not task.done() or now - at < FRESH_SECONDS
        }
        if asked not in self._known:
            if len(self._known) >= QUESTIONS:
                return _busy(f"{QUESTIONS} others are asked about", "fewer at once")
            self._known[asked] = now, asyncio.create_task(self._read(asked))
        try:
            # Shielded, for the next who asks.
            return await asyncio.wait_for(asyncio.shield(self._known[asked][1]), ANSWER_SECONDS)
        except TimeoutError:
            return _busy("it is still read", f"a verdict within {ANSWER_SECONDS:g} s")

    async def _read(self, asked: Question) -> Verdict:
        async with self._reads:
            return await asyncio.to_thread(self._judge, asked)


def _busy(found: str, expected: str) -> Verdict:
    return sources.unseen(Problem("the verdict", found, expected, "Ask again."))


@dataclass(frozen=True)
class Reader:
    """Judges by Prometheus: selectors and clusters have {rollout} and {hash} for names.

    `every` is the interval of scrapes in seconds; `envoy` selects the proxies, None without.
    """

    address: str
    limits: Limits
    selector: str
    every: float
    envoy: str | None = None
    cluster: str = "{rollout}-{arm}"

    def __call__(self, asked: Question) -> Verdict:
        """The verdict; raises nothing."""
        return judged(asked, self._read, self.limits)

    def _read(self, asked: Question, now: float) -> Found:
        if asked.started is not None and now - asked.started > LONGEST:
            known = f"a rollout of the last {LONGEST / 3600:g} hours"
            raise NoData("started", "an older one", known, "Begin the rollout again.")
        return sources.of_prometheus(self._server(asked), now, asked.started)

    def _server(self, asked: Question) -> Server:
        hashes = {"stable": asked.stable, "canary": asked.canary}
        return Server(
            self.address,
            {
                arm: _filled(self.selector, rollout=asked.rollout, hash=each)
                for arm, each in hashes.items()
            },
            self.every,
            envoy=self.envoy and _filled(self.envoy, rollout=asked.rollout),
            clusters={arm: _filled(self.cluster, rollout=asked.rollout, arm=arm) for arm in hashes},
            slow=self.limits.max_seconds,
        )


def judged(asked: Question, read: Callable[[Question, float], Found], limits: Limits) -> Verdict:
    """The verdict on what `read` finds now, in seconds since 1970; raises nothing."""
    now = time.time()
    try:
        verdict = sources.verdict(read(asked, now), limits, now)
    except Problem as problem:
        verdict = sources.unseen(problem)
    except Exception:  # a mistake of ours is nothing that the release did
        log.exception("no verdict on %s", asked.rollout)
        ours = Problem("the judge", "an error here", "a verdict", "See its log.")
        verdict = sources.unseen(ours)
    level = logging.INFO if verdict.at is not None else logging.WARNING
    log.log(level, "%s, %s: %s: %s", asked.rollout, asked.canary, verdict.result, verdict.reason)
    return verdict


def _filled(template: str, **names: str) -> str:
    """A template with its names; str.format would take a selector's own braces for more."""
    for name, value in names.items():
        template = template.replace(f"{{{name}}}", value)
    return template


def application(judge: Callable[[Question], Verdict]) -> Starlette:
    """The ASGI application over a judge that may be called in threads and raises nothing."""
    verdicts = Verdicts(judge)

    async def verdict(request: Request) -> Response:
        asked = question(request.query_params.multi_items(), time.time())
        return _json(line(await verdicts(asked)))

    async def alive(_: Request) -> Response:
        # Prometheus is not asked: an unready judge is an error to who asks, and aborts.
        return _json('{"status":"ok"}')

    app = Starlette(
        routes=[
            Route("/v1/verdict", verdict),
            Route("/livez", alive),
            Route("/readyz", alive),
        ],
        exception_handlers={Refusal: _refused, HTTPException: _refused, Exception: _refused},
    )
    app.router.redirect_slashes = False
    return app


def _json(text: str) -> Response:
    return Response(text, headers={"cache-control": "no-store"}, media_type="application/json")


def _refused(request: Request, error: Exception) -> Response:
    headers: Mapping[str, str] | None = None
    if isinstance(error, HTTPException):
        found, headers = request.url.path[:60], error.headers
        error = Refusal(error.status_code, "path", found, "GET /v1/verdict, /livez or /readyz")
    refusal = error if isinstance(error, Refusal) else internal()
    return Response(body(refusal), refusal.status, headers, MEDIA.decode())


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--prometheus", metavar="ADDRESS", required=True, help="As http://prometheus:9090.")
@click.option(
    "--selector",
    default='app="{rollout}",rollouts_pod_template_hash="{hash}"',
    show_default=True,
    help="Of an arm's pods there.",
)
@click.option("--envoy", metavar="SELECTOR", help="Of the proxies; without it nothing is promoted.")
@click.option(
    "--cluster", default="{rollout}-{arm}", show_default=True, help="Envoy's, of stable and canary."
)
@click.option(
    "--interval", default=15.0, show_default=True, help="Seconds between scrapes of Prometheus."
)
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8080, show_default=True)
def main(
    prometheus: str,
    selector: str,
    envoy: str | None,
    cluster: str,
    interval: float,
    host: str,
    port: int,
) -> None:
    """Answer GET /v1/verdict?rollout=NAME&stable=HASH&canary=HASH until SIGTERM.

    Limits are those of params.yaml in the current folder.
    """
    judge = Reader(prometheus, limits.load(Path("params.yaml")), selector, interval, envoy, cluster)
    with logs.written(lambda _: None):
        log.info("verdicts by %s on %s:%d", prometheus, host, port)
        uvicorn.run(application(judge), host=host, port=port, log_config=None, access_log=False)


if __name__ == "__main__":
    main()
