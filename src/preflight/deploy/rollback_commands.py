"""Commands over records and what is rendered of them: render, and rollback."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from preflight.watch.commands import HELP

if TYPE_CHECKING:
    from preflight.deploy.rollback import Rollback

ENVIRONMENT = click.argument("environment", metavar="ENV")
WHO = click.option("--who", metavar="NAME", help="Who does it; now git's user.name.")


@click.command(context_settings=HELP)
@click.argument("environments", metavar="[ENV]...", nargs=-1)
@click.option("--check", is_flag=True, help="Write nothing; fail where a file is another.")
def render(environments: tuple[str, ...], check: bool) -> None:
    """Write deploy/rendered/ENV.yaml anew, by kustomize; all environments, or those named.

    Exit status of --check: 0 the same bytes, 1 others, 2 without kustomize.

    Example: preflight render --check
    """
    from preflight import workspace
    from preflight.deploy import rendering

    place, status = workspace.root(), 0
    for each in environments or rendering.environments(place):
        if not check:
            click.echo(rendering.written(place, each).relative_to(place))
        elif found := rendering.difference(place, each):
            click.echo(found)
            status = 1
        else:
            click.echo(f"{each}: as rendered anew")
    if status:
        click.echo("mend deploy/ instead of what is rendered, or run `preflight render`", err=True)
    sys.exit(status)


@click.command(context_settings=HELP)
@ENVIRONMENT
@click.option("--to", metavar="RELEASE", help="Its id, version or commit; now the one before.")
@click.option("--why", required=True, metavar="TEXT", help="The reason, for the history.")
@WHO
@click.option("--branch", metavar="NAME", help="Commit on a new branch instead of this one.")
@click.option("--in-flight", is_flag=True, help="Though the release's rollout has not ended.")
def rollback(
    environment: str, to: str | None, why: str, who: str | None, branch: str | None, in_flight: bool
) -> None:
    """Commit an earlier release's record and rendered file again; to push it is left to you.

    Example: preflight rollback production --why "fares of airport trips are off by half"
    """
    from preflight import workspace
    from preflight.deploy.rollback import chosen, require_ready

    place = workspace.root()
    plan = chosen(place, environment, to)
    require_ready(place, plan, in_flight=in_flight)
    commit(place, plan, why, who, branch)


def commit(root: Path, plan: "Rollback", why: str, who: str | None, branch: str | None) -> None:
    """Make a rollback's commit; print what was done, what is next, and how to watch it."""
    from preflight.deploy.rollback import rolled_back

    made = rolled_back(root, plan, why, who or _user(root), branch)
    now, to = plan.now, plan.to
    click.echo(
        f"{plan.environment}: {now.id}, {now.rollout.verdict}, gives way to {to.release.id}\n"
        f"commit {made[:12]}: both files as commit {to.at[:12]} had them"
    )
    on = _run(root, "git", "branch", "--show-current")
    click.echo(f"next:  git push origin {on or f'{made[:12]}:refs/heads/NAME'}")
    if branch:
        click.echo("       then open its pull request; merged, it takes effect")
    else:
        click.echo("       refused where main takes pull requests alone: then use --branch NAME")
    if watching := _watching(root / plan.places[1]):
        click.echo(f"watch: {watching}")
    click.echo(f"undo:  git revert {made[:12]}")


def _user(root: Path) -> str:
    from preflight.errors import Problem

    if found := _run(root, "git", "config", "user.name"):
        return found
    raise Problem("git's user.name", "none", "who rolls back", "Name yourself by --who.")


def _run(root: Path, *command: str) -> str:
    from preflight.workspace import run

    return run(root, *command, check=False).stdout.strip()


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
