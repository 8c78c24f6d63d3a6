"""Gate: nothing of a test row, and nothing that a caller cannot know, reached the training."""

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from preflight.contract import Contract
from preflight.errors import Problem
from preflight.evidence import Evidence, Findings, Table, told
from preflight.gates.case import Case, keys

GATE = "leakage"
MOST_ROWS = 50_000
BINS = 50
MISSING = -1e18  # what stands for a missing value: a group of its own
Array = NDArray[np.float64]


def judge(case: Case) -> Findings:
    """Overlap, order in time, near-duplicates; features that know too much."""
    evidence = [_order(case), *_overlaps(case), _near_duplicates(case)]
    try:
        train, test = (_sampled(rows) for rows in (case.train, case.tested))
        matrices = [case.candidate.matrix(rows) for rows in (train, test)]
    except Problem as problem:
        return Findings(evidence=(*evidence, _known(problem.found)))
    scores = _alone(case, (train, test), matrices)
    return Findings(
        evidence=(
            *evidence,
            _known(None),
            _too_good(case, scores),
            _missingness(case, train, matrices[0]),
        ),
        tables=(
            Table(
                title="What each feature explains alone",
                columns=("feature", "share of the target's variance"),
                rows=tuple((name, round(score, 3)) for name, score in scores.items()),
            ),
        ),
    )


def _sampled(rows: pl.DataFrame) -> pl.DataFrame:
    return rows[np.linspace(0, len(rows) - 1, min(len(rows), MOST_ROWS)).astype(np.int64)]


def _order(case: Case) -> Evidence:
    time = case.contract.time.name
    newest: Any = max(
        rows[time].max() for rows in (case.train, case.part("calibrate")) if len(rows)
    )  # type: ignore[type-var]
    oldest: Any = case.tested[time].min()
    early = int((case.tested[time] <= newest).sum())
    return told(
        GATE,
        "order",
        "Every row that the model was fitted on is older than every test row.",
        bool(newest < oldest),
        f"fitted up to {newest:%Y-%m-%d %H:%M}, tested from {oldest:%Y-%m-%d %H:%M}"
        + (": the split is not by time" if early else ""),
        measured=early,
        limit="<= 0 test rows before the end of training",
        n=len(case.tested),
    )


def _overlaps(case: Case) -> list[Evidence]:
    calibrate = case.part("calibrate")
    lines = [_overlap(case, "test", case.tested, (case.train, calibrate))]
    return (
        [*lines, _overlap(case, "calibrate", calibrate, (case.train,))] if len(calibrate) else lines
    )


def _overlap(
    case: Case, name: str, rows: pl.DataFrame, fitted: tuple[pl.DataFrame, ...]
) -> Evidence:
    seen = np.concatenate([keys(part, case.contract) for part in fitted])
    shared = float(np.isin(keys(rows, case.contract), seen).mean())
    most = case.limits.leakage.max_overlap
    return told(
        GATE,
        f"overlap-{name}",
        f"No {name} row was used to fit the model"
        + (" or its intervals." if name == "test" else "."),
        shared <= most,
        f"{shared:.2%} of the {name} rows were trained on",
        measured=shared,
        limit=f"<= {most:g}",
        n=len(rows),
    )


def _near_duplicates(case: Case) -> Evidence:
    """Rows equal in all but the date: a month that was copied under another date."""
    most = case.limits.leakage.max_near_duplicates
    found = np.isin(
        _without_date(case.tested, case.contract), _without_date(case.train, case.contract)
    )
    share = float(found.mean())
    return told(
        GATE,
        "near-duplicates",
        "Test rows are not copies of training rows under another date.",
        share <= most,
        f"{share:.2%} of the test rows repeat a training row but for its date",
        measured=share,
        limit=f"<= {most:g}",
        n=len(case.tested),
    )


def _without_date(rows: pl.DataFrame, contract: Contract) -> NDArray[np.uint64]:
    parts = []
    for column in (*contract.known, contract.target):
        value = pl.col(column.name)
        if column.kind == "time":
            value = (
                value.dt.hour().cast(pl.Int32) * 3_600 + value.dt.minute() * 60 + value.dt.second()
            )
        elif column.kind == "number":
            value = value.round(2)
        parts.append(value.alias(column.name))
    return rows.select(pl.struct(parts).hash().alias("key"))["key"].to_numpy()


def _known(problem: str | None) -> Evidence:
    claim = "Features use only columns that a caller knows when asking."
    found = "computed from the known columns alone" if problem is None else problem
    return told(GATE, "known", claim, problem is None, found)


def _alone(
    case: Case, rows: tuple[pl.DataFrame, pl.DataFrame], matrices: list[Array]
) -> dict[str, float]:
    """Share of the test target's variance that each feature explains alone, the best first."""
    described = case.candidate.described
    targets = [part[case.contract.target.name].to_numpy() for part in rows]
    scores = {
        name: _explained(
            matrices[0][:, place],
            matrices[1][:, place],
            *targets,
            codes=name in described["categorical"],
        )
        for place, name in enumerate(described["features"])
    }
    return dict(sorted(scores.items(), key=lambda item: -item[1]))


def _explained(train: Array, test: Array, target: Array, truth: Array, *, codes: bool) -> float:
    """1 - residual variance of the means by code, or by part of equal size."""
    train, test = np.nan_to_num(train, nan=MISSING), np.nan_to_num(test, nan=MISSING)
    edges = np.unique(train) if codes else np.unique(np.quantile(train, np.arange(1, BINS) / BINS))
    groups, asked = (np.searchsorted(edges, each) for each in (train, test))
    counts = np.bincount(groups, minlength=len(edges) + 1)
    sums = np.bincount(groups, target, minlength=len(edges) + 1)
    means = np.where(counts > 0, sums / np.maximum(counts, 1), target.mean())
    return float(1 - np.var(truth - means[asked]) / np.var(truth))


def _too_good(case: Case, scores: dict[str, float]) -> Evidence:
    most = case.limits.leakage.max_alone
    best = next(iter(scores))
    return told(
        GATE,
        "alone",
        "No feature predicts the target too well alone.",
        scores[best] <= most,
        f"{best} alone explains {scores[best]:.1%} of the variance"
        + (": does it know the outcome?" if scores[best] > most else ""),
        measured=scores[best],
        limit=f"<= {most:.0%}",
        n=min(len(case.tested), MOST_ROWS),
        details="What each feature explains alone",
    )


def _missingness(case: Case, rows: pl.DataFrame, matrix: Array) -> Evidence:
    """A feature that repeats whether a value is missing learns how records were kept."""
    most, worst, where = case.limits.leakage.max_missingness, 0.0, "no feature, no column"
    for column in (column for column in case.contract.columns if column.nullable):
        missing = rows[column.name].is_null().to_numpy().astype(np.float64)
        if missing.std() == 0:
            continue
        for place, name in enumerate(case.candidate.described["features"]):
            found = _correlation(missing, matrix[:, place])
            if found > worst:
                worst, where = found, f"{name} with missing {column.name}"
    return told(
        GATE,
        "missingness",
        "No feature repeats whether a column is missing.",
        worst <= most,
        f"largest correlation {worst:.2f}: {where}",
        measured=worst,
        limit=f"<= {most:g}",
        n=len(rows),
    )


def _correlation(missing: Array, feature: Array) -> float:
    values = np.nan_to_num(feature, nan=MISSING)
    if values.std() == 0:
        return 0.0
    return float(abs(np.corrcoef(missing, values)[0, 1]))
