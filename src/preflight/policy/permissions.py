"""What a workflow's token may write, job by job."""

from collections.abc import Iterator
from typing import Any

from preflight.policy.commits import Change
from preflight.policy.jobs import WORKFLOWS, Plain, Workflow, changed
from preflight.policy.loosening import Loosening, loosening

KEY, ALL = "permissions", "write-all"
UNSTATED = "not stated"  # then the repository's setting holds, which may be write-all
TOP = "top level"


def weakened(change: Change) -> Iterator[Loosening]:
    """Write permissions of the head that the base did not give, at the top and job by job."""
    files = set(change.paths(WORKFLOWS))
    for was, now in changed(change):
        if now.path not in files:
            continue
        before = _granted(was.plain) if was.plain else set()
        yield from _more(now.path, TOP, before, _granted(now.plain))
        for key, job in now.jobs.items():
            if KEY in job or KEY in was.jobs.get(key, {}):
                before = _effective(was, was.jobs.get(key))
                yield from _more(now.path, f"jobs.{key}", before, _effective(now, job))


def _more(path: str, place: str, was: set[str], now: set[str]) -> Iterator[Loosening]:
    for grant in sorted(now - was) if ALL not in was else ():
        if grant == UNSTATED:
            yield loosening("permissions not stated", f"{path}: {place}")
        else:
            yield loosening("write permission added", f"{path}: {place} {grant}")


def _effective(workflow: Workflow, job: Plain | None) -> set[str]:
    """What a job is granted: by its own key, else by the top's; an absent job has nothing."""
    if job is None:
        return set()
    return _granted(job if KEY in job else workflow.plain)


def _granted(plain: Plain) -> set[str]:
    stated: Any = plain.get(KEY)
    if isinstance(stated, dict):
        return {f"{scope}: {level}" for scope, level in stated.items() if level == "write"}
    if stated is None:
        return {UNSTATED}
    return set() if stated == "read-all" else {str(stated)}
