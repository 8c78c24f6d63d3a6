"""What a reviewer would rather see than read: outcomes by hour, errors by month, importance."""

import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from preflight.evidence import Chart
from preflight.gates.case import Case
from preflight.layout import PLOTS

Array = NDArray[np.float64]


def all_of(case: Case) -> tuple[Chart, ...]:
    """Every chart that there is data for."""
    return (*_by_hour(case), *_by_month(case), *_importance(case))


def _unit(case: Case) -> str:
    return f"{case.contract.target.unit}s" if case.contract.target.unit else ""


def _by_hour(case: Case) -> tuple[Chart, ...]:
    """Mean outcome and mean answers of both sides by hour of the day."""
    times = case.columns[case.contract.time.name]
    hours = (times.astype("datetime64[h]") - times.astype("datetime64[D]")).astype(np.int64)
    kinds = np.unique(hours)
    return (
        Chart(
            title="Mean by hour of the day",
            unit=_unit(case),
            kind="lines",
            labels=tuple(f"{hour:02d}" for hour in kinds),
            series={
                "outcome": _means(case.scored.target, hours, kinds),
                **_sides(case, case.rival_scored.value, case.scored.value, hours, kinds),
            },
        ),
    )


def _by_month(case: Case) -> tuple[Chart, ...]:
    """RMSE of both sides by month, where there is more than one."""
    months = case.columns[case.contract.time.name].astype("datetime64[M]").astype(str)
    kinds = np.unique(months)
    if len(kinds) < 2:
        return ()
    losses = [(each.value - each.target) ** 2 for each in (case.rival_scored, case.scored)]
    series = _sides(case, losses[0], losses[1], months, kinds)
    roots = {
        name: tuple(round(value**0.5, 3) for value in values) for name, values in series.items()
    }
    labels = tuple(str(month) for month in kinds)
    title = "RMSE by month"
    return (Chart(title=title, unit=_unit(case), kind="bars", labels=labels, series=roots),)


def _sides(
    case: Case, before: Array, now: Array, labels: NDArray[np.generic], kinds: NDArray[np.generic]
) -> dict[str, tuple[float, ...]]:
    rival = "champion" if case.rival else "baseline"
    return {rival: _means(before, labels, kinds), "candidate": _means(now, labels, kinds)}


def _means(
    values: Array, labels: NDArray[np.generic], kinds: NDArray[np.generic]
) -> tuple[float, ...]:
    return tuple(round(float(values[labels == kind].mean()), 3) for kind in kinds)


def _importance(case: Case) -> tuple[Chart, ...]:
    """Mean contribution by feature, as the evaluate stage of each side wrote it."""
    now = _read(case.root)
    then = _read(case.champion.root) if case.champion.root else {}
    if not now:
        return ()
    labels = tuple(sorted(now | then, key=lambda name: -now.get(name, 0.0)))[:40]
    series = {"candidate": tuple(now.get(name) for name in labels)}
    series |= {"champion": tuple(then.get(name) for name in labels)} if then else {}
    title = "Mean contribution of each feature"
    return (Chart(title=title, unit=_unit(case), kind="bars", labels=labels, series=series),)


def _read(root: Path) -> dict[str, float]:
    path = root / PLOTS / "importance.csv"
    if not path.is_file():
        return {}
    with path.open(newline="", encoding="utf-8") as file:
        _, *rows = csv.reader(file)
    return {name[:120]: round(float(value), 3) for name, value in rows}
