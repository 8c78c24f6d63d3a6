"""The command over a release that was promoted: was that right, by what then happened?"""

import sys
from datetime import datetime
from typing import TYPE_CHECKING

import click

from preflight.rollout.commands import STATUS, printed, seeing
from preflight.watch.commands import HELP, TIME, folder

if TYPE_CHECKING:
    from preflight.deploy.rollback import Rollback


@click.command(context_settings=HELP)
@click.argument("environment", metavar="ENV")
@click.option(
    "--from", "start", type=TIME, required=True, metavar="TIME", help="Of the promotion, UTC."
)
@click.option(
    "--previous", metavar="RELEASE", help="Its id, version or commit; now the one before."
)
@click.option("--rollback", is_flag=True, help="Commit the rollback when it is worse.")
@click.option("--who", metavar="NAME", help="Who would roll back; now git's user.name.")
def probation(
    environment: str, start: datetime, previous: str | None, rollback: bool, who: str | None
) -> None:
    """Judge a promoted release by what happened, beside the one before on the same inputs.

    Exit status: 0 it is as good, 1 it is worse, 2 more outcomes are needed, or nothing is seen.

    Example: preflight probation production --from 2026-11-20 --rollback
    """
    from preflight import workspace
    from preflight.deploy import rollback as way
    from preflight.deploy.rollback_commands import commit

    place = workspace.root()
    with seeing():
        plan = way.chosen(place, environment, previous)
        _require_promoted(plan)
        if rollback:  # what would keep it from being made is told before the long walk
            way.require_ready(place, plan)
        from preflight.rollout.probation import judged

        found = judged(place, folder(), plan.now, plan.to.release, start)
    click.echo(
        f"{environment}: {plan.now.id} on probation since {start:%Y-%m-%d %H:%M} UTC, beside "
        f"{plan.to.release.id} on the same inputs; promote: it stays, abort: it should go back"
    )
    printed(found)
    if rollback and found.result == "abort":
        click.echo()
        commit(place, plan, f"Probation: {found.reason}", who, None)
    sys.exit(STATUS[found.result])


def _require_promoted(plan: "Rollback") -> None:
    from preflight.errors import Problem

    if plan.now.rollout.verdict != "promoted":
        raise Problem(
            f"release {plan.now.id} in {plan.environment}",
            f"one that is {plan.now.rollout.verdict}",
            "a promoted one",
            "Ask again once its rollout has ended.",
        )
