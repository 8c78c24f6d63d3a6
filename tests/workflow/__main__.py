"""`python -m workflow`: rehearse pull requests, each a change by name, and compare their ends."""

import logging
import os
import sys
from pathlib import Path

import click

from conftest import ROOT
from preflight import workspace
from preflight.layout import STATE
from workflow.rehearsal import CHANGES, build, fresh, rehearse


@click.command()
@click.argument("names", nargs=-1, type=click.Choice(list(CHANGES)))
def main(names: tuple[str, ...]) -> None:
    """Run pull-request.yml and report.yml on honest, prose, red or crash; all when none is named.

    Exit status 1 where a check ends otherwise than it should, or no comment was posted.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    os.environ.update(workspace.QUIET)
    folder = fresh(ROOT / STATE / "workflow")
    click.echo("building a small repository …", err=True)
    source = build(folder / "source")
    wrong = [name for name in names or CHANGES if not _as_it_should(source, folder, name)]
    click.echo(f"logs, artifacts and comments: {folder}", err=True)
    sys.exit(1 if wrong else 0)


def _as_it_should(source: Path, folder: Path, name: str) -> bool:
    click.echo(f"{name}:")
    found = rehearse(source, folder / name, name)
    expected, ended = CHANGES[name][2], found.jobs["decide"].result
    seconds = sum(result.seconds for result in found.jobs.values())
    first = (found.comment or "no comment").splitlines()[0]
    click.echo(f"  decide: {ended}, as expected: {ended == expected}; {seconds:.0f} s of work")
    click.echo(f"  comment: {first}")
    return ended == expected and found.comment is not None


main()
