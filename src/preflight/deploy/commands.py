"""The commands over deploy/: what checks it, and what renders it."""

import sys

import click

from preflight.watch.commands import HELP


@click.command("lint-deploy", context_settings=HELP)
@click.option("--rules", is_flag=True, help="Say what is checked, and check nothing.")
def lint_deploy(rules: bool) -> None:
    """Check the manifests under deploy/: each rule by its name, with the place and what to do.

    Exit status: 0 nothing found, 1 something, 2 a rule could not look.

    Example: preflight lint-deploy
    """
    from preflight import workspace
    from preflight.deploy import lint, tree
    from preflight.evidence import EXIT

    if rules:
        for each in lint.RULES:
            click.echo(f"{each.name}: {each.claim}")
        return
    found = tree.load(workspace.root())
    results = lint.lint(found)
    for line in lint.lines(results, found):
        click.echo(line)
    sys.exit(EXIT[lint.status(results)])


@click.command(context_settings=HELP)
@click.argument("environments", metavar="[ENV]...", nargs=-1)
@click.option("--check", is_flag=True, help="Write nothing; fail where a file is another.")
def render(environments: tuple[str, ...], check: bool) -> None:
    """Write deploy/rendered/ENV.yaml anew, by kustomize; all environments, or those named.

    Exit status of --check: 0 the same bytes, 1 others, 2 without kustomize.

    Example: preflight render --check
    """
    from preflight import release, workspace
    from preflight.deploy import rendering

    place, status = workspace.root(), 0
    for each in environments or rendering.renderable(place):
        if not check:
            changed = rendering.written(place, each)
            where = release.RENDERED.format(environment=each)
            click.echo(where if changed else f"{where}: unchanged")
        elif found := rendering.difference(place, each):
            click.echo(found)
            status = 1
        else:
            click.echo(f"{each}: as rendered anew")
        if pinned := rendering.pinned(place, each):
            click.echo(pinned)
    if status:
        click.echo("mend deploy/ instead of what is rendered, or run `preflight render`", err=True)
    sys.exit(status)
