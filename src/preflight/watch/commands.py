"""Commands over what the service remembers: the log, and what really happened."""

import os
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from preflight.watch.outcomes import Tally, Window

HELP = {"help_option_names": ["-h", "--help"]}
MOST = 1_000  # rows that a query prints
SHOWN = 10  # contradictory outcomes that a report names
TIME = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"])
FROM = click.option("--from", "start", type=TIME, help="First time of a prediction, UTC.")
TO = click.option("--to", "end", type=TIME, help="Time before which they were made, UTC.")


@click.group(context_settings=HELP)
def log() -> None:
    """The log of predictions and outcomes; in PREFLIGHT_LOG, or .preflight/serving/log."""


@log.command("compact")
def log_compact() -> None:
    """Put ended segments away as Parquet by day; what a living service writes stays as it is.

    Example: preflight log compact
    """
    from preflight.log.compaction import compact

    for done in compact(folder()):
        click.echo(
            f"{done.stream}: {done.records:,} records of {done.segments} segments put away; "
            f"{done.live} still written"
        )
        for name, size in done.torn:
            click.echo(f"{name}: cut a torn line of {size} bytes, never answered", err=True)
        for each in done.damaged[:SHOWN]:
            click.echo(f"{each.segment}, line {each.line}: {each.found}", err=True)
        if done.damaged:
            click.echo(f"{len(done.damaged)} damaged lines: see {done.apart}", err=True)


@log.command("query")
@click.argument("sql")
def log_query(sql: str) -> None:
    """Print what one SELECT over `predictions` and `outcomes` finds; it can only read.

    Example: preflight log query "SELECT arm, count(*), avg(value) FROM predictions GROUP BY arm"
    """
    from preflight.log.query import answer

    names, rows = answer(folder(), sql, MOST + 1)
    click.echo(table(names, rows[:MOST]))
    if len(rows) > MOST:
        click.echo(f"the first {MOST:,} rows; add a LIMIT, or aggregate", err=True)


@click.group(context_settings=HELP)
def outcomes() -> None:
    """What really happened after predictions: labels in files, and quality by them."""


@outcomes.command("import")
@click.argument("file", type=click.Path(path_type=Path))
def outcomes_import(file: Path) -> None:
    """Append outcomes from a file to the log: CSV, Parquet or JSON lines.

    Columns: prediction_id, value and, if you like, `at`, when each was received.

    Example: preflight outcomes import labels.csv
    """
    from preflight.watch.labels import bring

    done = bring(file, folder())
    click.echo(f"{done.outcomes:,} outcomes imported; {done.empty:,} rows have no value")


@outcomes.command("sample")
@click.option("--share", type=click.FloatRange(0, 1, min_open=True), required=True)
@FROM
@TO
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True)
def outcomes_sample(
    share: float, start: datetime | None, end: datetime | None, output: Path
) -> None:
    """Write a share of the predictions that have no outcome to a CSV for people to label.

    Fill the column `value` and bring the file back with `preflight outcomes import`.

    Example: preflight outcomes sample --share 0.01 --from 2021-02-01 --to 2021-03-01 -o todo.csv
    """
    from preflight import params, workspace
    from preflight import project as seam
    from preflight.log.view import connect
    from preflight.watch.labels import sample
    from preflight.watch.outcomes import FIRST

    contract = seam.contract(params.load(workspace.root() / "params.yaml").project)
    stretch = (start or FIRST, end or datetime.now(UTC))
    count = sample(connect(folder()), contract, share, stretch, output)
    click.echo(f"{count:,} predictions to label: {output}")


@outcomes.command("report")
@FROM
@TO
def outcomes_report(start: datetime | None, end: datetime | None) -> None:
    """Print how predictions compare with what happened, of those old enough to have an outcome.

    Example: preflight outcomes report --from 2021-02-01 --to 2021-03-01
    """
    from preflight import params, workspace
    from preflight import project as seam
    from preflight.log.view import connect
    from preflight.watch import outcomes

    chosen = params.load(workspace.root() / "params.yaml")
    maturity = timedelta(hours=chosen.outcomes.maturity_hours)
    window = outcomes.mature(start, end, maturity)
    connection = connect(folder())
    target = seam.contract(chosen.project).target
    rows = outcomes.joined(connection, window, target)
    found = outcomes.tally(connection, window, rows)
    quality, odd = outcomes.quality(rows), outcomes.contradictions(rows).limit(SHOWN)
    click.echo(_counts(found, window))
    if found.contradictory:
        click.echo("\n" + table(odd.columns, odd.fetchall()))
    click.echo(f"\nerrors in {target.unit or target.name}; the last line is all\n")
    click.echo(table(quality.columns, quality.fetchall()))


def _counts(found: "Tally", window: "Window") -> str:
    lines = (
        f"predictions made before {window.end:%Y-%m-%d %H:%M} UTC, {window.maturity} ago or more:",
        f"{found.predictions:,} predictions, {found.coverage:.1%} of them labelled",
        f"{found.received:,} outcomes: {found.labelled:,} count, {found.late:,} came late, "
        f"{found.out_of_range:,} are out of the contract's range, "
        f"{found.duplicates:,} duplicates, {found.contradictory:,} contradictory",
        f"{found.early:,} came before their predictions; {found.unknown:,} of no known prediction",
    )
    return "\n".join(lines)


@click.command(context_settings=HELP)
@click.argument("prediction_id", metavar="[ID]", required=False)
@FROM
@TO
@click.option("--json", "as_json", is_flag=True, help="One line of JSON; a stretch is always so.")
def explain(
    prediction_id: str | None, start: datetime | None, end: datetime | None, as_json: bool
) -> None:
    """Say why a prediction was what it was, by the exact model; or all of a stretch.

    Example: preflight explain 019a9e0c-7a10-7cc2-b1f5-3a1e4d5b6c7d
    """
    from preflight import workspace
    from preflight.log import view
    from preflight.watch import explain

    place = workspace.root()
    if prediction_id:
        found = explain.one(place, view.find(folder(), prediction_id))
        click.echo(explain.line(found) if as_json else explain.shown(found))
        explain.require_agreement([] if found.agrees else [found])
        return
    if start is None or end is None:
        raise click.UsageError("Name a prediction's ID, or a stretch by --from and --to.")
    odd, rows = [], 0
    for found in explain.many(place, view.window(folder(), start, end)):
        rows += 1
        click.echo(explain.line(found))
        odd += [] if found.agrees else [found]
    explain.require_rows(rows)
    explain.require_agreement(odd)


@click.command(context_settings=HELP)
@click.option("--from", "start", type=TIME, required=True, help="First time, UTC.")
@click.option("--to", "end", type=TIME, required=True, help="Time before which, UTC.")
@click.option("--model", metavar="VERSION", help="A registered version; else this tree's model.")
@click.option("--save", metavar="NAME", help="Keep the inputs as data/windows/NAME.parquet.")
def replay(start: datetime, end: datetime, model: str | None, save: str | None) -> None:
    """Answer a stretch of the log again; fails where a model differs from its own answers.

    The differences by slice are also in reports/replay.json.

    Example: preflight replay --from 2026-11-20 --to 2026-11-21 --model 7 --save friday
    """
    from preflight import params, windows, workspace
    from preflight import project as seam
    from preflight.files import write_json
    from preflight.gates import limits
    from preflight.layout import REPORTS
    from preflight.log import view
    from preflight.watch import models
    from preflight.watch.progress import followed
    from preflight.watch.replay import replay, require_same, shown

    place, logged = workspace.root(), folder()
    beyond = limits.load(place / "params.yaml").differential.max_row_shift
    contract = seam.contract(params.load(place / "params.yaml").project)
    target = windows.place(place, save) if save else None
    with models.of_version(place, model) as chosen:
        frames = followed(view.window(logged, start, end), "replay", start, end)
        found = replay(chosen, frames, beyond)
    said = {"from": start.isoformat(), "to": end.isoformat(), "model": model or "this tree's"}
    write_json(place / REPORTS / "replay.json", said | found.as_dict())
    click.echo(shown(found, contract.target.unit or contract.target.name))
    if target:
        frames = followed(view.window(logged, start, end), "save", start, end)
        kept, refused = windows.write(target, contract, frames)
        name = target.relative_to(place)
        click.echo(f"{kept:,} inputs kept, {refused:,} left out; track them: dvc add {name}")
    require_same(found)


@click.command(context_settings=HELP)
@click.argument("address", default="http://127.0.0.1:3000")
@click.option("--last", default="1h", metavar="TIME", help="What is judged: 30m, 1h, 7d; now 1h.")
@click.option("--before", default="7d", metavar="TIME", help="What it is judged by; now 7d.")
def triage(address: str, last: str, before: str) -> None:
    """Tell offline, slow, wrong and changed input apart, by a service and its log.

    Works where the service is down. Exit status: 0 no symptom, 1 some, 2 no data for any.

    Example: preflight triage http://127.0.0.1:3000 --last 30m
    """
    from preflight import params, workspace
    from preflight import project as seam
    from preflight.gates import limits
    from preflight.watch import triage
    from preflight.watch.recent import Span

    place, logged = workspace.root(), folder(needed=False)
    chosen = params.load(place / "params.yaml")
    maturity = timedelta(hours=chosen.outcomes.maturity_hours)
    now = datetime.now(UTC).replace(tzinfo=None)
    span = Span(now, triage.length(last), triage.length(before), maturity)
    contract, judged = seam.contract(chosen.project), limits.load(place / "params.yaml")
    found = triage.triage(place, logged, address, span, contract, judged)
    click.echo(triage.shown(found, address, logged))
    sys.exit(found.status)


def folder(*, needed: bool = True) -> Path:
    """The log's folder, as seen from the checkout.

    Raises Problem for standard output, and where it is `needed` NoData when it is not there.
    """
    from preflight import workspace
    from preflight.errors import NoData, Problem
    from preflight.serving.sinks import PLACE, STANDARD, place

    found, remedy = place(), f"Let {PLACE} name the folder of the records."
    if str(found) == STANDARD:
        raise Problem(PLACE, STANDARD, "a folder that holds the log", remedy)
    if not found.is_absolute() and not os.environ.get(PLACE):
        found = workspace.root() / found
    if needed and not found.is_dir():
        raise NoData(str(found), "no folder", "the log that a service wrote", remedy)
    return found


def table(names: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Rows under the columns' names, aligned, for a terminal."""
    cells = [list(names), *([_cell(each) for each in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ("  ".join(map(str.ljust, row, widths)).rstrip() for row in cells)
    return "\n".join(lines)


def _cell(found: Any) -> str:
    if found is None:
        return "-"
    text = f"{found:.6g}" if isinstance(found, float) else str(found)
    return text if text.isprintable() else repr(text)
