"""The command that goes back to an earlier release."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from preflight.watch.commands import HELP

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from preflight.deploy.checkout import Checkout
    from preflight.deploy.rollback import Rollback
    from preflight.release import Release

ENVIRONMENT = click.argument("environment", metavar="ENV")
WHO = click.option("--who", metavar="NAME", help="Who rolls back; now git's user.name.")


@click.command(context_settings=HELP)
@ENVIRONMENT
@click.option("--to", metavar="RELEASE", help="Its id, version or commit; now the one before.")
@click.option("--why", required=True, metavar="TEXT", help="The reason, for the history.")
@WHO
@click.option("--branch", metavar="NAME", help="Commit on a new branch instead of this one.")
@click.option("--in-flight", is_flag=True, help="Though the release's rollout has not ended.")
@click.option("--push", is_flag=True, help="On top of the remote's main, and into it.")
def rollback(
    environment: str,
    to: str | None,
    why: str,
    who: str | None,
    branch: str | None,
    in_flight: bool,
    push: bool,
) -> None:
    """Commit an earlier release's record and rendered file again; without --push it stays here.

    Example: preflight rollback production --why "fares of airport trips are off by half"
    """
    from preflight import workspace
    from preflight.deploy.rollback import chosen
    from preflight.deploy.rollback_commit import require_ready
    from preflight.errors import Problem

    if push and branch:
        remedy = "Take --branch away; or push the branch yourself."
        raise Problem("--push", "--branch beside it", "one of the two", remedy)
    place = workspace.root()

    def planned(tree: Path) -> "Rollback":
        plan = chosen(tree, environment, to)
        require_ready(tree, plan, in_flight=in_flight)
        return plan

    if push:
        pushed(place, planned, why, who or user(place))
        return
    plan = planned(place)
    commit(place, plan, why, who or user(place), branch)


def pushed(root: Path, planned: "Callable[[Path], Rollback]", why: str, who: str) -> None:
    """Put a rollback on the remote's main, planned anew on each top of it; print what was done."""
    from preflight.delivery import gitops
    from preflight.deploy.rollback_commit import rolled_back

    said: list[str] = []

    def committed(tree: Path) -> str:
        plan = planned(tree)
        said[:] = _changes(tree, plan)
        made = rolled_back(tree, plan, why, who)
        said.append(f"commit {made[:12]}: its files as commit {plan.to.at[:12]} had them, pushed")
        if watching := _watching(tree / plan.places[1]):
            said.append(f"watch: {watching}")
        return made

    gitops.on_top(root, committed)
    for line in said:
        click.echo(line)


def commit(root: Path, plan: "Rollback", why: str, who: str, branch: str | None) -> None:
    """Make a rollback's commit; print what was done, what is next, and how to watch it."""
    from preflight.deploy import checkout
    from preflight.deploy.rollback_commit import rolled_back

    start, changes = checkout.of(root), list(_changes(root, plan))
    made = rolled_back(root, plan, why, who, branch)
    for line in (
        *changes,
        f"commit {made[:12]}: its files as commit {plan.to.at[:12]} had them",
        *_next(start, made, branch),
    ):
        click.echo(line)
    if doubt := start.doubt():
        click.echo(f"warning: {doubt}", err=True)
    if watching := _watching(root / plan.places[1]):
        click.echo(f"watch: {watching}")
    click.echo(f"undo:  git revert {made[:12]}{_again(plan)}")


def _changes(root: Path, plan: "Rollback") -> "Iterator[str]":
    """What gives way to what, what changes besides, and how fast."""
    from preflight.deploy import change
    from preflight.deploy.rollback import SHORT, standing
    from preflight.errors import Problem

    now, to = plan.now, plan.to.release
    if isinstance(now, Problem):
        yield f"{plan.environment}: an unreadable record gives way to {to.id}"
        return
    left, back = _names(now, to)
    yield f"{plan.environment}: {left}, {now.rollout.verdict}, gives way to {back}"
    if now.manifests != to.manifests:
        found = change.between(root, plan.environment, "HEAD", plan.to.at)
        words = f": {found}" if found.lines else ", which render alike"
        yield f"also goes back to the manifests of {to.manifests[:SHORT]}{words}"
    if now.id != to.id and (stable := standing(plan.known)):
        how = change.pace(root, plan.environment, plan.known, stable[-1].at, plan.to.at)
        yield from [f"pace:  {how}"] if how else []


def _next(start: "Checkout", made: str, branch: str | None) -> "Iterator[str]":
    """How the commit comes to where it takes effect."""
    target = branch or start.branch
    if not branch and start.target != start.branch:
        target = f"{start.branch}:{start.target}"
    yield f"next:  git push {start.remote} {target or f'{made[:12]}:refs/heads/NAME'}"
    if branch:
        yield "       then open its pull request; merged, it takes effect"
    else:
        yield "       refused where main takes pull requests alone: then use --branch NAME"


def _again(plan: "Rollback") -> str:
    """A shell comment with what a revert of the rollback brings back."""
    from preflight.errors import Problem

    if isinstance(plan.now, Problem):
        return "  # brings the unreadable record back"
    left, _ = _names(plan.now, plan.to.release)
    if plan.now.rollout.verdict == "pending":
        return f"  # releases {left} again"
    return f"  # brings back {left}"


def _names(now: "Release", to: "Release") -> tuple[str, str]:
    """Both releases' ids, with their manifests where those alone tell them apart."""
    from preflight.deploy.rollback import SHORT

    left, back = (
        f"{each.id} (manifests {each.manifests[:SHORT]})" if now.id == to.id else each.id
        for each in (now, to)
    )
    return left, back


def user(root: Path) -> str:
    """Git's user.name in a checkout; raises Problem without one."""
    from preflight.errors import Problem
    from preflight.workspace import run

    if found := run(root, "git", "config", "user.name", check=False).stdout.strip():
        return found
    raise Problem("git's user.name", "none", "who rolls back", "Name yourself by --who.")


def _watching(path: Path) -> str | None:
    """The command that shows the Rollout; None where today's code cannot read so old a file."""
    from preflight.deploy import manifests
    from preflight.errors import Problem

    try:
        found = manifests.read(path).one("Rollout")["metadata"]
    except Problem:
        return None
    space = f" --namespace {found['namespace']}" if "namespace" in found else ""
    return f"kubectl argo rollouts get rollout {found['name']}{space} --watch"
