"""Two commits side by side, read from Git's objects and never from the working tree."""

import re
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from preflight.chain import blobs
from preflight.errors import Problem
from preflight.workspace import environment, failed

PARAMS, PROJECT, MAKEFILE = "params.yaml", "pyproject.toml", "Makefile"
WAIVERS = ".github/waivers.yaml"
ALWAYS = (PARAMS, PROJECT, WAIVERS)
# Files that tools would read before pyproject.toml: one that is new hides its settings.
HIDE_PYTEST = ("pytest.ini", ".pytest.ini", "pytest.toml", ".pytest.toml")
HIDE_COVERAGE = (".coveragerc", ".coveragerc.toml", "setup.cfg", "tox.ini")
TEXTS = (MAKEFILE, *HIDE_PYTEST, *HIDE_COVERAGE)
FOLDERS = re.compile(r"(src|tests)/.*\.py|\.github/.*\.ya?ml")


@dataclass(frozen=True)
class Change:
    """What differs between two commits: texts by path, and the paths of all that was there.

    The texts are those that can hold a guard, where they differ; params.yaml,
    pyproject.toml and the waivers are held in any case. Bytes that are no UTF-8 are replaced.
    """

    base: dict[str, str]
    head: dict[str, str]
    changed: tuple[str, ...]
    before: frozenset[str]

    def paths(self, pattern: str) -> list[str]:
        """The changed paths that match a regular expression as a whole."""
        return [path for path in self.changed if re.fullmatch(pattern, path)]


def read(root: Path, base: str, head: str) -> Change:
    """The change from one commit to another of a checkout; raises Problem for no commits."""
    for commit in (base, head):
        if not re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", commit):
            raise Problem("a commit", repr(commit), "its full hash", "See `git rev-parse`.")
    if base == head:
        raise Problem(
            "the change to judge",
            f"one commit, {head[:12]}, on both sides",
            "a commit and its merge base",
            "Commit the change, or name another base.",
        )
    old, new = _blobs(root, base), _blobs(root, head)
    changed = sorted(path for path in old | new if old.get(path) != new.get(path))
    wanted = [path for path in changed if path in TEXTS or FOLDERS.fullmatch(path)]
    paths = sorted({*wanted, *ALWAYS})
    texts = _texts(root, {side[path] for side in (old, new) for path in paths if path in side})
    return Change(
        {path: texts[old[path]] for path in paths if path in old},
        {path: texts[new[path]] for path in paths if path in new},
        tuple(changed),
        frozenset(old),
    )


def _blobs(root: Path, commit: str) -> dict[str, str]:
    """Hashes by path; a submodule holds no text of this repository and is left out."""
    listed = _git(root, "ls-tree", "-r", "-z", "--full-tree", commit).split(b"\0")
    found = {}
    for line in filter(None, listed):
        about, path = line.split(b"\t", 1)
        _, kind, name = about.split()
        if kind == b"blob":
            found[path.decode(errors="replace")] = name.decode()
    return found


def _texts(root: Path, names: Iterable[str]) -> dict[str, str]:
    """The contents of objects by hash, from one process."""
    asked = sorted(names)
    held = zip(asked, blobs.read(root, asked), strict=True)
    return {name: (raw or b"").decode("utf-8-sig", errors="replace") for name, raw in held}


def _git(root: Path, *words: str) -> bytes:
    # Bytes: paths need not be UTF-8.
    command = ("git", "-C", str(root), *words)
    done = subprocess.run(command, env=environment(root), capture_output=True, check=False)
    if done.returncode:
        raise failed(("git", *words), done.stderr.decode(errors="replace"))
    return done.stdout
