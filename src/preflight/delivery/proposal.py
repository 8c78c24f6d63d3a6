"""A branch for people to look at: pushed, and its pull request opened where a token is."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from preflight.delivery import gitops
from preflight.delivery.pulls import MAIN, Pull
from preflight.pull_request.github import GitHub


@dataclass(frozen=True)
class Proposal:
    """A branch, and its pull request's title and text."""

    branch: str
    title: str
    body: str


def proposed(root: Path, made: str, proposal: Proposal, environ: Mapping[str, str]) -> str:
    """Push a commit as a branch and open its pull request; says what was done.

    A branch that is there already is not moved, and a pull request that was closed not opened
    again. Without GITHUB_TOKEN it says what would have been opened. Raises Problem.
    """
    there = gitops.branch(root, proposal.branch)
    if there is None:
        gitops.push_branch(root, made, proposal.branch)
    what = f"branch {proposal.branch}: " + (
        f"there already, at {there[:12]}; it was not moved" if there else f"pushed, {made[:12]}"
    )
    if not environ.get("GITHUB_TOKEN"):
        return f"{what}; no GITHUB_TOKEN: the pull request '{proposal.title}' was not opened"
    return f"{what}; {_opened(GitHub.of(environ), proposal, there or made)}"


def _opened(github: GitHub, proposal: Proposal, head: str) -> str:
    owner = github.repository.partition("/")[0]
    branch = f"{owner}:{proposal.branch}"
    for each in github.get(tuple[Pull, ...], "pulls", state="all", head=branch, per_page=100):
        # The API ignores a filter that it does not understand.
        if (each.head.ref, each.head.sha) == (proposal.branch, head):
            return f"pull request #{each.number} is there already, {each.state}"
    body = {"title": proposal.title, "body": proposal.body, "head": proposal.branch, "base": MAIN}
    made = github.send(Pull, "POST", "pulls", body)
    return f"pull request #{made.number} opened: {proposal.title}"
