"""`make faults`: plant every fault and make every honest change; print what the gates said.

`--part COMMIT` takes a small part, chosen by the commit's hash; names choose faults.
"""

import hashlib
import os
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import click
from tqdm import tqdm

from faults import house, study, world
from faults.catalogue import FAULTS
from faults.fault import Fault, ReleaseFault
from faults.honest import Honest, generated
from faults.releases import RELEASES
from faults.study import PLANTED
from preflight import workspace
from preflight.deploy import lint
from preflight.gates import TIMED
from preflight.layout import STATE

Planted = list[Fault | ReleaseFault]
JOBS = 2
FAULT_PART, TIMED_PART, HONEST_PART = 7, 1, 6
EVERY = 20


@click.command()
@click.option("--part", help="Take a small part, chosen by this commit's hash.")
@click.option("--write/--no-write", default=False, help="Write the table into docs/gates.md.")
@click.argument("names", nargs=-1)
def main(part: str | None, write: bool, names: tuple[str, ...]) -> None:
    """Run the study; exit 1 when a fault got through or too many honest changes were stopped."""
    os.environ.update(workspace.QUIET)
    # Trials lie elsewhere: they find this checkout's tools on the path.
    os.environ["PATH"] = f"{house.ROOT / STATE / 'go'}{os.pathsep}{os.environ['PATH']}"
    start = time.monotonic()
    faults, honest = chosen(part, names)
    faults = [each for each in faults if possible(each)]
    if part:
        click.echo(f"faults: a part chosen by commit {part[:12]}:", err=True)
        for name in [*(each.name for each in faults), *(each.name for each in honest)]:
            click.echo(f"  {name}", err=True)
    click.echo(f"faults: {len(faults)} planted, {len(honest)} honest changes", err=True)
    with TemporaryDirectory(prefix="preflight-faults-") as folder:
        place = Path(folder).resolve()
        click.echo("faults: building the house …", err=True)
        house.build(place / "house")
        if any(isinstance(each, ReleaseFault) for each in faults):
            click.echo("faults: releasing it to production …", err=True)
            world.build(place / "house", place / "world")
        outcomes = _all(place, faults, honest)
        power = study.power(place / "house") if honest and not part else None
    said = study.Study(tuple(outcomes), power, time.monotonic() - start)
    click.echo(said.text())
    if write:
        click.echo(said.write(house.ROOT / "docs/gates.md"), err=True)
    sys.exit(0 if said.green else 1)


def chosen(part: str | None, names: Sequence[str]) -> tuple[Planted, list[Honest]]:
    """The faults and honest changes of a run: all, those named, or a commit's part."""
    if names:
        known = {each.name: each for each in PLANTED}
        others = {each.name: each for each in generated()}
        if odd := [name for name in names if name not in known | others]:
            raise click.UsageError(f"no fault and no honest change is named {odd[0]!r}")
        return [known[n] for n in names if n in known], [others[n] for n in names if n in others]
    if part is None:
        return list(PLANTED), generated()
    shuffled = sorted(_group(part), key=lambda each: _hash(part, each.name))
    faults = [each for each in shuffled if each.gate not in TIMED][:FAULT_PART]
    faults += [each for each in shuffled if each.gate in TIMED][:TIMED_PART]
    honest = sorted(generated(), key=lambda each: _hash(part, each.name))[:HONEST_PART]
    return faults, honest


def _group(part: str) -> Sequence[Fault | ReleaseFault]:
    """Faults of gates or of releases, by their numbers: a released world takes a minute."""
    drawn = int(_hash(part, "group"), 16) % len(PLANTED)
    return RELEASES if drawn < len(RELEASES) else FAULTS


def possible(fault: Fault | ReleaseFault) -> bool:
    """Whether a fault's tool is there, or required; one that is left out is told."""
    if not fault.tool or lint.required() or shutil.which(fault.tool):
        return True
    click.echo(f"faults: left out, as there is no {fault.tool}: {fault.name}", err=True)
    return False


def _hash(part: str, name: str) -> str:
    return hashlib.sha256(f"{part} {name}".encode()).hexdigest()


def _all(place: Path, faults: Planted, honest: list[Honest]) -> list[study.Outcome]:
    tasks = [study.Task(place, fault=each.name) for each in faults]
    tasks += [study.Task(place, honest=each.name) for each in honest]
    order = {(task.fault or task.honest): number for number, task in enumerate(tasks)}
    outcomes = []
    bar = tqdm(total=len(tasks), disable=None, unit="trial")
    for outcome in _run(tasks, {each.name for each in faults if each.gate in TIMED}):
        outcomes.append(outcome)
        bar.update()
        if not sys.stderr.isatty() and len(outcomes) % EVERY == 0:  # a log shows no bar
            click.echo(f"faults: {len(outcomes)} of {len(tasks)}", err=True)
        if not outcome.right:
            tqdm.write(f"  {outcome.name}: {outcome.said}", file=sys.stderr)
    bar.close()
    return sorted(outcomes, key=lambda each: order[each.name])


def _run(tasks: list[study.Task], timed: set[str]) -> Iterator[study.Outcome]:
    """Trials side by side, but for those that measure time."""
    beside = [task for task in tasks if task.fault not in timed]
    alone = [task for task in tasks if task.fault in timed]
    for jobs, some in ((JOBS, beside), (1, alone)):
        with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
            waiting = [pool.submit(study.run, task) for task in some]
            yield from (done.result() for done in as_completed(waiting))


if __name__ == "__main__":
    main()
