"""`make bench-serving`: measure the service beside other ways to serve the model; print a table.

Each server has one worker on 127.0.0.1. Rounds in which all are asked in a shuffled order; medians
of rounds, and of the ratios within each round, as the machine's speed varies between them.
`--write` puts the tables into docs/serving.md between their marks.
"""

import json
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import numpy as np
import psutil

sys.path.append(str(Path(__file__).resolve().parents[1]))  # started as a file

from benchmark.servers import HERE, PREDICT, ROOT, SERVE, Running, Scene, post, running, say, scene
from benchmark.tables import CONNECTIONS, MARKS, NAMES, Line, Rounds, medians, page, written
from benchmark.windows import Window, window
from preflight import reference, workspace
from preflight.errors import Problem
from preflight.layout import PACKAGED
from preflight.predictor import Predictor

ROUNDS, SECONDS = 7, 2.5
BATCH, TURNS, STARTS = 10_000, 9, 3


def ratio(rounds: Rounds, one: str, other: str, of: Callable[[Window], float]) -> float:
    """Median over rounds of what one server did to what the other did."""
    return statistics.median(of(each[one]) / of(each[other]) for each in rounds)


def asked(servers: dict[str, Running]) -> Rounds:
    """Ask all servers in turn, in an order of each round's own, after one that warms them."""
    order = np.random.default_rng(1)
    found: Rounds = []
    for server in servers.values():
        window(server, CONNECTIONS, 1.5)
    for number in range(ROUNDS):
        say(f"bench-serving: round {number + 1} of {ROUNDS} …")
        names = order.permutation(list(servers)).tolist()
        found.append({name: window(servers[name], CONNECTIONS, SECONDS) for name in names})
    return found


def rates(rounds: Rounds) -> list[Line]:
    """Requests a second, latency and duties."""

    def rate(each: Window) -> float:
        return each.rate

    fast, quick, bare, without = (
        ratio(rounds, "ours", name, rate)
        for name in ("FastAPI", "BentoML quickstart", "bare ASGI", "without duties")
    )
    slow = ratio(rounds, "ours", "FastAPI", lambda each: each.p99)
    ours, other = medians(rounds, "ours"), medians(rounds, "FastAPI")
    work = 1 - ratio(rounds, "without duties", "ours", lambda each: each.processor)
    what = "requests/s, one worker, single trips, all duties on"
    return [
        Line(f"{what}: to FastAPI's", ">= 1.25 x", f"{fast:.2f} x", fast >= 1.25),
        Line(f"{what}: to BentoML's quickstart's", ">= 4 x", f"{quick:.1f} x", quick >= 4),
        Line(f"{what}: to the bare limit", "goal 0.7", f"{bare:.2f}", bare >= 0.7),
        Line(
            f"p99 at {CONNECTIONS} connections to FastAPI's",
            "<= 1.2 x",
            f"{slow:.2f} x ({ours.p99:.1f} ms, {other.p99:.1f} ms)",
            slow <= 1.2,
        ),
        Line(
            "duties: share of requests/s",
            "<= 15%",
            f"{1 - without:.0%} ({work:.0%} of processor time)",
            without >= 0.85,
        ),
    ]


def batch(server: Running) -> list[Line]:
    """Rows a second of a batch, against the same model called in this process, by turns."""
    model = Predictor(ROOT / PACKAGED)
    columns = reference.columns(model.contract, BATCH, seed=4)
    body = json.dumps({"instances": reference.instances(columns)}).encode()
    served, called = [], []
    for _ in range(TURNS):
        start = time.perf_counter()
        status, answer = post(server, f"{PREDICT}/batch", body)
        served.append(BATCH / (time.perf_counter() - start))
        if status != 200 or len(json.loads(answer)["predictions"]) != BATCH:
            raise Problem("the batch", f"{status}", f"{BATCH} answers", "See the service's log.")
        start = time.perf_counter()
        model.model.predict(model.matrix(columns))
        called.append(BATCH / (time.perf_counter() - start))
    share = statistics.median(one / other for one, other in zip(served, called, strict=True))
    size = (ROOT / PACKAGED / "booster.txt").stat().st_size / 1e6
    trees = model.model.complexity()["trees"]
    rows = f"{statistics.median(served):,.0f} and {statistics.median(called):,.0f} rows/s"
    return [
        Line(
            f"batch of {BATCH:,} rows by JSON to the same LightGBM ({trees} trees, {size:.1f} MB) "
            "in-process",
            ">= 0.8 x",
            f"{share:.2f} x ({rows})",
            share >= 0.8,
        )
    ]


def memory(server: Running) -> list[Line]:
    """Resident memory of worker and arbiter, after the rounds."""
    worker, first = (
        each.memory_info().rss / 1e6 for each in (server.worker(), psutil.Process(server.pid))
    )
    return [
        Line("memory: worker", "<= 180 MB", f"{worker:.0f} MB", worker <= 180),
        Line("memory: arbiter", "<= 120 MB", f"{first:.0f} MB", first <= 120),
    ]


def cold(scene: Scene) -> tuple[list[Line], dict[str, float]]:
    """Seconds from the command to the first answer, and until it starts its worker."""
    whole, before = [], []
    for _ in range(STARTS):
        start = time.monotonic()
        with running("ours", scene) as server:
            whole.append(time.monotonic() - start)
            first = psutil.Process(server.pid).create_time()
            before.append(server.worker().create_time() - first)
    seconds, arbiter = statistics.median(whole), statistics.median(before)
    what = "cold start from a Bento to the first answer, files in the system's cache"
    return [Line(what, "<= 6 s", f"{seconds:.1f} s", seconds <= 6)], {
        "arbiter, until it starts the worker": arbiter,
        "worker, until the first answer": seconds - arbiter,
    }


def profile(scene: Scene) -> tuple[dict[str, float], dict[str, float]]:
    """Seconds of the worker's start and microseconds of an answer, by part."""
    metrics, trips = scene.place / "profile", scene.place / "trips.json"
    metrics.mkdir()
    trips.write_text(json.dumps(scene.trips))
    folder = scene.folder / "src"
    variables = workspace.environment(scene.place, str(SERVE)) | scene.variables
    variables |= {"PROMETHEUS_MULTIPROC_DIR": str(metrics), "PYTHONPATH": str(folder)}
    command = [str(SERVE), "-P", str(HERE / "parts.py"), scene.key, str(trips)]
    done = subprocess.run(
        command, cwd=folder, env=variables, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise workspace.failed(command[:3], done.stderr)
    found = json.loads(done.stdout)
    return found["start"], found["parts"]


def saved(scene: Scene, trips: Path) -> None:
    """Save the model as MLflow serves it."""
    script = str(ROOT / "src/preflight/gates/mlflow_answers.py")
    (scene.place / "mlflow").mkdir()
    trips.write_text(json.dumps(scene.trips[:2]))
    workspace.run(ROOT, sys.executable, "-P", script, str(trips), str(scene.place / "mlflow"))


def measure(place: Path) -> tuple[str, int]:
    """Measure everything in a scratch folder; returns the tables and how many answers failed."""
    say("bench-serving: the Bento, and the model as MLflow keeps it …")
    load = os.getloadavg()[0]
    stage = scene(place)
    saved(stage, place / "two.json")
    say("bench-serving: starts and parts …")
    starts, start = cold(stage)
    inside, parts = profile(stage)
    start |= {f"— {name}": seconds for name, seconds in inside.items()}
    rest = start["worker, until the first answer"] - sum(inside.values())
    start["— the rest, as the parts were timed in a process alone"] = max(0.0, rest)
    with ExitStack() as stack:
        servers = {}
        for name in NAMES:
            say(f"bench-serving: {name} starts …")
            servers[name] = stack.enter_context(running(name, stage))
        rounds = asked(servers)
        say("bench-serving: batches …")
        lines = [*rates(rounds), *batch(servers["ours"]), *starts, *memory(servers["ours"])]
    failures = sum(each.failures for windows in rounds for each in windows.values())
    busy = f"Load average before: {load:.1f}."
    return f"{page(lines, rounds, start, parts)} {busy}", failures


@click.command()
@click.option("--write", is_flag=True, help="Put the tables into docs/serving.md.")
def main(write: bool) -> None:
    """Measure the service beside other ways to serve its model."""
    begun = time.monotonic()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the servers end with it
    with TemporaryDirectory(prefix="preflight-bench-") as place:
        try:
            text, failures = measure(Path(place).resolve())
            click.echo(f"{MARKS[0]}\n{text}\n{MARKS[1]}")
            if write:
                written(text)
        except Problem as problem:
            raise click.ClickException(str(problem)) from None
    say(f"bench-serving: {time.monotonic() - begun:.0f} s, {failures} failed answers")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
