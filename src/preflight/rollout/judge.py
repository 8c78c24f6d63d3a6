"""The judge: promote, abort or continue, from what both arms have done since the start.

A pure function, asked as often as one likes: it keeps nothing, and decides as one who had looked
each time. It aborts once a metric's evidence against "no worse" has passed tests /
max_false_abort, and promotes while every metric's evidence against "worse by the margin" stands
above 1 / max_false_promotion. Missing data does neither.
"""

from collections.abc import Iterator, Sequence
from math import ceil, log

import numpy as np

from preflight.rollout.limits import Limits
from preflight.rollout.means import BLOCKS
from preflight.rollout.metrics import Tested, tested
from preflight.rollout.observed import CANARY, STABLE, Counts, Observed
from preflight.rollout.stops import stops
from preflight.rollout.verdict import Metric, Result, State, Verdict, listed
from preflight.rollout.words import said

# What must be known to promote; outcomes mostly come too late for it.
NEEDED = ("errors", "slow", "fallbacks", "flags", "unreached", "lost", "widths", "predictions")


def judge(found: Observed, limits: Limits, labelled: Counts | None = None) -> Verdict:
    """The verdict at the last look.

    `labelled` counts answers that were wrong among those whose outcome is known, of shape (looks,
    arms, blocks), with looks in the order of predictions: it can abort and need not promote.
    """
    if not len(found.times):
        return Verdict("continue", "Nothing was read of both arms yet.", missing=found.missing)
    metrics = tuple(_metric(each, limits) for each in tested(found, limits, labelled))
    requests = found.shares["errors"].total[-1].sum(axis=-1)
    ended = stops(found, limits)
    waits = tuple(_waits(found, limits, metrics))
    result, reason = _decided(ended, metrics, waits, int(requests[CANARY]))
    return Verdict(
        result=result,
        reason=reason,
        at=float(found.times[-1]),
        looks=len(found.times) - 1,
        requests=(int(requests[STABLE]), int(requests[CANARY])),
        metrics=metrics,
        stops=ended,
        waits=waits,
        missing=found.missing,
    )


def _decided(
    ended: Sequence[str], metrics: Sequence[Metric], waits: Sequence[str], requests: int
) -> tuple[Result, str]:
    worse = [each for each in metrics if each.state == "worse"]
    if ended:
        return "abort", ended[0]
    if worse:
        return "abort", max(worse, key=lambda each: each.worse).said
    if waits:
        return "continue", waits[0]
    return "promote", (
        f"After {requests:,} requests of its own the canary is worse by the margin in none of "
        f"{len(metrics)} metrics."
    )


def _metric(found: Tested, limits: Limits) -> Metric:
    """What the evidence comes to; once enough to abort, it stands."""
    abort, promote = log(limits.tests / limits.max_false_abort), log(1 / limits.max_false_promotion)
    worse = float(found.worse.max()) / abort
    fine = None if found.fine is None else float(found.fine[-1]) / promote
    state: State = "open"
    if worse >= 1:
        state = "worse"
    elif fine is not None and fine >= 1:
        state = "fine"
    more = None
    if fine is not None and state == "open" and found.growth > 0:
        more = ceil((1 - fine) * promote / found.growth)
    return Metric(
        name=found.name,
        state=state,
        worse=max(worse, 0.0),
        fine=None if fine is None else max(fine, 0.0),
        stable=found.stable,
        canary=found.canary,
        ratio=found.ratio,
        interval=found.interval,
        dispersion=found.dispersion,
        more=more,
        said=said(found, state, more, limits),
    )


def _waits(found: Observed, limits: Limits, metrics: Sequence[Metric]) -> Iterator[str]:
    """What promotion waits for, most pressing first."""
    if found.stale > limits.max_stale_seconds:
        yield f"Both arms were last read {found.stale:,.0f} s ago: nothing is known since."
    if found.stale < -limits.max_stale_seconds:
        yield f"Both arms were last read {-found.stale:,.0f} s in the future: a clock is wrong."
    asked = found.shares["errors"].total[-1]
    canary, filled = asked[CANARY].sum(), int((asked > 0).sum(axis=-1).min())
    needed = max(BLOCKS, limits.max_clumped + 1)
    if canary < limits.min_requests:
        yield f"{canary:,.0f} requests of the canary; {limits.min_requests:,} are needed."
    elif filled < needed:
        yield (
            f"{filled} of {asked.shape[-1]} entity buckets had requests in both arms; {needed} are "
            "needed to tell a release from a caller: send X-Entity-Id, or give a larger weight."
        )
    known = {each.name for each in metrics}
    if unknown := [name for name in NEEDED if name not in known]:
        yield f"There is no data on {listed(unknown)}: without it nothing is promoted."
    if found.bins.size:
        stable, ours = found.bins[-1].sum(axis=1)
        seen = stable[ours > 0].sum() / max(stable.sum(), 1)
        if seen < limits.min_seen:
            yield (
                f"The canary has answered in bins with {seen:.0%} of stable's predictions; "
                f"{limits.min_seen:.0%} are needed to speak for all."
            )
    still = [each for each in metrics if each.state == "open" and each.fine is not None]
    yield from (each.said for each in sorted(still, key=lambda each: -(each.more or np.inf)))
