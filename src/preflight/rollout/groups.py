"""A/B: two groups of entities of equal size, and which model is better for the business.

The question when both models look good: on a metric that only the world can tell. The unit is the
entity bucket, as everywhere in the judge. "undecided" is a result, and says how large a difference
can still be.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import log
from typing import Literal

import numpy as np
from scipy.special import betaln

from preflight.rollout import means
from preflight.rollout.intervals import half
from preflight.rollout.observed import Array, Counts
from preflight.rollout.verdict import Metric

Result = Literal["a is better", "b is better", "undecided"]
EQUAL = 200.0  # of both parameters of the beta mixture: shares looked for are near a half


@dataclass(frozen=True)
class Groups:
    """What both groups did since the start, by look, group and entity block.

    `measured` holds sums of the metric and the requests that have one, (looks, groups, blocks);
    `requests` and `entities` are numbers of the same shape, of entities those seen until then;
    `bins` predictions by bin of the contract, (looks, groups, blocks, bins).
    """

    measured: Counts
    requests: Array
    entities: Array
    bins: Array


@dataclass(frozen=True)
class Aim:
    """What the metric is, and which way is better.

    `scale` is the difference that would matter, in the metric's unit: intervals are narrowest
    for it, and valid for any.
    """

    name: str
    better: Literal["higher", "lower"]
    scale: float
    level: float = 0.05


@dataclass(frozen=True)
class Compared:
    """The result at the last look, one sentence on it, and the metrics behind it."""

    result: Result
    reason: str
    metrics: tuple[Metric, ...]


def compare(found: Groups, aim: Aim, max_shift: float) -> Compared:
    """Which group is better, with equal groups; `max_shift` bounds how far predictions may differ.

    It is asked as often as one likes: a result that was reached once stands, and is wrong with
    probability `aim.level` at most where the groups do not differ. Where entities are not split
    equally it is undecided, as what parts the groups may be anything.
    """
    split = _split(found.entities, aim.level)
    main, result = _difference(found.measured, aim)
    metrics = (main, split, _asked(found, aim.level), *_predictions(found.bins, max_shift))
    if split.state == "worse":
        return Compared("undecided", split.said, metrics)
    return Compared(result, main.said, metrics)


def _difference(counts: Counts, aim: Aim) -> tuple[Metric, Result]:
    found = means.difference(counts)
    width = half(found.variance, aim.scale, aim.level)
    apart = np.abs(found.estimate) > width
    sign = np.sign(found.estimate[apart.argmax()]) if apart.any() else 0.0
    result: Result = "undecided"
    if sign:
        result = "b is better" if (sign > 0) == (aim.better == "higher") else "a is better"
    estimate, wide = float(found.estimate[-1]), float(width[-1])
    many = int(counts.total[-1].sum())
    a, b = (float(each) for each in _means(counts))
    return Metric(
        name=aim.name,
        state="open",
        worse=float(np.max(np.abs(found.estimate) / width, initial=0.0)),
        stable=a,
        canary=b,
        interval=(estimate - wide, estimate + wide) if np.isfinite(wide) else None,
        said=_said(aim, result, (a, b), (estimate, wide), many),
    ), result


def _said(
    aim: Aim, result: Result, ab: tuple[float, float], ends: tuple[float, float], many: int
) -> str:
    if not np.isfinite(ends[1]):
        return f"Undecided: too few entities of both groups have a {aim.name} yet ({many:,} do)."
    low, high = ends[0] - ends[1], ends[0] + ends[1]
    figures = (
        f"{aim.name} is {ab[0]:.4g} in group a and {ab[1]:.4g} in group b, "
        f"b less a between {low:+.2g} and {high:+.2g}, after {many:,} requests"
    )
    if result != "undecided":
        return f"{result[0].upper()} is better: {figures}."
    return f"Undecided: {figures}; a difference above {max(-low, high):.2g} can be excluded."


def _split(entities: Array, level: float) -> Metric:
    """Whether both groups have the same number of entities: each was drawn by itself.

    Beta-binomial mixture, exact. Sources: Robbins (1970); Lindon and Malek (2022).
    """
    a, b = entities.sum(axis=-1).T
    logs = betaln(EQUAL + a, EQUAL + b) - betaln(EQUAL, EQUAL) + (a + b) * np.log(2)
    worse = max(float(logs.max()), 0.0) / log(1 / level)
    share = float(b[-1] / max(a[-1] + b[-1], 1))
    unequal = "the split is not equal, and nothing is concluded from it"
    return Metric(
        name="entities",
        state="worse" if worse >= 1 else "open",
        worse=worse,
        stable=1 - share,
        canary=share,
        said=(
            f"Group a has {a[-1]:,.0f} entities and group b {b[-1]:,.0f}, {share:.1%}: "
            f"{unequal if worse >= 1 else 'no sign of an unequal split'}."
        ),
    )


def _asked(found: Groups, level: float) -> Metric:
    """Whether entities of one group ask more often: told, as a model may drive them away."""
    counts = Counts(found.requests, found.entities)
    a, b = (float(each) for each in _means(counts))
    each = means.difference(counts)
    width = half(each.variance, max(a / 10, 1e-12), level)
    worse = float(np.max(np.abs(each.estimate) / width))
    estimate, wide = float(each.estimate[-1]), float(width[-1])
    apart = "entities of one group ask more" if worse >= 1 else "no sign of a difference"
    return Metric(
        name="requests",
        state="worse" if worse >= 1 else "open",
        worse=worse,
        stable=a,
        canary=b,
        interval=(estimate - wide, estimate + wide) if np.isfinite(wide) else None,
        said=f"An entity asked {a:.1f} times in group a and {b:.1f} in group b: {apart}.",
    )


def _means(counts: Counts) -> Array:
    """Of both groups at the last look."""
    found: Array = counts.hits[-1].sum(axis=-1) / np.maximum(counts.total[-1].sum(axis=-1), 1.0)
    return found


def _predictions(bins: Array, max_shift: float) -> Iterator[Metric]:
    """How the groups' predictions differ: told, as different models may answer differently."""
    if not bins.size:
        return
    found = means.shifted(bins, max_shift)
    apart = float(found.worse.max()) >= log(20)
    within = "and that is beyond the bound" if apart else "which may be within the bound"
    yield Metric(
        name="predictions",
        state="worse" if apart else "open",
        worse=max(float(found.worse.max()), 0.0) / log(20),
        ratio=float(found.distance[-1]),
        said=(
            f"At the bin's edge where they differ most, the groups differ in "
            f"{found.distance[-1]:.1%} of predictions, {within}, {max_shift:.0%}."
        ),
    )
