"""Workflows and make targets that go on after an error."""

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import yaml

from preflight.policy.commits import MAKEFILE, Change
from preflight.policy.loosening import Loosening, loosening

GOES_ON = re.compile(r"\|\|\s*(?:true|:|exit\s+0)(?=$|[\s;)&|\"'])|\bset\s+\+(?:\w*e|o\s+errexit)")
GUARDED = {"test", "lint", "gates", "report", "faults"}
TARGETS = re.compile(r"([^\s#:=][^#:=]*):(?!=)")


def forgiving(change: Change) -> Iterator[Loosening]:
    """Places that go on after an error in the head and did not in the base."""
    for path in change.paths(r"\.github/.*\.ya?ml"):
        if path in change.head:
            yield from _workflow(path, change)
    now, was = (_recipes(side.get(MAKEFILE, "")) for side in (change.head, change.base))
    for target, said in now - was:
        yield loosening("goes on after an error", f"{MAKEFILE}: {target}", remark=said)


def _workflow(path: str, change: Change) -> Iterator[Loosening]:
    try:
        now = _places(yaml.safe_load(change.head[path]))
    except (yaml.YAMLError, ValueError, RecursionError):
        yield loosening("no longer YAML", path)
        return
    try:
        was = _places(yaml.safe_load(change.base.get(path, "")))
    except (yaml.YAMLError, ValueError, RecursionError):
        was = Counter()
    for place, said in now - was:
        yield loosening("goes on after an error", f"{path}: {place}", remark=said)


def _places(value: Any, place: tuple[str, ...] = ()) -> Counter[tuple[str, str]]:
    """Places by job, which stay when a step moves, and what is said there."""
    found: Counter[tuple[str, str]] = Counter()
    if isinstance(value, list):
        for each in value:
            found += _places(each, place)
    for key, each in value.items() if isinstance(value, dict) else ():
        job = ".".join(place[:2])
        if key == "continue-on-error" and each is not False:
            found[job, f"{key}: {str(each).lower()}"] += 1
        elif key == "run":
            lines = str(each).splitlines()
            found.update((job, line.strip()) for line in lines if GOES_ON.search(line))
        else:
            found += _places(each, (*place, str(key)))
    return found


def _recipes(text: str) -> Counter[tuple[str, str]]:
    """Lines of the guarded targets' recipes that go on after an error."""
    found: Counter[tuple[str, str]] = Counter()
    targets: set[str] = set()
    for line in text.replace("\\\n", " ").splitlines():
        if line.startswith("\t"):
            command = line.strip()
            prefix = command[: len(command) - len(command.lstrip("@+-"))]
            if "-" in prefix or GOES_ON.search(command):
                found.update((target, command) for target in targets & GUARDED)
        elif header := TARGETS.match(line):
            targets = set(header[1].split())
            if ".IGNORE" in targets:
                found[".IGNORE", line.strip()] += 1
    return found
