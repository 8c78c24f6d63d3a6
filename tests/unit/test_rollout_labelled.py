"""From the log to counts of the arms and pairs of the shadow."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from logged import MATURITY, START, outcomes, predictions, write
from preflight.errors import NoData
from preflight.log.view import connect
from preflight.rollout import labelled, limits, shadow
from preflight.watch.outcomes import joined, mature
from taxi.contract import CONTRACT

LIMITS = limits.load(Path("params.yaml"))
LATER = START + timedelta(days=30)
ROWS = 300


def rows_of(folder: Path) -> tuple[Any, Any]:
    """The connection, which must live, and the joined rows."""
    connection = connect(folder)
    window = mature(None, None, MATURITY, LATER)
    return connection, joined(connection, window, CONTRACT.target)


@pytest.fixture(scope="module")
def answered(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """Predictions of stable, the shadow of each, and some of a canary."""
    stable = predictions(ROWS, seed=1, value=10.0)
    for place, each in enumerate(stable):
        each["pair_id"] = f"pair-{place:04}"
    mirrored = predictions(
        ROWS, START + timedelta(milliseconds=5), seed=2, arm="shadow", value=11.0
    )
    for one, other in zip(stable, mirrored, strict=True):
        other["pair_id"], other["entity"] = one["pair_id"], one["entity"]
    canary = predictions(60, START + timedelta(milliseconds=9), seed=3, arm="canary", value=20.0)
    return [*stable, *mirrored, *canary]


@pytest.fixture(scope="module")
def log(
    answered: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Any, Any]]:
    """A log with outcomes of some of stable, of others of the shadow, and of 40 canaries."""
    folder = tmp_path_factory.mktemp("log")
    write(folder, "predictions", answered)
    told = [*answered[100:200], *answered[ROWS + 200 : 2 * ROWS], *answered[2 * ROWS :][:40]]
    write(folder, "outcomes", outcomes(told, value=12.0))
    yield rows_of(folder)


def test_a_pair_is_one_request_with_the_outcome_of_either_answer(log: tuple[Any, Any]) -> None:
    found = labelled.pairs(log[1])
    assert len(found.stable) == ROWS
    assert set(found.stable) == {10.0}
    assert set(found.shadow) == {11.0}
    assert np.isnan(found.outcome[:100]).all()
    assert (found.outcome[100:] == 12.0).all()
    assert found.single == 0


def test_pairs_of_an_entity_share_a_block_in_the_order_of_predictions(
    log: tuple[Any, Any], answered: list[dict[str, Any]]
) -> None:
    found = labelled.pairs(log[1])
    blocks: dict[str, set[int]] = {}
    for each, block in zip(answered[:ROWS], found.block, strict=True):
        blocks.setdefault(each["entity"], set()).add(int(block))
    assert {len(each) for each in blocks.values()} == {1}
    assert len(set().union(*blocks.values())) > 20


def test_batches_and_requests_without_both_answers_are_in_no_pair(tmp_path: Path) -> None:
    batch = predictions(3, seed=4, pair_id="batch")
    mirrored = predictions(3, seed=5, pair_id="batch", arm="shadow")
    alone = predictions(1, seed=6, pair_id="alone") + predictions(1, pair_id="x", arm="shadow")
    both = predictions(1, seed=7, pair_id="both") + predictions(
        1, seed=8, pair_id="both", arm="shadow"
    )
    write(tmp_path, "predictions", [*batch, *mirrored, *alone, *both])
    _connection, rows = rows_of(tmp_path)
    found = labelled.pairs(rows)
    assert (len(found.stable), found.single) == (1, 3)


def test_pairs_of_a_log_are_judged(log: tuple[Any, Any]) -> None:
    found = shadow.judge(labelled.pairs(log[1]), LIMITS)
    assert found.requests == (ROWS, ROWS)
    assert "100 of 300 pairs have no outcome" in found.missing[0]


def test_arms_are_counted_by_block_since_the_start(log: tuple[Any, Any]) -> None:
    found = labelled.arms(log[1], LIMITS)
    assert found.covered.total.shape == (8, 2, 32)  # 360 predictions, 50 between looks
    assert found.covered.total[-1].sum(axis=-1).tolist() == [300, 60]
    assert found.covered.hits[-1].sum(axis=-1).tolist() == [100, 40]
    assert found.wrong.total[-1].sum(axis=-1).tolist() == [100, 40]
    assert found.wrong.hits[-1].sum(axis=-1).tolist() == [0, 40]  # 20 is 8 minutes off
    assert found.covered.total.sum(axis=(1, 2)).tolist() == [50, 100, 150, 200, 250, 300, 350, 360]


def test_groups_hold_the_metric_the_entities_and_the_predictions(
    log: tuple[Any, Any], answered: list[dict[str, Any]]
) -> None:
    found = labelled.groups(log[1], "outcome * 2", (5.0, 10.0, 15.0))
    assert found.measured.hits[-1].sum(axis=-1).tolist() == [2400, 960]
    assert found.measured.total[-1].sum(axis=-1).tolist() == [100, 40]
    assert found.requests[-1].sum(axis=-1).tolist() == [300, 60]
    assert found.bins[-1].sum(axis=1).tolist() == [[0, 300, 0, 0], [0, 0, 0, 60]]
    known = [{each["entity"] for each in rows} for rows in (answered[:ROWS], answered[2 * ROWS :])]
    assert found.entities[-1].sum(axis=-1).tolist() == [len(each) for each in known]


def test_looks_stand_in_the_order_of_predictions_whatever_came_first(tmp_path: Path) -> None:
    asked = predictions(100, value=10.0)
    write(tmp_path, "predictions", asked)
    early, late = asked[:50], asked[50:]  # wrong answers are told last
    write(tmp_path, "outcomes", outcomes(early, after=timedelta(hours=9), value=30.0))
    write(tmp_path, "outcomes", outcomes(late, after=timedelta(hours=1), value=10.0))
    _connection, rows = rows_of(tmp_path)
    found = labelled.arms(rows, LIMITS).wrong
    assert found.hits.sum(axis=(1, 2)).tolist() == [50, 50]
    assert found.total.sum(axis=(1, 2)).tolist() == [50, 100]


def test_young_predictions_are_in_no_count(tmp_path: Path) -> None:
    write(tmp_path, "predictions", predictions(10) + predictions(5, LATER - timedelta(hours=1)))
    _connection, rows = rows_of(tmp_path)
    assert labelled.arms(rows, LIMITS).covered.total[-1].sum() == 10


def test_a_log_without_arms_has_no_counts_and_no_pairs(tmp_path: Path) -> None:
    write(tmp_path, "predictions", predictions(10, arm=None))
    _connection, rows = rows_of(tmp_path)
    assert len(labelled.pairs(rows).stable) == 0
    with pytest.raises(NoData, match="no prediction of stable or canary"):
        labelled.arms(rows, LIMITS)
