"""Gate: on rows that neither side was fitted on, the candidate is no worse and good enough."""

import numpy as np
import polars as pl

from preflight import metrics, table
from preflight.evidence import Evidence, Findings, Headline, Table, told
from preflight.files import read_json
from preflight.gates import charts
from preflight.gates.case import Case
from preflight.gates.statistics import Estimate, paired_ratio
from preflight.joint import shuffled
from preflight.layout import METRICS
from preflight.metrics import Metric, Scored

GATE = "quality"
RESAMPLES = 200
MIXED_ROWS = 20_000  # at most, whose values are permuted against each other
# One number of a metrics file that nobody can make up: it is computed here again.
RECOMPUTED = ("rmse", "mae", "coverage")
TINY, HUGE = 1e-9, 1e9


def judge(case: Case) -> Findings:
    """Floors, non-inferiority to the champion, sane values, and honest metrics."""
    ours, theirs = case.scored, case.rival_scored
    finite = _finite(case, ours)
    if finite.status != "pass":
        return Findings(evidence=(finite,))
    now, then = (metrics.with_intervals(each, RESAMPLES, seed=1) for each in (ours, theirs))
    ratios = {
        name: paired_ratio(_loss(ours, name), _loss(theirs, name), root=name == "rmse")
        for name in ("rmse", "mae")
    }
    return Findings(
        evidence=(
            finite,
            _range(case, ours),
            _varies(ours),
            *_no_worse(case, ratios, now, then),
            *_floors(case, now),
            _honest(case),
            *_guarded(case),
        ),
        headlines=_headlines(case, ratios, now, then),
        tables=(_table(now, then),),
        charts=charts.all_of(case),
    )


def _loss(rows: Scored, name: str) -> metrics.Array:
    error = rows.value - rows.target
    return error**2 if name == "rmse" else np.abs(error)


def _finite(case: Case, rows: Scored) -> Evidence:
    odd = ~np.isfinite(rows.value)
    where = ""
    if odd.any():
        labels = {name: np.unique(values[odd]) for name, values in case.labels.items()}
        columns = {
            column.name: np.unique(case.columns[column.name][odd])
            for column in case.contract.known
            if column.kind == "integer" and not column.sensitive
        }
        alone = [
            f"{name}={found[0]}" for name, found in (columns | labels).items() if len(found) == 1
        ]
        where = f", all in {', '.join(alone)}" if alone else ""
    return told(
        GATE,
        "finite",
        "Every prediction is a finite number.",
        not odd.any(),
        f"{int(odd.sum())} of {len(rows)} predictions are NaN or infinite{where}",
        measured=int(odd.sum()),
        limit="<= 0",
        n=len(rows),
    )


def _range(case: Case, rows: Scored) -> Evidence:
    target, most = case.contract.target, case.limits.quality.max_out_of_range
    low, high = float(target.minimum), float(target.maximum)  # type: ignore[arg-type]
    # Answers are cut to the range, so those that lay outside lie on its ends.
    share = float(((rows.value <= low) | (rows.value >= high)).mean())
    return told(
        GATE,
        "range",
        f"Predictions lie within the contract's range of {target.name}, {low:g} to {high:g}.",
        share <= most,
        f"{share:.2%} were cut to it; answers go from {rows.value.min():.2f} "
        f"to {rows.value.max():.2f}",
        measured=share,
        limit=f"<= {most:g}",
        n=len(rows),
    )


def _varies(rows: Scored) -> Evidence:
    spread = float(np.std(rows.value))
    needed = 0.1 * float(np.std(rows.target))
    return told(
        GATE,
        "varies",
        "Predictions vary: the model is not a constant.",
        spread > needed,
        f"standard deviation {spread:.3g}; outcomes have {np.std(rows.target):.3g}"
        + ("" if spread > needed else ": a constant prediction"),
        measured=spread,
        limit=f"> {needed:.3g}",
        n=len(rows),
    )


def _no_worse(case: Case, ratios: dict[str, Estimate], now: Metric, then: Metric) -> list[Evidence]:
    rival = "the champion" if case.rival else "the trivial baseline"
    limits = {"rmse": case.limits.quality.max_rmse_ratio, "mae": case.limits.quality.max_mae_ratio}
    return [
        told(
            GATE,
            f"{name}-no-worse",
            f"{name.upper()} is less than {limits[name] - 1:.1%} worse than {rival}'s "
            "on the same rows.",
            ratio.high <= limits[name],
            f"{name.upper()} {now[name]:.3f} against {then[name]:.3f}"
            + (": unchanged" if case.unchanged else f", {ratio.value - 1:+.2%}")
            + _cause(case, ratio.high <= limits[name]),
            measured=min(ratio.value, HUGE),
            limit=f"<= {limits[name]:g}",
            interval=(min(ratio.low, HUGE), min(ratio.high, HUGE)),
            n=int(now["rows"]),
        )
        for name, ratio in ratios.items()
    ]


def _cause(case: Case, held: bool) -> str:
    return f"; {case.changed}" if case.changed and not held else ""


def _floors(case: Case, now: Metric) -> list[Evidence]:
    words = {
        "rmse": "RMSE meets its floor.",
        "baseline_ratio": "The model beats the trivial baseline by the margin asked for.",
        "coverage": "Intervals hold the outcome about as often as they say.",
    }
    return [
        told(
            GATE,
            f"{line.name.replace('_', '-')}-floor",
            words[line.name],
            None if line.status == "no-data" else line.status == "pass",
            "no figure" if line.measured is None else f"{line.name} {line.measured:.4g}",
            measured=line.measured,
            limit=line.limit,
            interval=_ends(now, line.name),
            n=int(now["rows"]),
        )
        for line in metrics.judged(now, case.limits.quality)
    ]


def _ends(now: Metric, name: str) -> tuple[float, float] | None:
    low, high = now.get(f"{name}_low"), now.get(f"{name}_high")
    return None if low is None or high is None else (float(low), float(high))


def _honest(case: Case) -> Evidence:
    """metrics.json holds what the packaged model gives on the rows of data/split/test.parquet."""
    said = read_json(case.root / METRICS)["test"]
    now = metrics.summary(case.scored_tested)
    gaps = {
        name: abs(float(said.get(name, np.inf)) - float(now[name])) / max(float(now[name]), TINY)
        for name in RECOMPUTED
        if name in now
    }
    worst = max(gaps, key=lambda name: gaps[name])
    most = case.limits.quality.max_metrics_gap
    return told(
        GATE,
        "metrics",
        "metrics.json says what the packaged model gives on the test months.",
        gaps[worst] <= most,
        f"{worst} is {float(said.get(worst, np.nan)):.4f} in metrics.json, "
        f"{float(now[worst]):.4f} computed here on {', '.join(case.test_months)}",
        measured=min(gaps[worst], HUGE),
        limit=f"<= {most:.2%}",
        n=int(now["rows"]),
    )


def _guarded(case: Case) -> tuple[Evidence, Evidence]:
    """The joint score lets honest rows pass and notices odd ones."""
    limits = case.limits.quality
    quiet = _odd(case, case.held_out)
    noticed = _odd(case, _mixed(case))
    return (
        told(
            GATE,
            "false-flags",
            "Honest rows are seldom flagged as odd by the joint score.",
            None if quiet is None else quiet <= limits.max_joint_flags,
            "no flags" if quiet is None else f"{quiet:.2%} of the held-out rows are flagged",
            measured=quiet,
            limit=f"<= {limits.max_joint_flags:g}",
            n=len(case.held_out),
        ),
        told(
            GATE,
            "odd-noticed",
            "Rows whose values do not belong together are flagged by the joint score.",
            None if noticed is None else noticed >= limits.min_odd_flagged,
            "no flags"
            if noticed is None
            else f"{noticed:.2%} of held-out rows are flagged once their columns are permuted "
            "against each other" + ("" if noticed else ": the guard never fires"),
            measured=noticed,
            limit=f">= {limits.min_odd_flagged:g}",
            n=min(len(case.held_out), MIXED_ROWS),
        ),
    )


def _odd(case: Case, rows: pl.DataFrame) -> float | None:
    answers = case.answers if rows is case.held_out else case.candidate.predict(rows)
    odd = answers.get("odd", np.empty(0))
    return float(odd.mean()) if len(odd) else None


def _mixed(case: Case) -> pl.DataFrame:
    rows, known = case.held_out, [column.name for column in case.contract.known]
    if len(rows) > MIXED_ROWS:
        rows = rows[np.linspace(0, len(rows) - 1, MIXED_ROWS).astype(np.int64)]
    mixed = shuffled(table.arrays(rows, known), known, np.random.default_rng(1))
    return rows.with_columns(**{name: pl.Series(values) for name, values in mixed.items()})


def _headlines(
    case: Case, ratios: dict[str, Estimate], now: Metric, then: Metric
) -> tuple[Headline, ...]:
    unit = case.contract.target.unit or ""
    nominal = "coverage of intervals"
    error = Headline(
        name="RMSE",
        unit=f"{unit}s" if unit else "",
        champion=then["rmse"],
        candidate=now["rmse"],
        change=_change(then["rmse"], ratios["rmse"]),
        better="lower",
    )
    covered, before = now.get("coverage"), then.get("coverage")
    change = None
    if covered is not None and before is not None:
        gap = covered - before
        spread = 1.96 * (covered * (1 - covered) / now["rows"]) ** 0.5
        change = (gap - spread, gap + spread)
    return error, Headline(
        name=nominal, unit="share", champion=before, candidate=covered, change=change, better="near"
    )


def _change(before: float, ratio: Estimate) -> tuple[float, float] | None:
    ends = before * (ratio.low - 1), before * (ratio.high - 1)
    return ends if np.isfinite(ends).all() else None


def _table(now: Metric, then: Metric) -> Table:
    names = ("rmse", "mae", "bias", "baseline_rmse", "baseline_ratio", "coverage", "width")
    return Table(
        title="Metrics against the champion",
        columns=("metric", "champion", "candidate", "candidate's 95% interval"),
        rows=tuple((name, then.get(name), now.get(name), _interval(now, name)) for name in names),
    )


def _interval(now: Metric, name: str) -> str | None:
    ends = _ends(now, name)
    return ends and f"{ends[0]:.4g} to {ends[1]:.4g}"
