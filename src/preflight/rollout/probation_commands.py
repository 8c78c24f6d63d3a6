"""The command over a release that was promoted: was that right, by what then happened?"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from preflight.deploy.rollback_commands import ENVIRONMENT, WHO, commit, user
from preflight.errors import NoData, Problem
from preflight.rollout.commands import STATUS, printed, seeing
from preflight.watch.commands import HELP, TIME, folder

if TYPE_CHECKING:
    from preflight.deploy.rollback import Rollback
    from preflight.release import Release


@click.command(context_settings=HELP)
@ENVIRONMENT
@click.option(
    "--from", "start", type=TIME, required=True, metavar="TIME", help="Of the promotion, UTC."
)
@click.option(
    "--previous", metavar="RELEASE", help="Its id, version or commit; now the one before."
)
@click.option("--rollback", is_flag=True, help="Commit the rollback when it is worse.")
@WHO
def probation(
    environment: str, start: datetime, previous: str | None, rollback: bool, who: str | None
) -> None:
    """Judge a promoted release by what happened, beside the one before on the same inputs.

    Exit status: 0 it is as good, 1 it is worse, 2 it is too early, or not judged: no data,
    or a mistake, as the error says.

    Example: preflight probation production --from 2026-11-20 --rollback
    """
    from preflight import workspace
    from preflight.deploy import rollback as way
    from preflight.deploy.rollback_commit import require_ready

    place, name = workspace.root(), ""
    with seeing(), _told_apart():
        _require_past(start)
        plan = way.chosen(place, environment, previous, option="--previous")
        now, log = _promoted(plan), _log()
        if rollback:  # what would keep it from being made is told before the long walk
            require_ready(place, plan)
            name = who or user(place)
        from preflight.rollout.probation import judged

        found = judged(place, log, now, plan.to.release, start)
    click.echo(
        f"{environment}: {now.id} on probation since {start:%Y-%m-%d %H:%M} UTC, beside "
        f"{plan.to.release.id} on the same inputs; promote: it stays, abort: it should go back"
    )
    printed(found)
    if rollback and found.result == "abort":
        click.echo()
        commit(place, plan, f"Probation: {found.reason}", name, None)
    sys.exit(STATUS[found.result])


@contextmanager
def _told_apart() -> Iterator[None]:
    """Both exit with 2: words say whether there is nothing to judge by, or the question is odd."""
    try:
        yield
    except Problem as problem:
        why = "no data" if isinstance(problem, NoData) else "a mistake"
        where = f"not judged, {why}: {problem.where}"
        raise NoData(where, problem.found, problem.expected, problem.remedy) from None


def _require_past(start: datetime) -> None:
    now = datetime.now(UTC).replace(tzinfo=None)
    if start > now:
        raise Problem(
            "--from",
            f"{start:%Y-%m-%d %H:%M}, which is to come: it is {now:%Y-%m-%d %H:%M} UTC",
            "when the release was promoted",
            "Say that time, in UTC.",
        )


def _promoted(plan: "Rollback") -> "Release":
    if isinstance(plan.now, Problem):
        raise plan.now
    if plan.now.rollout.verdict != "promoted":
        raise Problem(
            f"release {plan.now.id} in {plan.environment}",
            f"one that is {plan.now.rollout.verdict}",
            "a promoted one",
            "Ask again once its rollout has ended.",
        )
    return plan.now


def _log() -> Path:
    """The log's folder; raises NoData that says how production's comes here."""
    from preflight.serving.sinks import PLACE

    try:
        return folder()
    except NoData as problem:
        remedy = (
            "Copy log/NAMESPACE from the storage to which production's log is shipped "
            f"(docs/log.md), and let {PLACE} name the copy: {PLACE}=production-log preflight …"
        )
        expected = "the predictions and outcomes of that environment"
        raise NoData(problem.where, problem.found, expected, remedy) from None
