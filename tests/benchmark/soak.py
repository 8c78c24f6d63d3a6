"""`make soak`: the service from its Bento at 70% of its knee; a line a window, then a table.

The knee is the highest rate whose p99 stays under 50 ms. Word: the minutes, 10 unless given.
"""

import signal
import statistics
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import click

sys.path.append(str(Path(__file__).resolve().parents[1]))  # started as a file

from benchmark.servers import Running, running, say, scene
from benchmark.tables import Line, machine
from benchmark.windows import Window, window
from preflight.errors import Problem

STEPS = (1, 2, 4, 8, 16, 32, 64)  # connections
STEP_SECONDS, SECONDS = 3.0, 30.0
SLOW_MS, SHARE, CONNECTIONS = 50.0, 0.7, 32
SETTLED_SECONDS = 60.0  # after which memory may not grow


def knee(server: Running) -> float:
    """Requests a second at which answers are still fast."""
    window(server, 8, STEP_SECONDS)
    best = 0.0
    for connections in STEPS:
        found = window(server, connections, STEP_SECONDS)
        say(f"soak: {connections:2} connections: {found.rate:,.0f}/s, p99 {found.p99:.1f} ms")
        if found.p99 < SLOW_MS:
            best = max(best, found.rate)
    if not best:
        raise Problem("the knee", f"no p99 under {SLOW_MS:g} ms", "one", "Use an idle machine.")
    return best


def soaked(server: Running, rate: float, windows: int) -> tuple[list[Window], list[float]]:
    """Windows at a rate, and the worker's resident MB at the end of each."""
    found, memory = [], []
    worker = server.worker()
    for number in range(windows):
        found.append(window(server, CONNECTIONS, SECONDS, rate))
        memory.append(worker.memory_info().rss / 1e6)
        each = found[-1]
        say(
            f"soak: {(number + 1) * SECONDS:4.0f} s: {each.rate:,.0f}/s, p50 {each.p50:.1f} ms, "
            f"p99 {each.p99:.1f} ms, {each.failures} failures, {memory[-1]:.1f} MB"
        )
    return found, memory


def judged(rate: float, found: list[Window], memory: list[float]) -> list[Line]:
    """The rows of the table."""
    failures = sum(each.failures for each in found)
    third = max(1, len(found) // 3)
    first, last = (
        statistics.median(each.p99 for each in part) for part in (found[:third], found[-third:])
    )
    settled = memory[min(len(memory), int(SETTLED_SECONDS / SECONDS)) - 1]
    growth = memory[-1] / settled - 1
    kept = statistics.median(each.rate for each in found) / rate
    return [
        Line("soak: failures", "none", f"{failures}", failures == 0),
        Line(
            "soak: p99, the last third to the first",
            "<= 1.2 x",
            f"{last / first:.2f} x ({first:.1f} ms, then {last:.1f} ms)",
            last <= 1.2 * first,
        ),
        Line(
            "soak: growth of the worker's memory after the first minute",
            "<= 2%",
            f"{growth:+.1%} ({settled:.1f} MB, then {memory[-1]:.1f} MB)",
            growth <= 0.02,
        ),
        Line("soak: the callers' rate, to what was asked", ">= 98%", f"{kept:.1%}", kept >= 0.98),
    ]


def measure(place: Path, windows: int) -> tuple[str, bool]:
    """Soak a server in a scratch folder; returns the table, and whether no answer failed."""
    stage = scene(place)
    with running("ours", stage) as server:
        highest = knee(server)
        rate = SHARE * highest
        say(f"soak: knee {highest:,.0f}/s; {windows} windows of {SECONDS:g} s at {rate:,.0f}/s")
        found, memory = soaked(server, rate, windows)
    table = "\n".join(map(str, judged(rate, found, memory)))
    head = "| what | reach | measured | met |\n|---|---|---|---|"
    asked = f"{windows * SECONDS / 60:g} minutes at {rate:,.0f} requests/s, {SHARE:.0%} of the knee"
    return f"{head}\n{table}\n\n{asked}. {machine()}", not any(each.failures for each in found)


@click.command()
@click.argument("minutes", type=click.FloatRange(min=1), default=10)
def main(minutes: float) -> None:
    """Keep the service busy for so many minutes."""
    begun = time.monotonic()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the servers end with it
    with TemporaryDirectory(prefix="preflight-soak-") as place:
        try:
            table, fine = measure(Path(place).resolve(), round(minutes * 60 / SECONDS))
        except Problem as problem:
            raise click.ClickException(str(problem)) from None
    click.echo(table)
    say(f"soak: {time.monotonic() - begun:.0f} s")
    sys.exit(not fine)


if __name__ == "__main__":
    main()
