"""`python -m workflow`: rehearse pull requests, each a change by name, and a release."""

import logging
import os
import sys
from pathlib import Path

import click

from conftest import ROOT
from preflight import workspace
from preflight.layout import STATE
from workflow.rehearsal import CHANGES, build, fresh, rehearse
from workflow.release_rehearsal import world

RELEASE = "release"


@click.command()
@click.argument("names", nargs=-1, type=click.Choice([*CHANGES, RELEASE]))
def main(names: tuple[str, ...]) -> None:
    """Run pull-request.yml and report.yml on honest, prose, red or crash, or what a release runs.

    All when none is named. Exit status 1 where a check ends otherwise than it should, no comment
    was posted, or a release came to no end.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    os.environ.update(workspace.QUIET)
    folder = fresh(ROOT / STATE / "workflow")
    click.echo("building a small repository …", err=True)
    source = build(folder / "source")
    named = names or (*CHANGES, RELEASE)
    changes = [name for name in named if name != RELEASE]
    wrong = [name for name in changes if not _as_it_should(source, folder, name)]
    if RELEASE in named and not _released(source, folder / RELEASE):
        wrong.append(RELEASE)
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


def _released(source: Path, folder: Path) -> bool:
    """From a merge to production's pull request; a line a job says how long it took."""
    click.echo("release:")
    with world(source, folder) as place:
        for done in (place.release(), place.told("staging", "promoted")):
            for name, result in done.items():
                click.echo(f"  {name}: {result.result}, {result.seconds:.0f} s")
        opened = [each["title"] for each in place.fake.pulls]
    click.echo(f"  opened: {', '.join(opened) or 'no pull request'}")
    return bool(opened)


main()
