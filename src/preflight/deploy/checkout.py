"""The checkout that a rollback starts from: its branch and remote, and whether it is the last."""

from dataclasses import dataclass
from pathlib import Path

from preflight.errors import Problem
from preflight.workspace import run

UNDER_WAY = {
    "MERGE_HEAD": "merge",
    "REVERT_HEAD": "revert",
    "CHERRY_PICK_HEAD": "cherry-pick",
    "rebase-merge": "rebase",
    "rebase-apply": "rebase",
}


@dataclass(frozen=True)
class Checkout:
    """Where HEAD is, and what it is compared with; `branch` is empty where HEAD is detached.

    `target` is the branch's name at the remote, `main` the one that Argo CD reads; `upstream` is
    what was last fetched of the target, else of main, None without either.
    """

    branch: str
    remote: str
    target: str
    main: str
    upstream: str | None

    def doubt(self) -> str | None:
        """Why a commit here changes nothing in a cluster; None on main."""
        if not self.branch:
            return f"HEAD is detached: this is on no branch, and Argo CD reads {self.main}"
        if self.target != self.main:
            return f"this is branch {self.branch}; Argo CD reads {self.main}, once it is merged"
        return None


def of(root: Path) -> Checkout:
    """What Git says of a checkout, without network."""
    branch = _said(root, "branch", "--show-current")
    remotes = sorted(_said(root, "remote").split(), key=lambda name: name != "origin")
    remote, target = (
        _said(root, "config", f"branch.{branch}.{key}") for key in ("remote", "merge")
    )
    if remote not in remotes:  # without upstream, or with a local one
        remote, target = next(iter(remotes), "origin"), branch
    head = _said(root, "symbolic-ref", "--short", f"refs/remotes/{remote}/HEAD")
    main = head.removeprefix(f"{remote}/") or "main"
    asked = ("@{upstream}", f"refs/remotes/{remote}/{main}")
    names = (_said(root, "rev-parse", "--abbrev-ref", "--verify", "-q", each) for each in asked)
    target = target.removeprefix("refs/heads/") or branch
    return Checkout(branch, remote, target, main, next(filter(None, names), None))


def require_latest(root: Path) -> None:
    """Raise Problem where the records here are not the last: behind upstream, or in a merge."""
    for name, what in UNDER_WAY.items():
        if _path(root, name).exists():
            remedy = f"End it: `git {what} --continue`, or leave it: `git {what} --abort`."
            raise Problem("the checkout", f"a {what} that has not ended", "none", remedy)
    found = of(root)
    if found.upstream is None:
        return
    behind = int(_said(root, "rev-list", "--count", f"HEAD..{found.upstream}"))
    if behind:
        commits = "1 commit" if behind == 1 else f"{behind:,} commits"
        own = found.branch and found.upstream == f"{found.remote}/{found.target}"
        pull = "git pull" if own else f"git switch {found.main} && git pull"
        raise Problem(
            "the checkout",
            f"it {commits} behind {found.upstream} as last fetched",
            "the last release records, or the wrong release gives way",
            f"Run `{pull}`, and say this again.",
        )


def require_unlocked(root: Path) -> None:
    """Raise Problem while another Git holds the index, or left its lock behind."""
    if (lock := _path(root, "index.lock")).exists():
        remedy = f"Wait for it; if no other Git runs, one was killed: rm {lock}"
        raise Problem(str(lock), "another Git at work here", "no such file", remedy)


def require_whole(root: Path) -> None:
    """Raise Problem for a shallow clone, whose history of records is cut."""
    if _said(root, "rev-parse", "--is-shallow-repository") == "true":
        remedy = "Run `git fetch --unshallow`, and say this again."
        raise Problem("the Git history", "a shallow clone", "all release records", remedy)


def identity(root: Path, who: str) -> tuple[str, ...]:
    """Options of git that let `who` commit where Git knows no name or address."""
    neutral = {"user.name": who, "user.email": "rollback@localhost"}
    missing = [key for key in neutral if not _said(root, "config", key)]
    return tuple(part for key in missing for part in ("-c", f"{key}={neutral[key]}"))


def _path(root: Path, name: str) -> Path:
    return root / _said(root, "rev-parse", "--git-path", name)


def _said(root: Path, *words: str) -> str:
    """What a Git command prints; empty where it fails."""
    done = run(root, "git", *words, check=False)
    return "" if done.returncode else done.stdout.strip()
