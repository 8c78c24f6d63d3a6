"""The differential gate on recorded traffic: predictions move there as little as elsewhere."""

from collections.abc import Iterator

import numpy as np
import polars as pl

from preflight import windows
from preflight.errors import NoData
from preflight.evidence import Evidence, told
from preflight.gates.case import MOST_ROWS, Case
from preflight.gates.limits import Declaration
from preflight.gates.movement import Movement, slice_limits
from preflight.gates.shifts import GATE, Array, allowance, by_slice, mean, rows_moved
from preflight.gates.slicing import Slices, dimensions
from preflight.layout import LOOKUP, SPLIT
from preflight.table import arrays

CLAIM = "Recorded traffic can be answered by candidate and champion."
Read = pl.DataFrame | str


def absent(case: Case) -> Iterator[Evidence]:
    """A line for each named window that cannot be read: it blocks, whatever else is said."""
    for name, found in _read(case).items():
        if isinstance(found, str):
            yield told(GATE, f"window-{name}", CLAIM, None, found)


def judged(case: Case, declared: list[Declaration]) -> Iterator[Evidence]:
    """Movement on each named window, against the champion's recipe fitted again.

    The fits are those of the held-out rows; they answer for all windows at once.
    """
    yield from absent(case)
    found = {name: rows for name, rows in _read(case).items() if not isinstance(rows, str)}
    if found:
        for (name, rows), refits in zip(found.items(), _refits(case, found), strict=True):
            yield from _window(case, declared, name, rows, refits)


def _read(case: Case) -> dict[str, Read]:
    """Each window's rows, or why it has none to judge."""
    return {name: _rows(case, name) for name in case.limits.differential.windows}


def _rows(case: Case, name: str) -> Read:
    least = case.limits.differential.max_unjudged_rows
    try:
        rows = windows.read(case.root, name, case.contract)
    except NoData as problem:
        return f"{problem.where}: {problem.found}. {problem.remedy}"
    if len(rows) < least:
        return f"{len(rows)} rows in window {name}, fewer than {least}"
    places = np.linspace(0, len(rows) - 1, min(len(rows), MOST_ROWS)).astype(np.int64)
    return rows[places]


def _refits(case: Case, found: dict[str, pl.DataFrame]) -> list[Array]:
    """Predictions of the champion's recipe under other seeds: (refits, rows) a window."""
    assert case.rival is not None  # noqa: S101
    paths = [case.rival.write(rows) for rows in found.values()]
    train, lookup = case.root / SPLIT / "train.parquet", case.root / LOOKUP
    seeds = [None, *range(1_001, 1_000 + case.limits.differential.min_refits)]
    fits = [case.rival.refit(train, lookup, seed, paths)[0] for seed in seeds]
    return [np.array(values) for values in zip(*fits, strict=True)]


def _window(
    case: Case, declared: list[Declaration], name: str, rows: pl.DataFrame, refits: Array
) -> Iterator[Evidence]:
    limits, value = case.limits.differential, case.candidate.predict(rows)["value"]
    if not np.isfinite(value).all():
        odd = f"{int((~np.isfinite(value)).sum())} predictions are not finite"
        yield told(GATE, f"window-{name}", CLAIM, False, odd)
        return
    least = max(limits.max_unjudged_rows, int(limits.max_unjudged_share * len(rows)))
    labels = case.candidate.slices(rows)
    slices = Slices(dimensions(case.contract, arrays(rows), labels), least)
    allowed = allowance(declared, slices, len(rows))
    own = Movement.of(value - refits.mean(axis=0), refits, slices)
    most = limits.max_mean_shift + limits.max_noise * own.error
    claim = f"On the traffic of window {name} predictions keep their mean, but for that noise."
    yield mean(f"window-shift-{name}", claim, own, most, allowed)
    claim = f"In every slice of window {name} predictions keep their mean, but for that noise."
    most_by_slice = slice_limits(own, limits)
    yield by_slice(f"window-slices-{name}", claim, own, most_by_slice, allowed, slices)
    where = f"window {name}"
    yield rows_moved(limits, f"window-rows-{name}", where, value, refits, allowed)
