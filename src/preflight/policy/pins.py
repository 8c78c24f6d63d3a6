"""Actions that are not pinned by commit: whoever moves their tag runs code in our jobs."""

import re
from collections import Counter
from collections.abc import Iterator

from preflight.policy.commits import Change
from preflight.policy.jobs import Places, Workflow, added
from preflight.policy.loosening import Loosening, loosening

LOCAL = ("./", "$/")
PINNED = re.compile(r"docker://[^@]+@sha256:[0-9a-f]{64}|(?!docker://)[^@]+@[0-9a-f]{40}")


def weakened(change: Change) -> Iterator[Loosening]:
    """Actions and reusable workflows of the head under a tag or branch, new since the base."""
    for path, place, said in added(change, _loose):
        yield loosening("action pinned to a tag", f"{path}: {place} {said}")


def _loose(workflow: Workflow) -> Places:
    used = [(f"jobs.{key}", job.get("uses")) for key, job in workflow.jobs.items()]
    used += [(place, step.get("uses")) for place, _, step in workflow.steps()]
    return Counter(
        (place, str(name))
        for place, name in used
        if name is not None and not str(name).startswith(LOCAL) and not PINNED.fullmatch(str(name))
    )
