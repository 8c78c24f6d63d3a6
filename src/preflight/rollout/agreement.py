"""How far two models' answers are apart, whatever is right: what a shadow says without outcomes."""

import numpy as np

from preflight.rollout.intervals import clustered, half
from preflight.rollout.limits import Limits
from preflight.rollout.observed import Array
from preflight.rollout.paired import Pairs, Places, by_block
from preflight.rollout.verdict import Metric

LEVEL = 0.05  # of intervals


def agreement(pairs: Pairs, limits: Limits) -> Metric:
    """How far both answers are apart, whatever is right: it decides nothing.

    `ratio` is the share of answers that moved by more than `max_error`, `interval` holds the mean
    move, in the target's unit.
    """
    move = pairs.shadow - pairs.stable
    mean, spread = _mean(move, pairs.block, limits.max_error / 10)
    far, wide = _mean((np.abs(move) > limits.max_error).astype(float), pairs.block, 0.01)
    return Metric(
        name="agreement",
        state="open",
        worse=0.0,
        stable=float(pairs.stable.mean()),
        canary=float(pairs.shadow.mean()),
        ratio=far,
        interval=(mean - spread, mean + spread),
        said=(
            f"On {len(move):,} requests the candidate's answer less the champion's is {mean:+.2f} "
            f"on average (give or take {spread:.2f}), beyond {limits.max_error:g} either way in "
            f"{far:.1%} of them (give or take {wide:.1%}), and {np.abs(move).max():.2f} at most."
        ),
    )


def _mean(values: Array, block: Places, scale: float) -> tuple[float, float]:
    """A mean, and half its interval: as if there were one more that differs by 1, at least."""
    last = np.array([len(values)])
    sums, many = (by_block(each, block, last) for each in (values, np.ones_like(values)))
    mean, variance = clustered(sums, many)
    variance = np.maximum(variance, len(values) ** -2.0)
    return float(mean[0]), float(half(variance, scale, LEVEL)[0])
