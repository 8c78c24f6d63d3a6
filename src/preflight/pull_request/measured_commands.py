"""The command that fetches what was measured before."""

import os

import click

from preflight.watch.commands import HELP


@click.command(context_settings=HELP)
def measured() -> None:
    """Fetch evidence of benchmark, load and rehearsal from the run that judged HEAD's tree.

    Reads GITHUB_TOKEN, GITHUB_REPOSITORY and GITHUB_API_URL from the environment. Exit status 2:
    no such run.

    Example: preflight measured
    """
    from preflight import workspace
    from preflight.layout import EVIDENCE
    from preflight.pull_request.measured import measured

    for part in measured(workspace.root(), os.environ):
        click.echo(f"{part.gate}: {part.status} -> {EVIDENCE / part.gate}.json")
