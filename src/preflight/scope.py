"""Whether a change is prose alone: jobs that only prose touches may then be left out."""

import os
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

# `python -P src/preflight/scope.py` runs this before any set-up: Git and the standard library.
# Full names, or a tag could stand in; a fork's clone has both remotes.
MAIN = ("refs/remotes/upstream/main", "refs/remotes/origin/main", "refs/heads/main")
PROSE = (
    re.compile(r"(?!(?:src|tests|data|models|requirements)/)(?:[^/]+/)*[^/]+\.md"),
    re.compile(r"LICENSE"),
    re.compile(r"docs/(?:[^/]+/)*[^/]+\.(?:png|svg)"),
    re.compile(r"\.github/ISSUE_TEMPLATE/[^/]+"),
)
REGULAR = {"100644", "000000"}  # a link or a submodule may lead to what a tool reads


class Unclear(Exception):
    """What changed cannot be told; the message says why."""


def docs_only(paths: Iterable[str]) -> bool:
    """Whether there is a path, and all are prose that no tool, test or stage reads."""
    found = list(paths)
    return bool(found) and all(any(each.fullmatch(path) for each in PROSE) for path in found)


def changed(root: Path, base: str, head: str) -> list[str]:
    """Paths that differ between two commits, a renamed file's both. Raises Unclear."""
    words = ("diff", "--raw", "-z", "--no-renames", "--ignore-submodules=none")
    raw = _git(root, *words, base, head)
    fields = raw.split("\0")[:-1]
    for about in fields[::2]:
        if not set(about.removeprefix(":").split()[:2]) <= REGULAR:
            raise Unclear("a file that is no regular one changed")
    return fields[1::2]


def _base(root: Path) -> str:
    """Where HEAD left main; on main its first parent. Raises Unclear."""
    head = _git(root, "rev-parse", "--verify", "HEAD").strip()
    for name in MAIN:
        try:
            base = _git(root, "merge-base", head, name).strip()
        except Unclear:
            continue
        return base if base != head else _git(root, "rev-parse", "--verify", f"{head}^1").strip()
    raise Unclear("no merge base with main")


def _git(root: Path, *words: str) -> str:
    done = subprocess.run(("git", "-C", str(root), *words), capture_output=True, check=False)
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise Unclear(f"git {words[0]}: {' '.join(said)}")
    return done.stdout.decode(errors="surrogateescape")


def main(root: Path) -> None:
    """Print code=false where only prose changed, else code=true, and tell GitHub's next jobs."""
    try:
        prose = docs_only(changed(root, _base(root), "HEAD"))
    except (Unclear, OSError) as error:
        prose = False
        sys.stderr.write(f"scope: {error}; so it counts as code\n")
    said = f"code={str(not prose).lower()}\n"
    sys.stdout.write(said)
    if output := os.environ.get("GITHUB_OUTPUT"):
        with Path(output).open("a", encoding="utf-8") as file:
            file.write(said)


if __name__ == "__main__":
    main(Path.cwd())
