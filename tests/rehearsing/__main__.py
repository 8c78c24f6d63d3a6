"""`make rehearse-study`: ten honest rehearsals, and each fault three times; about 35 minutes.

Prints the tables of docs/rehearsal.md; with --write it puts them there. Names choose faults.
"""

import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import click

from preflight import champion, lineage, workspace
from preflight.docs import replaced
from preflight.layout import STATE
from preflight.rehearsal import rehearsed
from preflight.rehearsal.answers import Answer, read
from preflight.rehearsal.faults import FAULTS
from preflight.rehearsal.plan import Release
from preflight.rehearsal.record import Rehearsal
from preflight.rehearsal.rehearse import WARM_SECONDS
from preflight.rehearsal.rehearsed import Wanted
from preflight.restore import restore
from rehearsing.page import Ran, Study

HONEST, TIMES = 10, 3
RISING = {f"{weight}%" for weight in range(1, 100)}
APART = 0.5  # seconds around a change in which requests were under way
PAGE, MARKER = Path("docs/rehearsal.md"), "study"


@click.command()
@click.option("--write/--no-write", default=False, help="Write docs/rehearsal.md.")
@click.option("--honest", default=HONEST, help="How many honest rehearsals.")
@click.argument("faults", nargs=-1)
def main(write: bool, honest: int, faults: tuple[str, ...]) -> None:
    """Run the study; exit 1 where something is not as it was to be."""
    # Else what runs would outlive it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    root = workspace.root()
    stable, candidate = _releases(root)
    wanted = [None] * honest + [name for name in faults or FAULTS for _ in range(TIMES)]
    found: list[Ran] = []
    for place, fault in enumerate(wanted, 1):
        named = replace(candidate, name=f"{candidate.name}-{place}")
        ran = _ran(root, stable, named, Wanted(fault=fault, seed=place))
        found.append(ran)
        said = (
            f"{fault or 'honest'}: {ran.rehearsal.state} ({'; '.join(ran.wrong) or 'as it should'})"
        )
        click.echo(f"rehearse-study: {place} of {len(wanted)}: {said}", err=True)
    study = Study(tuple(found))
    click.echo(study.text())
    if write:
        page = root / PAGE
        page.write_text(replaced(page.read_text(), MARKER, study.text(), str(PAGE)))
    sys.exit(0 if study.held else 1)


def _releases(root: Path) -> tuple[Release, Release]:
    """Champion and candidate of a committed checkout."""
    lineage.require_committed(root)
    restore(root)
    commit = lineage.head(root)
    rival = champion.bring(root, champion.resolve(root, commit))
    return rehearsed.releases(root, commit, rival)


def _ran(root: Path, stable: Release, candidate: Release, wanted: Wanted) -> Ran:
    start = time.monotonic()
    found, _ = rehearsed.between(root, stable, candidate, wanted, lambda _: None)
    seconds = time.monotonic() - start
    answers = read(root / STATE / "rehearsal/traffic/answers.jsonl")
    return Ran(found, seconds, _last(found, answers))


def _last(found: Rehearsal, answers: list[Answer]) -> list[Answer]:
    """What was answered at the last weight before the end: there each cohort is of one size."""
    first = min((each.at for each in answers), default=0.0) + WARM_SECONDS
    risen = [each.at for each in found.events if each.kind == "weight" and each.said in RISING]
    start, end = first + max(risen, default=0.0) + APART, first + found.seconds - APART
    return [each for each in answers if start < each.at < end]


if __name__ == "__main__":
    main()
