"""The job that decides for all others, and the events before which it is asked."""

import re
from collections import Counter
from collections.abc import Iterator

from preflight.policy.commits import Change
from preflight.policy.jobs import (
    GUARDED,
    Places,
    Plain,
    Workflow,
    added,
    mapping,
    needs,
    replaced,
    runs_always,
    steps,
)
from preflight.policy.loosening import Loosening, loosening

FILTERS = ("paths", "paths-ignore", "types", "branches", "branches-ignore")
GREEN, ALLOWED = "re-actors/alls-green", ("allowed-skips", "allowed-failures")


def weakened(change: Change) -> Iterator[Loosening]:
    """Events, jobs and conditions of a merge that the head no longer asks for."""
    for was, heirs in replaced(change):
        if not (was.deciders or was.triggers.keys() & set(GUARDED)):
            continue
        if not heirs:
            yield loosening("workflow removed", was.path)
            continue
        yield from _triggers(was, heirs)
        yield from _jobs(was, heirs)
        yield from _work(was, heirs)
        if len(heirs) == 1 and was.deciders and was.plain.get("name") != heirs[0].plain.get("name"):
            # Another workflow waits for its runs by this name.
            name = str(heirs[0].plain.get("name"))
            yield loosening(
                "workflow under another name", was.path, str(was.plain.get("name")), name
            )
        for name in was.deciders:
            yield from _decider(name, was, heirs)
    for path, place, said in added(change, _filters):
        yield loosening("filter on a required check", f"{path}: {place}", remark=said)


def _triggers(was: Workflow, heirs: list[Workflow]) -> Iterator[Loosening]:
    for event in GUARDED:
        if event in was.triggers and not any(event in each.triggers for each in heirs):
            yield loosening("trigger removed", f"{was.path}: {event}")


def _jobs(was: Workflow, heirs: list[Workflow]) -> Iterator[Loosening]:
    for job in was.jobs if was.deciders else ():
        if job not in was.deciders and not _now(job, was, heirs):
            yield loosening("job removed", f"{was.path}: {job}")


def _work(was: Workflow, heirs: list[Workflow]) -> Iterator[Loosening]:
    """Commands that a decided job ran and does not run now, or runs on another condition."""
    for job in was.jobs if was.deciders else ():
        for each, key in _now(job, was, heirs):
            for said in _asked(was.jobs[job]) - _asked(each.jobs[key]):
                yield loosening("no longer done", f"{each.path}: {key}: {said}")


def _asked(job: Plain) -> Counter[str]:
    """A job's condition, outputs and commands, each with its own condition."""
    found = Counter(f"{each['run']}{_if(each)}".strip() for each in steps(job) if each.get("run"))
    found.update(f"outputs: {key}: {value}" for key, value in mapping(job.get("outputs")).items())
    if not runs_always(job):  # a decider has a check of its own
        found[f"the job{_if(job)}"] += 1
    return found


def _if(plain: Plain) -> str:
    return f" if {plain['if']}" if "if" in plain else ""


def _now(job: str, was: Workflow, heirs: list[Workflow]) -> list[tuple[Workflow, str]]:
    """Where a job stands now: under its id, else as it was under a new one."""
    same = [(each, job) for each in heirs if job in each.jobs]
    return same or [
        (each, key)
        for each in heirs
        for key, other in each.jobs.items()
        if key not in was.jobs and other == was.jobs.get(job)
    ]


def _decider(name: str, was: Workflow, heirs: list[Workflow]) -> Iterator[Loosening]:
    """What a decider of the base lost: the head's of the same id, else all that decide there."""
    found = [(each, name, each.jobs[name]) for each in heirs if name in each.jobs]
    found = found or [(each, *item) for each in heirs for item in each.deciders.items()]
    if not found:
        yield loosening("decider removed", f"{was.path}: {name}")
        return
    asked = {(each.path, need) for each, _, job in found for need in needs(job)}
    for need in needs(was.jobs[name]):
        now = [(each.path, key) for each, key in _now(need, was, heirs)]
        if now and not asked.intersection(now):
            yield loosening("job dropped from the decider's needs", f"{now[0][0]}: {need}")
    for each, key, job in found:
        if not runs_always(job):
            yield loosening("decider no longer runs always", f"{each.path}: {key}")
        yield from _verdict(f"{each.path}: {key}", was.jobs[name], job)


def _verdict(place: str, was: Plain, now: Plain) -> Iterator[Loosening]:
    """What a decider lets pass that it did not."""
    before, after = _greens(was), _greens(now)
    if before and not after:
        yield loosening("alls-green removed from the decider", place)
    if before and after and _given(after, "jobs") != _given(before, "jobs"):
        judged = ", ".join(str(each.get("jobs") or "none") for each in after)
        yield loosening("decider judges other jobs", place, remark=judged)
    for key in ALLOWED:
        for entry in sorted(_given(after, key) - _given(before, key)):
            if "${{" in entry or entry in needs(was):
                yield loosening(f"{key} grown", f"{place} {entry}")


def _greens(job: Plain) -> list[Plain]:
    """The inputs of the steps that ask whether all jobs are green, without a condition."""
    asking = [each for each in steps(job) if str(each.get("uses")).startswith(f"{GREEN}@")]
    return [mapping(each.get("with")) for each in asking if "if" not in each]


def _given(inputs: list[Plain], key: str) -> set[str]:
    """The entries of an input: an expression is one, a list is by its names."""
    found: set[str] = set()
    for each in inputs:
        text = re.sub(r"\s*(\$\{\{|\}\})\s*", r"\1", " ".join(str(each.get(key) or "").split()))
        found |= {text} if "${{" in text else set(re.findall(r"[\w-]+", text))
    return found


def _filters(workflow: Workflow) -> Places:
    return Counter(
        (f"{event} {key}", str(mapping(about)[key]))
        for event, about in workflow.triggers.items()
        if workflow.deciders and event in GUARDED
        for key in FILTERS
        if key in mapping(about) and not (key == "branches" and "main" in str(mapping(about)[key]))
    )
