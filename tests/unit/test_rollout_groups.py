"""A/B: a is better, b is better, or undecided, which says what can still be."""

from dataclasses import replace
from typing import Literal

import numpy as np
import pytest
from numpy.random import default_rng

from preflight.rollout.groups import Aim, Groups, compare
from preflight.rollout.observed import Array, Counts

AIM = Aim("fare", "higher", scale=0.5)
LOOKS, ENTITIES, BLOCKS = 50, 2000, 32


def asked(more: float, seed: int, share: float = 0.5, own: float = 1.0) -> Groups:
    """Groups whose entities ask some five times each, group b with so much more a request."""
    random = default_rng(seed)
    group, block = (random.random(ENTITIES) < share) * 1, random.integers(0, BLOCKS, ENTITIES)
    many = random.poisson(0.1, (LOOKS, ENTITIES))
    mean = 10 + own * random.normal(size=ENTITIES) + more * group
    whole = random.normal(many * mean, 3 * np.sqrt(many))
    first = np.diff(many.cumsum(axis=0) > 0, axis=0, prepend=False)

    def folded(values: Array) -> Array:
        sums = np.zeros((2, BLOCKS, LOOKS))
        np.add.at(sums, (group, block), values.T)
        return np.moveaxis(sums, -1, 0).cumsum(axis=0)

    requests = folded(many.astype(float))
    bins = np.stack([requests * 0.4, requests * 0.6], axis=-1)
    return Groups(Counts(folded(whole), requests), requests, folded(first.astype(float)), bins)


@pytest.mark.parametrize(
    ("more", "better", "result"),
    [
        (0.8, "higher", "b is better"),
        (-0.8, "higher", "a is better"),
        (0.8, "lower", "a is better"),
        (0.0, "higher", "undecided"),
    ],
)
def test_the_better_group_is_named_and_no_difference_is_undecided(
    more: float, better: Literal["higher", "lower"], result: str
) -> None:
    found = compare(asked(more, seed=1), replace(AIM, better=better), max_shift=0.1)
    interval = found.metrics[0].interval
    assert found.result == result
    assert interval is not None
    assert interval[0] <= more <= interval[1]


def test_undecided_says_how_large_a_difference_is_excluded() -> None:
    found = compare(asked(0.0, seed=2), AIM, max_shift=0.1)
    interval = found.metrics[0].interval
    assert interval is not None
    assert found.reason.startswith("Undecided: fare is ")
    assert (
        f"a difference above {max(-interval[0], interval[1]):.2g} can be excluded" in found.reason
    )


def test_equal_groups_are_seldom_told_apart_at_any_look_seeds_0_to_39() -> None:
    found = [compare(asked(0.0, seed), AIM, max_shift=0.1) for seed in range(40)]
    assert sum(each.result != "undecided" for each in found) <= 2
    assert sum(each.metrics[1].state == "worse" for each in found) <= 2


def test_a_result_stands_though_the_last_look_is_less_clear() -> None:
    known = asked(1.0, seed=3)
    late = asked(-3.0, seed=4)
    both = Counts(
        np.concatenate([known.measured.hits, known.measured.hits[-1] + late.measured.hits]),
        np.concatenate([known.measured.total, known.measured.total[-1] + late.measured.total]),
    )
    assert compare(replace(known, measured=both), AIM, max_shift=0.1).result == "b is better"


def test_an_unequal_split_concludes_nothing() -> None:
    found = compare(asked(0.8, seed=5, share=0.6), AIM, max_shift=0.1)
    assert found.result == "undecided"
    assert "the split is not equal" in found.reason
    assert found.metrics[0].interval is not None


def test_a_group_that_asks_more_often_is_told() -> None:
    even = asked(0.0, seed=6)
    more = replace(even, requests=even.requests * [[1.0], [1.5]])
    states = [compare(each, AIM, max_shift=0.1).metrics[2].state for each in (even, more)]
    assert states == ["open", "worse"]


def test_predictions_that_differ_between_the_groups_are_told() -> None:
    even = asked(0.0, seed=7)
    other = np.stack([even.requests * 0.4, even.requests * 0.6], axis=-1)
    other[:, 1] = other[:, 1, :, ::-1]
    near, far = (
        compare(replace(even, bins=bins), AIM, max_shift=0.1).metrics[3]
        for bins in (even.bins, other)
    )
    assert (near.state, far.state) == ("open", "worse")
    assert far.ratio == pytest.approx(0.2)


def test_a_few_entities_are_too_few() -> None:
    found = asked(0.8, seed=8)
    few = Counts(found.measured.hits * 0, found.measured.total * 0)
    told = compare(replace(found, measured=few), AIM, max_shift=0.1)
    assert told.result == "undecided"
    assert told.reason == "Undecided: too few entities of both groups have a fare yet (0 do)."
