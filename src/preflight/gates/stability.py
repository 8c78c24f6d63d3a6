"""Gate: small changes of an input change the answer a little, and in the declared direction."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from preflight.contract import Column
from preflight.evidence import Evidence, Findings, told
from preflight.gates.case import Case

GATE = "stability"
ROWS = 5_000
STEP = 0.01  # of a number, for small changes
STRIDE = 0.1  # of a number, for directions
MINUTE = pl.duration(minutes=1)


def judge(case: Case) -> Findings:
    """Mean change and jumps under small changes of each input; monotone directions."""
    count = len(case.held_out)
    rows = case.held_out[np.linspace(0, count - 1, min(count, ROWS)).astype(np.int64)]
    value = case.candidate.predict(rows)["value"]
    if not np.isfinite(value).all():
        claim = "Every prediction is a finite number."
        return Findings(evidence=(told(GATE, "finite", claim, False, "some are not finite"),))
    smooth = [
        _small_change(case, column, rows, value)
        for column in case.contract.known
        if column.kind in ("number", "time")
    ]
    directions = [
        _direction(case, name, direction, rows, value)
        for name, direction in case.limits.stability.monotone.items()
    ]
    return Findings(evidence=(*smooth, *directions))


def _moved(column: Column, share: float) -> pl.Expr:
    """The column a little larger, kept within the contract's range."""
    if column.kind == "time":
        return (pl.col(column.name) + MINUTE).alias(column.name)
    return (
        (pl.col(column.name) * (1 + share)).clip(column.minimum, column.maximum).alias(column.name)
    )


def _small_change(
    case: Case, column: Column, rows: pl.DataFrame, value: NDArray[np.float64]
) -> Evidence:
    limits = case.limits.stability
    moved = case.candidate.predict(rows.with_columns(_moved(column, STEP)))["value"]
    if not np.isfinite(moved).all():
        return _not_finite(f"small-{column.name}", column.name)
    change = np.abs(moved - value)
    jumps = float((change > limits.max_jump).mean())
    what = "a minute" if column.kind == "time" else f"{STEP:.0%}"
    return told(
        GATE,
        _check(f"small-{column.name}"),
        f"Predictions hardly change when {column.name} changes by {what}.",
        bool(change.mean() <= limits.max_mean_change and jumps <= limits.max_jump_rows),
        f"{change.mean():.3f} on average; {jumps:.2%} of the rows jump by more than "
        f"{limits.max_jump:g} (limit {limits.max_jump_rows:.2%})",
        measured=float(change.mean()),
        limit=f"<= {limits.max_mean_change:g}",
        n=len(rows),
    )


def _direction(
    case: Case,
    name: str,
    direction: str,
    rows: pl.DataFrame,
    value: NDArray[np.float64],
) -> Evidence:
    check = _check(f"direction-{name}")
    sign = 1 if direction == "increasing" else -1
    limits = case.limits.stability
    claim = (
        f"A tenth more {name} does not give a {'smaller' if sign > 0 else 'larger'} prediction "
        f"by more than {limits.max_reversal:g}."
    )
    known = {column.name: column for column in case.contract.known}
    if name not in known or known[name].kind != "number":
        return told(GATE, check, claim, None, f"the contract has no known number {name}")
    moved = case.candidate.predict(rows.with_columns(_moved(known[name], STRIDE)))["value"]
    if not np.isfinite(moved).all():
        return _not_finite(f"direction-{name}", name)
    share = float((sign * (moved - value) < -limits.max_reversal).mean())
    return told(
        GATE,
        check,
        claim,
        share <= limits.max_reversed,
        f"{share:.1%} of the rows answer the other way round",
        measured=share,
        limit=f"<= {limits.max_reversed:.1%}",
        n=len(rows),
    )


def _not_finite(check: str, name: str) -> Evidence:
    claim = f"Predictions stay finite when {name} changes a little."
    return told(GATE, _check(check), claim, False, "some become NaN or infinite")


def _check(name: str) -> str:
    """A column's name as the name of a check."""
    return name.replace("_", "-").lower()[:41]
