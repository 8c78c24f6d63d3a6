"""Are the labels of two arms comparable? Only where outcomes come for both alike.

A candidate whose wrong answers never get an outcome looks good. Pairs of a shadow share their
outcome; the arms of a canary do not.
"""

import numpy as np

from preflight.rollout import blocks, shares
from preflight.rollout.limits import Limits, Worse
from preflight.rollout.observed import CANARY, STABLE, Array, Counts
from preflight.rollout.sequential import mixed
from preflight.rollout.verdict import Metric

MARGIN = Worse(max_ratio=2.0, max_amount=0.01)  # nothing is promoted by it


def compared(found: Counts, limits: Limits) -> Metric:
    """Of labelled ones (`hits`) among mature predictions (`total`), as `judge` takes them.

    State "worse" says that the arms are not comparable: then judge no model error.
    """
    worse = float(_unlike(found, limits).max()) / np.log(1 / limits.max_false_abort)
    total = found.total[-1].sum(axis=-1)
    of_arm = found.hits[-1].sum(axis=-1) / np.maximum(total, 1.0)
    stable, canary = (float(of_arm[arm]) if total[arm] else None for arm in (STABLE, CANARY))
    what = "the labels of the arms are not comparable, and model error is not judged by them"
    return Metric(
        name="label coverage",
        state="worse" if worse >= 1 else "open",
        worse=max(worse, 0.0),
        stable=stable,
        canary=canary,
        ratio=canary / stable if canary is not None and stable else None,
        said=(
            f"{of_arm[CANARY]:.1%} of the canary's mature predictions and {of_arm[STABLE]:.1%} of "
            f"stable's have an outcome: {what if worse >= 1 else 'no sign of a difference'}."
        ),
    )


def _unlike(found: Counts, limits: Limits) -> Array:
    """Log-evidence at each look that the arms' shares differ, either way.

    Both the labelled and the others are looked at: of 98 and 95% the ratio shows nothing, of 2
    and 5% it shows.
    """
    capped = blocks.capped(found, limits.max_traffic_ratio)
    logs = []
    for hits in (capped.hits, capped.total - capped.hits):
        for turn in (1, -1):
            one = Counts(hits[..., ::turn, :], capped.total[..., ::turn, :])
            each = shares.evidence(one, MARGIN, blocks.dispersion(one))
            logs.append(np.where(each.blocks > limits.max_clumped, each.worse, 0.0))
    return mixed(np.stack(logs, axis=-1), np.ones(len(logs)))
