"""The servers that are measured side by side: ours from its Bento, and other ways to serve it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

import click
import psutil

from preflight import bento, reference, workspace
from preflight.errors import Problem
from preflight.layout import PACKAGED
from preflight.predictor import Predictor
from preflight.serving import keys

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).parent
SERVE = ROOT / ".venv-serve/bin/python"
START_SECONDS = 60
TRIPS = 500  # different requests
PREDICT = "/v1/predict"
POLL_SECONDS = 0.02


@dataclass(frozen=True)
class Running:
    """A server of this machine: its first process, and what to ask it."""

    name: str
    port: int
    pid: int
    route: str
    headers: dict[str, str]
    bodies: list[bytes]

    @property
    def requests(self) -> list[bytes]:
        """Its requests as bytes, each for an entity of its own."""
        found = []
        for place, body in enumerate(self.bodies):
            headers = {
                "Host": f"127.0.0.1:{self.port}",
                **self.headers,
                "X-Entity-Id": f"entity-{place}",
                "Content-Length": str(len(body)),
            }
            lines = [f"POST {self.route} HTTP/1.1", *(f"{k}: {v}" for k, v in headers.items())]
            found.append("\r\n".join([*lines, "", ""]).encode() + body)
        return found

    def processes(self) -> list[psutil.Process]:
        """The first process and those below it."""
        first = psutil.Process(self.pid)
        return [first, *first.children(recursive=True)]

    def worker(self) -> psutil.Process:
        """The process that answers: the largest below the first, or the only one."""
        first, *below = self.processes()
        return max(below, key=lambda each: each.memory_info().rss, default=first)


@dataclass(frozen=True)
class Scene:
    """What all servers have in common: scratch place, Bento, keys, and the trips to ask for."""

    place: Path
    folder: Path
    key: str
    trips: list[dict[str, Any]]

    @property
    def variables(self) -> dict[str, str]:
        """Variables of every server."""
        return {"PREFLIGHT_KEYS": str(self.place / "keys.json")} | bento.remembering(self.place)

    @property
    def headers(self) -> dict[str, str]:
        """Headers of every request."""
        return {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}


def scene(place: Path) -> Scene:
    """Build a Bento of HEAD with the tree's model, and make a key and trips, below `place`.

    Raises Problem when there is no model, or the tree's is not one of this contract.
    """
    model = Predictor(ROOT / PACKAGED)
    columns = reference.columns(model.contract, 20 * TRIPS, seed=9)
    # Nearly all real trips are like some that training saw; half of the reference set is not.
    usual = ~model.answer(columns).outside.any(axis=1)
    kept = {name: values[usual][:TRIPS] for name, values in columns.items()}
    trips = reference.instances(kept)
    folder = bento.build_unregistered(ROOT, place / "home")
    key = keys.add(place / "keys.json", "bench", ("predict",), bento.UNCAPPED)
    return Scene(place, folder, key, trips)


def commands(scene: Scene) -> dict[str, Callable[[int], list[str]]]:
    """How each server is started on a port of 127.0.0.1, with one worker."""

    def bentoml(target: str) -> Callable[[int], list[str]]:
        serve = [str(SERVE.parent / "bentoml"), "serve", target, "--host", "127.0.0.1"]
        return lambda port: [*serve, "--port", str(port)]

    def uvicorn(target: str) -> Callable[[int], list[str]]:
        speed = ["--loop", "uvloop", "--http", "httptools", "--no-access-log"]
        serve = [sys.executable, "-P", "-m", "uvicorn", target, *speed]
        return lambda port: [*serve, "--host", "127.0.0.1", "--port", str(port)]

    model = str(scene.place / "mlflow/model")
    mlflow = [str(Path(sys.executable).parent / "mlflow"), "models", "serve", "--model-uri", model]
    local = [*mlflow, "--env-manager", "local", "--host", "127.0.0.1"]
    return {
        "ours": lambda port: bento.command(ROOT, scene.folder, port),
        "without duties": bentoml("contenders.without_duties:WithoutDuties"),
        "with log": bentoml("contenders.log_cost:WithLog"),
        "without log": bentoml("contenders.log_cost:WithoutLog"),
        "FastAPI": uvicorn("contenders.fast_api:app"),
        "bare ASGI": uvicorn("contenders.bare:app"),
        "BentoML quickstart": bentoml("contenders.quickstart:Quickstart"),
        "mlflow": lambda port: [*local, "--port", str(port)],
    }


def _asked(name: str, scene: Scene) -> tuple[str, list[bytes]]:
    """The route and the bodies of a server."""
    if name == "mlflow":
        route, bodies = "/invocations", [{"dataframe_records": [trip]} for trip in scene.trips]
    else:
        route = "/predict" if name == "BentoML quickstart" else PREDICT
        bodies = list(scene.trips)
    return route, [json.dumps(body).encode() for body in bodies]


def _variables(name: str, scene: Scene, state: Path) -> dict[str, str]:
    """A server's environment: state of its own, as BentoML empties its metrics when it starts."""
    python = SERVE if "bentoml" in commands(scene)[name](0)[0] else Path(sys.executable)
    found = workspace.environment(state, str(python)) | scene.variables
    del found["PYTHONPATH"]  # ours lives from its own files, mlflow's too
    if name not in ("ours", "mlflow"):
        found["PYTHONPATH"] = os.pathsep.join(map(str, (ROOT / "src", HERE)))
    if name == "FastAPI":
        metrics = state / "metrics"
        metrics.mkdir(parents=True, exist_ok=True)
        found["PROMETHEUS_MULTIPROC_DIR"] = str(metrics)
    return found


@contextmanager
def running(name: str, scene: Scene) -> Iterator[Running]:
    """Start a server; yields it at its first answer, and ends it after the block.

    Raises Problem when it does not answer.
    """
    state, port = scene.place / name.replace(" ", "-"), bento.free_port()
    state.mkdir(exist_ok=True)
    logged = state / "log"
    with logged.open("w") as output:
        process = subprocess.Popen(
            commands(scene)[name](port),
            cwd="/" if name in ("ours", "mlflow") else ROOT,
            env=_variables(name, scene, state),
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    route, bodies = _asked(name, scene)
    found = Running(name, port, process.pid, route, scene.headers, bodies)
    try:
        _wait(process, found, logged)
        yield found
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """As Ctrl-C does; then whatever is left of the server's own session."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGINT)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _wait(process: subprocess.Popen[bytes], server: Running, logged: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    status = 0
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(OSError, HTTPException):
            status, _ = post(server, server.route, server.bodies[0])
            if status == 200:
                return
        time.sleep(POLL_SECONDS)
    lines = logged.read_text(errors="replace").splitlines()
    said = (lines or ["it said nothing"])[-1][-300:]
    raise Problem(
        f"the server {server.name}",
        f"no answer, but {status or said}",
        f"one within {START_SECONDS} s",
        f"Its log ended: {' / '.join(lines[-5:])[-800:]}",
    )


def post(server: Running, route: str, body: bytes) -> tuple[int, bytes]:
    """One request over a connection of its own; returns status and body."""
    line = HTTPConnection("127.0.0.1", server.port, timeout=30)
    try:
        line.request("POST", route, body, server.headers)
        answer = line.getresponse()
        return answer.status, answer.read()
    finally:
        line.close()


def say(text: str) -> None:
    """Show progress."""
    click.echo(text, err=True)
