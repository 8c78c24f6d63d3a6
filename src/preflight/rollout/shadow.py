"""A verdict on a paired shadow: what both models answered, and what then happened."""

from collections.abc import Iterator, Sequence
from math import ceil, log, sqrt

import numpy as np

from preflight.rollout.agreement import LEVEL, agreement
from preflight.rollout.intervals import half
from preflight.rollout.limits import Limits
from preflight.rollout.observed import Array
from preflight.rollout.paired import Pairs, Places, evidence
from preflight.rollout.verdict import Metric, Result, State, Verdict

TESTS = 2  # metrics that may abort
CAP = 2.0  # times the largest error that is not wrong: beyond, errors count alike


def judge(pairs: Pairs, limits: Limits) -> Verdict:
    """The verdict so far.

    The share of answers further than `max_error` from what happened promotes, where it is not
    higher by `max_paired`; that or the mean squared error aborts, each at half of
    `max_false_abort`. Without outcomes it says how far the answers are apart, and continues.
    """
    many = len(pairs.stable)
    if not many:
        return Verdict("continue", "No request was answered by both models yet.")
    kept = pairs.labelled()
    labelled = len(kept.stable)
    tested = (_wrong(kept, limits), _error(kept, limits)) if labelled else ()
    waits = tuple(_waits(labelled, tested, limits))
    result, reason = _decided(tested, waits, labelled)
    return Verdict(
        result=result,
        reason=reason,
        requests=(many, many),
        metrics=(*tested, agreement(pairs, limits)),
        waits=waits,
        missing=tuple(_missing(pairs, labelled)),
    )


def _wrong(pairs: Pairs, limits: Limits) -> Metric:
    """More answers beyond `max_error`: `interval` holds the difference, as a share of answers."""
    stable, shadow = (
        (np.abs(each - pairs.outcome) > limits.max_error).astype(float)
        for each in (pairs.stable, pairs.shadow)
    )
    margin = limits.max_paired
    found = evidence(shadow - stable, pairs.block, margin, limits.max_traffic_ratio)
    clumped = found.blocks[-1] <= limits.max_clumped
    fine = 0.0 if clumped else float(found.fine[-1]) / log(1 / limits.max_false_promotion)
    worse = _worse(found.worse, found.ahead, limits)
    state: State = "worse" if worse >= 1 else "fine" if fine >= 1 else "open"
    # One pair more that differs must be possible, though none did so far.
    mean, variance = float(found.mean[-1]), max(float(found.variance[-1]), len(stable) ** -2.0)
    growth = max(margin - mean, 0.0) ** 2 / (2 * variance * len(stable))
    more = None
    if state == "open" and growth > 0:
        more = ceil((1 - fine) * log(1 / limits.max_false_promotion) / growth)
    wide = float(half(np.array(variance), margin, LEVEL))
    return Metric(
        name="wrong",
        state=state,
        worse=worse,
        fine=max(fine, 0.0),
        stable=float(stable.mean()),
        canary=float(shadow.mean()),
        ratio=float(shadow.mean() / stable.mean()) if stable.any() else None,
        interval=(mean - wide, mean + wide),
        dispersion=float(found.dispersion[-1]),
        more=more,
        said=(
            f"Of {len(stable):,} labelled requests the candidate was wrong by more than "
            f"{limits.max_error:g} in {shadow.mean():.2%}, the champion in {stable.mean():.2%}: "
            f"{_meaning(state, more, margin)}."
        ),
    )


def _error(pairs: Pairs, limits: Limits) -> Metric:
    """Larger errors, also of answers that stay on their side of `max_error`: it can abort."""
    cap = CAP * limits.max_error
    stable, shadow = (
        np.minimum(np.abs(each - pairs.outcome), cap) ** 2 for each in (pairs.stable, pairs.shadow)
    )
    found = evidence((shadow - stable) / cap**2, pairs.block, 0.0, limits.max_traffic_ratio)
    worse = _worse(found.worse, found.ahead, limits)
    state: State = "worse" if worse >= 1 else "open"
    ours, theirs = sqrt(shadow.mean()), sqrt(stable.mean())
    return Metric(
        name="error",
        state=state,
        worse=worse,
        stable=theirs,
        canary=ours,
        ratio=ours / theirs if theirs else None,
        dispersion=float(found.dispersion[-1]),
        said=(
            f"The candidate's root mean squared error on {len(stable):,} labelled requests is "
            f"{ours:.2f}, the champion's {theirs:.2f} (each error counted up to {cap:g}): "
            f"{'the candidate is worse' if state == 'worse' else 'no sign that it is worse'}."
        ),
    )


def _worse(logs: Array, ahead: Places, limits: Limits) -> float:
    """Evidence as a share of what aborting takes; once it was enough, it stands."""
    spread = np.where(ahead > limits.max_clumped, logs, 0.0)
    return max(float(spread.max()), 0.0) / log(TESTS / limits.max_false_abort)


def _meaning(state: State, more: int | None, margin: float) -> str:
    if state == "worse":
        return "the candidate is worse"
    if state == "fine":
        return f"not worse by the margin, {margin:.1%} of requests"
    if more is None:
        return f"more by the margin, {margin:.1%} of requests, cannot be excluded so far"
    return f"some {more:,} more labels will tell"


def _missing(pairs: Pairs, labelled: int) -> Iterator[str]:
    many = len(pairs.stable)
    if labelled < many:
        yield f"{many - labelled:,} of {many:,} pairs have no outcome, though it was due."
    if pairs.single:
        yield f"{pairs.single:,} requests have not one answer of each model, and are in no pair."


def _waits(labelled: int, tested: Sequence[Metric], limits: Limits) -> Iterator[str]:
    if not labelled:
        yield "No pair that is old enough has an outcome: only agreement is known."
    elif labelled < limits.min_requests:
        yield f"{labelled:,} pairs with an outcome; {limits.min_requests:,} are needed."
    yield from (each.said for each in tested if each.state == "open" and each.fine is not None)


def _decided(tested: Sequence[Metric], waits: Sequence[str], labelled: int) -> tuple[Result, str]:
    worse = [each for each in tested if each.state == "worse"]
    if worse:
        return "abort", max(worse, key=lambda each: each.worse).said
    if waits:
        return "continue", waits[0]
    return "promote", (
        f"After {labelled:,} labelled pairs the candidate is not wrong more often by the margin."
    )
