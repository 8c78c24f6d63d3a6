"""A promotion lands: its pull request's head checked and approved, then one commit on main."""

import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from preflight import release
from preflight.delivery import approvals, checks, gitops, overlay, promotion, pulls
from preflight.delivery.gitops import Change
from preflight.delivery.promotion import NEXT, Way
from preflight.errors import Problem
from preflight.pull_request.github import Answer, GitHub, shown
from preflight.release import Approval, Release
from preflight.workspace import run


@dataclass(frozen=True)
class Landing:
    """Which pull request lands, and whose it has to be."""

    number: int
    bot: str


def land(root: Path, asked: Landing, environ: Mapping[str, str]) -> str:
    """Put a promotion's files on main, with its approval in the record; close it; says so.

    Checks and approvals are those that main itself asks for, by its ruleset and risk tier. Raises
    Problem for another's or another kind of pull request, files that promotion would not write now,
    a red check of the head, and approvals of another head or of an author; NoData while a check or
    an approval is missing.
    """
    github = GitHub.of(environ)
    pull = github.get(pulls.Pull, f"pulls/{asked.number}")
    pulls.require_ours(github, pull, asked.bot, promotion.branch(NEXT, ""))
    head = gitops.branch(root, pull.head.ref) or "no branch"
    approvals.same_head(head, pull.head.sha, pull.number)
    record = _record(root, head)

    def approved(tree: Path) -> Approval | None:
        checks.require_green(github, head, checks.required(tree))
        needed = approvals.Asked(pull.number, head, _approvals(tree), asked.bot)
        return approvals.require(github, needed, record)

    made = _put(root, head, record, approved)
    said = {"body": f"Landed on main as {made}."}
    github.send(Answer, "POST", f"issues/{pull.number}/comments", said)
    github.send(Answer, "PATCH", f"pulls/{pull.number}", {"state": "closed"})
    gitops.drop_branch(root, pull.head.ref)
    return f"pull request #{pull.number}: {record.id} landed as {made[:12]}"


def land_here(root: Path, name: str) -> str:
    """Put a proposed release on main without GitHub, where the tier asks for no approval; says so.

    Raises Problem for a tier that asks for one, a release that is not proposed, and an edited one.
    """
    branch = promotion.branch(NEXT, name)
    if (head := gitops.branch(root, branch)) is None:
        remedy = "Propose it: preflight promote."
        raise Problem(f"branch {branch}", "no branch", "the proposal", remedy)

    def approved(tree: Path) -> None:
        if many := _approvals(tree):
            expected = f"{many} approval of {head[:12]}"
            raise Problem(branch, "no GitHub here", expected, "Land it there: preflight land N.")

    made = _put(root, head, _record(root, head), approved)
    gitops.drop_branch(root, branch)
    return f"{NEXT}: {name} landed as {made[:12]}"


def _put(
    root: Path, head: str, record: Release, approved: Callable[[Path], Approval | None]
) -> str:
    """The commit on main; all of it is asked again on each top that main has meanwhile."""
    there: list[str] = []

    def change(tree: Path) -> Change | None:
        if at := _landed(tree, record):
            there.append(at)
            return None
        files = _require_unedited(root, tree, head, record)
        return _change(files, record, approved(tree), _again(root, head))

    return gitops.pushed(root, change) or there[-1]


def _approvals(tree: Path) -> int:
    from preflight import risk

    return risk.of(tree).approvals


def _record(root: Path, head: str) -> Release:
    where = f"{overlay.places(NEXT)[0]} at {head[:12]}"
    return release.parse(_at(root, head, overlay.places(NEXT)[0]).decode(), where)


def _landed(tree: Path, record: Release) -> str | None:
    """The commit that brought the record to main, but for its approval and verdict; or None."""
    plain = {"approval": None, "rollout": record.rollout}
    known = release.recorded(tree, NEXT, "HEAD")
    found = [each.at for each in known if each.release.model_copy(update=plain) == record]
    return found[-1] if found else None


def _require_unedited(root: Path, tree: Path, head: str, record: Release) -> dict[str, bytes]:
    """The head's files, where they are what promotion would write now, byte for byte."""
    way = Way(again=_again(root, head))
    came = promotion.source(tree, way).rollout.at
    where = f"{overlay.places(NEXT)[0]} at {head[:12]}"
    if came is None or not came <= record.when <= datetime.now(UTC):
        expected = "a time between staging's promotion and now"
        raise Problem(f"{where}: when", record.when.isoformat(), expected, "Promote it anew.")
    base = run(root, "git", "merge-base", head, _head(tree)).stdout.strip()
    listed = run(root, "git", "diff", "--name-only", "-z", "--no-renames", base, head).stdout
    files = promotion.change(tree, way, record.when)[1]
    if others := sorted(set(filter(None, listed.split("\0"))) - set(files)):
        expected = "record, evidence and rendered file alone"
        raise Problem(f"the head {head[:12]}", shown(others[0]), expected, "Promote it anew.")
    for name, raw in files.items():
        if _at(root, head, name) != raw:
            raise Problem(
                f"{name} at {head[:12]}",
                "bytes that promotion would not write now: edited, or behind main",
                "those that it would",
                "Close it, delete its branch, and promote anew.",
            )
    return files


def _change(
    files: dict[str, bytes], record: Release, approval: Approval | None, again: str | None
) -> Change:
    approved = overlay.text(record.model_copy(update={"approval": approval})).encode()
    trailers = [f"Release: {record.id}"]
    trailers += [f"Again: {again}"] if again else []
    trailers += [f"Approved: {approval.commit}"] if approval else []
    message = f"Release {record.id} in {NEXT}\n\n" + "\n".join(trailers)
    return Change(message, files | {overlay.places(NEXT)[0]: approved})


def _again(root: Path, head: str) -> str | None:
    """Why a release that was left before comes again, as its commit says."""
    asked = ("git", "show", "--no-patch", "--format=%(trailers:key=Again,valueonly)", head)
    return run(root, *asked).stdout.strip() or None


def _head(tree: Path) -> str:
    return run(tree, "git", "rev-parse", "HEAD").stdout.strip()


def _at(root: Path, commit: str, name: str) -> bytes:
    """A file's bytes at a commit; empty where there is none."""
    asked = ("git", "show", f"{commit}:{name}")  # as text it would lose what ends its lines
    return subprocess.run(asked, cwd=root, capture_output=True, check=False).stdout
