"""Workflows and actions of two commits as plain data, each beside what it was."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import yaml

from preflight.policy.commits import Change

Plain = dict[str, Any]
Places = Counter[tuple[str, str]]  # by job or level, which stay when a step moves, and what is said
FILES = r"\.github/.*\.ya?ml"
WORKFLOWS = r"\.github/workflows/[^/]+\.ya?ml"
GUARDED = ("pull_request", "merge_group")  # the events before which a change is judged
ALWAYS = re.compile(r"(?:\$\{\{)?\s*always\(\)\s*(?:\}\})?")


@dataclass(frozen=True)
class Workflow:
    """A workflow or a composite action; one that is absent is empty."""

    path: str
    plain: Plain

    @property
    def triggers(self) -> Plain:
        """Events by name, with their filters."""
        # YAML 1.1 reads the key `on` as true.
        stated = self.plain.get("on", self.plain.get(True))  # type: ignore[call-overload]
        if isinstance(stated, str | list):
            return {str(each): {} for each in ([stated] if isinstance(stated, str) else stated)}
        return mapping(stated)

    @property
    def jobs(self) -> dict[str, Plain]:
        """Jobs by id."""
        return {str(key): mapping(job) for key, job in mapping(self.plain.get("jobs")).items()}

    @property
    def deciders(self) -> dict[str, Plain]:
        """The jobs that need others and run whatever became of them."""
        return {key: job for key, job in self.jobs.items() if needs(job) and runs_always(job)}

    def steps(self) -> Iterator[tuple[str, Plain, Plain]]:
        """The place, the job and each of its steps; an action is one job."""
        parts = {f"jobs.{key}": job for key, job in self.jobs.items()}
        for place, job in (parts | {"runs.steps": mapping(self.plain.get("runs"))}).items():
            for step in steps(job):
                yield place, job, step


def mapping(value: Any) -> Plain:
    """The value if it is a mapping, else an empty one."""
    return value if isinstance(value, dict) else {}


def steps(job: Plain) -> list[Plain]:
    """A job's steps."""
    stated = job.get("steps")
    return [each for each in stated if isinstance(each, dict)] if isinstance(stated, list) else []


def needs(job: Plain) -> list[str]:
    """The jobs that a job names in its `needs`."""
    named = job.get("needs") or []
    return [str(each) for each in (named if isinstance(named, list) else [named])]


def runs_always(job: Plain) -> bool:
    """Whether a job runs whatever became of the others: its condition is `always()` alone."""
    return bool(ALWAYS.fullmatch(str(job.get("if")).strip()))


def changed(change: Change) -> Iterator[tuple[Workflow, Workflow]]:
    """Each changed file of the head that is YAML, after what it was.

    A file that was renamed and nothing more was what it is; a new one was empty.
    """
    gone = {change.base[path]: path for path in change.paths(FILES) if path not in change.head}
    for path in change.paths(FILES):
        now = parsed(change.head.get(path))
        if now is None:
            continue
        before = gone.get(change.head[path], "")
        renamed = before and _is_workflow(before) == _is_workflow(path)
        was = parsed(change.base.get(before if renamed else path))
        yield Workflow(path, was or {}), Workflow(path, now)


def replaced(change: Change) -> Iterator[tuple[Workflow, list[Workflow]]]:
    """Each changed workflow of the base, and what stands in its place in the head.

    That is the file of its path; where there is none, each new workflow that runs before the
    same changes as it did.
    """
    files = [path for path in change.paths(FILES) if _is_workflow(path)]
    new = [_read(path, change.head) for path in files if path not in change.base]
    for path in files:
        if parsed(change.base.get(path)) is None:
            continue
        was = _read(path, change.base)
        events = was.triggers.keys() & set(GUARDED)
        if path not in change.head:
            yield was, [each for each in new if events <= each.triggers.keys()]
        elif parsed(change.head[path]) is not None:
            yield was, [_read(path, change.head)]


def added(change: Change, places: Callable[[Workflow], Places]) -> Iterator[tuple[str, str, str]]:
    """Path, place and words of what `places` finds in the head and did not find in the base."""
    for was, now in changed(change):
        for place, said in places(now) - places(was):
            yield now.path, place, said


@lru_cache(maxsize=64)
def parsed(text: str | None) -> Plain | None:
    """YAML's mapping, an empty one where there is another value; None for no text or no YAML.

    None for an alias as well: a few of them, nested, are a document without end.
    """
    if text is None:
        return None
    try:
        if any(isinstance(each, yaml.AliasEvent) for each in yaml.parse(text)):
            return None
        return mapping(yaml.safe_load(text))
    except (yaml.YAMLError, ValueError, RecursionError):
        return None


def _read(path: str, side: Mapping[str, str]) -> Workflow:
    return Workflow(path, parsed(side.get(path)) or {})


def _is_workflow(path: str) -> bool:
    return bool(re.fullmatch(WORKFLOWS, path))
