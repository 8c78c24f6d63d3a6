"""Run the gates on a commit: bring both sides, judge, and leave evidence whatever happens."""

import json
import logging
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from preflight import champion, evidence, lineage, params
from preflight.champion import Champion
from preflight.errors import NoData, Problem
from preflight.evidence import Findings, Notice, Part, Status, told
from preflight.gates import GATES, MODEL_SUITES, TIMED, limits, pipeline
from preflight.gates.case import Case
from preflight.gates.limits import Gates
from preflight.gates.side import Side
from preflight.layout import EVIDENCE, STATE
from preflight.workspace import environment, run

log = logging.getLogger("preflight")
SUITE_SECONDS = 600
HERE = ("pipeline", "policy", *MODEL_SUITES, *GATES, *TIMED)


class Run:
    """The gates of one commit, one after another, each leaving its part."""

    def __init__(self, root: Path, guards: str) -> None:
        """`guards` says in words whose gate code and limits judge."""
        self.root, self.commit, self.guards = root, lineage.head(root), guards
        self.base, _ = champion.base_of(root, self.commit)
        self.limits, self.borrowed = _limits(root, self.base)
        self.parts: list[Part] = []

    def all(self, only: Sequence[str]) -> list[Part]:
        """Run every gate, or those named; raises nothing that a gate can say."""
        with ExitStack() as stack:
            wanted = [name for name in HERE if not only or name in only]
            if "policy" in wanted:
                self._one("policy", self._policy)
            if set(wanted) - {"policy"}:
                self._model(wanted, stack)
        for part in self.parts:  # a test that ran meanwhile may have written there
            evidence.write(self.root / EVIDENCE, part)
        return self.parts

    def _model(self, wanted: list[str], stack: ExitStack) -> None:
        """What needs the candidate's model; without one all of it is no-data."""
        try:
            restored(self.root)
        except Problem as problem:
            self._missing(wanted, problem, champion=False)
            return
        for name in MODEL_SUITES:
            if name in wanted:
                self._suite(name)
        if not set(wanted) & {"pipeline", *GATES, *TIMED}:
            return
        try:
            rival = champion.bring(self.root, champion.resolve(self.root, self.commit))
        except Problem as problem:
            self._missing(wanted, problem, champion=True)
            return
        case = stack.enter_context(opened(self.root, self.commit, rival, self.limits))
        for name in wanted:
            if name in ("pipeline", *GATES, *TIMED):
                judge = import_module(f"preflight.gates.{name}").judge
                self._one(name, partial(judge, case))

    def _missing(self, wanted: list[str], problem: Problem, *, champion: bool) -> None:
        """The gate pipeline says why, the others that they have nothing to judge."""
        why = "no champion" if champion else "no candidate model"
        if "pipeline" in wanted:
            self._one("pipeline", lambda: pipeline.failed(problem, champion=champion))
            problem_said = "see the gate pipeline"
        else:
            problem_said = str(problem)[:500]
        done = {part.gate for part in self.parts}
        for name in wanted:
            if name not in done:
                self._keep(evidence.absent(name, self.commit, f"{why}: {problem_said}"))

    def _one(self, gate: str, judge: Callable[[], Findings]) -> None:
        start = time.monotonic()
        findings = judged(gate, judge)
        seconds = time.monotonic() - start
        if notices := self._notices(gate):
            findings = findings.model_copy(update={"notices": (*findings.notices, *notices)})
        self._keep(Part.of(findings, gate, self.commit, seconds))

    def _notices(self, gate: str) -> list[Notice]:
        borrowed = [key for key in self.borrowed if key.split(".")[1] == gate]
        found = [Notice(kind="guards", text=self.guards)] if gate == "policy" else []
        if borrowed and self.base:
            lacking = ", ".join(borrowed)[:400]
            text = f"{gate}: the merge base lacks {lacking}; this change's own hold"
            found.append(Notice(kind="guards", text=text))
        return found

    def _keep(self, part: Part) -> None:
        evidence.write(self.root / EVIDENCE, part)
        self.parts.append(part)
        show(part)

    def _policy(self) -> Findings:
        if self.base is None:
            claim = "There is no earlier commit whose guards could be loosened."
            return Findings(evidence=(told("policy", "first", claim, True, "the first commit"),))
        from preflight.gates import policy

        contracts = contracts_of(self.root, self.base, self.commit)
        today = datetime.now(UTC).date()
        return policy.judge(self.root, self.base, self.commit, contracts, today)

    def _suite(self, name: str) -> None:
        """One of the tests of the model, by pytest in the candidate's checkout."""
        folder = self.root / EVIDENCE
        (folder / f"{name}.json").unlink(missing_ok=True)
        words = ("--evidence", str(folder), "--evidence-commit", self.commit)
        command = ["python", "-m", "pytest", "-q", f"tests/{name.replace('-', '_')}", *words]
        with suppress(subprocess.TimeoutExpired):  # the part that it left says so
            subprocess.run(
                command,
                cwd=self.root,
                env=environment(self.root),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=SUITE_SECONDS,
                check=False,
            )
        (part,) = (
            each for each in evidence.collect(folder, self.commit, [name]) if each.gate == name
        )
        self.parts.append(part)
        show(part)


def against(root: Path, name: str, gate: str) -> Status:
    """Run one gate on HEAD against the commit that `name` means; shows it, and keeps no evidence.

    Raises Problem when there is no such commit or a side cannot be brought.
    """
    lineage.require_committed(root)
    told_by_git = run(
        root, "git", "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}", check=False
    )
    if told_by_git.returncode:
        raise Problem("BASE", repr(name), "a commit, a branch or a tag", "See `git log --oneline`.")
    restored(root)
    rival = champion.bring(root, Champion("named", told_by_git.stdout.strip()))
    commit, known = lineage.head(root), limits.load(root / "params.yaml")
    start = time.monotonic()
    with opened(root, commit, rival, known) as case:
        findings = judged(gate, partial(import_module(f"preflight.gates.{gate}").judge, case))
    part = Part.of(findings, gate, commit, time.monotonic() - start)
    for line in part.evidence:
        log.info("%-8s %-24s %s", line.status, line.check, line.found)
    return part.status


def restored(root: Path) -> None:
    """Bring the candidate's data and model by its own code; raises Problem.

    The judge imports nothing of the candidate.
    """
    run(root, "preflight", "restore")


def judged(gate: str, judge: Callable[[], Findings]) -> Findings:
    """A gate's findings; what it raises becomes evidence as well."""
    try:
        return judge()
    except NoData as problem:
        claim = f"There is data for the gate {gate}."
        found = f"{problem.where}: {problem.found}; expected {problem.expected}"
        return Findings(evidence=(told(gate, "data", claim, None, found),))
    except Problem as problem:
        claim = f"The gate {gate} could ask both sides."
        found = f"{problem.where}: found {problem.found}; expected {problem.expected}"
        return Findings(evidence=(told(gate, "asked", claim, False, found),))
    except Exception as error:
        log.exception("the gate %s crashed", gate)
        return Findings(evidence=(pipeline.evidence_of_crash(gate, error),))


@contextmanager
def opened(root: Path, commit: str, rival: Champion, known: Gates) -> Iterator[Case]:
    """A case with both sides' workers, closed at the end."""
    with ExitStack() as stack:
        candidate = stack.enter_context(Side(root, "candidate"))
        other = None
        if rival.root is not None:
            other = stack.enter_context(Side(rival.root, "champion", rival.python))
        yield Case(root, commit, rival, known, candidate, other, root / STATE / "gates")


def _limits(root: Path, base: str | None) -> tuple[Gates, list[str]]:
    head = params.read(root / "params.yaml")
    shown = run(root, "git", "show", f"{base}:params.yaml", check=False) if base else None
    then = {}
    if shown is not None and shown.returncode == 0:
        then = params.plain(shown.stdout, f"params.yaml at {base}")
    return limits.of_base(then, head)


CONTRACT = """
import importlib, json, yaml
name = yaml.safe_load(open("params.yaml"))["project"]
print(json.dumps(importlib.import_module(name + ".contract").CONTRACT.as_dict()))
"""


def contracts_of(root: Path, base: str, head: str) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """Two commits' contracts as plain data; None where the base has none that loads.

    Raises Problem where only the head's does not load.
    """
    then, now = contract_of(root, base), contract_of(root, head)
    if then is not None and now is None:
        raise Problem("the contract", "none that loads", "a contract, as in the base", "Mend it.")
    return (then, now) if then and now else None


def contract_of(root: Path, commit: str) -> dict[str, Any] | None:
    """A commit's contract as plain data, by its own code; None where it has none."""
    done = run(source(root, commit), "python", "-c", CONTRACT, check=False)
    # What the project's code prints comes before.
    return dict(json.loads(done.stdout.splitlines()[-1])) if done.returncode == 0 else None


def source(root: Path, commit: str) -> Path:
    """A folder with params.yaml and src/ of a commit, extracted from Git once."""
    place = root / STATE / "sources" / commit[:12]
    if not place.is_dir():
        partial = place.with_name(f".{place.name}.partial")
        partial.mkdir(parents=True, exist_ok=True)
        listed = run(root, "git", "ls-tree", "--name-only", commit, "src", "params.yaml").stdout
        archive = subprocess.run(
            ["git", "archive", commit, *listed.split()],
            cwd=root,
            capture_output=True,
            check=True,
        )
        subprocess.run(["tar", "-x", "-C", str(partial)], input=archive.stdout, check=True)
        partial.rename(place)
    return place


def show(part: Part) -> None:
    """One line a gate, and one a check that did not pass."""
    mark = {"pass": "green", "fail": "RED", "no-data": "NO DATA"}[part.status]
    log.info("gate %-12s %-8s %6.1f s", part.gate, mark, part.seconds)
    for line in part.evidence:
        if line.status != "pass":
            log.info("     %s: %s", line.check, line.found)
