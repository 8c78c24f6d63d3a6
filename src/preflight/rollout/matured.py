"""Model error of a canary, by the outcomes that its log has, where they can be compared."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from preflight import params
from preflight import project as seam
from preflight.errors import NoData
from preflight.log.view import connect
from preflight.rollout import coverage, labelled
from preflight.rollout.limits import Limits
from preflight.rollout.sources import Found
from preflight.watch import outcomes


def matured(found: Found, log: Path, chosen: params.Params, limits: Limits) -> Found:
    """With the wrong answers among labelled ones since the start, of those of one maturity.

    Where there are none yet, or the arms' labels do not compare, that is told instead.
    """
    maturity = timedelta(hours=chosen.outcomes.maturity_hours)
    target = seam.contract(chosen.project).target
    try:
        window = outcomes.mature(datetime.fromtimestamp(found.started, UTC), None, maturity)
        arms = labelled.arms(outcomes.joined(connect(log), window, target), limits)
    except NoData as problem:
        return replace(found, missing=(*found.missing, f"model error: {problem}"))
    alike = coverage.compared(arms.covered, limits)
    if alike.state == "worse":
        return replace(found, missing=(*found.missing, f"model error: {alike.said}"))
    return replace(found, labelled=arms.wrong)
