"""`make judge-study`: thousands of rollouts that never happened, judged as real ones are.

Prints the tables of docs/judge.md; with --write it puts them and the plots there.
"""

import sys
import time

import click
from tqdm import tqdm

from judging import parts, whole
from judging.page import Study
from judging.study import ROOT, SEED, load_limits, ran, seeded

FEW = 100  # whole rollouts of each kind


@click.command()
@click.option("--write/--no-write", default=False, help="Write docs/judge.md and its plots.")
def main(write: bool) -> None:
    """Run the study; exit 1 where the judge does not reach what it was to reach."""
    start, limits = time.monotonic(), load_limits()
    # Alone, since it measures time.
    verdict = whole.seconds(limits, seeded("time of a verdict", 0))
    listed = [*parts.identical(limits), *parts.worse(limits), *parts.others(limits)]
    click.echo(f"judge-study: {len(listed)} kinds of rollouts, seed {SEED}", err=True)
    found = {}
    with tqdm(total=len(listed), disable=None, unit="kind") as bar:
        for name, courses in ran(listed):
            found[name] = courses
            bar.update()
            if not sys.stderr.isatty():  # a log shows no bar
                click.echo(f"judge-study: {len(found)} of {len(listed)}: {name}", err=True)
    read = {
        name: whole.results(FEW, seeded(name, 0), limits, rounds)
        for name, rounds in whole.KINDS.items()
    }
    study = Study(found, read, parts.planned(limits), verdict)
    click.echo(study.text())
    for path in study.write(ROOT / "docs/judge.md") if write else ():
        click.echo(f"written: {path.relative_to(ROOT)}", err=True)
    missed = [each.what for each in study.reaches() if not each.held]
    click.echo(
        f"{(time.monotonic() - start) / 60:.1f} minutes; not reached: {'; '.join(missed) or 'none'}"
    )
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
