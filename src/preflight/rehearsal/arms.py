"""The arms of a rehearsal: Bentos served side by side, restarted as a cluster restarts them.

They share keys, hash key and log, as replicas do; each has a home of its own, as each container.
"""

import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from preflight import bento
from preflight.errors import Problem
from preflight.layout import STATE
from preflight.rehearsal.copies import copied
from preflight.serving import keys, sinks, switches
from preflight.watch.probes import probe
from preflight.workspace import environment

START_SECONDS = 60.0
STOP_SECONDS = 10.0  # from SIGINT to SIGKILL
AGAIN_SECONDS = 1.0  # until what died is started again; kubelet waits for 10, and ever longer


class Arm:
    """A Bento on one port of 127.0.0.1; whatever ends it but `drain` and `end`, it starts again.

    `key` has all scopes, and is the same for all arms.
    """

    def __init__(
        self, name: str, key: str, command: list[str], logged: Path, variables: Mapping[str, str]
    ) -> None:
        """Start it, and do not wait; `command` names the port."""
        self.name, self.key, self.restarts = name, key, 0
        self.address = f"http://127.0.0.1:{command[-1]}"
        self._command, self._logged, self._variables = command, logged, variables
        self._ending, self._lock = threading.Event(), threading.Lock()
        self._family: set[psutil.Process] = set()
        self._process = self._started()
        self._supervisor = threading.Thread(target=self._supervise, name=name, daemon=True)
        self._supervisor.start()

    @property
    def pid(self) -> int:
        """The process, another one after a restart."""
        return self._process.pid

    def ready(self) -> "Arm":
        """Wait until it answers; raises Problem when it does not in time."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if probe(self.address).ready:
                return self
            time.sleep(0.05)
        lines = self._logged.read_text(errors="replace").splitlines()
        raise Problem(
            f"the arm {self.name}",
            f"no readiness: {(lines or ['it said nothing'])[-1][-300:]}",
            f"an answer within {START_SECONDS:g} s",
            f"See {self._logged}.",
        )

    def drain(self) -> None:
        """Ask it to end as a pod's deletion does: it answers on for a while, and ends by itself."""
        self._leave()
        bento.send(bento.tree(self.pid)[:1], signal.SIGTERM)

    def interrupt(self) -> None:
        """Ask it to end at once; its workers, in sessions of their own, too."""
        self._leave()
        bento.send(self._family, signal.SIGINT)

    def end(self) -> None:
        """End it at once, and wait until it is gone; what hangs is killed."""
        self.interrupt()
        deadline = time.monotonic() + STOP_SECONDS
        while self._process.poll() is None and time.monotonic() < deadline:
            self._meet()  # a worker may be born yet
            time.sleep(0.05)
        bento.send(self._family, signal.SIGKILL)
        self._process.wait()
        self._supervisor.join()

    def _leave(self) -> None:
        with self._lock:  # or it might be started again in this moment
            self._ending.set()
        self._meet()

    def _meet(self) -> None:
        """Remember its processes: a worker whose parent is gone is found no other way."""
        self._family.update(bento.tree(self.pid))

    def _started(self) -> "subprocess.Popen[bytes]":
        with self._logged.open("ab") as output:
            return subprocess.Popen(
                self._command,
                cwd="/",
                env=self._variables,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def _supervise(self) -> None:
        while not self._ending.is_set():
            self._process.wait()
            self._ending.wait(AGAIN_SECONDS)
            with self._lock:
                if not self._ending.is_set():
                    self.restarts += 1
                    self._process = self._started()


class Arms:
    """Starts arms of one rehearsal; `log` is the folder of what all of them record."""

    def __init__(self, state: Path) -> None:
        """All that they share and leave lies below `state`."""
        self.log = Path(bento.remembering(state)[sinks.PLACE])
        self._state = state.resolve()
        self._place = self._state / STATE / "serving/keys.json"
        self.key = keys.add(self._place, "rehearsal", keys.SCOPES, bento.UNCAPPED)
        self._switches = self._state / "switches.yaml"
        # Else X-Arm could be a caller's, and is not recorded.
        self._switches.write_text("mode: normal\nbehind_proxy: true\n")
        self._all: list[Arm] = []

    def start(
        self, name: str, root: Path, folder: Path, plant: Mapping[str, Any] | None = None
    ) -> Arm:
        """Start the Bento in `folder`, and do not wait: `ready` does.

        It is served from the environment of the checkout `root`. With `plant` (settings of
        planted.py; {} for none yet) it is a copy of it. Raises Problem where an arm of this name
        was started.
        """
        home = self._state / "arms" / name
        if home.exists():
            raise Problem(str(home), "an arm of that name", "none yet", "Choose another.")
        home.mkdir(parents=True)
        if plant is not None:
            folder = copied(folder, home / "bento", plant)
        port = bento.free_port()
        variables = bento.bare(environment(home)) | bento.remembering(self._state)
        variables |= {"PREFLIGHT_KEYS": str(self._place), switches.FILE: str(self._switches)}
        command = bento.command(root, folder, port)
        self._all.append(Arm(name, self.key, command, home / "serve.log", variables))
        return self._all[-1]

    def end(self) -> None:
        """End all that still run, at once."""
        for each in self._all:
            each.interrupt()
        for each in self._all:
            each.end()


@contextmanager
def arms(state: Path) -> Iterator[Arms]:
    """Arms that end with the block."""
    state.mkdir(parents=True, exist_ok=True)
    found = Arms(state)
    try:
        yield found
    finally:
        found.end()
