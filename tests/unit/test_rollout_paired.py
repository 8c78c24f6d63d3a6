"""A paired shadow: promoted when no worse, aborted when worse, by outcomes in prediction order."""

from pathlib import Path

import numpy as np
import pytest
from numpy.random import Generator, default_rng

from preflight.rollout import limits, shadow
from preflight.rollout.observed import Array
from preflight.rollout.paired import MOST, STEP, Pairs, Places, ends, evidence
from preflight.serving.metrics import ENTITY_BUCKETS

LIMITS = limits.load(Path("params.yaml"))
MARGIN = 0.02
RUNS, ENTITIES = 60, 600
ENOUGH = np.log(2 / LIMITS.max_false_abort)


def blocks(random: Generator, shape: tuple[int, int], tail: float = 0.0) -> tuple[Places, Places]:
    """The entity of each pair of a run, by Zipf's law where there is a tail, and its block."""
    traffic = np.arange(1, ENTITIES + 1.0) ** -tail
    entity = random.choice(ENTITIES, p=traffic / traffic.sum(), size=shape)
    block = random.integers(0, ENTITY_BUCKETS, (shape[0], ENTITIES))
    return entity, np.take_along_axis(block, entity, axis=-1)


def errors(random: Generator, shape: tuple[int, ...]) -> Array:
    """Errors in minutes like those of a model of trips: heavy tails, 24% beyond 5 minutes."""
    return random.normal(0, np.where(random.random(shape) < 0.2, 8.0, 3.6))


def answered(many: int, seed: int, worse: float = 0.0, apart: float = 0.3) -> Pairs:
    """Pairs of two models whose answers differ a little; the candidate's errors grow in a tenth."""
    random = default_rng(seed)
    error = errors(random, (many,))
    stable, other = (error + random.normal(0, apart, many) for _ in range(2))
    other += worse * np.sign(other) * (random.random(many) < 0.1)
    outcome = random.uniform(5, 30, many)
    return Pairs(outcome + stable, outcome + other, outcome, blocks(random, (1, many))[1][0])


def differences(share: float, more: float, shape: tuple[int, ...], random: Generator) -> Array:
    """Differences of two losses of 0 or 1: a share is not 0, and the mean is `more`."""
    chance = random.random(shape)
    up, down = (share + more) / 2, (share - more) / 2
    return np.where(chance < up, 1.0, np.where(chance < up + down, -1.0, 0.0))


def aborted(difference: Array, block: Places, order: Places) -> float:
    """The share of runs with evidence that the candidate is worse, at any look in this order."""
    lost = np.take_along_axis(difference, order, axis=-1)
    found = evidence(lost, np.take_along_axis(block, order, axis=-1), MARGIN, most=3.0)
    return float((found.worse >= ENOUGH).any(axis=-1).mean())


def test_a_candidate_that_is_no_worse_is_promoted() -> None:
    found = shadow.judge(answered(5000, seed=1), LIMITS)
    wrong, error, agreement = found.metrics
    assert found.result == "promote"
    assert (wrong.name, error.name, agreement.name) == ("wrong", "error", "agreement")
    assert wrong.state == "fine"
    assert wrong.interval is not None
    assert wrong.interval[0] < 0 < wrong.interval[1] < MARGIN
    assert not found.waits


def test_errors_that_grow_by_two_minutes_in_a_tenth_of_trips_abort() -> None:
    found = shadow.judge(answered(4000, seed=2, worse=2.0), LIMITS)
    assert found.result == "abort"
    assert {each.name for each in found.metrics if each.state == "worse"} == {"wrong", "error"}
    assert found.reason.endswith("the candidate is worse.")


def test_few_labels_decide_nothing_and_tell_how_many_more_will() -> None:
    found = shadow.judge(answered(400, seed=3), LIMITS)
    assert found.result == "continue"
    assert found.metrics[0].more
    assert f"some {found.metrics[0].more:,} more labels will tell" in found.reason


def test_without_outcomes_the_answers_are_compared() -> None:
    pairs = answered(1000, seed=4)
    shifted = pairs.shadow + 1.0
    none = np.full(1000, np.nan)
    found = shadow.judge(Pairs(pairs.stable, shifted, none, pairs.block), LIMITS)
    (agreement,) = found.metrics
    assert found.result == "continue"
    assert agreement.interval is not None
    assert agreement.interval[0] < 1.0 < agreement.interval[1]
    assert "less the champion's is +1.0" in agreement.said
    assert found.missing == ("1,000 of 1,000 pairs have no outcome, though it was due.",)


def test_models_that_answer_alike_are_promoted_soon_and_nothing_is_certain() -> None:
    pairs = answered(300, seed=11, apart=0.0)
    found = shadow.judge(pairs, LIMITS)
    wrong, _, agreement = found.metrics
    assert found.result == "promote"
    assert wrong.interval is not None
    assert wrong.interval[0] < 0 < wrong.interval[1]
    assert agreement.interval is not None
    assert agreement.interval[0] < 0 < agreement.interval[1]


def test_without_pairs_it_continues() -> None:
    empty = np.zeros(0)
    found = shadow.judge(Pairs(empty, empty, empty, empty.astype(int)), LIMITS)
    assert (found.result, found.metrics) == ("continue", ())


def test_requests_without_both_answers_are_told() -> None:
    pairs = answered(300, seed=5)
    some = Pairs(pairs.stable, pairs.shadow, pairs.outcome, pairs.block, single=7)
    told = shadow.judge(some, LIMITS).missing
    assert told == ("7 requests have not one answer of each model, and are in no pair.",)


def test_pairs_of_a_few_entities_decide_nothing() -> None:
    for worse, apart in ((0.0, 0.0), (5.0, 0.3)):
        pairs = answered(4000, seed=6, worse=worse, apart=apart)
        few = Pairs(pairs.stable, pairs.shadow, pairs.outcome, pairs.block % 4)
        assert shadow.judge(few, LIMITS).result == "continue"


def test_six_percent_of_pairs_apart_are_promoted_within_5000_labels_seed_7() -> None:
    random = default_rng(7)
    shape = (RUNS, 5000)
    same, worse = (
        evidence(differences(0.06, more, shape, random), blocks(random, shape)[1], MARGIN, 3.0)
        for more in (0.0, MARGIN)
    )
    enough = np.log(1 / LIMITS.max_false_promotion)
    assert (same.fine >= enough).any(axis=-1).mean() >= 0.95
    assert (same.worse >= ENOUGH).any(axis=-1).mean() <= 0.05
    assert (worse.fine >= enough).any(axis=-1).mean() <= 0.1
    assert (worse.worse >= ENOUGH).any(axis=-1).mean() >= 0.95


@pytest.mark.parametrize("tail", [0.0, 1.1])
def test_models_that_suit_other_entities_are_seldom_aborted_seed_8(tail: float) -> None:
    random = default_rng(8)
    shape = (2 * RUNS, 3000)
    entity, block = blocks(random, shape, tail)
    suits = random.choice([-1.0, 1.0], (shape[0], ENTITIES))
    difference = np.take_along_axis(suits, entity, axis=-1) * (random.random(shape) < 0.1)
    found = evidence(difference, block, MARGIN, 3.0)
    aborted = ((found.worse >= ENOUGH) & (found.ahead > LIMITS.max_clumped)).any(axis=-1)
    by_request = (found.worse * found.dispersion >= ENOUGH).any(axis=-1)
    assert aborted.mean() <= 0.05
    assert not tail or by_request.mean() > 0.1


def test_differences_that_clump_by_entity_count_for_less() -> None:
    random = default_rng(9)
    alone = differences(0.1, 0.0, (3200,), random)
    clumped = np.repeat(alone[::10], 10)
    block = np.repeat(random.integers(0, ENTITY_BUCKETS, 320), 10)
    assert evidence(clumped, block, MARGIN, 3.0).dispersion[-1] > 4
    assert evidence(alone, block, MARGIN, 3.0).dispersion[-1] < 2


def test_a_block_with_most_of_the_traffic_counts_for_less() -> None:
    random = default_rng(12)
    block = np.where(random.random(3000) < 0.5, 0, random.integers(0, ENTITY_BUCKETS, 3000))
    difference = np.where(block == 0, random.random(3000) < 0.2, 0.0)
    capped, whole = (evidence(difference, block, MARGIN, most).mean[-1] for most in (3.0, 1e9))
    assert whole == pytest.approx(0.1, abs=0.02)
    assert capped < whole / 2


def test_labels_in_the_order_of_arrival_mislead_and_in_the_order_of_predictions_do_not() -> None:
    random = default_rng(10)
    shape = (20, 4000)
    slow = random.random(shape) < 0.3
    # Wrong more often on quick trips and less often on slow ones: as often in all.
    stable = np.where(slow, 0.5, 0.1)
    other = np.where(slow, 0.5 - 0.05 * 0.7 / 0.3, 0.15)
    chance = random.random((2, *shape))
    difference: Array = np.subtract(chance[0] < other, chance[1] < stable, dtype=float)
    block = blocks(random, shape)[1]
    asked = np.broadcast_to(np.linspace(0, 6, shape[1]), shape)  # hours
    arrived = asked + np.where(slow, random.uniform(4, 8, shape), 0.2)
    assert aborted(difference, block, arrived.argsort(axis=-1)) >= 0.5
    assert aborted(difference, block, asked.argsort(axis=-1)) <= 0.05


def test_looks_stand_where_they_stood_and_double_when_they_are_many() -> None:
    assert ends(1).tolist() == [1]
    assert ends(STEP).tolist() == [STEP]
    assert ends(2 * STEP + 1).tolist() == [STEP, 2 * STEP, 2 * STEP + 1]
    before, after = ends(STEP * MOST), ends(STEP * MOST + STEP)
    assert len(before) == MOST
    assert set(after[:-1]) < set(before)
