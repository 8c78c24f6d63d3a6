"""Gate: what holds overall holds in every slice that has enough rows."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from preflight.evidence import Evidence, Findings, SliceFinding, Status, Table, told
from preflight.gates.case import Case
from preflight.gates.slicing import Slices, counts
from preflight.gates.statistics import critical
from preflight.layout import SPLIT

GATE = "slices"
SHOWN = 40
Array = NDArray[np.float64]


def judge(case: Case) -> Findings:
    """Error, bias and coverage by slice, fairness gaps, and slices that ran empty."""
    if not np.isfinite(case.answers["value"]).all():
        claim = "Every slice has finite predictions."
        return Findings(evidence=(told(GATE, "finite", claim, False, "some are not finite"),))
    slices = case.slices(case.limits.slices.max_unjudged_rows)
    if not len(slices):
        claim = "There are slices with enough rows to judge."
        return Findings(evidence=(told(GATE, "rows", claim, None, "no slice has enough rows"),))
    evidence = (
        _present(case, len(slices.small)),
        _error(case, slices),
        _bias(case, slices),
        _coverage(case, slices),
        *(_fairness(case, name) for name in case.limits.slices.fairness),
    )
    return Findings(evidence=evidence, tables=(_table(case),))


def _present(case: Case, unjudged: int) -> Evidence:
    """A slice with rows among those the champion was tested on has rows now."""
    claim = "No slice that the champion was judged on has run empty."
    if case.rival is None or case.champion.root is None:
        return told(GATE, "present", claim, True, "there is no champion")
    least = case.limits.slices.max_unjudged_rows
    tested = pl.read_parquet(case.champion.root / SPLIT / "test.parquet")
    then, now = counts(case.rival.slices(tested)), counts(case.labels)
    judged = {name: rows for name, rows in then.items() if rows >= least}
    gone = [name for name in judged if now.get(name, 0) < least / 4]
    lost = ", ".join(f"{name} has {now.get(name, 0)} rows, had {then[name]}" for name in gone[:5])
    found = (
        f"no rows to judge: {lost}"
        if gone
        else f"all {len(judged)} have rows; {unjudged} slices are too small to judge"
    )
    holds = None if gone else True
    return told(GATE, "present", claim, holds, found, measured=len(gone), limit="<= 0")


def _line(
    check: str,
    claim: str,
    slices: Slices,
    values: Array,
    ends: tuple[Array, Array],
    limit: str,
    broken: NDArray[np.bool_],
    worst: Array,
    unit: str,
) -> Evidence:
    """One check over all slices; `worst` orders them, the largest first."""
    order = np.argsort(-worst)
    shown = [place for place in order if broken[place]][:SHOWN] or order[:5].tolist()
    first = shown[0]
    kind = f"{int(broken.sum())} of {len(slices)} slices: worst" if broken.any() else "worst slice"

    def status(place: int) -> Status:
        return "fail" if broken[place] else "pass"

    return told(
        GATE,
        check,
        claim,
        not broken.any(),
        f"{kind} {slices.names[first]}, {unit.format(values[first])}",
        measured=float(values[first]),
        limit=limit,
        interval=(float(ends[0][first]), float(ends[1][first])),
        n=int(slices.rows[first]),
        slices=tuple(
            SliceFinding(
                name=slices.names[place],
                n=int(slices.rows[place]),
                measured=float(values[place]),
                limit=limit,
                interval=(float(ends[0][place]), float(ends[1][place])),
                status=status(place),
            )
            for place in shown
        ),
    )


def _error(case: Case, slices: Slices) -> Evidence:
    """Squared errors, paired; the ratio's error by the delta method."""
    most = case.limits.slices.max_rmse_ratio
    ours, theirs = ((each.value - each.target) ** 2 for each in (case.scored, case.rival_scored))
    base = np.maximum(slices.means(theirs), 1e-12)
    ratio = slices.means(ours) / base
    spread = critical(len(slices)) * _paired_error(slices, ours, theirs, ratio) / base
    low, high = (np.sqrt(np.maximum(ratio + sign * spread, 0)) for sign in (-1, 1))
    return _line(
        "error",
        "In no slice is RMSE surely worse than the champion's.",
        slices,
        np.sqrt(ratio),
        (low, high),
        f"interval starts <= {most:g}",
        low > most,
        low,
        "RMSE {:.3f} times the champion's",
    )


def _paired_error(slices: Slices, ours: Array, theirs: Array, ratio: Array) -> Array:
    """Standard error of mean(ours) - ratio * mean(theirs) in each slice."""
    both = slices.means(ours * theirs) - slices.means(ours) * slices.means(theirs)
    one, other = slices.errors(ours) ** 2, slices.errors(theirs) ** 2
    variance = one - 2 * ratio * both / slices.rows + ratio**2 * other
    found: Array = np.sqrt(np.maximum(variance, 0))
    return found


def _bias(case: Case, slices: Slices) -> Evidence:
    """Where the champion is off as well, the world has moved and not the model."""
    limits = case.limits.slices
    most = limits.max_bias
    error = case.scored.value - case.scored.target
    before = np.abs(slices.means(case.rival_scored.value - case.rival_scored.target))
    mean, spread = slices.means(error), critical(len(slices)) * slices.errors(error)
    nearest = np.maximum(np.abs(mean) - spread, 0)
    return _line(
        "bias",
        "In no slice are predictions surely off by more than the limit, unless the champion's are.",
        slices,
        mean,
        (mean - spread, mean + spread),
        f"nearer end <= {most:g} either way",
        (nearest > most) & (np.abs(mean) > before + limits.max_bias_growth),
        nearest + np.abs(mean) / 1e6,
        "off by {:+.2f} on average",
    )


def _coverage(case: Case, slices: Slices) -> Evidence:
    claim = "In every slice intervals hold the outcome about as often as they say."
    rows = case.scored
    if rows.lower is None or rows.upper is None:
        return told(GATE, "coverage", claim, None, "the model has no intervals")
    least = case.limits.slices.min_coverage
    held = ((rows.target >= rows.lower) & (rows.target <= rows.upper)).astype(np.float64)
    mean = slices.means(held)
    low, high = _wilson(mean, slices.rows, critical(len(slices)))
    return _line(
        "coverage",
        claim,
        slices,
        mean,
        (low, high),
        f"interval ends >= {least:g}",
        high < least,
        -high,
        "{:.1%} held",
    )


def _wilson(share: Array, rows: NDArray[np.int64], sure: float) -> tuple[Array, Array]:
    """Score interval of a share. Source: Wilson (1927)."""
    extra = sure**2 / rows
    middle = (share + extra / 2) / (1 + extra)
    half = sure * np.sqrt(share * (1 - share) / rows + extra / (4 * rows)) / (1 + extra)
    return middle - half, middle + half


def _fairness(case: Case, name: str) -> Evidence:
    """Mean error of a group against that of all other rows, as far as it is sure."""
    claim = f"No group of {name} is served with a mean error of its own."
    check = f"fairness-{name}".replace("_", "-").lower()[:41]
    if name not in case.labels:
        return told(GATE, check, claim, None, f"the contract has no slice {name}")
    groups = Slices({name: case.labels[name]}, case.limits.slices.max_unjudged_rows)
    if not len(groups):
        return told(GATE, check, claim, None, "no group has enough rows")
    error = case.scored.value - case.scored.target
    most = case.limits.slices.max_fairness_gap
    gap = groups.means(error) - error.mean()
    spread = critical(len(groups)) * groups.errors(error)
    nearest = np.maximum(np.abs(gap) - spread, 0)
    return _line(
        check,
        claim,
        groups,
        gap,
        (gap - spread, gap + spread),
        f"nearer end <= {most:g} either way",
        nearest > most,
        nearest + np.abs(gap) / 1e6,
        "{:+.2f} beside the mean error of all rows",
    )


def _table(case: Case) -> Table:
    """The contract's slices, champion beside candidate."""
    groups = Slices(case.labels, case.limits.slices.max_unjudged_rows)
    losses = [(each.value - each.target) ** 2 for each in (case.rival_scored, case.scored)]
    before, now = (np.sqrt(groups.means(loss)) for loss in losses)
    bias = groups.means(case.scored.value - case.scored.target)
    rows = case.scored
    held = (
        None
        if rows.lower is None or rows.upper is None
        else groups.means(
            ((rows.target >= rows.lower) & (rows.target <= rows.upper)).astype(np.float64)
        )
    )
    return Table(
        title="Slices against the champion",
        columns=("slice", "rows", "RMSE, champion", "RMSE, candidate", "bias", "coverage"),
        rows=tuple(
            (
                name,
                int(groups.rows[place]),
                round(float(before[place]), 3),
                round(float(now[place]), 3),
                round(float(bias[place]), 3),
                None if held is None else round(float(held[place]), 3),
            )
            for place, name in enumerate(groups.names[:80])
        ),
    )
