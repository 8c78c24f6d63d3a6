"""The commands of a release's way: release, package, stage, settle, promote, land, bot-commits."""

import os

import click

from preflight.watch.commands import HELP

ENVIRONMENT = click.argument("environment", metavar="ENV")


@click.command(context_settings=HELP)
def release() -> None:
    """Take HEAD the whole way to production, in a scratch clone on this machine.

    Example: preflight release
    """
    from preflight import workspace
    from preflight.delivery.here import release_here

    release_here(workspace.root())


@click.command(context_settings=HELP)
def package() -> None:
    """Register HEAD's model, build its Bento and image, and draft its release; all gates green.

    Example: preflight package
    """
    from preflight import workspace
    from preflight.delivery import draft, packaging

    made = packaging.package(workspace.root(), os.environ)
    click.echo(f"model {made.model.name} {made.model.version}, {made.bento}, {made.image}")
    if made.builder is None:
        click.echo("no image builder here: the image holds the Bento alone, no Python")
    click.echo(f"draft {draft.PLACE}; next: preflight publish")


@click.command(context_settings=HELP)
def stage() -> None:
    """Verify the drafted release's chain, and commit it to staging on the remote's main.

    Example: preflight stage
    """
    from preflight import workspace
    from preflight.delivery import draft, staging, verified

    root = workspace.root()
    held = [each for each in verified.require(root, draft.read(root)) if each.status == "holds"]
    click.echo(f"{len(held)} links of the chain hold, up to the published image")
    found = staging.stage(root)
    click.echo(f"commit {found.at[:12]}: release {found.release.id} in {staging.FIRST}, pending")


@click.command(context_settings=HELP)
@ENVIRONMENT
@click.argument("release", metavar="RELEASE")
@click.argument("verdict", type=click.Choice(["promoted", "aborted"]))
@click.option("--reason", metavar="TEXT", help="Why, where no judge is asked.")
@click.option("--judge", metavar="ADDRESS", help="Asked once more, with the analysis's query.")
def settle(
    environment: str, release: str, verdict: str, reason: str | None, judge: str | None
) -> None:
    """Commit a rollout's end to its release record; after an abort propose the way back.

    Example: preflight settle staging 3-0123456789ab promoted --reason "all metrics fine"
    """
    from preflight import workspace
    from preflight.delivery import settling

    ended: settling.Ended = "promoted" if verdict == "promoted" else "aborted"
    end = settling.End(environment, release, ended, reason, judge)
    for line in settling.settle(workspace.root(), end, os.environ):
        click.echo(line)


@click.command(context_settings=HELP)
@click.option("--from", "source", default="staging", show_default=True, metavar="ENV")
@click.option("--to", "target", default="production", show_default=True, metavar="ENV")
@click.option("--again", metavar="WHY", help="Why a release comes that was left before.")
def promote(source: str, target: str, again: str | None) -> None:
    """Propose to production what staging promoted: a branch and its pull request.

    Where staging promoted nothing, or production's rollout has not ended, it says so.

    Example: preflight promote
    """
    from preflight import workspace
    from preflight.delivery import promotion

    way = promotion.Way(source, target, again)
    click.echo(promotion.promote(workspace.root(), way, os.environ))


@click.command(context_settings=HELP)
@click.argument("number", type=click.IntRange(min=1), metavar="N")
@click.option("--bot", required=True, metavar="LOGIN", help="Whose pull request it has to be.")
def land(number: int, bot: str) -> None:
    """Put an approved promotion's files on main, with its approval in the record; close it.

    Example: preflight land 42 --bot "preflight[bot]"
    """
    from preflight import workspace
    from preflight.delivery import landing

    asked = landing.Landing(number, bot)
    click.echo(landing.land(workspace.root(), asked, os.environ))


@click.command("bot-commits", context_settings=HELP)
@click.argument("commits", metavar="BASE..HEAD")
@click.option("--bot", required=True, metavar="NAME", help="As author or committer.")
def bot_commits(commits: str, bot: str) -> None:
    """Name commits of the bot beyond a release's files, and releases edited by hand.

    Example: preflight bot-commits origin/main..HEAD --bot "preflight[bot]"
    """
    from preflight import workspace
    from preflight.delivery.bot import refused
    from preflight.errors import Problem

    base, dots, head = commits.partition("..")
    if not (base and dots and head) or head.startswith("."):
        raise Problem("BASE..HEAD", repr(commits), "two commits, parted by ..", "Name both.")
    found = list(refused(workspace.root(), base, head, bot))
    for line in found:
        click.echo(line)
    if found:
        raise SystemExit(1)
    click.echo("each commit touches what it may")
