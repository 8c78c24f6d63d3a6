"""Evidence of movement: of the mean, by slice and by row, against limits and what is declared."""

import numpy as np
from numpy.typing import NDArray

from preflight.evidence import Evidence, SliceFinding, told
from preflight.gates.limits import Declaration
from preflight.gates.limits import Differential as Limits
from preflight.gates.movement import Movement, moved_share, usual_share
from preflight.gates.slicing import Slices

GATE = "differential"
Array = NDArray[np.float64]


def allowance(declared: list[Declaration], slices: Slices, rows: int) -> Array:
    """How far each held-out row may move as declared: shape (rows,); `all` is every row."""
    found = np.zeros(rows)
    for each in declared:
        covered = True if "all" in each.scope else slices.covered(each.scope)
        found = np.maximum(found, np.where(covered, each.size, 0.0))
    return found


def mean(check: str, claim: str, moved: Movement, limit: float, allowed: Array) -> Evidence:
    size, expected = abs(moved.mean), float(allowed.mean())
    ends = (moved.mean - 2 * moved.error, moved.mean + 2 * moved.error)
    said = " (declared)" if limit < size <= limit + expected else ""
    return told(
        GATE,
        check,
        claim,
        size <= limit + expected,
        f"mean prediction moved by {moved.mean:+.2f}{said}",
        measured=moved.mean,
        limit=_limit(limit, expected),
        interval=ends,
        n=len(allowed),
    )


def _limit(limit: float, expected: float) -> str:
    declared = f" and {expected:.2f} as declared" if expected else ""
    return f"<= {limit:.2f} either way{declared}"


def by_slice(
    check: str,
    claim: str,
    moved: Movement,
    limits: Array,
    allowed: Array,
    slices: Slices,
) -> Evidence:
    if not len(slices):
        return told(GATE, check, claim, None, "no slice has enough rows to judge")
    sizes = np.abs(moved.slices)
    expected = slices.means(allowed)
    beyond = sizes > limits + expected
    excused = (sizes > limits) & ~beyond
    order = np.argsort(-(sizes / (limits + expected)))
    shown = [place for place in order if beyond[place]][:40] or order[:5].tolist()
    first = shown[0]
    found = (
        f"{int(beyond.sum())} of {len(slices)} slices moved too far, most of all "
        if beyond.any()
        else f"largest of {len(slices)} slices: "
    )
    most = limits[first] + expected[first]
    found += f"{slices.names[first]} by {moved.slices[first]:+.2f} (limit {most:.2f})"
    if excused.any():
        found += f"; {int(excused.sum())} slices as declared"
    return told(
        GATE,
        check,
        claim,
        not beyond.any(),
        found,
        measured=float(moved.slices[first]),
        limit=_limit(limits[first], expected[first]),
        n=int(slices.rows[first]),
        slices=tuple(_finding(place, moved, limits + expected, slices, beyond) for place in shown),
    )


def _finding(
    place: int, moved: Movement, limits: Array, slices: Slices, beyond: NDArray[np.bool_]
) -> SliceFinding:
    middle, spread = float(moved.slices[place]), 2 * float(moved.errors[place])
    return SliceFinding(
        name=slices.names[place],
        n=int(slices.rows[place]),
        measured=middle,
        limit=f"<= {limits[place]:.2f}",
        interval=(middle - spread, middle + spread),
        status="fail" if beyond[place] else "pass",
    )


def rows_moved(
    limits: Limits, check: str, where: str, value: Array, refits: Array, allowed: Array
) -> Evidence:
    """Few rows lie further from the mean of the refits than `max_row_shift`."""
    usual = usual_share(refits, limits.max_row_shift)
    share = moved_share(value, refits.mean(axis=0), limits.max_row_shift + allowed)
    most = limits.max_moved_ratio * usual + limits.max_moved_rows
    return told(
        GATE,
        check,
        f"Few predictions on {where} move by more than {limits.max_row_shift:g}"
        + (", or as declared." if allowed.any() else "."),
        share <= most,
        f"{share:.1%} moved; training again moves {usual:.1%}",
        measured=share,
        limit=f"<= {most:.1%}",
        n=len(value),
        details="Rows that moved most" if check == "row-shift" else None,
    )
