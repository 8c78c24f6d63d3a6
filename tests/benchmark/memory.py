"""`make bench-log`: measure what the service remembers, part by part; print a table.

Name parts as words to measure these alone. `--write` puts each part's rows into docs/log.md between
its marks. Real months are read where TLC_DIR names a folder of them.
"""

import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import click

sys.path.append(str(Path(__file__).resolve().parents[1]))  # started as a file

from benchmark import remembered
from benchmark.guards import guards
from benchmark.kills import killed
from benchmark.months import month
from benchmark.servers import ROOT, running, say, scene
from benchmark.serving import asked, ratio
from benchmark.tables import Line, machine, medians
from preflight import bento, reference
from preflight.docs import replaced
from preflight.errors import Problem
from preflight.layout import PACKAGED
from preflight.log import view
from preflight.predictor import Predictor
from served import TWO

KILLS = 100
RECORDS = 1_000_000
EXPLAINED, REPLAYED, TURNS = 2_000, 100_000, 3
DAY = """SELECT model_version, count(*), avg(value), quantile_cont(latency_ms, 0.95)
FROM predictions WHERE "at" >= '2021-02-04' AND "at" < '2021-02-05' GROUP BY ALL"""
PAGE = ROOT / "docs/log.md"


def kills(place: Path) -> Iterator[Line]:
    """All processes of a service with two workers killed under load."""
    folder = bento.build_unregistered(ROOT, place / "home")
    found = killed(ROOT, folder, place / "state", KILLS, TWO)
    what = f"{found.kills} SIGKILLs under load, {len(found.answered):,} answered predictions"
    yield Line(f"{what}: missing", "0", f"{found.missing:,}", found.missing == 0)
    told = f"{found.damaged:,}; {found.torn} torn tails"
    yield Line(f"{found.records:,} records: damaged", "0", told, found.damaged == 0)


def cost(place: Path) -> Iterator[Line]:
    """Requests a second with the log, to those without."""
    stage = scene(place)
    with ExitStack() as stack:
        servers = {
            name: stack.enter_context(running(name, stage)) for name in ("with log", "without log")
        }
        rounds = asked(servers)
    share = 1 - ratio(rounds, "with log", "without log", lambda each: each.rate)
    work = 1 - 1 / ratio(rounds, "with log", "without log", lambda each: each.processor)
    rates, times = (
        " and ".join(f"{getattr(medians(rounds, name), what):,.0f}" for name in servers)
        for what in ("rate", "processor")
    )
    told = f"{share:.1%} ({rates} requests/s; {times} processor us each, {work:.1%})"
    yield Line("the log: share of requests/s", "<= 10%", told, share <= 0.1)


def compaction(place: Path) -> Iterator[Line]:
    """A million records to Parquet, and a day's query over them."""
    remembered.plausible(place, RECORDS)
    size = sum(path.stat().st_size for path in place.rglob("*.jsonl"))
    done = remembered.alone(
        "from preflight.log.compaction import compact", "compact(Path(sys.argv[1]))", str(place)
    )
    seconds, most = done["seconds"], done["bytes"] / 1e6
    what = f"compaction of {RECORDS:,} records ({size / RECORDS:,.0f} bytes each)"
    fine = seconds <= 20 and most <= 500
    yield Line(what, "<= 20 s, <= 500 MB", f"{seconds:.1f} s, {most:.0f} MB", fine)
    kept = sum(path.stat().st_size for path in place.rglob("*.parquet"))
    yield Line("— Parquet to JSON lines, in bytes", "shown", f"{kept / size:.2f}", kept < size)
    work = "connect(Path(sys.argv[1]), *[date(2021, 2, 4)] * 2).execute(sys.argv[2]).fetchall()"
    imports = "from preflight.log.view import connect"
    day = remembered.alone(imports, work, str(place), DAY)["seconds"]
    yield Line("a day's query over compacted days", "<= 1 s", f"{day:.2f} s", day <= 1)


def explain(place: Path) -> Iterator[Line]:
    """One explanation by the command, many by the function."""
    from preflight.watch.explain import many

    model = Predictor(ROOT / PACKAGED)
    stretch = remembered.answered(place, model, EXPLAINED)
    (frame,) = view.window(place, *stretch)
    number = frame["id"][0]
    seconds = statistics.median(_command(place, "explain", number) for _ in range(TURNS))
    yield Line("`preflight explain ID`", "<= 2 s", f"{seconds:.2f} s", seconds <= 2)
    matrix = model.matrix(reference.columns(model.contract, EXPLAINED, seed=6))
    bare, whole, share = _by_turns(
        lambda: model.model.contributions(matrix), lambda: list(many(ROOT, [frame]))
    )
    told = f"{share:.2f} x ({EXPLAINED / whole:,.0f} and {EXPLAINED / bare:,.0f} rows/s)"
    yield Line("many explained, to bare `pred_contrib`", ">= 0.5 x", told, share >= 0.5)


def _command(place: Path, *words: str) -> float:
    command = str(ROOT / ".venv/bin/preflight")
    start = time.perf_counter()
    done = subprocess.run(
        [command, *words],
        cwd=ROOT,
        env=dict(os.environ, PREFLIGHT_LOG=str(place)),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise Problem(f"preflight {words[0]}", done.stderr[-300:], "an answer", "Run it by hand.")
    return time.perf_counter() - start


def _by_turns(one: Callable[[], object], other: Callable[[], object]) -> tuple[float, float, float]:
    """Median seconds of both, and of the first's to the second's in each turn."""
    turns = []
    for _ in range(TURNS):
        start = time.perf_counter()
        one()
        middle = time.perf_counter()
        other()
        turns.append((middle - start, time.perf_counter() - middle))
    ours, theirs = (statistics.median(each) for each in zip(*turns, strict=True))
    return ours, theirs, statistics.median(one / other for one, other in turns)


def replay(place: Path) -> Iterator[Line]:
    """A stretch of the log answered again, to the same rows in a batch."""
    from preflight.watch.models import of_version
    from preflight.watch.replay import replay as again

    model = Predictor(ROOT / PACKAGED)
    start, end = remembered.answered(place, model, REPLAYED)
    columns = reference.columns(model.contract, REPLAYED, seed=6)
    with of_version(ROOT, None) as exact:
        found = again(exact, view.window(place, start, end), 1.0)
        batch, whole, share = _by_turns(
            lambda: model.answer(columns),
            lambda: again(exact, view.window(place, start, end), 1.0),
        )
    told = f"{share:.2f} x ({REPLAYED / whole:,.0f} and {REPLAYED / batch:,.0f} rows/s)"
    yield Line("replay, to the same rows in a batch", ">= 0.5 x", told, share >= 0.5)
    what = f"{found.rows:,} rows replayed by the same version: differ in a bit"
    yield Line(what, "0", f"{found.differ:,}", found.differ == 0)


PARTS: dict[str, Callable[[Path], Iterator[Line]]] = {
    each.__name__: each for each in (compaction, explain, replay, cost, guards, month, kills)
}


def table(lines: list[Line]) -> str:
    """Rows as Markdown, with the machine."""
    head = "| what | reach | measured | met |\n|---|---|---|---|"
    return "\n".join([head, *map(str, lines), "", machine()])


@click.command()
@click.argument("parts", nargs=-1, type=click.Choice(list(PARTS)))
@click.option("--write", is_flag=True, help="Put each part's table into docs/log.md.")
def main(parts: tuple[str, ...], write: bool) -> None:
    """Measure what the service remembers."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the services end with it
    met = True
    for name in parts or PARTS:
        begun = time.monotonic()
        say(f"bench-log: {name} …")
        with TemporaryDirectory(prefix="preflight-bench-") as place:
            try:
                lines = list(PARTS[name](Path(place).resolve()))
            except Problem as problem:
                raise click.ClickException(str(problem)) from None
        say(f"bench-log: {name}, {time.monotonic() - begun:.0f} s")
        click.echo(table(lines))
        met &= all(line.met for line in lines)
        if write:
            text = replaced(PAGE.read_text("utf-8"), f"measured {name}", table(lines), str(PAGE))
            PAGE.write_text(text, encoding="utf-8")
    sys.exit(not met)


if __name__ == "__main__":
    main()
