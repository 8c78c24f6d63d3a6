"""GitOps commits: exactly the files of one change, on top of the remote's main, never forced."""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from preflight.deploy import checkout
from preflight.errors import Problem
from preflight.files import replacing
from preflight.layout import STATE
from preflight.workspace import run

TRIES = 5
NAME = "preflight"  # of who commits, where Git knows none
CREDENTIALS = re.compile(r"//[^/@\s]+@")


@dataclass(frozen=True)
class Change:
    """What a commit says, and the bytes of its files by path."""

    message: str
    files: Mapping[str, bytes]


@dataclass(frozen=True)
class Remote:
    """The remote's name, and the branch there that Argo CD reads."""

    name: str
    main: str

    @property
    def ref(self) -> str:
        """What was last fetched of that branch."""
        return f"refs/remotes/{self.name}/{self.main}"


def pushed(root: Path, make: Callable[[Path], Change | None]) -> str | None:
    """Commit what `make` says on top of the remote's main, and push it; returns the commit.

    None where nothing is to be done; else as `on_top`.
    """

    def commit(tree: Path) -> str | None:
        change = make(tree)
        return None if change is None else committed(tree, change)

    return on_top(root, commit)


def on_top(root: Path, commit: Callable[[Path], str | None]) -> str | None:
    """Push what `commit` makes on top of the remote's main; returns the commit.

    `commit` is given a tree of main as it is now, and again after each push that came too late: it
    raises Problem where the change no longer stands, and returns None where nothing is to be
    done. Whatever fails, checkout and branches of `root` stay; what was pushed, a checkout of
    main follows where it can. Raises Problem for a push that is refused, or too late TRIES times.
    """
    for _ in range(TRIES):
        with top(root) as tree:
            base, made = _head(tree), commit(tree)
        if made is None:
            return None
        if _taken(root, base, made):
            _follow(root, made)
            return made
    remedy = "Nothing was forced; run it again when fewer write there."
    raise Problem("git push", f"main moved {TRIES} times", "a push on its top", remedy)


@contextmanager
def top(root: Path) -> Iterator[Path]:
    """A scratch tree of the remote's main as it is now, on no branch."""
    checkout.require_whole(root)
    at = fetch(root)
    with TemporaryDirectory(prefix="preflight-") as scratch:
        tree = Path(scratch).resolve() / "main"
        _git(root, "worktree", "add", "--quiet", "--detach", str(tree), at.ref)
        try:
            if (root / STATE / "go").is_dir():  # kustomize, where the tree's own would be
                (tree / STATE).mkdir()
                (tree / STATE / "go").symlink_to((root / STATE / "go").resolve())
            yield tree
        finally:
            run(root, "git", "worktree", "remove", "--force", str(tree), check=False)


def committed(tree: Path, change: Change) -> str:
    """Commit exactly the files of a change in a scratch tree; returns the commit."""
    for name, raw in change.files.items():
        with replacing(tree / name) as partial:
            partial.write_bytes(raw)
    _git(tree, "add", "--", *change.files)
    own = checkout.identity(tree, NAME)
    commit = (*own, "commit", "--quiet", "--no-verify", f"--message={change.message}")
    _git(tree, *commit, "--only", "--", *change.files)
    return _head(tree)


def remote(root: Path) -> Remote:
    """The remote whose main is the cluster's; raises Problem where there is none."""
    found = checkout.of(root)
    if found.remote not in run(root, "git", "remote").stdout.split():
        remedy = "Name it: git remote add origin ADDRESS."
        raise Problem("the checkout", "no remote", "the one that Argo CD reads", remedy)
    return Remote(found.remote, found.main)


def fetch(root: Path) -> Remote:
    """Fetch what the remote's main is now."""
    at = remote(root)
    _git(root, "fetch", "--quiet", at.name, f"+refs/heads/{at.main}:{at.ref}")
    return at


def branch(root: Path, name: str) -> str | None:
    """The commit of a branch at the remote, fetched; None where there is no such branch."""
    at, place = remote(root).name, f"refs/heads/{name}"
    found = _git(root, "ls-remote", "--heads", at, place).split()
    if not found:
        return None
    _git(root, "fetch", "--quiet", at, found[0])
    return found[0]


def push_branch(root: Path, commit: str, name: str) -> None:
    """Push a commit as a new branch; raises Problem where it is refused."""
    _git(root, "push", "--quiet", "--no-verify", remote(root).name, f"{commit}:refs/heads/{name}")


def drop_branch(root: Path, name: str) -> None:
    """Delete a branch at the remote, where it is there and may go."""
    words = ("push", "--quiet", "--no-verify", remote(root).name, f":refs/heads/{name}")
    run(root, "git", *words, check=False)


def _taken(root: Path, base: str, made: str) -> bool:
    """Whether main has the commit now; False where it moved since, else Problem says why not."""
    at = remote(root)
    words = ("push", "--quiet", "--no-verify", at.name, f"{made}:refs/heads/{at.main}")
    done = run(root, "git", *words, check=False)
    if done.returncode == 0:
        return True
    fetch(root)
    if run(root, "git", "merge-base", "--is-ancestor", made, at.ref, check=False).returncode == 0:
        return True  # it came through, and the answer got lost
    if run(root, "git", "rev-parse", at.ref).stdout.strip() == base:
        raise _failed(words, done.stderr)
    return False


def _follow(root: Path, made: str) -> None:
    """Take a checkout of main along, where nothing in it stands against that."""
    at = checkout.of(root)
    if at.branch == at.main:
        run(root, "git", "merge", "--ff-only", "--quiet", made, check=False)


def _head(tree: Path) -> str:
    return run(tree, "git", "rev-parse", "HEAD").stdout.strip()


def _git(root: Path, *words: str) -> str:
    done = run(root, "git", *words, check=False)
    if done.returncode:
        raise _failed(words, done.stderr or done.stdout)
    return done.stdout


def _failed(words: tuple[str, ...], said: str) -> Problem:
    """With the last lines of what Git said, a remote's too, and no credentials of an address."""
    lines = [" ".join(line.split()) for line in CREDENTIALS.sub("//", said).splitlines()]
    found = f"a failure: {' / '.join([line for line in lines if line][-5:])}"
    return Problem(f"git {words[0]}", found, "success", "Nothing was forced; mend that first.")
