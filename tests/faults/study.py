"""The study: what became of each trial, the bound that follows, and the table for the docs."""

import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.stats import beta

from faults import house, world
from faults.catalogue import FAULTS
from faults.fault import Fault, ReleaseFault
from faults.honest import Honest, generated
from faults.house import Trial
from faults.releases import RELEASES
from preflight import champion, evidence, lineage, params, workspace
from preflight.docs import replaced
from preflight.evidence import Part
from preflight.gates import CODE_SUITES, movement, pipeline
from preflight.gates.limits import of_base
from preflight.gates.run import judged, opened
from preflight.layout import EVIDENCE

QUICK = ("policy", "data", "quality", "differential", "slices", "stability", "leakage", "build")
SUITES = ("base-case", "oddities")
PLANTED: tuple[Fault | ReleaseFault, ...] = (*FAULTS, *RELEASES)
MOST_STOPPED = 2
SHIFT, SMALL_SLICE, MOST_FLAGGED, LEAST_POWER = 0.5, (0.015, 0.03), 0.02, 0.95


@dataclass(frozen=True)
class Outcome:
    """One trial: `gate` and `words` are what was expected of a fault, empty for honest changes."""

    name: str
    kind: str
    gate: str
    words: str
    stopped: tuple[str, ...]
    said: str
    right: bool
    seconds: float


@dataclass(frozen=True)
class Task:
    """One trial, told by its place in a list, since changes cannot be sent to a process."""

    place: Path
    fault: str = ""
    honest: str = ""


def run(task: Task) -> Outcome:
    """Run a trial in a process of its own."""
    try:
        return _tried(task)
    except Exception as error:  # the study goes on, and says what happened
        name, said = task.fault or task.honest, f"the trial broke: {type(error).__name__}: {error}"
        return Outcome(name, "", "?" if task.fault else "", "", (), said, False, 0.0)


def _tried(task: Task) -> Outcome:
    if task.fault:
        (fault,) = (each for each in PLANTED if each.name == task.fault)
        if isinstance(fault, ReleaseFault):
            return release(task.place / "world", task.place, fault)
        return plant(task.place / "house", task.place, fault)
    (honest,) = (each for each in generated() if each.name == task.honest)
    return change(task.place / "house", task.place, honest)


def plant(home: Path, place: Path, fault: Fault) -> Outcome:
    """Plant a fault and ask the gate that must catch it; it must say the right words."""
    start = time.monotonic()
    root = place / f"fault-{fault.name.replace(' ', '-')}"
    try:
        parts = _planted(home, root, fault)
    finally:
        shutil.rmtree(root, ignore_errors=True)
    trial = Trial(parts)
    said = trial.words(fault.gate)
    right = fault.gate in trial.stopped and fault.words in said
    if not right:
        said = " || ".join(f"{gate}: {trial.words(gate)}" for gate in trial.stopped) or "all green"
    return Outcome(
        fault.name,
        fault.kind,
        fault.gate,
        fault.words,
        tuple(trial.stopped),
        said,
        right,
        time.monotonic() - start,
    )


def release(whole: Path, place: Path, fault: ReleaseFault) -> Outcome:
    """Plant a fault in a copy of a released world, and ask the command that must refuse it."""
    start = time.monotonic()
    root = place / f"release-{fault.name.replace(' ', '-')}"
    try:
        trial = world.copied(whole, root)
        fault.plant(trial)
        before = trial.main
        done = fault.ask(trial)
        written = trial.main not in (before, trial.other)
    finally:
        shutil.rmtree(root, ignore_errors=True)
    said = " ".join((done.stdout + done.stderr).split())
    if written and not fault.passes:
        said = f"main was written, though: {said}"
    refused = bool(done.returncode) and not written
    right = refused != fault.passes and fault.words in said
    return Outcome(
        fault.name,
        fault.kind,
        fault.gate,
        fault.words,
        (fault.gate,) if done.returncode else (),
        said[-1_000:],
        right,
        time.monotonic() - start,
    )


def _planted(home: Path, root: Path, fault: Fault) -> dict[str, Part]:
    house.clone(home, root)
    if fault.before:
        fault.before(root)
        workspace.commit(root, "What is on main")
    base = lineage.head(root)
    fault.change(root)
    workspace.commit(root, fault.name)
    problem = None if fault.lazy else house.rerun(root, lineage.head(home))
    if fault.after:
        fault.after(root)
    if fault.name == "evidence of another commit reused":
        return _reused(home, root)
    with fault.during():
        if fault.gate == "lint":
            return {"lint": house.linted(root)}
        if fault.gate in (*SUITES, *CODE_SUITES):
            return {fault.gate: house.suite(root, fault.gate, fault.test)}
        if fault.gate == "pipeline" and problem is None:
            return {"pipeline": _pipeline(home, root)}
        return house.judge(home, root, (fault.gate,), problem, base)


def _pipeline(home: Path, root: Path) -> Part:
    """The gate that asks DVC, with the champion resolved as `make gates` does."""
    commit = lineage.head(root)
    findings = judged("pipeline", lambda: _asked(home, root, commit))
    return Part.of(findings, "pipeline", commit)


def _asked(home: Path, root: Path, commit: str) -> evidence.Findings:
    found = champion.resolve(root, commit)
    rival = champion.Champion(found.kind, found.commit, home, origin="from the house")
    known, _ = of_base(params.read(home / "params.yaml"), params.read(root / "params.yaml"))
    with opened(root, commit, rival, known) as case:
        return pipeline.judge(case)


def _reused(home: Path, root: Path) -> dict[str, Part]:
    """Evidence of the commit before, laid where the report looks for this one's."""
    before = lineage.head(root)
    (part,) = house.judge(home, root, ("quality",)).values()
    evidence.write(root / EVIDENCE, part)
    workspace.run(
        root,
        "git",
        "-c",
        "user.name=a",
        "-c",
        "user.email=a@localhost",
        "commit",
        "--quiet",
        "--allow-empty",
        "--message",
        f"After {before[:7]}",
    )
    (found,) = evidence.collect(root / EVIDENCE, lineage.head(root), ["quality"])
    return {"quality": found}


def change(home: Path, place: Path, honest: Honest) -> Outcome:
    """Make an honest change and run the gates on it; none may stop it."""
    start = time.monotonic()
    root = place / f"honest-{abs(hash(honest.name))}"
    try:
        house.clone(home, root)
        honest.change(root)
        workspace.commit(root, honest.name)
        problem = house.rerun(root, lineage.head(home))
        gates = (*QUICK, "parity") if honest.thorough else QUICK
        parts = house.judge(home, root, gates, problem)
        if honest.thorough:
            parts |= {name: house.suite(root, name) for name in SUITES}
    finally:
        shutil.rmtree(root, ignore_errors=True)
    trial = Trial(parts)
    said = " || ".join(f"{gate}: {trial.words(gate)}" for gate in trial.stopped)
    return Outcome(
        honest.name,
        honest.kind,
        "",
        "",
        tuple(trial.stopped),
        said or "green",
        not trial.stopped,
        time.monotonic() - start,
    )


@dataclass(frozen=True)
class Power:
    """How often a shift in a small slice is named, and how often training again is flagged."""

    trials: int
    named: float
    retrained: int
    flagged: float


def power(home: Path, fits: int = 30) -> Power:
    """Shift one slice of 1.5 to 3% of the rows of refits with other seeds, seed 1."""
    commit = lineage.head(home)
    rival = champion.Champion("merge base", commit, home, origin="from the house")
    known, _ = of_base({}, params.read(home / "params.yaml"))
    with opened(home, commit, rival, known) as case:
        case.cache = home / ".preflight/gates"
        refits, limits = case.refits.held_out, known.differential
        least = max(limits.max_unjudged_rows, int(limits.max_unjudged_share * len(case.held_out)))
        slices = case.slices(least)
        assert case.rival is not None
        path = case.rival.write(case.held_out)
        train, lookup = home / "data/split/train.parquet", home / "data/lookup.csv"
        values = [
            case.rival.refit(train, lookup, seed, [path])[0][0]
            for seed in range(5_000, 5_000 + fits)
        ]
    share = slices.rows / len(values[0])
    small = np.flatnonzero((share >= SMALL_SLICE[0]) & (share <= SMALL_SLICE[1]))
    flagged = named = trials = 0
    for value in values:
        moved = movement.Movement.of(value - refits.mean(axis=0), refits, slices)
        beyond = np.abs(moved.slices) > movement.slice_limits(moved, limits)
        flagged += bool(beyond.any())
        for place in small:
            trials += 1
            # The whole slice moves, up or down, whichever is harder to see.
            shifted = min(abs(moved.slices[place] + SHIFT), abs(moved.slices[place] - SHIFT))
            named += bool(shifted > movement.slice_limits(moved, limits)[place])
    return Power(trials, named / trials, len(values), flagged / len(values))


@dataclass(frozen=True)
class Study:
    """All outcomes of one run."""

    outcomes: tuple[Outcome, ...]
    power: Power | None
    seconds: float

    @property
    def planted(self) -> list[Outcome]:
        """The faults."""
        return [each for each in self.outcomes if each.gate]

    @property
    def honest(self) -> list[Outcome]:
        """The honest changes."""
        return [each for each in self.outcomes if not each.gate]

    @property
    def green(self) -> bool:
        """Every fault caught by its gate with its words, and few honest changes stopped."""
        caught = all(each.right for each in self.planted)
        stopped = sum(not each.right for each in self.honest)
        strong = self.power is None or (
            self.power.named >= LEAST_POWER and self.power.flagged <= MOST_FLAGGED
        )
        return caught and strong and stopped <= MOST_STOPPED * max(1, len(self.honest)) / 150

    def text(self) -> str:
        """What a person reads at the end of the run."""
        width = max((len(each.name) for each in self.planted), default=0)
        lines = [
            f"{each.name:{width}}  {each.gate:12}  "
            f"{'caught' if each.right else 'GOT THROUGH'}  {each.seconds:5.1f} s  "
            f"{each.words if each.right else each.said[:300]}"
            for each in self.planted
        ]
        stopped = [each for each in self.honest if not each.right]
        lines += [f"stopped though honest: {each.name}: {each.said[:400]}" for each in stopped]
        lines += self.summary()
        caught = sum(each.right for each in self.planted)
        failed = len(self.planted) - caught + len(stopped)
        lines += ["", f"{len(self.outcomes) - failed} passed, {failed} failed"]
        return "\n".join(lines)

    def summary(self) -> list[str]:
        """The figures, a line each."""
        caught = sum(each.right for each in self.planted)
        lines = [f"{caught} of {len(self.planted)} planted faults caught by their gate"]
        if self.honest:
            stopped = sum(not each.right for each in self.honest)
            bound = float(beta.ppf(0.95, stopped + 1, len(self.honest) - stopped))
            lines.append(
                f"{stopped} of {len(self.honest)} honest changes stopped: "
                f"with 95% confidence fewer than {bound:.1%} are"
            )
        if self.power:
            lines.append(
                f"a shift of {SHIFT} minutes in a slice of 1.5 to 3% of the rows was named in "
                f"{self.power.named:.1%} of {self.power.trials} trials; {self.power.flagged:.1%} "
                f"of {self.power.retrained} retrainings with other seeds were flagged"
            )
        lines.append(f"{self.seconds / 60:.1f} minutes")
        return lines

    def write(self, page: Path) -> str:
        """Put the table into docs/gates.md; of a part its own rows alone, if all were caught."""
        text = page.read_text(encoding="utf-8")
        whole = len(self.planted) == len(PLANTED)
        if not whole and not (self.planted and self.green):
            return "not written: a part that is not green"
        rows = {} if whole else _rows(text)
        rows |= {
            each.name: f"| {each.name} | {each.kind} | {each.gate} | {each.words} "
            f"| {each.seconds:.0f} |"
            for each in self.planted
        }
        if lacking := [each.name for each in PLANTED if each.name not in rows]:
            return f"not written: no row of {lacking[0]!r}; it never ran"
        lines = [
            "| fault | kind | gate that catches it | words it must use | seconds |",
            "|---|---|---|---|---|",
            *(rows[each.name] for each in PLANTED),
            "",
            *(self._figures(text, whole=whole)),
        ]
        body = "\n".join(lines) + "\n"
        page.write_text(replaced(text, "faults", body, str(page)), encoding="utf-8")
        return f"written: {page}"

    def _figures(self, text: str, *, whole: bool) -> list[str]:
        """The figures below the table: of a part's run only how many faults are caught."""
        if whole:
            return [f"- {line}" for line in self.summary()]
        many = len(PLANTED)
        first = f"- {many} of {many} planted faults caught by their gate"
        part = f"{first}; {len(self.planted)} of them in a run of their own"
        return [part, *[line for line in _table(text) if line.startswith("- ")][1:]]


def _table(text: str) -> list[str]:
    """The lines of a page between the table's markers."""
    return text.partition("<!-- generated: faults -->")[2].split("<!-- end")[0].splitlines()


def _rows(text: str) -> dict[str, str]:
    """The rows of a page's table by the fault's name."""
    found = (line for line in _table(text) if line.startswith("| "))
    return {line.split(" | ")[0].removeprefix("| "): line for line in found}
