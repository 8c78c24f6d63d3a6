"""A real Envoy in front of the arms: clusters and weights change while it answers."""

import json
import re
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from urllib.error import URLError

from preflight.bento import free_port
from preflight.deploy.declared import Declared
from preflight.errors import Problem
from preflight.files import write_json
from preflight.rehearsal import xds
from preflight.rehearsal.envoy_binary import binary
from preflight.watch.probes import DIRECT

START_SECONDS = 20.0
TAKEN_SECONDS = 5.0  # an update is taken within milliseconds
POLL_SECONDS = 0.002
LOG = "envoy.log"
# As Envoy names its statistics of each file.
COUNTED = {xds.CDS: "cluster_manager.cds", xds.RDS: f"http.{xds.LISTENER}.rds.{xds.ROUTES}"}
REASON = re.compile(r"config update (?:rejected|failure): (.*?)(?=\n\[\d{4}-|\Z)", re.DOTALL)


class Proxy:
    """An Envoy on two ports of 127.0.0.1: `address` for requests, `admin` for its statistics.

    Whatever it is told is a file of `folder`, where `envoy.log` is too.
    """

    def __init__(self, folder: Path, declared: Declared) -> None:
        """Choose ports; nothing is started, and the files are still to be written."""
        self._folder, self._declared = folder.resolve(), declared
        self._binary = binary()
        port, admin = free_port(), free_port()
        self.address, self.admin = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{admin}"
        self._process: subprocess.Popen[bytes] | None = None
        self._version = 0
        self._routed = {declared.stable, declared.canary}
        self._instances: Mapping[str, Sequence[str]] = {}
        write_json(self._folder / xds.BOOTSTRAP, xds.bootstrap(self._folder, port, admin))

    @property
    def pid(self) -> int:
        """The process, another one after a restart."""
        if self._process is None:
            raise Problem("Envoy", "no process", "a running one", "Start it first.")
        return self._process.pid

    def clusters(self, instances: Mapping[str, Sequence[str]]) -> None:
        """Say which addresses are behind each cluster; returns once it is so.

        A cluster whose instances change finishes the requests that it has on the old ones.
        Raises Problem with Envoy's reason when it refuses, and then nothing has changed.
        """
        missing = self._routed - set(instances)
        if missing:
            # Envoy would take it, answer 503, and after a restart refuse the route.
            wanted = "every cluster that the route leads to"
            raise Problem("clusters", f"no {', '.join(sorted(missing))}", wanted, "Route first.")
        self._version += 1
        self._tell(xds.CDS, xds.clusters(self._declared, instances, self._version))
        self._instances = dict(instances)

    def route(self, weights: Mapping[str, int], release: str, mirror: str | None = None) -> None:
        """Split requests by weights of the clusters; returns once it is so.

        Entities fall into cohorts by `release`. With `mirror`, that cluster gets a copy of each
        request, whose X-Pair-Id is its original's. Raises Problem as `clusters` does.
        """
        self._version += 1
        resource = xds.routes(self._declared, weights, release, mirror, self._version)
        self._tell(xds.RDS, resource)
        self._routed = {self._declared.stable, self._declared.canary} | {mirror or ""} - {""}

    def promote(self, instances: Sequence[str], release: str) -> None:
        """Put the canary's `instances` in stable's place, dropping no request.

        Afterwards all traffic is on stable, and its old instances get no new request; what they
        have begun they should be let finish.
        """
        stable, canary = self._declared.stable, self._declared.canary
        self.route({canary: 100}, release)
        self.clusters({**self._instances, stable: instances})
        self.route({stable: 100}, release)

    def restart(self) -> None:
        """Kill it, and start it again on the same ports from the same files; it counts from 0."""
        self._end(signal.SIGKILL)
        self._start()

    def _start(self) -> None:
        with (self._folder / LOG).open("ab") as output:
            self._process = subprocess.Popen(
                [
                    *(self._binary, "--config-path", self._folder / xds.BOOTSTRAP),
                    *("--concurrency", "1", "--disable-hot-restart", "--log-level", "warning"),
                ],
                cwd="/",
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_SECONDS
        while self._process.poll() is None and time.monotonic() < deadline:
            if self._get("/ready") is not None and self._in_force():
                return
            time.sleep(POLL_SECONDS)
        self._end(signal.SIGKILL)
        found, log = f"no readiness: {self._said(0)}", self._folder / LOG
        raise Problem("Envoy", found, f"an answer within {START_SECONDS:g} s", f"See {log}.")

    def _end(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(number)
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _tell(self, file: str, resource: xds.Resource) -> None:
        """Put a file in its place; where Envoy does not take it, the one before is put back."""
        path = self._folder / file
        if self._process is None:
            write_json(path, resource)
            return
        kept, logged = json.loads(path.read_text()), (self._folder / LOG).stat().st_size
        refused = self._state(file)[1]
        start = time.perf_counter()
        write_json(path, resource)
        while time.perf_counter() - start < TAKEN_SECONDS:
            version, now = self._state(file)
            if version == resource["version_info"]:
                return
            if now > refused:
                break
            time.sleep(POLL_SECONDS)
        write_json(path, kept)
        found = f"an update that Envoy does not take: {self._said(logged)}"
        raise Problem(file, found, "a valid one", "What was before stays; mend what was asked.")

    def _in_force(self) -> bool:
        """Whether it lives from the files as they are: one that it refuses, it starts without."""
        told = {file: json.loads((self._folder / file).read_text()) for file in COUNTED}
        return all(self._state(file)[0] == told[file]["version_info"] for file in COUNTED)

    def _state(self, file: str) -> tuple[str, int]:
        """The version of a file that is in force, and how many versions were refused."""
        name = COUNTED[file]
        page = self._get(f"/stats?filter=^{re.escape(name)}.(version_text|update_)") or ""
        found = dict(re.findall(rf"^{re.escape(name)}\.(\w+): \"?([^\"\n]*)", page, re.MULTILINE))
        refused = ("update_rejected", "update_failure")
        return found.get("version_text", ""), sum(int(found.get(each, 0)) for each in refused)

    def _get(self, path: str) -> str | None:
        """A page of the admin's, None where it does not answer with 200."""
        try:
            with DIRECT.open(self.admin + path, timeout=5) as answer:
                text: str = answer.read().decode()
                return text
        except (URLError, OSError, HTTPException):
            return None

    def _said(self, since: int) -> str:
        """Why an update was refused, by the log after its first `since` bytes, or its end."""
        with (self._folder / LOG).open("rb") as file:
            file.seek(since)
            text = file.read().decode(errors="replace").strip()
        reasons: list[str] = REASON.findall(text)
        return " ".join((reasons or [text or "it said nothing"])[-1][-400:].split())


@contextmanager
def proxied(
    folder: Path, declared: Declared, instances: Mapping[str, Sequence[str]]
) -> Iterator[Proxy]:
    """Run Envoy until the block ends, all traffic on stable; yields it once it answers.

    `instances` are addresses, as http://127.0.0.1:3000, by cluster. Raises Problem when the
    environment has no Envoy, or it does not start.
    """
    folder.mkdir(parents=True, exist_ok=True)
    proxy = Proxy(folder, declared)
    proxy.clusters(instances)
    proxy.route({declared.stable: 100}, declared.release)
    try:
        proxy._start()
        yield proxy
    finally:
        proxy._end(signal.SIGTERM)
