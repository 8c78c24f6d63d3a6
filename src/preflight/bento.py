"""The Bento of a commit's registered model, and a server that runs it."""

import json
import logging
import re
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

import psutil
import yaml

from preflight import lineage, registry
from preflight.errors import Problem
from preflight.files import sha256, write_json
from preflight.layout import LOG, PACKAGED, STATE
from preflight.predictor import MANIFEST
from preflight.serving import hashing, keys, sinks
from preflight.workspace import clone, environment, failed

START_SECONDS = 60
PROBLEM = "errors.Problem: "
UNCAPPED = 1e9  # requests a second
PORTS = range(20_000, 32_000)
PLACES = count(secrets.randbelow(len(PORTS)))  # in PORTS, of those to be given
log = logging.getLogger("preflight")


def build(root: Path) -> Path:
    """Build the Bento of HEAD's registered model; returns its folder.

    Code, parameters and lock come from a clone of the commit, the model from the current
    tree. The tag names version and commit, so the same commit gives the same tag.
    """
    lineage.require_committed(root)
    lineage.require_current(root)
    version, commit = registry.version_of(root), lineage.head(root)
    folder = _built(root, root / STATE / "bentoml", version, f"v{version}-{commit[:12]}")
    _check(root, folder)
    log.info("Bento %s:%s -> %s", folder.parent.name, folder.name, folder)
    return folder


def build_unregistered(root: Path, home: Path) -> Path:
    """Build a Bento of HEAD and the tree's model below `home`, to be looked at and thrown away."""
    return _built(root, home, "unregistered", f"candidate-{lineage.head(root)[:12]}")


def _built(root: Path, home: Path, version: str, tag: str) -> Path:
    """The Bento `tag` in BentoML's store `home`, built if it is not there."""
    name: str = yaml.safe_load((root / "bentofile.yaml").read_text())["name"]
    folder = home / "bentos" / name / tag
    if not folder.exists():
        commit = lineage.head(root)
        build_file = {"model_version": version, "commit": commit, "bento": f"{name}:{tag}"}
        # BentoML builds nothing that lies below a hidden folder, as .preflight is.
        with TemporaryDirectory(prefix="preflight-") as scratch:
            _build(root, Path(scratch).resolve() / "clone", home, tag, build_file)
    return folder


def _build(root: Path, scratch: Path, home: Path, tag: str, build_file: dict[str, str]) -> None:
    clone(root, scratch)
    shutil.copytree(root / PACKAGED, scratch / PACKAGED)
    write_json(scratch / "build.json", build_file)
    command = ("bentoml", "build", "--version", tag)
    variables = environment(scratch) | {"BENTOML_HOME": str(home)}
    done = subprocess.run(
        command, cwd=scratch, env=variables, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise failed(command, done.stderr)


def _check(root: Path, folder: Path) -> None:
    """The Bento's model and environment are those of the registered version."""
    if sha256(folder / "src" / PACKAGED / MANIFEST) != lineage.origin(root).model_hash:
        raise Problem(
            str(folder), "another model", "the registered one", "Delete it and run `make bento`."
        )
    if _pins(folder / "env/python/requirements.txt") != _pins(root / "requirements/serve.txt"):
        raise Problem(
            str(folder / "env/python/requirements.txt"),
            "other packages",
            "those of requirements/serve.txt",
            "Keep `lock_packages: false` in bentofile.yaml, delete the Bento, run `make bento`.",
        )


def _pins(lock: Path) -> set[str]:
    """A lock's exact versions; BentoML rewrites the rest, and names itself once more."""
    return set(re.findall(r"^[\w.-]+==[\w.!+-]+", lock.read_text(encoding="utf-8"), re.MULTILINE))


def newest(root: Path) -> Path:
    """The folder of the Bento built last; raises Problem when there is none."""
    found = list((root / STATE / "bentoml" / "bentos").glob("*/*/bento.yaml"))
    if not found:
        raise Problem(str(root / STATE), "no Bento", "one", "Run `make bento`.")
    return max(found, key=lambda path: path.stat().st_mtime).parent


def command(root: Path, folder: Path, port: int) -> list[str]:
    """The command that serves a Bento on 127.0.0.1 from the service's own environment."""
    server = root / ".venv-serve" / "bin" / "bentoml"
    if not server.exists():
        raise Problem(str(server), "no file", "the service's environment", "Run `make setup`.")
    return [str(server), "serve", str(folder), "--host", "127.0.0.1", "--port", str(port)]


def require_free(port: int) -> None:
    """Refuse a port of 127.0.0.1 on which somebody listens."""
    with socket.socket() as probe:
        probe.settimeout(1)
        if probe.connect_ex(("127.0.0.1", port)) == 0:
            raise Problem(
                f"127.0.0.1:{port}",
                "another server",
                "a free port",
                "Stop it, or choose another: preflight serve --port 3001",
            )


def free_port() -> int:
    """A port of 127.0.0.1 that nobody has, for a server that is about to start; another each time.

    Below those that systems give to connections: such a one could be taken before the server has
    it, and stays taken for a minute. Raises Problem where none is free.
    """
    for place in islice(PLACES, len(PORTS)):
        port = PORTS[place % len(PORTS)]
        with socket.socket() as found, suppress(OSError):
            found.bind(("127.0.0.1", port))
            return port
    many = f"none free of {PORTS.start} to {PORTS.stop - 1}"
    raise Problem("127.0.0.1", many, "a free port", "Stop what listens there.")


def remembering(state: Path) -> dict[str, str]:
    """Variables that say where a service on this machine logs, and the key it hashes with."""
    place = (state / LOG).resolve()
    return {
        sinks.PLACE: str(place),
        hashing.NAME: str(hashing.make(place.parent / "hash.key")),
    }


def bare(variables: Mapping[str, str]) -> dict[str, str]:
    """Variables for a service: it lives from its own files, and refuses switches of the tools."""
    return {
        name: value
        for name, value in variables.items()
        if name != "PYTHONPATH" and not name.startswith("PREFLIGHT_")
    }


@dataclass(frozen=True)
class Server:
    """A running service: its address, and a key of all scopes."""

    address: str
    key: str

    @property
    def headers(self) -> dict[str, str]:
        """What a request to it needs."""
        return {"content-type": "application/json", "authorization": f"Bearer {self.key}"}


@contextmanager
def served(
    root: Path, folder: Path, state: Path, more: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """Serve a Bento until the block ends, under `more` variables; yields it once it is ready.

    Its log and keys go below `state`. Raises Problem when it does not become ready.
    """
    port = free_port()
    place = state / STATE / "serving/keys.json"
    key = keys.add(place, "preflight", keys.SCOPES, UNCAPPED)
    own = {"PREFLIGHT_KEYS": str(place)}
    if (folder / "src/preflight/log").is_dir():  # an earlier one refuses names it does not know
        own |= remembering(state)
    variables = bare(environment(state)) | own | dict(more or {})
    logged = state / STATE / "serve.log"
    logged.parent.mkdir(parents=True, exist_ok=True)
    with logged.open("w") as output:
        server = subprocess.Popen(
            command(root, folder, port),
            cwd="/",
            env=variables,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    address = f"http://127.0.0.1:{port}"
    try:
        _wait(server, address, logged)
        yield Server(address, key)
    finally:
        # At once, where SIGTERM would let the callers drain away. BentoML's workers lead sessions
        # of their own, so what is sent to the arbiter's group does not reach them.
        family = tree(server.pid)
        send(family, signal.SIGINT)
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
        send(family, signal.SIGKILL)  # one that hangs outlives its parent


def tree(pid: int) -> list[psutil.Process]:
    """A process and its children, the process first; none when it is gone."""
    with suppress(psutil.NoSuchProcess):
        first = psutil.Process(pid)
        return [first, *first.children(recursive=True)]
    return []


def send(processes: Iterable[psutil.Process], number: int) -> None:
    for each in processes:
        with suppress(psutil.NoSuchProcess):  # psutil tells a process from a later one of its id
            each.send_signal(number)


def _wait(server: subprocess.Popen[bytes], address: str, logged: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    # BentoML starts a worker that refuses its model again and again; its log says why.
    while time.monotonic() < deadline and server.poll() is None and not _refusal(logged):
        try:
            with urlopen(f"{address}/readyz", timeout=2) as answer:  # noqa: S310
                if answer.status == 200:
                    return
        except (URLError, OSError):
            time.sleep(0.1)
    raise Problem(
        "the service",
        f"no readiness: {_reason(logged)}",
        f"an answer within {START_SECONDS} s",
        f"See {logged}.",
    )


def _refusal(logged: Path) -> str:
    lines = logged.read_text(errors="replace").splitlines()
    said = (line.partition(PROBLEM)[2] for line in lines if PROBLEM in line)
    return next((text.split("\\n")[0][:300] for text in said), "")  # as JSON ends a line of it


def _reason(logged: Path) -> str:
    lines = logged.read_text(errors="replace").splitlines()
    return _refusal(logged) or (lines or ["it said nothing"])[-1][-300:]


def ask(server: Server, route: str, body: Any = None) -> Any:
    """POST a JSON body, or GET without one; returns the JSON answer."""
    data = None if body is None else json.dumps(body).encode()
    request = Request(server.address + route, data, server.headers)  # noqa: S310
    with urlopen(request, timeout=30) as answer:  # noqa: S310
        return json.load(answer)
