"""The metrics of a rollout: each one's counts, and its evidence at every look."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from preflight.rollout import blocks, means, shares
from preflight.rollout.limits import Limits, Worse
from preflight.rollout.observed import CANARY, STABLE, Array, Counts, Observed, Proxied

OF_ARM = ("errors", "slow", "fallbacks", "flags")
WARM = 50  # requests of the canary, before which slow answers are those of fresh processes


@dataclass(frozen=True)
class Tested:
    """One metric at every look, arrays of shape (looks,).

    `worse` is log-evidence that aborts, minus infinity where too few entities are behind it;
    `fine` that which promotes, None where it need not. `stable`, `canary`, `ratio` and `interval`
    are of the last look, `growth` is how much `fine` gains with each request of a canary that is
    no worse. `few` are the entity buckets behind evidence that would abort, were there more.
    """

    name: str
    worse: Array
    fine: Array | None
    stable: float | None
    canary: float | None
    ratio: float | None
    interval: tuple[float, float] | None
    dispersion: float | None
    growth: float
    few: int | None = None


def tested(found: Observed, limits: Limits, labelled: Counts | None = None) -> Iterator[Tested]:
    """Every metric there is data for; `labelled` are answers that were wrong, by outcomes.

    `labelled` has looks of its own, in the order of predictions.
    """
    most = limits.max_traffic_ratio
    for name in OF_ARM:
        counts = found.shares[name]
        yield _by_bucket(name, blocks.since(counts, WARM) if name == "slow" else counts, limits)
    if found.proxied is not None:
        seen, both = found.seen or found.proxied, found.proxied
        for name, hits, sent in (
            ("unreached", seen.unreached, seen.sent),
            ("lost", lost(both), both.sent),
        ):
            yield _in_time(name, Counts(hits[..., np.newaxis], sent[..., np.newaxis]), limits)
    if found.widths.total[-1].sum():
        yield _widths(blocks.capped(found.widths, most), limits)
    if found.bins.size:
        yield _predictions(found.bins, limits)
    if labelled is not None and len(labelled.total):
        yield _by_bucket("wrong", labelled, limits)


def lost(proxied: Proxied) -> Array:
    """Requests on which the proxy and an arm disagree, of shape (looks, arms).

    The two are not read at the same instant: what the proxy had sent at a look must be counted by
    the next, and what the arm had counted must be known to the proxy by the next.
    """
    before = np.concatenate([np.zeros((1, 2)), proxied.sent[:-1]])
    counted = np.concatenate([np.zeros((1, 2)), proxied.counted[:-1]])
    off = np.maximum(before - proxied.counted, counted - proxied.sent)
    # What the other counted after all was late: what is lost stays lost, and is told once.
    found: Array = np.minimum.accumulate(np.clip(off, 0, proxied.sent)[::-1], axis=0)[::-1]
    return found


def _by_bucket(name: str, counts: Counts, limits: Limits) -> Tested:
    capped = blocks.capped(counts, limits.max_traffic_ratio)
    return _share(name, counts, capped, blocks.dispersion(capped), limits)


def _in_time(name: str, counts: Counts, limits: Limits) -> Tested:
    """A share without buckets: clumps are what comes between two looks."""
    return _share(name, counts, counts, blocks.dispersion_in_time(counts), limits)


def _share(name: str, counts: Counts, capped: Counts, dispersion: Array, limits: Limits) -> Tested:
    margin: Worse = getattr(limits.max_worse, name)
    found = shares.evidence(capped, margin, dispersion)
    many = found.blocks
    if counts.hits.shape[-1] == 1:
        many = np.cumsum(np.diff(counts.hits[:, CANARY, 0], prepend=0) > 0)
    stable, canary = (_rate(counts, arm) for arm in (STABLE, CANARY))
    enough = found.worse[-1] >= np.log(limits.tests / limits.max_false_abort)
    known = stable is not None and canary is not None
    return Tested(
        name=name,
        worse=np.where(many > limits.max_clumped, found.worse, -np.inf),
        fine=None if name == "wrong" else found.fine,
        stable=stable,
        canary=canary,
        ratio=canary / stable if canary is not None and stable else None,
        interval=shares.interval(capped, float(dispersion[-1])) if known else None,
        dispersion=float(dispersion[-1]),
        growth=shares.growth(capped, margin) / float(dispersion[-1]),
        few=int(many[-1]) if many[-1] <= limits.max_clumped and enough else None,
    )


def _rate(counts: Counts, arm: int) -> float | None:
    total = counts.total[-1, arm].sum()
    return float(counts.hits[-1, arm].sum() / total) if total else None


def _widths(counts: Counts, limits: Limits) -> Tested:
    most = limits.max_width_ratio
    same = blocks.matched(counts)
    found = means.difference(same, most)
    mean = same.hits.sum(axis=-1) / np.maximum(same.total.sum(axis=-1), 1e-12)
    scale = np.maximum((most - 1) * mean[:, STABLE], 1e-12)
    worse, fine = means.above(found, 0.0, scale)
    stable, canary = (float(each) for each in mean[-1])
    return Tested(
        name="widths",
        worse=worse,
        fine=fine,
        stable=stable,
        canary=canary,
        ratio=canary / stable if stable else None,
        interval=None,
        dispersion=None,
        growth=float(means.growth(found, counts.total[-1, CANARY].sum())),
    )


def _predictions(bins: Array, limits: Limits) -> Tested:
    total = bins.sum(axis=-1)
    weight = blocks.weights(total, limits.max_traffic_ratio)
    capped = np.cumsum(
        np.diff(bins, axis=0, prepend=np.zeros_like(bins[:1])) * weight[..., None], axis=0
    )
    found = means.shifted(capped, limits.max_shift)
    return Tested(
        name="predictions",
        worse=found.worse,
        fine=found.fine,
        stable=None,
        canary=None,
        ratio=float(found.distance[-1]),
        interval=None,
        dispersion=None,
        growth=float(found.growth),
    )
