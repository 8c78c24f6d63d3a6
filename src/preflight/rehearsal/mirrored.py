"""The shadow before a canary: what both releases answered to the same requests, judged in pairs."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from preflight import params
from preflight import project as seam
from preflight.errors import NoData
from preflight.log.view import connect
from preflight.rollout import labelled, limits, shadow
from preflight.rollout.verdict import Verdict
from preflight.watch import outcomes


def judged(settings: Path, log: Path, start: float, end: float) -> Verdict:
    """The verdict on pairs asked between two times, in seconds since 1970.

    `settings` is a params.yaml.
    """
    chosen = params.load(settings)
    target = seam.contract(chosen.project).target
    maturity = timedelta(hours=chosen.outcomes.maturity_hours)
    first, last = datetime.fromtimestamp(start, UTC), datetime.fromtimestamp(end, UTC)
    try:
        window = outcomes.mature(first, last, maturity)
        rows = outcomes.joined(connect(log), window, target)
        return shadow.judge(labelled.pairs(rows), limits.load(settings))
    except NoData as problem:
        return Verdict("continue", str(problem))
