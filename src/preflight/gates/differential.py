"""Gate: predictions move no more than training again would move them, or as was declared.

The champion's recipe is fitted several times on the candidate's training rows. Movement against
the mean of those fits is the change's own, and their spread is its noise; movement of that mean
against the champion comes from the data, is shown apart and has limits of its own.
"""

import numpy as np
from numpy.typing import NDArray

from preflight.evidence import Chart, Evidence, Findings, Headline, Notice, Table, told
from preflight.gates import windows
from preflight.gates.case import Case, Refits
from preflight.gates.limits import Declaration
from preflight.gates.movement import Movement, slice_limits
from preflight.gates.shifts import GATE, allowance, by_slice, mean, rows_moved
from preflight.gates.slicing import Slices

WORST_ROWS = 10
Array = NDArray[np.float64]


def judge(case: Case) -> Findings:
    """Movement overall, by slice and by row: on held-out rows, reference set, named windows."""
    if case.rival is None:
        claim = "There is no earlier model from which predictions could move."
        return Findings(
            evidence=(told(GATE, "first", claim, True, str(case.champion)), *windows.absent(case))
        )
    if case.unchanged:
        claim = "Candidate and champion are the same model."
        found = f"unchanged: both have hash {case.candidate.model_hash[:12]}"
        return Findings(
            evidence=(told(GATE, "unchanged", claim, True, found), *windows.absent(case))
        )
    value = case.answers["value"]
    if not np.isfinite(value).all():
        claim = "Every prediction can be compared with the champion's."
        found = f"{int((~np.isfinite(value)).sum())} predictions are not finite"
        return Findings(evidence=(told(GATE, "finite", claim, False, found), *windows.absent(case)))
    return _compared(case)


def _compared(case: Case) -> Findings:
    limits, refits = case.limits.differential, case.refits
    least = max(limits.max_unjudged_rows, int(limits.max_unjudged_share * len(case.held_out)))
    slices = case.slices(least)
    declared, void = _declared(case)
    allowed = allowance(declared, slices, len(case.held_out))
    middle = refits.held_out.mean(axis=0)
    own = Movement.of(case.answers["value"] - middle, refits.held_out, slices)
    data = Movement.of(middle - case.rival_answers["value"], refits.held_out, slices)
    evidence = [
        *_movement(case, own, allowed, slices),
        _rows(case, refits, allowed),
        *_reference(case, refits, declared),
        *windows.judged(case, declared),
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


def _movement(case: Case, own: Movement, allowed: Array, slices: Slices) -> list[Evidence]:
    limits = case.limits.differential
    return [
        mean(
            "mean-shift",
            "On held-out rows predictions keep their mean, but for the noise of training again.",
            own,
            limits.max_mean_shift + limits.max_noise * own.error,
            allowed,
        ),
        by_slice(
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
        mean(
            "data-mean-shift",
            "The new data alone moves the mean prediction within its own limit.",
            data,
            limits.max_data_mean_shift,
            allowed,
        ),
        by_slice(
            "data-slice-shift",
            "The new data alone moves every slice within its own limit.",
            data,
            largest,
            allowed,
            slices,
        ),
    ]


def _rows(case: Case, refits: Refits, allowed: Array) -> Evidence:
    limits, value = case.limits.differential, case.answers["value"]
    return rows_moved(limits, "row-shift", "held-out rows", value, refits.held_out, allowed)


def _reference(case: Case, refits: Refits, declared: list[Declaration]) -> list[Evidence]:
    """The fixed set made from the contract: odd inputs that no month holds, in no slice."""
    value = case.candidate.predict(case.reference)["value"]
    largest = max((each.size for each in declared), default=0.0)
    where, allowed = "the reference requests", np.full(len(value), largest)
    limits, noise = case.limits.differential, refits.reference
    return [rows_moved(limits, "reference-shift", where, value, noise, allowed)]


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
