"""The command that checks deploy/."""

import sys

import click

from preflight.watch.commands import HELP

STATUS = {"pass": 0, "fail": 1, "no-data": 2}


@click.command("lint-deploy", context_settings=HELP)
@click.option("--rules", is_flag=True, help="Say what is checked, and check nothing.")
def lint_deploy(rules: bool) -> None:
    """Check the manifests under deploy/: each rule by its name, with the place and what to do.

    Exit status: 0 nothing found, 1 something, 2 a rule could not look.

    Example: preflight lint-deploy
    """
    from preflight import workspace
    from preflight.deploy import lint, tree

    if rules:
        for each in lint.RULES:
            click.echo(f"{each.name}: {each.claim}")
        return
    found = tree.load(workspace.root())
    results = lint.lint(found)
    for line in lint.lines(results, found):
        click.echo(line)
    sys.exit(STATUS[lint.status(results)])
