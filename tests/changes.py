"""Small changes for the tests of the policy gate: two sets of files, in memory or in Git."""

from pathlib import Path

from conftest import commit, git
from preflight.policy.commits import Change

Texts = dict[str, str]


def change(before: Texts, after: Texts) -> Change:
    """The change between two sets of files, as if it had been read from Git."""
    paths = sorted(path for path in before | after if before.get(path) != after.get(path))
    return Change(before, after, tuple(paths), frozenset(before))


def committed(root: Path, before: Texts, after: Texts) -> tuple[str, str]:
    """Commit two sets of files in a new repository; returns both commits' hashes."""
    root.mkdir(exist_ok=True)
    git(root, "init", "--quiet", "--initial-branch=main")
    hashes = []
    for files in (before, after):
        git(root, "rm", "-r", "--quiet", "--ignore-unmatch", ".")
        for name, text in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        commit(root)
        hashes.append(git(root, "rev-parse", "HEAD").strip())
    return hashes[0], hashes[1]
