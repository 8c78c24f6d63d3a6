"""What the log knows of a rollout once outcomes came: counts of its arms, pairs of its shadow.

From rows of `watch.outcomes.joined`, all older than one maturity, in the order of predictions;
DuckDB does the grouping. An entity's block is a fixed hash of the entity as it is logged. It need
not be the service's bucket, whose key no log holds: any hash that is independent of the proxy's
puts both arms into every block, and blocks are compared within one source only.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np

from preflight.errors import NoData
from preflight.rollout.groups import Groups
from preflight.rollout.limits import Limits
from preflight.rollout.observed import ARMS, Array, Counts
from preflight.rollout.paired import MOST, STEP, Pairs
from preflight.serving.metrics import ENTITY_BUCKETS

if TYPE_CHECKING:
    from duckdb import DuckDBPyRelation

# Looks stand at every so many predictions, as in `paired.ends`. Who names no entity is one alone.
PLACED = """
WITH numbered AS (
    SELECT *, count(*) OVER () AS among,
        row_number() OVER (ORDER BY "at", prediction_id) - 1 AS place,
        coalesce(entity, prediction_id) AS whose,
        md5_number_lower(whose) % {blocks} AS block
    FROM joined WHERE arm IN ('stable', 'canary')
),
placed AS (
    SELECT *, arm = 'canary' AS side,
        place // ({step} << ceil(log2(greatest(1, among / {step} / {most})))::INTEGER) AS look
    FROM numbered
)
"""
ARMED = """
{placed}
SELECT look, side, block, count(*) AS predictions, count(outcome) AS labelled,
    count(*) FILTER (abs(value - outcome) > {max_error}) AS wrong
FROM placed GROUP BY ALL
"""
GROUPED = """
{placed},
fresh AS (
    SELECT *, {measure} AS measured, {bin} AS bin,
        row_number() OVER (PARTITION BY side, whose ORDER BY place) = 1 AS first
    FROM placed
)
SELECT look, side, block, bin, count(*) AS requests, count(measured) AS measured,
    coalesce(sum(measured), 0)::DOUBLE AS whole, count(*) FILTER (first) AS entities
FROM fresh GROUP BY ALL
"""
PAIRED = """
WITH sides AS (
    SELECT pair_id, min("at") AS first, any_value(entity) AS whose,
        count(*) FILTER (arm = 'stable') = 1 AND count(*) FILTER (arm = 'shadow') = 1 AS two,
        any_value(value) FILTER (arm = 'stable') AS stable,
        any_value(value) FILTER (arm = 'shadow') AS shadow,
        coalesce(
            any_value(outcome) FILTER (arm = 'stable'), any_value(outcome) FILTER (arm = 'shadow')
        ) AS outcome
    FROM joined WHERE pair_id IS NOT NULL AND arm IN ('stable', 'shadow')
    GROUP BY pair_id
)
SELECT two, stable, shadow, outcome,
    (md5_number_lower(coalesce(whose, pair_id)) % {blocks})::BIGINT AS block
FROM sides ORDER BY first, pair_id
"""


@dataclass(frozen=True)
class Arms:
    """Of stable and canary: wrong answers among labelled ones, and labelled among mature ones.

    `wrong` is `judge`'s `labelled`, `covered` is for `coverage.compared`, which says whether
    `wrong` can be judged.
    """

    wrong: Counts
    covered: Counts


def arms(rows: "DuckDBPyRelation", limits: Limits) -> Arms:
    """Cumulative counts at up to 200 looks; raises NoData without predictions of either arm."""
    found = _looked(rows, ARMED, max_error=limits.max_error)
    wrong, labelled, all_of = (
        _cumulative(found, each) for each in ("wrong", "labelled", "predictions")
    )
    return Arms(Counts(wrong, labelled), Counts(labelled, all_of))


def groups(rows: "DuckDBPyRelation", measure: str, edges: Sequence[float]) -> Groups:
    """Of an A/B test that stable and canary carry; raises NoData without predictions of them.

    `measure` is the business metric of a request, in SQL over the columns of `joined`: `outcome`,
    or what is made of it; null where there is none. `edges` are the contract's target bins.
    """
    bins = " + ".join(["0", *(f"(value > {edge})::BIGINT" for edge in edges)])
    found = _looked(rows, GROUPED, measure=measure, bin=bins)
    return Groups(
        measured=Counts(_cumulative(found, "whole"), _cumulative(found, "measured")),
        requests=_cumulative(found, "requests"),
        entities=_cumulative(found, "entities"),
        bins=_cumulative(found, "requests", len(edges) + 1),
    )


def pairs(rows: "DuckDBPyRelation") -> Pairs:
    """Requests with one answer of stable and one of the shadow; the outcome of either will do.

    Requests of many rows are not paired, as no record says which row it is of.
    """
    found = _of(rows, PAIRED.format(blocks=ENTITY_BUCKETS))
    two = found["two"].astype(bool)
    stable, shadow, outcome = (
        np.ma.filled(found[name].astype(float), np.nan)[two]
        for name in ("stable", "shadow", "outcome")
    )
    block = np.asarray(found["block"][two], np.int64)
    return Pairs(stable, shadow, outcome, block, single=int((~two).sum()))


def _looked(rows: "DuckDBPyRelation", question: str, **asked: object) -> dict[str, Array]:
    placed = PLACED.format(blocks=ENTITY_BUCKETS, step=STEP, most=MOST)
    found = _of(rows, question.format(placed=placed, **asked))
    if not len(found["look"]):
        raise NoData(
            "the log",
            "no prediction of stable or canary that is old enough",
            "both arms' predictions, with the proxy's X-Arm",
            "Wait for the maturity, or ask from the rollout's start.",
        )
    return found


def _of(rows: "DuckDBPyRelation", question: str) -> dict[str, Array]:
    relation = cast("DuckDBPyRelation", rows.query("joined", question))
    return cast("dict[str, Array]", relation.fetchnumpy())


def _cumulative(found: dict[str, Array], name: str, bins: int = 0) -> Array:
    """A column since the start, (looks, arms, blocks), or with bins (looks, arms, blocks, bins)."""
    keys = ("look", "side", "block", "bin") if bins else ("look", "side", "block")
    places = tuple(np.asarray(found[key], np.int64) for key in keys)
    sums = np.zeros((places[0].max() + 1, len(ARMS), ENTITY_BUCKETS, *([bins] if bins else [])))
    np.add.at(sums, places, np.asarray(found[name], float))
    return sums.cumsum(axis=0)
