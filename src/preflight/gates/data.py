"""Gate: the candidate's data against the contract, the newest month and the champion's data."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from preflight import params
from preflight.contract import Column
from preflight.evidence import Evidence, Findings, SliceFinding, Table, told
from preflight.files import read_json
from preflight.gates.case import Case
from preflight.gates.side import Side
from preflight.gates.slicing import counts
from preflight.gates.statistics import kolmogorov_smirnov, total_variation
from preflight.layout import SPLIT, VALID, VALIDATION

GATE = "data"
MOST_ROWS = 100_000


def judge(case: Case) -> Findings:
    """Freshness, volume, slice shares, label and feature shift of the candidate's data."""
    ours = _months(case.root)
    if case.champion.root is None:
        evidence = [_first(ours), _whole(case)]
        return Findings(evidence=tuple(evidence), tables=(_counts(case, {}),))
    theirs = _months(case.champion.root)
    evidence = [
        _freshness(case, ours, theirs),
        _volume(case, theirs),
        _same_months(case, ours, theirs),
        _whole(case),
        *_shifts(case),
        _shares(case),
    ]
    return Findings(
        evidence=tuple(evidence), tables=(_counts(case, _validation(case.champion.root)),)
    )


def _first(months: list[str]) -> Evidence:
    claim = "There is no champion whose data the candidate's could fall behind."
    return told(GATE, "first", claim, True, f"the first model, on {', '.join(months)}")


def _months(root: Path) -> list[str]:
    return sorted(params.read(root / "params.yaml")["data"]["months"])


def _validation(root: Path) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = read_json(root / VALIDATION)
    return {month: found[month] for month in sorted(found)}


def _freshness(case: Case, ours: list[str], theirs: list[str]) -> Evidence:
    older = _number(theirs[-1]) - _number(ours[-1])
    most = case.limits.data.max_months_older
    return told(
        GATE,
        "freshness",
        f"The newest month is at most {most} months older than the champion's.",
        older <= most,
        f"newest month {ours[-1]}; the champion has {theirs[-1]}"
        + (f": outdated by {older} months" if older > most else ""),
        measured=older,
        limit=f"<= {most} months",
    )


def _number(month: str) -> int:
    return int(month[:4]) * 12 + int(month[5:])


def _volume(case: Case, theirs: list[str]) -> Evidence:
    limits, counts = case.limits.data, _validation(case.champion.root or case.root)
    usual = float(np.median([counts[month]["valid"] for month in theirs]))
    ratio = len(case.newest) / usual
    return told(
        GATE,
        "volume",
        "The newest month is about as large as the champion's months.",
        limits.min_month_rows <= ratio <= limits.max_month_rows,
        f"{len(case.newest)} valid rows, {ratio:.2f} times the champion's usual month",
        measured=ratio,
        limit=f">= {limits.min_month_rows:g} and <= {limits.max_month_rows:g}",
        n=len(case.newest),
    )


def _same_months(case: Case, ours: list[str], theirs: list[str]) -> Evidence:
    """A month that both have holds the same rows, each as a whole."""
    assert case.champion.root is not None  # noqa: S101
    most, worst, where, rows = case.limits.data.max_same_month_shift, 0.0, "nowhere", 0
    shared = sorted(set(ours) & set(theirs))
    for month in shared:
        roots = (case.root, case.champion.root)
        one, other = (pl.read_parquet(root / VALID / f"{month}.parquet") for root in roots)
        rows += len(one)
        found = _changed(one, other)
        if found > worst:
            worst, where = found, _most_moved(case.contract.columns, one, other, month)
    return told(
        GATE,
        "same-months",
        "A month that both sides have holds the same rows.",
        worst <= most,
        f"{worst:.1%} of the rows differ; {where}"
        if worst
        else f"{len(shared)} months in common, all equal",
        measured=worst,
        limit=f"<= {most:.1%}",
        n=rows,
    )


def _changed(one: pl.DataFrame, other: pl.DataFrame) -> float:
    """Share of the rows, each as a whole, that have no equal on the other side."""
    names = [name for name in one.columns if name in other.columns]
    sides = [
        frame.select(pl.struct(names).hash().alias("row")).group_by("row").len()
        for frame in (one, other)
    ]
    both = sides[0].join(sides[1], on="row", suffix="_other")
    equal = int(both.select(pl.min_horizontal("len", "len_other").sum()).item())
    return 1 - equal / max(len(one), len(other), 1)


def _most_moved(
    columns: tuple[Column, ...], one: pl.DataFrame, other: pl.DataFrame, where: str
) -> str:
    """The column whose values moved most, or what else has changed."""
    moved = {"the number of rows": abs(len(one) / max(len(other), 1) - 1)}
    moved |= _distances(columns, one, other, chance=False)
    column, found = max(moved.items(), key=lambda item: item[1])
    return (
        f"{column} in {where} moved by {found:.1%}"
        if found
        else f"values in {where} are paired otherwise"
    )


def _whole(case: Case) -> Evidence:
    """The split's parts are the valid rows: none lost, none changed, none twice."""
    parts = pl.concat([case.part(name) for name in ("train", "calibrate", "test")])
    months = (case.root / VALID / f"{month}.parquet" for month in _months(case.root))
    valid = pl.concat([pl.read_parquet(path) for path in months])
    changed = _changed(parts, valid)
    moved = f"; {_most_moved(case.contract.columns, parts, valid, 'the parts')}" if changed else ""
    return told(
        GATE,
        "whole-split",
        "Training, calibration and test rows together are the valid rows, each once.",
        changed == 0,
        f"{changed:.1%} of the rows differ{moved}",
        measured=changed,
        limit="<= 0",
        n=len(parts),
    )


def _distances(
    columns: tuple[Column, ...], one: pl.DataFrame, other: pl.DataFrame, *, chance: bool = True
) -> dict[str, float]:
    """How far each column's distribution lies from the other's, by name; a missing one is 1."""
    found: dict[str, float] = {}
    for column in columns:
        if column.name not in other.columns:
            continue
        found[column.name] = _distance(column, one[column.name], other[column.name], chance=chance)
        gap = abs(
            one[column.name].null_count() / len(one) - other[column.name].null_count() / len(other)
        )
        if column.nullable and gap > found[column.name] and not chance:
            found[f"missing {column.name}"] = gap
    return found


def _distance(column: Column, one: pl.Series, other: pl.Series, *, chance: bool) -> float:
    one, other = one.drop_nulls(), other.drop_nulls()
    if not len(one) or not len(other):
        return float(len(one) != len(other))
    if not chance and one.sort().equals(other.sort()):
        return 0.0
    if column.kind == "time":
        # The date always moves on; the time of day should not.
        one, other = (
            each.dt.hour().cast(pl.Float64) * 60 + each.dt.minute() for each in (one, other)
        )
    if column.kind in ("time", "number") or column.role == "entity":
        return kolmogorov_smirnov(
            *(each.cast(pl.Float64).to_numpy() for each in (one, other)), chance=chance
        )
    texts = (each.cast(pl.String).to_numpy().astype(str) for each in (one, other))
    return total_variation(*texts, chance=chance)


def _sampled(rows: pl.DataFrame) -> pl.DataFrame:
    chosen = np.linspace(0, len(rows) - 1, min(len(rows), MOST_ROWS)).astype(np.int64)
    return rows[chosen]


def _shifts(case: Case) -> list[Evidence]:
    """The newest month against what the champion was trained on."""
    assert case.champion.root is not None  # noqa: S101
    limits = case.limits.data
    theirs = _sampled(pl.read_parquet(case.champion.root / SPLIT / "train.parquet"))
    newest = _sampled(case.newest)
    kept = tuple(column for column in case.contract.columns if column.known)
    moved = _distances(kept, newest, theirs)
    target = case.contract.target
    label = _distances((target,), newest, theirs).get(target.name, 1.0)
    worst = max(moved, key=lambda name: moved[name])
    findings = tuple(
        SliceFinding(
            name=name,
            n=len(newest),
            measured=found,
            limit=f"<= {limits.max_feature_shift:g}",
            status="pass" if found <= limits.max_feature_shift else "fail",
        )
        for name, found in sorted(moved.items(), key=lambda item: -item[1])
    )
    return [
        told(
            GATE,
            "label-shift",
            "The newest month's outcomes are distributed like those the champion learned from.",
            label <= limits.max_label_shift,
            f"{target.name} moved by {label:.3f}",
            measured=label,
            limit=f"<= {limits.max_label_shift:g}",
            n=len(newest),
        ),
        told(
            GATE,
            "feature-shift",
            "The newest month's inputs are distributed like those the champion learned from.",
            moved[worst] <= limits.max_feature_shift,
            f"{worst} moved most, by {moved[worst]:.3f}",
            measured=moved[worst],
            limit=f"<= {limits.max_feature_shift:g}",
            n=len(newest),
            slices=findings,
        ),
    ]


def _shares(case: Case) -> Evidence:
    """Share of training rows in each slice, against the champion's training rows."""
    assert case.champion.root is not None and case.rival is not None  # noqa: S101
    most = case.limits.data.max_slice_share
    theirs = pl.read_parquet(case.champion.root / SPLIT / "train.parquet")
    ours = _slice_shares(case.candidate, case.train)
    then = _slice_shares(case.rival, theirs)
    moved = {name: ours.get(name, 0.0) - then.get(name, 0.0) for name in ours | then}
    gone = [
        name for name, share in then.items() if share >= 0.001 and ours.get(name, 0.0) < share / 20
    ]
    worst = max(moved, key=lambda name: abs(moved[name]))
    held = abs(moved[worst]) <= most and not gone
    found = f"{worst} went from {then.get(worst, 0):.1%} to {ours.get(worst, 0):.1%} of the rows"
    return told(
        GATE,
        "slice-shares",
        "Every slice keeps its share of the training rows.",
        held,
        (f"{', '.join(gone[:5])} all but gone; " if gone else "") + found,
        measured=abs(moved[worst]),
        limit=f"<= {most:.1%}",
        n=len(case.train),
    )


def _slice_shares(side: Side, rows: pl.DataFrame) -> dict[str, float]:
    return {name: count / len(rows) for name, count in counts(side.slices(rows)).items()}


def _counts(case: Case, theirs: dict[str, dict[str, Any]]) -> Table:
    ours = _validation(case.root)
    months = sorted(ours | theirs)[-60:]
    return Table(
        title="Rows by month",
        columns=("month", "valid, champion", "valid, candidate", "quarantined, candidate"),
        rows=tuple(
            (
                month,
                theirs.get(month, {}).get("valid"),
                ours.get(month, {}).get("valid"),
                sum(ours.get(month, {}).get("quarantined", {}).values()),
            )
            for month in months
        ),
    )
