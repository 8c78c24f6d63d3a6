"""Workflows and make targets that a change makes weaker."""

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from preflight.policy import deciders, jobs, permissions, pins, pipes, trust
from preflight.policy.commits import MAKEFILE, Change
from preflight.policy.jobs import FILES, Places, Workflow
from preflight.policy.loosening import Loosening, loosening
from preflight.policy.recipes import GUARDED, recipes

GOES_ON = re.compile(r"\|\|\s*(?:true|:|exit\s+0)(?=$|[\s;)&|\"'])|\bset\s+\+(?:\w*e|o\s+errexit)")
WORDS = "goes on after an error"


def weakened(change: Change) -> Iterator[Loosening]:
    """What weakens workflows and make targets in the head and did not in the base."""
    yield from forgiving(change)
    for neighbour in (deciders, permissions, pins, pipes, trust):
        yield from neighbour.weakened(change)


def forgiving(change: Change) -> Iterator[Loosening]:
    """Places that go on after an error in the head and did not in the base."""
    for path in change.paths(FILES):
        if path in change.head and jobs.parsed(change.head[path]) is None:
            yield loosening("no longer YAML", path)
    for path, place, said in jobs.added(change, _places):
        yield loosening(WORDS, f"{path}: {place}", remark=said)
    now, was = (_recipes(side.get(MAKEFILE, "")) for side in (change.head, change.base))
    for target, said in now - was:
        yield loosening(WORDS, f"{MAKEFILE}: {target}", remark=said)


def _places(workflow: Workflow) -> Places:
    return _within(workflow.plain)


def _within(value: Any, place: tuple[str, ...] = ()) -> Places:
    found: Places = Counter()
    if isinstance(value, list):
        for each in value:
            found += _within(each, place)
    for key, each in value.items() if isinstance(value, dict) else ():
        job = ".".join(place[:2])
        if key == "continue-on-error" and each is not False:
            found[job, f"{key}: {str(each).lower()}"] += 1
        elif key == "run":
            lines = str(each).splitlines()
            found.update((job, line.strip()) for line in lines if GOES_ON.search(line))
        else:
            found += _within(each, (*place, str(key)))
    return found


def _recipes(text: str) -> Places:
    """Lines of the guarded targets' recipes that go on after an error."""
    found: Places = Counter()
    for targets, command in recipes(text):
        prefix = command[: len(command) - len(command.lstrip("@+-"))]
        if "-" in prefix or GOES_ON.search(command):
            found.update((target, command) for target in targets & GUARDED)
    for line in text.splitlines():
        if ".IGNORE" in line.partition(":")[0].split():
            found[".IGNORE", line.strip()] += 1
    return found
