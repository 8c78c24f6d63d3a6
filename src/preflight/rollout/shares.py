"""Is a share, of errors or slow answers, higher in the canary? Sequential tests of two rates.

Given the failures between two looks, each fell on the canary with probability `rho r / (rho r + 1
- rho)`, where `rho` is the canary's share of the requests between them and `r` the ratio of its
failure rate to the stable arm's. What hits both arms at once cancels. Sources: Robbins (1970);
Lindon and Malek (2022) for counts of arms. Failures clump by entity, which this likelihood does
not know: log-evidence is divided by their dispersion.

Arrays may have leading axes: many rollouts at once.
"""

from dataclasses import dataclass

import numpy as np

from preflight.rollout import blocks
from preflight.rollout.limits import Worse
from preflight.rollout.observed import CANARY, Array, Counts
from preflight.rollout.sequential import mixed

RATIOS = np.exp(np.linspace(np.log(0.02), np.log(50), 49))
WORSE = np.where(RATIOS > 1, RATIOS**-0.5, 0.0)
NO_WORSE = np.where(RATIOS <= 1.01, 1 / (1 + (np.log(RATIOS) / 0.3) ** 2), 0.0)
FINE = np.exp(np.linspace(np.log(0.02), np.log(50), 401))  # of the interval
# Rates far below an amount, as parts of it: where there are no failures the first is the truth.
FEW, FEW_WEIGHTS = np.array([0.02, 0.2, 0.5]), np.array([0.6, 0.2, 0.2])
AMOUNT_WEIGHT = 0.25  # of the evidence by the amount; by the ratio the rest


@dataclass(frozen=True)
class Evidence:
    """Of one share at each look, arrays of shape (..., looks).

    `worse` is the log-evidence against "no worse", `fine` that against "worse by the margin";
    `blocks` counts those in which the canary failed.
    """

    worse: Array
    fine: Array
    blocks: Array


def evidence(counts: Counts, margin: Worse, dispersion: Array) -> Evidence:
    """Evidence from cumulative counts of shape (..., looks, arms, blocks).

    `dispersion` is `blocks.dispersion` of them, or another of shape (..., looks); 1 for the plain
    test, which takes each request for independent.
    """
    each = _likelihood(counts, np.append(RATIOS, margin.max_ratio))
    logs = np.cumsum(each, axis=-2) / dispersion[..., np.newaxis]
    limit, logs = logs[..., -1], logs[..., :-1]
    return Evidence(
        worse=mixed(logs, WORSE),
        fine=np.logaddexp(
            mixed(logs, NO_WORSE) - limit + np.log(1 - AMOUNT_WEIGHT),
            _below(counts, margin.max_amount) / dispersion + np.log(AMOUNT_WEIGHT),
        ),
        blocks=(counts.hits[..., CANARY, :] > 0).sum(axis=-1),
    )


def interval(counts: Counts, dispersion: float, level: float = 0.05) -> tuple[float, float]:
    """The ends of the ratio at the last look of (looks, arms, blocks), for all looks at once.

    Ratios that a mixture over all has not become 1 / `level` times as likely as.
    """
    logs = _likelihood(counts, FINE).sum(axis=-2) / dispersion
    inside = FINE[mixed(logs, np.ones_like(FINE)) - logs < np.log(1 / level)]
    return float(inside[0]), float(inside[-1])


def _likelihood(counts: Counts, ratios: Array) -> Array:
    """Log-likelihood of ratios to that of 1, between looks: (..., looks, ratios)."""
    whole = Counts(*(each.sum(axis=-1, keepdims=True) for each in (counts.hits, counts.total)))
    ended = blocks.closed(whole)
    hits, total = (blocks.steps(each)[..., 0] for each in (ended.hits, ended.total))
    every = total.sum(axis=-1)
    rho = np.where(every > 0, total[..., CANARY] / np.where(every > 0, every, 1.0), 0.0)
    failed = hits.sum(axis=-1)[..., np.newaxis] * np.log1p(rho[..., np.newaxis] * (ratios - 1))
    found: Array = hits[..., CANARY, np.newaxis] * np.log(ratios) - failed
    return found


def _below(counts: Counts, amount: float) -> Array:
    """Log-evidence that the canary's rate is below an amount, by its own counts alone.

    Whatever the stable rate is, worse by the amount is at least the amount: where neither arm
    fails there is no ratio, and this decides, after some `1.6 log(1 / beta) / amount` requests.
    """
    hits, total = (each[..., CANARY, :].sum(axis=-1) for each in (counts.hits, counts.total))
    logs = hits[..., np.newaxis] * np.log(FEW) - (FEW - 1) * amount * total[..., np.newaxis]
    return mixed(logs, FEW_WEIGHTS)


def growth(counts: Counts, margin: Worse) -> float:
    """By how much `fine` grows with each request of a canary that fails as often as stable.

    From the last look's rates, before dispersion; 0 where an arm has no requests. The
    Kullback-Leibler divergence of no worse from worse by the ratio, or by the amount.
    """
    hits, total = (each[-1].sum(axis=-1) for each in (counts.hits, counts.total))
    if not total.all():
        return 0.0
    rho, rate = total[CANARY] / total.sum(), hits.sum() / total.sum()
    worse = rho * margin.max_ratio / (rho * margin.max_ratio + 1 - rho)
    parted = rho * np.log(rho / worse) + (1 - rho) * np.log((1 - rho) / (1 - worse))
    few = min(max(rate, FEW[0] * margin.max_amount), margin.max_amount)
    below = margin.max_amount - few + few * np.log(few / margin.max_amount)
    return float(max(rate / rho * parted, below))
