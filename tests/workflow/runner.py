"""Executes a workflow's jobs one after another, in the order of their needs."""

import hashlib
import logging
import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

import yaml

from workflow.actions import ACTIONS, Action, Place
from workflow.expressions import filled, holds

Outcome = Literal["success", "failure", "skipped"]
PASSED_ON = ("PATH", "USER", "LANG", "TMPDIR")  # nothing else: no credential, no setting
TOLD = ("sha", "event_name", "repository", "api_url", "server_url")
SHELLS = {"": ("bash", "-e"), "bash": ("bash", "--noprofile", "--norc", "-eo", "pipefail")}
log = logging.getLogger("workflow")


@dataclass(frozen=True)
class Result:
    """What became of a job; `seconds` is its wall time."""

    result: Outcome
    outputs: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    def plain(self) -> dict[str, Any]:
        """As the context `needs` has it."""
        return {"result": self.result, "outputs": self.outputs}


@dataclass(frozen=True)
class Run:
    """One run of a workflow: the repository, the event, and the folder that it leaves.

    `github` is the context of that name, `sha` in it what is checked out by default. The folder
    holds jobs/, artifacts/, caches/ and logs/. `more` adds to or replaces the built-in actions.
    `given` are jobs that are not run here, whose artifacts lie there already; `contexts` are vars,
    secrets and a dispatch's inputs, by these names.
    """

    source: Path
    folder: Path
    github: Mapping[str, Any]
    environment: Path
    more: Mapping[str, Action] = field(default_factory=dict)
    given: Mapping[str, Result] = field(default_factory=dict)
    contexts: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def execute(self, workflow: Path) -> dict[str, Result]:
        """Run every job that its needs and its `if:` let run; returns each one's result."""
        parsed = yaml.safe_load(workflow.read_text())
        done = dict(self.given)
        for name, stated in ordered(parsed["jobs"]):
            if name in self.given:
                continue
            start = time.monotonic()
            job = {**stated, "env": {**parsed.get("env", {}), **stated.get("env", {})}}
            outcome, outputs = _Job(self, name, job, done).execute()
            done[name] = Result(outcome, outputs, time.monotonic() - start)
            log.info("%-10s %-8s %6.1f s", name, outcome, done[name].seconds)
        return done


def ordered(jobs: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Jobs, each after those that it needs; raises ValueError for a circle or an unknown name."""
    left, done = dict(jobs), set[str]()
    while left:
        ready = [name for name, job in left.items() if set(needs(job)) <= done]
        if not ready:
            raise ValueError(f"needs that never come: {', '.join(left)}")
        done |= set(ready)
        yield from ((name, left.pop(name)) for name in ready)


def needs(job: Mapping[str, Any]) -> list[str]:
    """The names of the jobs that a job needs."""
    found = job.get("needs", [])
    return [found] if isinstance(found, str) else list(found)


class _Job:
    """One job: its steps in order, in a folder of its own."""

    def __init__(self, run: Run, name: str, job: Mapping[str, Any], done: Mapping[str, Result]):
        if "strategy" in job:
            raise ValueError(f"{name}: this runner knows no matrix")
        self.run, self.name, self.job, self.ok = run, name, job, True
        self.needed = {each: done[each] for each in needs(job)}
        self.context: dict[str, Any] = {
            "github": run.github,
            "needs": {each: result.plain() for each, result in self.needed.items()},
            "runner": {"os": "Linux"},
            "steps": {},
            **{"vars": {}, "secrets": {}, "inputs": {}, **run.contexts},
        }
        self.place = self._place()

    def _place(self) -> Place:
        run, own = self.run, self.run.folder / "jobs" / self.name
        for shared in ("artifacts", "caches", "logs", "home"):
            (run.folder / shared).mkdir(parents=True, exist_ok=True)
        variables = {key: os.environ[key] for key in PASSED_ON if key in os.environ}
        variables |= {"HOME": str(run.folder / "home"), "CI": "true"}
        variables |= {
            f"GITHUB_{key.upper()}": str(run.github[key]) for key in TOLD if key in run.github
        }
        return Place(
            workspace=own / "workspace",
            source=run.source,
            commit=str(run.github["sha"]),
            artifacts=run.folder / "artifacts",
            caches=run.folder / "caches",
            environment=run.environment,
            variables=variables,
        )

    def execute(self) -> tuple[Outcome, dict[str, str]]:
        """Run the steps; returns the outcome and the outputs."""
        ready = all(result.result == "success" for result in self.needed.values())
        functions = self._functions(ready)
        if not holds(self.job.get("if"), self.context, functions):
            return "skipped", {}
        self.place.workspace.mkdir(parents=True)
        for step in self.job["steps"]:
            self._step(step, dict(self.job.get("env", {})))
        for later in self.place.after if self.ok else ():
            later()
        outputs = {
            name: filled(text, self.context, self._functions(True))
            for name, text in self.job.get("outputs", {}).items()
        }
        return ("success" if self.ok else "failure"), outputs

    def _functions(self, good: bool) -> dict[str, Any]:
        return {
            "success": lambda: good,
            "failure": lambda: not good,
            "always": lambda: True,
            "cancelled": lambda: False,
            "hashFiles": self._hash,
        }

    def _hash(self, *patterns: str) -> str:
        paths = sorted({path for each in patterns for path in self.place.workspace.glob(each)})
        return hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()

    def _step(self, step: Mapping[str, Any], env: Mapping[str, Any]) -> None:
        functions = self._functions(self.ok)
        if not holds(step.get("if"), self.context, functions):
            return
        fill = partial(filled, context=self.context, functions=functions)
        env = {key: fill(each) for key, each in {**env, **step.get("env", {})}.items()}
        if "run" in step:
            good = self._command(fill(step["run"]), env, step)
        else:
            inputs = {key: fill(each) for key, each in step.get("with", {}).items()}
            self.place.outputs.clear()
            good = self._action(step["uses"].partition("@")[0], inputs, env)
            self._told(step, dict(self.place.outputs))
        self.ok = self.ok and good

    def _action(self, name: str, inputs: dict[str, str], env: Mapping[str, Any]) -> bool:
        if name.startswith("./"):
            return self._composite(name, inputs, env)
        known = {**ACTIONS, **self.run.more}
        if name not in known:
            raise ValueError(f"no action `{name}` in this runner")
        return known[name](self.place, inputs)

    def _composite(self, name: str, inputs: dict[str, str], env: Mapping[str, Any]) -> bool:
        """A local action's own steps, of the checkout."""
        stated = yaml.safe_load((self.place.workspace / name / "action.yml").read_text())
        defaults = {key: each.get("default", "") for key, each in stated.get("inputs", {}).items()}
        outer, self.ok = (self.ok, self.context["inputs"]), True
        self.context["inputs"] = {**defaults, **inputs}
        for step in stated["runs"]["steps"]:
            self._step(step, env)
        good = self.ok
        self.ok, self.context["inputs"] = outer
        return good

    def _command(self, command: str, env: Mapping[str, str], step: Mapping[str, Any]) -> bool:
        """Run a command as GitHub's shell does; its output goes to the job's log."""
        said = self.place.workspace.parent / "output"
        said.write_text("")
        variables = {**self.place.variables, **env, "GITHUB_OUTPUT": str(said)}
        seconds = 60 * float(self.job.get("timeout-minutes", 360))
        status = None
        with (self.run.folder / "logs" / f"{self.name}.log").open("a") as file:
            print(f"$ {command}", file=file, flush=True)
            with suppress(subprocess.TimeoutExpired):
                status = subprocess.run(
                    [*SHELLS[step.get("shell", "")], "-c", command],
                    cwd=self.place.workspace,
                    env=variables,
                    stdin=subprocess.DEVNULL,
                    stdout=file,
                    stderr=subprocess.STDOUT,
                    timeout=seconds,
                    check=False,
                ).returncode
        lines = [line.partition("=") for line in said.read_text().splitlines()]
        self._told(step, {key: each for key, _, each in lines})
        return status == 0

    def _told(self, step: Mapping[str, Any], outputs: dict[str, str]) -> None:
        self.context["steps"][step.get("id", "")] = {"outputs": outputs}
