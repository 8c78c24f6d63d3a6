"""Stage: metrics with intervals, by month and slice; plots; the reference predictions."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from preflight import metrics, reference, table
from preflight.files import replacing, write_json
from preflight.guards import flagged
from preflight.layout import METRICS, PACKAGED, PLOTS, REFERENCE, SPLIT
from preflight.metrics import Scored
from preflight.params import Params
from preflight.predictor import Answers, Predictor, require_finite
from preflight.stages import log

BINS = 20


def evaluate(params: Params) -> None:
    """models/packaged, data/split/test.parquet -> models/evaluation."""
    model = Predictor(PACKAGED)
    contract = model.contract
    columns = table.arrays(table.scan(SPLIT / "test.parquet", contract).collect())
    answers = model.answer(columns)
    require_finite(answers.value, columns)
    rows = Scored(
        columns[contract.target.name],
        answers.value,
        model.model.baseline(columns),
        answers.lower,
        answers.upper,
    )
    months = columns[contract.time.name].astype("datetime64[M]").astype(str)
    labels = model.slices(columns)
    test = metrics.with_intervals(rows, params.evaluate.resamples, seed=1)
    write_json(
        METRICS,
        {
            "test": test,
            "months": _by(rows, months, 1),
            "guards": _flagged(answers, months),
            "slices": {
                name: _by(rows, label, params.evaluate.min_slice_rows)
                for name, label in labels.items()
            },
        },
    )
    _plot(model, columns, rows)
    _refer(model, params.evaluate.reference_rows)
    log.info(
        "evaluate: RMSE %.3f, baseline %.3f -> %s", test["rmse"], test["baseline_rmse"], METRICS
    )


def _by(rows: Scored, labels: NDArray[Any], least: int) -> dict[str, metrics.Metric]:
    parts = {str(label): labels == label for label in np.unique(labels)}
    return {
        label: metrics.summary(rows.where(mask))
        for label, mask in parts.items()
        if mask.sum() >= least
    }


def _flagged(answers: Answers, months: NDArray[Any]) -> dict[str, dict[str, float]]:
    """Share of honest rows that each guard flags, by month and overall."""
    parts = {month: months == month for month in np.unique(months).tolist()}
    parts["test"] = np.ones(len(months), dtype=bool)
    return {
        name: flagged(answers.outside[mask], answers.odd[mask], answers.wide[mask])
        for name, mask in parts.items()
    }


def _refer(model: Predictor, count: int) -> None:
    """Predictions on requests made from the contract, by which a rebuilt model is known."""
    write_json(REFERENCE, {"rows": count, **reference.answers(model, count)})


def _plot(model: Predictor, columns: dict[str, NDArray[Any]], rows: Scored) -> None:
    with replacing(PLOTS) as folder:
        folder.mkdir()
        hour = columns[model.contract.time.name].astype("datetime64[h]").astype(np.int64) % 24
        _write(folder / "hours.csv", ("hour", "actual", "predicted"), _hours(hour, rows))
        _write(folder / "calibration.csv", ("predicted", "actual"), _calibration(rows))
        error = rows.value - rows.target
        counts, edges = np.histogram(np.clip(error, -30, 30), bins=60, range=(-30, 30))
        _write(folder / "errors.csv", ("error", "rows"), zip(edges[:-1], counts, strict=True))
        _write(folder / "importance.csv", ("feature", "minutes"), _importance(model, columns))


def _hours(hour: NDArray[np.int64], rows: Scored) -> Iterable[Sequence[object]]:
    for value in np.unique(hour):
        mask = hour == value
        yield int(value), rows.target[mask].mean(), rows.value[mask].mean()


def _calibration(rows: Scored) -> Iterable[Sequence[object]]:
    """Mean prediction and mean outcome in groups of equal size by predicted value."""
    for part in np.array_split(np.argsort(rows.value, kind="stable"), BINS):
        if len(part):
            yield rows.value[part].mean(), rows.target[part].mean()


def _importance(model: Predictor, columns: dict[str, NDArray[Any]]) -> Iterable[Sequence[object]]:
    """Mean absolute contribution by feature over at most 200 evenly spaced rows."""
    count = len(next(iter(columns.values())))
    chosen = np.linspace(0, count - 1, min(count, 200)).astype(int)
    matrix = model.matrix({name: values[chosen] for name, values in columns.items()})
    shares = np.abs(model.model.contributions(matrix)[:, :-1]).mean(axis=0)
    order = np.argsort(-shares)
    return [(model.model.features[position], shares[position]) for position in order]


def _write(path: Path, header: Sequence[str], lines: Iterable[Sequence[object]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(lines)
