"""The last stretch of the log beside the time before it, as triage looks at them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from preflight.contract import Column
from preflight.log.view import connect
from preflight.watch.shares import Share, p95_ends

if TYPE_CHECKING:
    import duckdb

DAY = timedelta(days=1)
FEW = 100  # answers, below which nothing is told from times and shares
SAMPLE = 20_000  # rows of a side whose inputs are compared
STEP = 600  # seconds: nearer than this, times do not differ
LABELS = 1_000  # an integer of more values is a quantity
# `late` is the last stretch; `turn` counts the days before it whose same hours a row is of.
TABLE = """
CREATE TEMP TABLE recent AS
WITH aged AS (
    SELECT *, epoch($now) - epoch("at") AS age FROM predictions
    WHERE "at" > $start AND "at" < $now
)
SELECT
    id, "at", route, input, flags, latency_ms, arm, model_version, age < $last AS late,
    floor(age / $last)::INTEGER AS stretch,
    CASE WHEN age % $step < $last THEN floor(age / $step)::INTEGER END AS turn,
    route = 'predict' AS single,
    mode = 'fallback' OR list_contains(flags, 'fallback.output') AS simpler
FROM aged
"""
SIDES = """
SELECT
    count(*),
    count(*) FILTER (single),
    count(*) FILTER (single AND latency_ms > $limit),
    count(*) FILTER (simpler),
    max("at")
FROM recent WHERE late = $late
"""
GROUPS = """
SELECT model_version, arm, count(*), quantile_disc(latency_ms, 0.95)
FROM recent WHERE late AND single GROUP BY ALL HAVING count(*) >= 100 ORDER BY 4 DESC
"""
Values = NDArray[Any]


@dataclass(frozen=True)
class Span:
    """The last stretch, `last` long up to `now`, and `before` ahead of it; times are UTC.

    Outcomes are due `maturity` after their prediction.
    """

    now: datetime
    last: timedelta
    before: timedelta
    maturity: timedelta

    @property
    def since(self) -> datetime:
        """When the last stretch begins."""
        return self.now - self.last


@dataclass(frozen=True)
class Side:
    """Answers of one side: of single requests the times, in ms; p95 with its 99% interval."""

    rows: int
    singles: int
    slow: Share
    simpler: Share
    newest: datetime | None
    p95: float | None
    p95_ends: tuple[float, float] | None


@dataclass(frozen=True)
class Group:
    """Single answers of one model version and arm, and their p95 in ms."""

    version: str | None
    arm: str | None
    rows: int
    p95: float


class Recent:
    """What the log says of both sides, each look a query; of a log that is not there, nothing."""

    def __init__(self, folder: Path, span: Span) -> None:
        """Reads both sides once."""
        self.span = span
        start = span.now - span.last - span.before
        first = start - span.maturity - DAY  # the symptom of wrong answers looks back as far
        self.folder = folder
        self.connection: duckdb.DuckDBPyConnection = connect(folder, first.date(), span.now.date())
        step = DAY * -(-span.last // DAY)
        seconds = {"last": span.last.total_seconds(), "step": step.total_seconds()}
        self.connection.execute(TABLE, {"now": span.now, "start": start, **seconds})

    def _one(self, sql: str, values: Mapping[str, Any] | None = None) -> tuple[Any, ...]:
        return self._all(sql, values)[0]

    def _all(self, sql: str, values: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        return self.connection.execute(sql, dict(values or {})).fetchall()

    def side(self, *, late: bool, slow_ms: float) -> Side:
        """The last stretch, or the time before it; slower than `slow_ms` is slow."""
        found = self._one(SIDES, {"limit": slow_ms, "late": late})
        rows, singles, slow, simpler, newest = found
        ranks = p95_ends(singles)
        p95, low, high = self._one(
            f"SELECT quantile_disc(latency_ms, 0.95), quantile_disc(latency_ms, {ranks[0]}), "  # noqa: S608
            f"quantile_disc(latency_ms, {ranks[1]}) FROM recent WHERE single AND late = $late",
            {"late": late},
        )
        ends = None if p95 is None else (low, high)
        return Side(rows, singles, Share(slow, singles), Share(simpler, rows), newest, p95, ends)

    def groups(self) -> list[Group]:
        """Model versions and arms of the last stretch, the slowest first."""
        return [Group(*row) for row in self._all(GROUPS)]

    def covered(self) -> timedelta:
        """How much of the time before the log has: since its first record."""
        (first,) = self._one('SELECT min("at") FROM recent WHERE NOT late')
        return self.span.since - first if first else self.span.before

    def silences(self) -> Share:
        """Stretches as long as the last that had no answer, since the first record."""
        filled, whole = self._one(
            "SELECT count(DISTINCT stretch), coalesce(max(stretch), 0) FROM recent WHERE NOT late"
        )
        return Share(whole - filled, whole)

    def versions(self) -> dict[str, datetime]:
        """Model versions that the last stretch has and the time before had not: since when."""
        return dict(
            self._all(
                "SELECT coalesce(model_version, '?'), min(\"at\") FROM recent "
                "GROUP BY ALL HAVING bool_and(late)"
            )
        )

    def flags(self) -> dict[str, tuple[Share, Share]]:
        """Shares of answers with each guard's flag: in the last stretch, and at its hours before.

        Where no earlier day has these hours, all before it counts.
        """
        then = self._then()
        late, before = self._one(
            f"SELECT count(*) FILTER (late), count(*) FILTER ({then}) FROM recent"  # noqa: S608
        )
        counts = self._all(
            f"SELECT flag, count(*) FILTER (late), count(*) FILTER ({then}) FROM "  # noqa: S608
            "(SELECT DISTINCT id, late, turn, unnest(flags) AS flag FROM recent) GROUP BY flag"
        )
        return {
            flag: (Share(now, late), Share(earlier, before))
            for flag, now, earlier in counts
            if not flag.startswith("fallback.")
        }

    def same_hours(self) -> bool:
        """Whether earlier days have enough answers at these hours."""
        (rows,) = self._one("SELECT count(*) FROM recent WHERE turn > 0 AND NOT late")
        return bool(rows >= FEW)

    def _then(self) -> str:
        return "turn > 0 AND NOT late" if self.same_hours() else "NOT late"

    def column(self, column: Column) -> tuple[Values, Values, Values]:
        """A sample of an input's values: late ones, those before, and of these the days.

        Numbers are floats, a missing one minus infinity; a time is how many STEPs it lies after
        its record's; the others are texts.
        """
        text = f"input ->> '$.\"{column.name}\"'"
        forms = {
            "integer": f"TRY_CAST({text} AS DOUBLE)",
            "number": f"TRY_CAST({text} AS DOUBLE)",
            "time": f'round((epoch(TRY_CAST({text} AS TIMESTAMP)) - epoch("at")) / {STEP})',
        }
        form = forms.get(column.kind, f"coalesce({text}, '')")
        gap = "'-infinity'::DOUBLE" if column.kind in forms else "''"
        late, before = (
            self.connection.execute(
                f"SELECT coalesce({form}, {gap}) AS value, coalesce(turn, -1) AS turn FROM "  # noqa: S608
                f"(FROM recent WHERE {where} ORDER BY hash(id) LIMIT {SAMPLE})"
            ).fetchnumpy()
            for where in ("late", self._then())
        )
        return late["value"], before["value"], before["turn"]

    def example(self, where: str) -> str | None:
        """The newest id of the last stretch for which a condition in SQL holds."""
        found = self._all(
            f'SELECT id FROM recent WHERE late AND {where} ORDER BY "at" DESC LIMIT 1'  # noqa: S608
        )
        return found[0][0] if found else None


def distinct(values: Values) -> int:
    """How many values there are."""
    return len(np.unique(values))
