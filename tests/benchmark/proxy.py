"""What Envoy costs: `python tests/benchmark/proxy.py` asks servers directly and through it.

By turns, in a shuffled order of each round's own; medians of rounds. First as fast as answers
come, then at a rollout's rate. `--bento` measures the service from its Bento too.
"""

import asyncio
import multiprocessing
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

import click
import numpy as np
import uvloop

sys.path.append(str(Path(__file__).resolve().parents[1]))  # started as a file

from benchmark.servers import PREDICT, Running, running, say, scene
from benchmark.tables import CONNECTIONS, machine
from benchmark.windows import Window, window
from preflight.bento import free_port
from preflight.deploy.declared import Declared
from preflight.errors import Problem
from preflight.rehearsal.envoy import proxied

ROUNDS, SECONDS, RATE = 5, 2.0, 300.0
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"
ARMS = {arm: {"X-Arm": arm} for arm in ("stable", "canary")}
# The ratio of weights costs nothing: half and half, so that both arms are routed to.
WEIGHTS = {"taxi-stable": 50, "taxi-canary": 50}
DECLARED = Declared(
    *("taxi", "7-0123456789ab", (), None, 0, {}, "taxi-stable", "taxi-canary", "/v1/"),
    *("X-Entity-Id", ARMS, 10.0, 3.0, 2.0),
)
Rounds = list[dict[tuple[str, float], Window]]


class Small(asyncio.Protocol):
    """Answers each request with the same bytes; a request comes whole, as the callers send it."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep where to answer."""
        self._transport, self._got = cast(asyncio.Transport, transport), b""

    def data_received(self, data: bytes) -> None:
        """Answer what is whole: a head, and the body that it tells of."""
        self._got += data
        head, end, body = self._got.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0] or 0)
        if end and len(body) >= length:
            self._got = b""
            self._transport.write(ANSWER)


async def serve(port: int) -> None:
    """Serve on a port of 127.0.0.1 for ever."""
    server = await asyncio.get_running_loop().create_server(Small, "127.0.0.1", port)
    await server.serve_forever()


def small(port: int) -> None:
    """The process of the small server."""
    uvloop.run(serve(port))


@contextmanager
def serving() -> Iterator[Running]:
    """The small server, until the block ends."""
    port = free_port()
    process = multiprocessing.get_context("spawn").Process(target=small, args=(port,))
    process.start()
    try:
        bodies = [b'{"pad": "%s"}' % (b"x" * 300)] * 500
        yield Running("small server", port, process.pid or 0, PREDICT, {}, bodies)
    finally:
        process.terminate()
        process.join()


@contextmanager
def behind(place: Path, server: Running) -> Iterator[Running]:
    """The same server through Envoy: its time is Envoy's alone."""
    address = f"http://127.0.0.1:{server.port}"
    with proxied(place, DECLARED, {each: [address] for each in WEIGHTS}) as proxy:
        proxy.route(WEIGHTS, DECLARED.release)
        port = int(proxy.address.rpartition(":")[2])
        yield replace(server, name=f"{server.name}, by Envoy", port=port, pid=proxy.pid)


def asked(servers: list[Running]) -> Rounds:
    """Ask all in turn, as fast as they answer and at RATE, after windows that warm them."""
    order, found = np.random.default_rng(1), []
    for server in servers:
        window(server, CONNECTIONS, 1.0)
    for number in range(ROUNDS):
        say(f"bench-proxy: round {number + 1} of {ROUNDS} …")
        turns = [(server, rate) for server in servers for rate in (0.0, RATE)]
        drawn = [turns[place] for place in order.permutation(len(turns))]
        found.append(
            {(each.name, rate): window(each, CONNECTIONS, SECONDS, rate) for each, rate in drawn}
        )
    return found


def row(rounds: Rounds, name: str) -> str:
    """A server's medians over the rounds."""

    def median(field: str, rate: float) -> float:
        return float(statistics.median(getattr(each[name, rate], field) for each in rounds))

    fast = f"{median('rate', 0.0):,.0f} | {median('p50', 0.0):.2f} | {median('p99', 0.0):.2f}"
    paced = f"{median('p50', RATE):.2f} | {median('p99', RATE):.2f}"
    return f"| {name} | {fast} | {paced} | {median('processor', RATE):,.0f} |"


def measure(place: Path, bento: bool) -> tuple[str, int]:
    """Measure in a scratch folder; returns the table and how many answers failed."""
    with ExitStack() as stack:
        servers = [stack.enter_context(serving())]
        if bento:
            servers.append(stack.enter_context(running("ours", scene(place))))
        time.sleep(0.5)  # the small server's process begins
        for number, each in enumerate(tuple(servers)):
            servers.append(stack.enter_context(behind(place / f"envoy-{number}", each)))
        rounds = asked(servers)
    paced = f"at {RATE:g}/s: p50 ms | p99 ms | processor µs each"
    head = f"| {CONNECTIONS} connections | requests/s | p50 ms | p99 ms | {paced} |"
    rule = "|" + "---|" * (head.count("|") - 1)
    rows = sorted(row(rounds, each.name) for each in servers)
    failures = sum(each.failures for windows in rounds for each in windows.values())
    return "\n".join([head, rule, *rows, "", machine()]), failures


@click.command()
@click.option("--bento", is_flag=True, help="Measure the service from its Bento too.")
def main(bento: bool) -> None:
    """Measure servers directly and through Envoy."""
    with TemporaryDirectory(prefix="preflight-bench-") as place:
        try:
            text, failures = measure(Path(place).resolve(), bento)
        except Problem as problem:
            raise click.ClickException(str(problem)) from None
    click.echo(text)
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
