"""Everything that runs during a rehearsal: both arms, Envoy, the watcher, the judge, callers."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Event, Thread

import yaml

from preflight import params
from preflight.bento import free_port
from preflight.rehearsal import mirrored
from preflight.rehearsal.answers import Answer, read
from preflight.rehearsal.arms import Arm, Arms, arms
from preflight.rehearsal.envoy import Proxy, proxied
from preflight.rehearsal.judging import Judge, judging
from preflight.rehearsal.plan import Plan, Release, Side
from preflight.rehearsal.traffic import Traffic, generating
from preflight.rollout.verdict import Verdict
from preflight.rollout.watcher import Targets, watch

EVERY = 2.0  # seconds between readings of both arms: each costs a worker some 50 ms
# Outcomes take hours, as in life, and are waited for by parameter: both pass so much faster.
LABELS_FASTER = 10_800.0


class Stage:
    """What runs, and what is done to it; `release` is the one that the canary answers for."""

    def __init__(self, root: Path, plan: Plan, folder: Path, stack: ExitStack) -> None:
        """Start it all in an empty `folder`; `stack` ends it. Raises Problem."""
        self.plan, self.release = plan, plan.candidate
        self._started = 0
        self._arms: Arms = stack.enter_context(arms(folder / "arms"))
        self.stable, self.canary = self._start("stable"), self._start("canary")
        self.stable.ready()
        self.canary.ready()
        self.proxy: Proxy = stack.enter_context(
            proxied(folder / "envoy", plan.declared, self._instances())
        )
        self._history = folder / "scrapes.jsonl"
        self._watcher = stack.enter_context(ExitStack())
        self.watch()
        self._settings = _settings(root, folder / "judge")
        self.judge: Judge = stack.enter_context(
            judging(self._settings.parent, self._history, self._arms.log)
        )
        self.traffic: Traffic = stack.enter_context(
            generating(
                self.proxy.address, self._arms.key, plan.requests, plan.rate, folder / "traffic"
            )
        )

    def _start(self, side: Side) -> Arm:
        """Start an arm's process, and do not wait for it."""
        self._started += 1
        release = self.plan.stable if side == "stable" else self.release
        fault, name = self.plan.planted(side), f"{side}-{self._started}"
        plant = fault.plant if fault else None
        return self._arms.start(name, release.root, release.bento, plant)

    def _instances(self) -> dict[str, list[str]]:
        declared = self.plan.declared
        return {
            declared.stable: [self.stable.address],
            declared.canary: [self.canary.address],
            self._shadow: [self.canary.address],
        }

    @property
    def ripe_seconds(self) -> float:
        """Until the outcome of a prediction is due."""
        hours: float = params.read(self._settings)["outcomes"]["maturity_hours"]
        return 3600 * hours

    @property
    def _shadow(self) -> str:
        return f"{self.plan.declared.name}-shadow"

    def mirror(self, *, on: bool) -> None:
        """Send the candidate a copy of each request of stable's, or no more of them."""
        stable = {self.plan.declared.stable: 100}
        self.proxy.route(stable, self.release.name, self._shadow if on else None)

    def shadowed(self, start: float, end: float) -> Verdict:
        """The verdict on what both answered between two times, in seconds since 1970."""
        return mirrored.judged(self._settings, self._arms.log, start, end)

    def weigh(self, weight: int) -> None:
        """Give the canary `weight` per cent; returns once the proxy does so."""
        declared = self.plan.declared
        weights = {declared.stable: 100 - weight, declared.canary: weight}
        self.proxy.route(weights, self.release.name)

    def promote(self) -> None:
        """Put the canary in stable's place; what was stable finishes what it has begun."""
        self.proxy.promote([self.canary.address], self.release.name)
        self.stable.drain()

    def watch(self, canary: str | None = None) -> None:
        """Read both arms from now on, the canary at its address or at the one given."""
        self._watcher.close()
        declared = self.plan.declared
        ends = {"stable": [self.stable.address], "canary": [canary or self.canary.address]}
        named = {"stable": declared.stable, "canary": declared.canary}
        targets = Targets(ends, self.proxy.admin, named)
        self._watcher.enter_context(_watched(targets, self._history))

    def blind(self) -> None:
        """Read the canary where nobody answers."""
        self.watch(f"http://127.0.0.1:{free_port()}")

    def renew(self) -> None:
        """Another process takes the canary's place, as when a node is drained; it counts from 0."""
        before, self.canary = self.canary, self._start("canary").ready()
        self.proxy.clusters(self._instances())
        self.watch()
        before.drain()

    def replace(self, release: Release) -> None:
        """A newer release takes the canary's place, and has no traffic yet."""
        self.weigh(0)
        self.release = release
        self.renew()

    def answered(self) -> list[Answer]:
        """End the callers; all answers that they got."""
        self.traffic.stop()
        return read(self.traffic.answers)


@contextmanager
def _watched(targets: Targets, file: Path) -> Iterator[None]:
    """A watcher in a thread, until the block ends."""
    stop = Event()

    def run() -> None:
        for _ in watch(targets, file, EVERY, stop):
            pass

    thread = Thread(target=run, name="watch", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(15)


def _settings(root: Path, folder: Path) -> Path:
    """The checkout's params.yaml in a folder, with outcomes that mature as they come here."""
    plain = params.read(root / "params.yaml")
    plain["outcomes"]["maturity_hours"] /= LABELS_FASTER
    folder.mkdir(parents=True)
    file = folder / "params.yaml"
    file.write_text(yaml.safe_dump(plain), encoding="utf-8")
    return file
