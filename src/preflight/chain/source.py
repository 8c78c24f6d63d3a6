"""What a commit says of the model that was made from it: data, parameters, locks, by Git alone."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from preflight import evidence, lineage
from preflight.chain.history import LOG, Stint
from preflight.errors import Problem
from preflight.evidence import Part
from preflight.release import EVIDENCE, FAST, PLACE, RENDERED
from preflight.workspace import run

LOCKS = "requirements/"
PINNED = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^\s\\;]+)", re.MULTILINE)
SUBJECT = "%H%x1f%an%x1f%ct%x1f%s"


@dataclass(frozen=True)
class Commit:
    """A commit's subject, its author's name and its time, UTC."""

    commit: str
    author: str
    at: datetime
    subject: str


@dataclass(frozen=True)
class Source:
    """A model's commit: months and MD5 of its data by path, parameters, and locks' SHA-256.

    `params` is all of params.yaml; `shaping` names its sections that some stage depends on.
    """

    commit: Commit
    months: tuple[str, ...]
    data: Mapping[str, str]
    params: Mapping[str, Any]
    shaping: tuple[str, ...]
    locks: Mapping[str, str]


@dataclass(frozen=True)
class Proof:
    """The evidence beside a record: its parts, None where there is none, and what is wrong."""

    parts: tuple[Part, ...] | None
    odd: str | None

    @property
    def green(self) -> int:
        """How many gates passed."""
        return sum(each.status == "pass" for each in self.parts or ())


def of(root: Path, commit: str) -> Source:
    """What a commit holds; raises Problem where it, or one of its files, is not in this clone."""
    words = (*LOG, "-1", f"--format={SUBJECT}", "--end-of-options", commit, "--")
    shown = run(root, *words, check=False)
    if shown.returncode:
        remedy = "Run `git fetch --all`: another branch may hold it."
        raise Problem(f"commit {commit[:12]}", "no such commit here", "the model's", remedy)
    params = params_at(root, commit)
    sums = {
        name: hashlib.sha256(lock.encode()).hexdigest()
        for name, lock in locks(root, commit).items()
    }
    months = tuple(sorted(params.get("data", {}).get("months", [])))
    stages = lineage.stages(mapping(text(root, commit, "dvc.lock") or ""), params)
    keys = (key for _, each in stages for key in each.get("params", {}).get("params.yaml", {}))
    shaping = {key.partition(".")[0] for key in keys}
    made = commits(shown.stdout)[0]
    chosen = tuple(name for name in params if name in shaping)
    return Source(made, months, lineage.data_at(root, commit), params, chosen, sums)


def commits(log: str) -> tuple[Commit, ...]:
    """What `git log` says with the format SUBJECT."""
    lines = (line.split("\x1f") for line in log.split("\n") if line)
    return tuple(
        Commit(commit, author, datetime.fromtimestamp(int(at), UTC), subject)
        for commit, author, at, subject in lines
    )


def between(root: Path, older: str, newer: str) -> tuple[Commit, ...]:
    """The commits that one has and the other has not, newest first; no merges, nor releases."""
    words = (*LOG, "--no-merges", "--full-history", f"--format={SUBJECT}")
    others = (f":(exclude){each.format(environment='*')}" for each in (PLACE, EVIDENCE, RENDERED))
    return commits(run(root, *words, f"{older}..{newer}", "--", ".", *others).stdout)


def text(root: Path, commit: str, path: str) -> str | None:
    """A file as a commit has it; None where it has none."""
    shown = run(root, "git", "show", f"{commit}:{path}", check=False)
    return None if shown.returncode else shown.stdout


def params_at(root: Path, commit: str) -> dict[str, Any]:
    """params.yaml of a commit as plain data, of whatever version of the template."""
    return mapping(text(root, commit, "params.yaml") or "")


def mapping(content: str) -> dict[str, Any]:
    """A text's mapping; empty for one that is none, as a merge may once have left it."""
    try:
        found = yaml.load(content, FAST)  # noqa: S506 (it is the safe one)
    except yaml.YAMLError:
        return {}
    return found if isinstance(found, dict) else {}


def locks(root: Path, commit: str) -> dict[str, str]:
    """The texts of a commit's locks, by path."""
    listed = run(root, "git", "ls-tree", "--name-only", commit, LOCKS).stdout.split()
    return {name: text(root, commit, name) or "" for name in listed if name.endswith(".txt")}


def packages(lock: str) -> dict[str, str]:
    """Versions by package, as a lock pins them."""
    return dict(PINNED.findall(lock))


def proof(root: Path, stint: Stint) -> Proof:
    """The evidence that a release was let through by, as its record's commit has it."""
    commit, _, path = stint.evidence.partition(":")
    found = text(root, commit, path)
    if found is None:
        return Proof(None, f"{path} is not at {commit[:12]}")
    digest = hashlib.sha256(found.encode()).hexdigest()
    try:
        parts = evidence.unpacked(found, path)
    except Problem as problem:
        return Proof(None, f"{problem.where}: {problem.found}")
    if digest != stint.release.evidence:
        said = f"{path} at {commit[:12]} has digest {digest[:12]}, its record names"
        return Proof(parts, f"{said} {stint.release.evidence[:12]}")
    return Proof(parts, None)
