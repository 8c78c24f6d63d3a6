"""Paired shadow: did the candidate lose more than the champion, on the same requests?

A pair shares its outcome, so what makes a request hard to predict cancels: of losses only the
difference is tested. Pairs stand in the order of predictions, all older than one maturity, never
in the order of labels: early labels are of other requests than late ones.

Evidence is capital: a part of it is staked on the sign of each difference, and under the null
hypothesis it does not grow in the mean, however losses are distributed. Source: Waudby-Smith and
Ramdas (2024), section 4, with a fixed mixture of stakes. Differences clump by entity, which no
stake knows: log-evidence is divided by their dispersion over entity blocks, as in `shares`.

Arrays may have leading axes: many rollouts at once.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from preflight.rollout import blocks
from preflight.rollout.intervals import clustered
from preflight.rollout.observed import Array
from preflight.rollout.sequential import mixed
from preflight.serving.metrics import ENTITY_BUCKETS

Places = NDArray[np.int64]
# Parts of the capital. A difference less its null is above -1, so that none loses all.
STAKES = np.geomspace(0.05, 0.95, 6)
STEP, MOST = 50, 200  # pairs between looks, and looks


@dataclass(frozen=True)
class Pairs:
    """Requests that both models answered, in the order of predictions, arrays of shape (pairs,).

    Answers and `outcome` are in the target's unit, `outcome` NaN where none is known; `block` is
    the entity's, from 0. All are older than one maturity. `single` counts requests that were
    meant for both and have not one answer of each.
    """

    stable: Array
    shadow: Array
    outcome: Array
    block: Places
    single: int = 0

    def labelled(self) -> "Pairs":
        """Those whose outcome is known."""
        known = ~np.isnan(self.outcome)
        stable, shadow, outcome = (each[known] for each in (self.stable, self.shadow, self.outcome))
        return Pairs(stable, shadow, outcome, self.block[known])


@dataclass(frozen=True)
class Evidence:
    """At each look, arrays of shape (..., looks).

    `worse` is the log-evidence that the candidate loses more in the mean, `fine` that it loses
    more by less than the margin. `mean` is of the differences, with its `variance` by blocks;
    `ahead` counts the blocks in which the candidate lost more, `blocks` those with pairs.
    """

    worse: Array
    fine: Array
    dispersion: Array
    mean: Array
    variance: Array
    ahead: Places
    blocks: Places


def evidence(difference: Array, block: Places, margin: float, most: float) -> Evidence:
    """Evidence from losses of the candidate less the champion's, from -1 to 1: (..., pairs).

    `block` is the entity block of each, of the same shape, and `most` caps a block's traffic as
    `blocks.weights` has it. For looks see `ends`.
    """
    found = ends(difference.shape[-1])
    total = by_block(np.ones_like(difference), block, found)
    weight = _of_pairs(blocks.weights(total[..., np.newaxis, :], most)[..., 0, :], block, found)
    lost = weight * difference
    sums, many = by_block(lost, block, found), by_block(weight, block, found)
    mean, variance = clustered(sums, many)
    alone = np.cumsum(lost**2, axis=-1)[..., found - 1] - mean**2 * many.sum(axis=-1)
    seen = many.sum(axis=-1) ** 2 * np.where(np.isinf(variance), 0.0, variance)
    dispersion = np.where(alone > 0, np.maximum(1.0, seen / np.where(alone > 0, alone, 1.0)), 1.0)
    return Evidence(
        worse=capital(lost, found) / dispersion,
        fine=capital(weight * (margin - difference), found) / dispersion,
        dispersion=dispersion,
        mean=mean,
        variance=variance,
        ahead=(sums > 0).sum(axis=-1),
        blocks=(many > 0).sum(axis=-1),
    )


def ends(pairs: int) -> Places:
    """Of how many pairs each look knows, ascending, the last one of all.

    Looks of few pairs stand where they stood when there were fewer, so that what was judged once
    is judged the same later: their distance doubles and never drifts.
    """
    step = STEP
    while pairs > MOST * step:
        step *= 2
    return np.append(np.arange(step, pairs, step), pairs)


def capital(gains: Array, found: Places) -> Array:
    """Log of the capital at looks (..., looks), from 1, after gains above -1: (..., pairs).

    Where gains are 0 in the mean it is a martingale, where they are below a supermartingale.
    """
    logs = [np.cumsum(np.log1p(stake * gains), axis=-1)[..., found - 1] for stake in STAKES]
    return mixed(np.stack(logs, axis=-1), np.ones_like(STAKES))


def by_block(values: Array, block: Places, found: Places) -> Array:
    """Sums of values (..., pairs) since the start by block, at looks: (..., looks, blocks)."""
    many, looks = values.shape[-1], len(found)
    run = np.arange(values.size // max(many, 1))[:, np.newaxis] * looks
    place = (run + _looks(many, found)) * ENTITY_BUCKETS + block.reshape(-1, many)
    size = len(run) * looks * ENTITY_BUCKETS
    sums = np.bincount(place.ravel(), values.ravel(), minlength=size)
    return sums.reshape(*values.shape[:-1], looks, ENTITY_BUCKETS).cumsum(axis=-2)


def _of_pairs(weight: Array, block: Places, found: Places) -> Array:
    """The weight of each pair, from those of its look and block."""
    place = _looks(block.shape[-1], found) * ENTITY_BUCKETS + block
    return np.take_along_axis(weight.reshape(*weight.shape[:-2], -1), place, axis=-1)


def _looks(pairs: int, found: Places) -> Places:
    return np.searchsorted(found, np.arange(pairs), side="right")
