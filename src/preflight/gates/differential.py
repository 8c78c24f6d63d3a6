"""Gate: predictions move no more than training again would move them, or as was declared.

The champion's recipe is fitted several times on the candidate's training rows. Movement against
the mean of those fits is the change's own, and their spread is its noise; movement of that mean
against the champion comes from the data, is shown apart and has limits of its own.
"""

import numpy as np
from numpy.typing import NDArray

from preflight.evidence import (
    Chart,
    Evidence,
    Findings,
    Headline,
    Notice,
    SliceFinding,
    Table,
    told,
)
from preflight.gates.case import Case, Refits
from preflight.gates.limits import Declaration
from preflight.gates.movement import Movement, moved_share, slice_limits, usual_share
from preflight.gates.slicing import Slices

GATE = "differential"
WORST_ROWS = 10
Array = NDArray[np.float64]


def judge(case: Case) -> Findings:
    """Movement overall, by slice and by row, on held-out rows and on the reference set."""
    if case.rival is None:
        claim = "There is no earlier model from which predictions could move."
        return Findings(evidence=(told(GATE, "first", claim, True, str(case.champion)),))
    if case.unchanged:
        claim = "Candidate and champion are the same model."
        found = f"unchanged: both have hash {case.candidate.model_hash[:12]}"
        return Findings(evidence=(told(GATE, "unchanged", claim, True, found),))
    value = case.answers["value"]
    if not np.isfinite(value).all():
        claim = "Every prediction can be compared with the champion's."
        found = f"{int((~np.isfinite(value)).sum())} predictions are not finite"
        return Findings(evidence=(told(GATE, "finite", claim, False, found),))
    return _compared(case)


def _compared(case: Case) -> Findings:
    limits, refits = case.limits.differential, case.refits
    least = max(limits.max_unjudged_rows, int(limits.max_unjudged_share * len(case.held_out)))
    slices = case.slices(least)
    declared, void = _declared(case)
    allowed = _allowance(declared, slices, len(case.held_out))
    middle = refits.held_out.mean(axis=0)
    own = Movement.of(case.answers["value"] - middle, refits.held_out, slices)
    data = Movement.of(middle - case.rival_answers["value"], refits.held_out, slices)
    evidence = [
        *_movement(case, own, allowed, slices),
        _rows(case, refits, allowed),
        *_reference(case, refits, declared),
        *([] if case.same_training else _data(case, data, allowed, slices)),
    ]
    return Findings(
        evidence=tuple(evidence),
        notices=(*map(_notice, declared), *void),
        headlines=(_headline(case, own),),
        tables=(_worst_rows(case, refits), *_moved_slices(own, data, slices)),
        charts=_chart(case, own, data, slices),
    )


def _declared(case: Case) -> tuple[list[Declaration], list[Notice]]:
    """Declarations that name this champion, and a notice for each that names another."""
    assert case.rival is not None  # noqa: S101
    current, void = [], []
    for each in case.limits.differential.expected:
        if case.rival.model_hash.startswith(each.champion):
            current.append(each)
        else:
            text = (
                f"void: it names champion {each.champion[:12]}, this one is "
                f"{case.rival.model_hash[:12]}. Reason given: {each.reason}"
            )
            void.append(Notice(kind="declaration", text=text))
    return current, void


def _notice(declaration: Declaration) -> Notice:
    scope = ", ".join(declaration.scope)
    text = f"up to {declaration.size:g} in {scope[:200]}: {declaration.reason}"
    return Notice(kind="declaration", text=text)


def _allowance(declared: list[Declaration], slices: Slices, rows: int) -> Array:
    """How far each held-out row may move as declared: shape (rows,); `all` is every row."""
    found = np.zeros(rows)
    for each in declared:
        covered = True if "all" in each.scope else slices.covered(each.scope)
        found = np.maximum(found, np.where(covered, each.size, 0.0))
    return found


def _movement(case: Case, own: Movement, allowed: Array, slices: Slices) -> list[Evidence]:
    limits = case.limits.differential
    return [
        _mean(
            "mean-shift",
            "On held-out rows predictions keep their mean, but for the noise of training again.",
            own,
            limits.max_mean_shift + limits.max_noise * own.error,
            allowed,
        ),
        _by_slice(
            "slice-shift",
            "In every slice predictions keep their mean, but for the noise of training again.",
            own,
            slice_limits(own, limits),
            allowed,
            slices,
        ),
    ]


def _data(case: Case, data: Movement, allowed: Array, slices: Slices) -> list[Evidence]:
    limits = case.limits.differential
    largest = np.full(len(slices), limits.max_data_slice_shift)
    return [
        _mean(
            "data-mean-shift",
            "The new data alone moves the mean prediction within its own limit.",
            data,
            limits.max_data_mean_shift,
            allowed,
        ),
        _by_slice(
            "data-slice-shift",
            "The new data alone moves every slice within its own limit.",
            data,
            largest,
            allowed,
            slices,
        ),
    ]


def _mean(check: str, claim: str, moved: Movement, limit: float, allowed: Array) -> Evidence:
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


def _by_slice(
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


def _row_line(
    case: Case, check: str, where: str, value: Array, refits: Array, allowed: Array
) -> Evidence:
    limits = case.limits.differential
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


def _rows(case: Case, refits: Refits, allowed: Array) -> Evidence:
    value = case.answers["value"]
    return _row_line(case, "row-shift", "held-out rows", value, refits.held_out, allowed)


def _reference(case: Case, refits: Refits, declared: list[Declaration]) -> list[Evidence]:
    """The fixed set made from the contract: odd inputs that no month holds, in no slice."""
    value = case.candidate.predict(case.reference)["value"]
    largest = max((each.size for each in declared), default=0.0)
    where, allowed = "the reference requests", np.full(len(value), largest)
    return [_row_line(case, "reference-shift", where, value, refits.reference, allowed)]


def _headline(case: Case, own: Movement) -> Headline:
    before, now = (float(each["value"].mean()) for each in (case.rival_answers, case.answers))
    return Headline(
        name="mean prediction",
        unit=f"{case.contract.target.unit}s",
        champion=before,
        candidate=now,
        change=(now - before - 2 * own.error, now - before + 2 * own.error),
        better="near",
    )


def _worst_rows(case: Case, refits: Refits) -> Table:
    """Inputs that a caller gives, none of them sensitive, with what both sides answer."""
    value, before = case.answers["value"], case.rival_answers["value"]
    order = np.argsort(-np.abs(value - refits.held_out.mean(axis=0)))[:WORST_ROWS]
    shown = [column.name for column in case.contract.known if not column.sensitive][:8]
    rows = case.held_out[order].select(shown).rows()
    return Table(
        title="Rows that moved most",
        columns=(*shown, "champion", "candidate"),
        rows=tuple(
            (*(str(cell) for cell in row), round(before[place], 2), round(value[place], 2))
            for row, place in zip(rows, order.tolist(), strict=True)
        ),
    )


def _moved_slices(own: Movement, data: Movement, slices: Slices) -> tuple[Table, ...]:
    if not len(slices):
        return ()
    order = np.argsort(-np.abs(own.slices + data.slices))[:20]
    return (
        Table(
            title="Slices by movement",
            columns=("slice", "rows", "by the change", "by the data", "in all"),
            rows=tuple(
                (
                    slices.names[place],
                    int(slices.rows[place]),
                    round(float(own.slices[place]), 3),
                    round(float(data.slices[place]), 3),
                    round(float(own.slices[place] + data.slices[place]), 3),
                )
                for place in order
            ),
        ),
    )


def _chart(case: Case, own: Movement, data: Movement, slices: Slices) -> tuple[Chart, ...]:
    wanted = [
        place
        for place, name in enumerate(slices.names)
        if name.split("=")[0] in case.contract.slices
    ][:40]
    if not wanted:
        return ()
    series = {"by the change": own.slices, "by the data": data.slices}
    return (
        Chart(
            title="Movement of the mean prediction by slice",
            unit=f"{case.contract.target.unit}s",
            kind="bars",
            labels=tuple(slices.names[place] for place in wanted),
            series={
                name: tuple(round(float(values[place]), 3) for place in wanted)
                for name, values in series.items()
            },
        ),
    )
