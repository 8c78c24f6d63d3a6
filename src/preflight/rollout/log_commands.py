"""Commands over the log of a rollout: a shadow by its pairs, two groups by a measure."""

import sys
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import click

from preflight.errors import Problem
from preflight.rollout.commands import STATUS, Above0, printed, seeing
from preflight.watch.commands import FROM, HELP, TO, folder

if TYPE_CHECKING:
    from duckdb import DuckDBPyRelation

    from preflight.contract import Contract


@click.command("judge-shadow", context_settings=HELP)
@FROM
@TO
@click.option("--json", "as_json", is_flag=True, help="A line of JSON.")
def judge_shadow(start: datetime | None, end: datetime | None, as_json: bool) -> None:
    """Say whether a mirrored candidate is as good as stable, on the same requests of the log.

    Exit status: 0 promote, 1 abort, 2 continue.

    Example: preflight judge-shadow --from 2026-11-20
    """
    from preflight import workspace
    from preflight.rollout import labelled, limits, shadow

    with seeing():
        rows, _ = _matured(start, end)
        found = shadow.judge(labelled.pairs(rows), limits.load(workspace.root() / "params.yaml"))
    printed(found, as_json=as_json)
    sys.exit(STATUS[found.result])


@click.command("compare-groups", context_settings=HELP)
@click.option("--measure", required=True, metavar="SQL", help="Of a request, as `outcome`.")
@click.option("--better", type=click.Choice(["higher", "lower"]), required=True)
@click.option(
    "--matters",
    type=Above0(min=0, min_open=True),
    required=True,
    help="The smallest difference that would matter, in the measure's unit.",
)
@FROM
@TO
def compare_groups(
    measure: str, better: str, matters: float, start: datetime | None, end: datetime | None
) -> None:
    """Compare A (stable) with B (canary) by a business measure; "undecided" is a result.

    The measure may use outcome, value, lower, upper, mode and "at" of a prediction.

    Example: preflight compare-groups --measure "abs(value - outcome)" --better lower --matters 0.2
    """
    import duckdb

    from preflight import workspace
    from preflight.rollout import groups, labelled, limits

    rows, contract = _matured(start, end)
    try:
        counted = labelled.groups(rows, measure, contract.target_bins)
    except (duckdb.ProgrammingError, duckdb.DataError) as error:
        said = str(error).splitlines()[0]
        expected = 'SQL over outcome, value, lower, upper, mode and "at"'
        raise Problem(f"--measure {measure}", said, expected, "Mend it.") from None
    found = groups.compare(
        counted,
        groups.Aim(measure, "higher" if better == "higher" else "lower", matters),
        limits.load(workspace.root() / "params.yaml").max_shift,
    )
    click.echo(found.reason)
    for each in found.metrics:
        if each.said != found.reason:
            click.echo(f"- {each.said}")


def _matured(start: datetime | None, end: datetime | None) -> tuple["DuckDBPyRelation", "Contract"]:
    """Predictions that each had one maturity for an outcome."""
    from preflight import params, workspace
    from preflight import project as seam
    from preflight.log.view import connect
    from preflight.watch import outcomes

    chosen = params.load(workspace.root() / "params.yaml")
    contract = seam.contract(chosen.project)
    window = outcomes.mature(start, end, timedelta(hours=chosen.outcomes.maturity_hours))
    return outcomes.joined(connect(folder()), window, contract.target), contract
