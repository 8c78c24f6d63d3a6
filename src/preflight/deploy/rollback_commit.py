"""Rollback in Git: an earlier release's record and rendered file again, byte for byte.

Who did it, and why, stands in the commit's message: in the files it would make them others.
"""

from pathlib import Path

from preflight.deploy import checkout
from preflight.deploy.rollback import Rollback
from preflight.errors import Problem
from preflight.workspace import run


def require_ready(root: Path, plan: Rollback, *, in_flight: bool = False) -> None:
    """Raise Problem while a rollout is in flight, unless told, and for a dirty tree.

    Also where another Git is at work, and where the files of that time do not belong together.
    """
    checkout.require_unlocked(root)
    now = plan.now
    if not isinstance(now, Problem) and now.rollout.verdict == "pending" and not in_flight:
        raise Problem(
            f"release {now.id} in {plan.environment}",
            "a rollout in flight",
            "its verdict in the record, promoted or aborted",
            "Wait for it; or say --in-flight: going back to what stable still runs is instant, and "
            "takes no steps.",
        )
    if changed := run(root, "git", "status", "--porcelain", "--untracked-files=no").stdout:
        names = ", ".join(line[3:] for line in changed.splitlines()[:3])
        remedy = "Commit or stash them."
        raise Problem("the working tree", f"uncommitted changes ({names})", "none", remedy)
    shown = run(root, "git", "show", f"{plan.to.at}:{plan.places[1]}", check=False)
    if shown.returncode or plan.to.release.image not in shown.stdout:
        raise Problem(
            f"{plan.places[1]} at {plan.to.at[:12]}",
            "a file that does not run the image of its record" if shown.stdout else "no file",
            f"{plan.to.release.image[:19]}…",
            "Name another release by --to.",
        )


def rolled_back(root: Path, plan: Rollback, why: str, who: str, branch: str | None = None) -> str:
    """Commit the files as they were, here or on a new branch; returns the commit.

    It needs Git alone. Raises Problem for what `require_ready` did not allow; whatever fails or
    interrupts it, the tree and its branch stay as they were.
    """
    name = _line("--who", who)
    places = _known(root, plan)
    words, own = _message(plan, _line("--why", why), name), checkout.identity(root, name)
    if branch:
        run(root, "git", "switch", "--quiet", "--create", branch)
    try:
        source = ("git", "restore", f"--source={plan.to.at}", "--staged", "--worktree", "--")
        run(root, *source, *places)
        # The files were committed before, as they are now: no hook has anything to add.
        commit = ("git", *own, "commit", "--quiet", "--no-verify")
        run(root, *commit, *(f"--message={each}" for each in words), "--", *places)
    except BaseException:
        back = ("git", "restore", "--source=HEAD", "--staged", "--worktree", "--")
        run(root, *back, *places, check=False)
        if branch:
            run(root, "git", "checkout", "--quiet", "-", check=False)
            run(root, "git", "branch", "--quiet", "-D", branch, check=False)
        raise
    return run(root, "git", "rev-parse", "HEAD").stdout.strip()


def _known(root: Path, plan: Rollback) -> tuple[str, ...]:
    """The plan's files that one of its two commits has: the first records had no evidence."""
    words = ("git", "ls-tree", "--name-only", "--full-tree")
    both = (run(root, *words, each, "--", *plan.places).stdout for each in ("HEAD", plan.to.at))
    return tuple(dict.fromkeys(name for listed in both for name in listed.splitlines()))


def _message(plan: Rollback, why: str, who: str) -> tuple[str, ...]:
    """Its paragraphs; the last one is trailers, which `git log --format=%(trailers)` reads."""
    now, to = plan.now, plan.to
    left, replaced = "unreadable", "record that they replace cannot be read"
    if not isinstance(now, Problem):
        left, replaced = now.id, f"release that they replace was {now.rollout.verdict}"
    return (
        f"Roll {plan.environment} back to {to.release.id}",
        f"Record, evidence and rendered file are those of commit {to.at[:12]}, byte for byte.\n"
        f"The {replaced}.",
        f"Rolled-back-from: {left}\nRolled-back-to: {to.release.id}\n"
        f"Restored-from: {to.at}\nReason: {why}\nBy: {who}",
    )


def _line(option: str, text: str) -> str:
    """One line, as a trailer is; another line of it could be read as a trailer of its own."""
    found = "".join(each for each in " ".join(text.split()) if each.isprintable())
    if not found:
        raise Problem(option, "nothing", "words for who reads the history", "Say them.")
    return found
