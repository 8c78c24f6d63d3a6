"""The symptom of wrong answers: errors by matured outcomes, and answers of the baseline."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import sqrt
from pathlib import Path
from typing import Any

from preflight.contract import Column
from preflight.files import read_json
from preflight.gates.limits import Gates
from preflight.layout import METRICS
from preflight.watch.outcomes import Window, joined
from preflight.watch.recent import DAY, FEW, Recent, Side, Span
from preflight.watch.shares import SURE, Share, least_growth
from preflight.watch.symptoms import SERIOUS, Symptom, verdict

WORSE = 1.1  # times the RMSE of before, or of the model's own evaluation
ERRORS = """
SELECT "at" >= TIMESTAMP '{since:%Y-%m-%d %H:%M:%S.%f}' AS late, count(outcome),
    avg((value - outcome) ** 2), stddev_samp((value - outcome) ** 2),
    avg(value - outcome), stddev_samp(value - outcome),
    count(*) FILTER (outcome BETWEEN lower AND upper),
    count(*) FILTER (outcome IS NOT NULL AND lower IS NOT NULL),
    arg_max(prediction_id, abs(value - outcome))
FROM joined GROUP BY late
"""


@dataclass(frozen=True)
class Errors:
    """Errors of labelled answers, in the target's unit: RMSE and bias with their 99% intervals."""

    labelled: int
    rmse: float
    rmse_ends: tuple[float, float]
    bias: float
    bias_half: float
    covered: Share
    worst: str

    @classmethod
    def of(cls, row: Sequence[Any]) -> "Errors":
        """From a row of ERRORS, without its first field."""
        labelled, squares, spread, bias, deviation, covered, intervals, worst = row
        half, bias_half = (SURE * each / sqrt(labelled) for each in (spread, deviation))
        ends = sqrt(max(0.0, squares - half)), sqrt(squares + half)
        share = Share(covered, intervals)
        return cls(labelled, sqrt(squares), ends, bias, bias_half, share, worst)

    def __str__(self) -> str:
        covered = f", covered {self.covered.value:.1%}" if self.covered.whole else ""
        return f"RMSE {self.rmse:.2f}, bias {self.bias:+.2f}{covered} of {self.labelled:,}"


def wrong(
    recent: Recent, sides: tuple[Side, Side], target: Column, limits: Gates, root: Path
) -> Symptom:
    """Whether answers miss what happened, or come from the baseline more often than before.

    Judged are the newest answers whose outcomes are due, of a day at least, beside those before
    and beside the model's own evaluation.
    """
    simpler, told = _simpler(sides), []
    if sides[0].rows:
        told.append(f"baseline answered {sides[0].simpler}, before {sides[1].simpler}")
    late, before = _errors(recent, target)
    unit = f" ({target.unit}s)" if target.unit else ""
    if late is None:
        told.append(f"fewer than {FEW} answers of {_days(recent)} have an outcome that was due")
    else:
        told.append(f"answers of {_days(recent)}: {late}{unit}")
        told.append(f"before: {before or 'no data'}; {_evaluated(root)}")
    # Without outcomes nobody knows that answers are right.
    signs: list[bool | None] = [simpler or None]
    if late is not None:
        signs += _signs(late, before, limits, _rmse(root))
    return Symptom("wrong", verdict(signs), tuple(told), _next(late))


def _errors(recent: Recent, target: Column) -> tuple[Errors | None, Errors | None]:
    """Of the newest answers whose outcomes are due, and before; None where too few have one."""
    span = recent.span
    since, end = _due(span)
    window = Window(since - span.before, end, span.maturity)
    rows = joined(recent.connection, window, target)
    found = rows.query("joined", ERRORS.format(since=since))
    assert found is not None  # noqa: S101 (it is of a SELECT)
    sides = {late: Errors.of(rest) for late, *rest in found.fetchall() if rest[0] >= FEW}
    return sides.get(True), sides.get(False)


def _due(span: Span) -> tuple[datetime, datetime]:
    """The newest stretch whose outcomes are due."""
    end = span.now - span.maturity
    return end - max(span.last, DAY), end


def _days(recent: Recent) -> str:
    since, end = _due(recent.span)
    return f"{since:%d %b %H:%M} to {end:%d %b %H:%M}"


def _simpler(sides: tuple[Side, Side]) -> bool | None:
    late, before = sides
    if late.rows < FEW:
        return None
    if not before.rows:
        return late.simpler.ends[0] > SERIOUS
    return least_growth(late.simpler, before.simpler) > SERIOUS


def _signs(
    late: Errors, before: Errors | None, limits: Gates, evaluated: float | None
) -> Iterator[bool]:
    yield late.rmse_ends[0] > limits.quality.max_rmse
    yield abs(late.bias) - late.bias_half > limits.slices.max_bias
    if late.covered.whole:
        yield late.covered.ends[1] < limits.quality.min_coverage
    if evaluated is not None:
        yield late.rmse_ends[0] > WORSE * evaluated
    if before is not None:
        yield late.rmse_ends[0] > WORSE * before.rmse_ends[1]
        half = sqrt(late.bias_half**2 + before.bias_half**2)
        growth = abs(late.bias) - abs(before.bias)
        yield growth - half > limits.slices.max_bias_growth


def _rmse(root: Path) -> float | None:
    """The model's RMSE on its held-out months; None where there is no evaluation here."""
    path = root / METRICS
    if not path.is_file():
        return None
    months = read_json(path)["months"].values()
    rows = sum(each["rows"] for each in months)
    return sqrt(sum(each["rows"] * each["rmse"] ** 2 for each in months) / rows)


def _evaluated(root: Path) -> str:
    found = _rmse(root)
    return "no evaluation here" if found is None else f"in its evaluation RMSE {found:.2f}"


def _next(late: Errors | None) -> str:
    if late is None:
        return "preflight outcomes report"
    return f"preflight explain {late.worst}  # the largest error"
