"""What really happened, joined to what was predicted: by the time of the prediction.

Never by the time of receipt: quick outcomes are of other predictions than slow ones are.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, cast

from preflight.contract import Column
from preflight.errors import NoData
from preflight.log.view import naive

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection, DuckDBPyRelation

FIRST = datetime(1970, 1, 1)
JOINED = """
WITH asked AS (
    SELECT id AS prediction_id, "at", pair_id, arm, model_version, mode, entity,
        value, lower, upper
    FROM predictions WHERE "at" >= $start AND "at" < $end
),
-- The same value again is one told; an outcome's place is its time of receipt, then its id.
told AS (
    SELECT prediction_id, value, count(*) AS records, min({'at': "at", 'id': id}) AS first
    FROM outcomes SEMI JOIN asked USING (prediction_id)
    WHERE value IS NOT NULL
    GROUP BY ALL
),
firsts AS (
    SELECT prediction_id, arg_min(value, first) AS told,
        struct_extract(min(first), 'at') AS received,
        sum(records)::BIGINT AS records, arg_min(records, first) AS alike
    FROM told GROUP BY prediction_id
)
SELECT asked.*, told, received, received < "at" AS early,
    alike - 1 AS duplicates, records - alike AS contradictory,
    CASE
        WHEN received IS NULL THEN NULL
        WHEN received > "at" + $maturity::INTERVAL THEN 'late'
        WHEN told < $minimum::DOUBLE OR told > $maximum::DOUBLE THEN 'out of range'
        ELSE 'labelled'
    END AS fate,
    CASE WHEN fate = 'labelled' THEN told END AS outcome
FROM asked LEFT JOIN firsts USING (prediction_id)
"""
TALLY = """
SELECT count(*), count(outcome), coalesce(sum(duplicates + contradictory + 1), 0)::BIGINT,
    count(*) FILTER (fate = 'late'), count(*) FILTER (fate = 'out of range'),
    count(*) FILTER (early), coalesce(sum(duplicates), 0)::BIGINT,
    coalesce(sum(contradictory), 0)::BIGINT
FROM joined
"""
UNKNOWN = """
SELECT count(*) FROM outcomes ANTI JOIN predictions ON outcomes.prediction_id = predictions.id
WHERE outcomes."at" >= $start
"""
CONTRADICTIONS = """
SELECT prediction_id, told AS first, received AS first_at, other.value AS other,
    other."at" AS other_at, other.client AS other_client
FROM joined JOIN outcomes AS other USING (prediction_id)
WHERE contradictory > 0 AND other.value <> told
ORDER BY joined."at", prediction_id, other_at
"""
QUALITY = """
SELECT "at"::DATE AS day, model_version, arm, mode, count(*) AS predictions,
    count(outcome) AS labelled, count(outcome) / count(*) AS label_coverage,
    avg(abs(value - outcome)) AS mae, sqrt(avg((value - outcome) ** 2)) AS rmse,
    avg(value - outcome) AS bias,
    avg((outcome BETWEEN lower AND upper)::DOUBLE) AS interval_coverage
FROM joined GROUP BY GROUPING SETS ((), (day, model_version, arm, mode))
ORDER BY grouping(day), day, model_version, arm, mode
"""


@dataclass(frozen=True)
class Window:
    """Predictions from `start` to before `end`, UTC, that each had `maturity` for an outcome."""

    start: datetime
    end: datetime
    maturity: timedelta


@dataclass(frozen=True)
class Tally:
    """Counts of a window's predictions and of the outcomes that came for them.

    Of each prediction the first received outcome is labelled, late or out of the contract's
    range; each further one is a duplicate or contradictory: these five add up to `received`.
    `early` ones, received before the prediction's own time, are among the others. `unknown`
    outcomes were received since the window's start and are of no prediction in the log.
    """

    predictions: int
    labelled: int
    received: int
    late: int
    out_of_range: int
    early: int
    duplicates: int
    contradictory: int
    unknown: int

    @property
    def coverage(self) -> float:
        """Share of the predictions that are labelled: of one part of them quality is known."""
        return self.labelled / self.predictions


def mature(
    start: datetime | None,
    end: datetime | None,
    maturity: timedelta,
    now: datetime | None = None,
) -> Window:
    """The part of a stretch of time whose predictions had as long as each other for an outcome.

    Raises NoData when all of it is too young.
    """
    ripe = naive(now or datetime.now(UTC)) - maturity
    first, last = naive(start or FIRST), min(naive(end or ripe), ripe)
    if first >= last:
        raise NoData(
            "outcomes",
            f"predictions of {first:%Y-%m-%d %H:%M} and later",
            f"older ones than {ripe:%Y-%m-%d %H:%M}, {maturity} ago",
            "Wait, or ask for an earlier stretch.",
        )
    return Window(first, last, maturity)


def joined(connection: "DuckDBPyConnection", window: Window, target: Column) -> "DuckDBPyRelation":
    """A window's predictions, a row each, and what became of them.

    Columns: prediction_id, at, pair_id, arm, model_version, mode, entity, value, lower, upper;
    `outcome`, null unless the first received one came in time and in the target's range; told
    and received (the first one, whatever it is), early, duplicates, contradictory, and fate:
    labelled, late, out of range or null. `connection` is `log.view.connect`'s.
    """
    return connection.sql(
        JOINED,
        params={
            "start": window.start,
            "end": window.end,
            "maturity": window.maturity,
            "minimum": target.minimum,
            "maximum": target.maximum,
        },
    )


def tally(connection: "DuckDBPyConnection", window: Window, rows: "DuckDBPyRelation") -> Tally:
    """Counts over the rows of `joined`; raises NoData when there is no prediction.

    `connection` has the predictions of all days, or those of others would count as unknown.
    """
    counts: list[int] = [*_of(rows, TALLY).fetchall()[0]]
    ((unknown,),) = connection.execute(UNKNOWN, {"start": window.start}).fetchall()
    if not counts[0]:
        raise NoData(
            "the log",
            f"no prediction before {window.end:%Y-%m-%d %H:%M} in the stretch",
            f"predictions that are {window.maturity} old",
            "Wait, ask for another stretch, or name the log's folder in PREFLIGHT_LOG.",
        )
    return Tally(*[*counts, unknown])


def contradictions(rows: "DuckDBPyRelation") -> "DuckDBPyRelation":
    """Outcomes that differ from the first received one, with both: a row each."""
    return _of(rows, CONTRADICTIONS)


def quality(rows: "DuckDBPyRelation") -> "DuckDBPyRelation":
    """Errors in the target's unit by day, model version, arm and mode; the last row is all.

    Columns: day, model_version, arm, mode, predictions, labelled, label_coverage, mae, rmse,
    bias (predicted less real) and interval_coverage, of the answers that have an interval.
    """
    return _of(rows, QUALITY)


def _of(rows: "DuckDBPyRelation", question: str) -> "DuckDBPyRelation":
    return cast("DuckDBPyRelation", rows.query("joined", question))
