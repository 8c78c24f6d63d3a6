"""Rules of admission: nothing is declared without the evidence that its record was made on."""

from collections.abc import Iterator
from pathlib import Path

from preflight import release
from preflight.chain import proof
from preflight.deploy.tree import Environment, Finding, Tree
from preflight.errors import Problem
from preflight.release import Release


def proven(tree: Tree) -> Iterator[Finding]:
    """What an environment runs has its evidence beside it, of its commit, all gates passed."""
    for env in tree.environments:
        if env.record is not None:
            yield from _of(tree.root, env, env.record)


def _of(root: Path, env: Environment, record: Release) -> Iterator[Finding]:
    place = release.EVIDENCE.format(environment=env.name)
    remedy = f"Release {record.id} by its commands, which write both; or go back: git revert."
    try:
        for what, found, expected in proof.compared(root, record):
            if found != expected:
                yield Finding(place, "", what, found, expected, remedy)
    except Problem as problem:
        yield Finding(problem.where, "", "", problem.found, problem.expected, remedy)
