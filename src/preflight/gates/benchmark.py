"""Gate: training, predictions, features and the service's start take no longer than before."""

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import numpy as np
import polars as pl

from preflight import bento, champion, reference, table, unregistered
from preflight.evidence import Cell, Evidence, Findings, Headline, Table, told
from preflight.files import replacing
from preflight.gates import timing
from preflight.gates.case import Case
from preflight.gates.limits import Benchmark
from preflight.gates.side import Side
from preflight.gates.timing import ROLES, Clock, Measure, Role, Timed, Times
from preflight.layout import SPLIT

GATE = "benchmark"
Workload = Literal["predict-one", "predict-batch", "features", "training", "service-start"]
WORKLOADS: tuple[Workload, ...] = (
    "predict-one",
    "predict-batch",
    "features",
    "training",
    "service-start",
)
WORDS: dict[Workload, str] = {
    "predict-one": "One row's prediction",
    "predict-batch": "A batch's prediction",
    "features": "Computing features",
    "training": "Training",
    "service-start": "The service's start",
}
ROWS = {"predict-one": 256, "predict-batch": 1_000, "features": 20_000, "training": 10_000}
# Rounds, and seconds of a block; one call may take longer.
BLOCKS = {
    "predict-one": (16, 0.02),
    "predict-batch": (10, 0.04),
    "features": (10, 0.04),
    "training": (2, 0.01),
}
WARM = 0.1  # seconds
START_SETS = 4
log = logging.getLogger("preflight")


def judge(case: Case) -> Findings:
    """Each workload of both sides, by turns, with the champion against itself as a control."""
    if case.rival is None:
        found = "there is no earlier model to compare with"
        line = told(GATE, "champion", "The champion's times are known.", True, found)
        return Findings(evidence=(line,))
    if case.runs_alike:  # a difference of times would be noise, and a red one a lie
        return Findings(evidence=(case.alike(GATE),))
    lines: list[Evidence] = []
    timed: dict[Workload, Timed] = {}
    for workload in WORKLOADS:
        start = time.monotonic()
        timed[workload] = measured(case, workload)
        lines += _judged(workload, timed[workload], _most(workload, case.limits.benchmark))
        log.info("benchmark: %s: %s (%.0f s)", workload, lines[-2].found, time.monotonic() - start)
    return Findings(evidence=tuple(lines), headlines=_headlines(timed), tables=(_table(timed),))


def measured(case: Case, workload: Workload) -> Timed:
    """One workload's times. Raises Problem when a side cannot do it."""
    limits = case.limits.benchmark
    most = _most(workload, limits)
    if workload == "service-start":
        with _starts(case) as measure:
            return timing.compared(measure, START_SETS, most)
    with _clocks(case, workload) as clocks:
        return timing.compared(
            timing.blocks(clocks, *BLOCKS[workload], WARM), limits.min_sets, most
        )


def _most(workload: Workload, limits: Benchmark) -> float:
    if workload == "service-start":
        return limits.max_start_ratio
    heavy = workload in ("predict-batch", "training")
    return limits.max_work_ratio if heavy else limits.max_ratio


def _judged(workload: Workload, timed: Timed, most: float) -> list[Evidence]:
    """The workload's line, and its control's."""
    head, control = timed.head, timed.control
    told_by = f"; noise floor {timed.floor - 1:.1%} over {control.sets} sets of fresh processes"
    status = timed.at_most(most)
    found = f"{_time(timed.seconds('head'))} against {_time(timed.seconds('base'))}"
    if timed.cold:
        found = f"cold against warm: {', '.join(sorted(timed.cold))} not warmed"
    elif status == "no-data" and timed.floor >= most:
        needed = control.needed(most if control.value >= 1 else 1 / most)
        found += ": too noisy: the champion differs from itself; " + _more(needed)
    elif status == "no-data":
        found += ": too noisy to tell; " + _more(head.needed(most))
    claim = f"{WORDS[workload]} takes at most {most:g} times the champion's time."
    holds = {"pass": True, "fail": False, "no-data": None}
    figures = {"limit": f"<= {most:g} x", "n": head.sets}
    return [
        told(
            GATE,
            workload,
            claim,
            holds[status],
            f"{head.value:.2f} x ({found}){told_by}",
            measured=head.value,
            interval=head.ends,
            **figures,
        ),
        told(
            GATE,
            f"{workload}-control",
            f"{WORDS[workload]} by the champion takes the champion's own time.",
            True if timed.floor < most else None,
            f"{control.value:.3f} x its own time",
            measured=control.value,
            interval=control.ends,
            **figures,
        ),
    ]


def _more(sets: int | None) -> str:
    return f"about {sets or 'over 1,000'} sets would be needed"


def _time(seconds: float) -> str:
    unit, factor = ("s", 1) if seconds >= 1 else ("ms", 1e3) if seconds >= 1e-3 else ("µs", 1e6)
    return f"{seconds * factor:.3g} {unit}"


@contextmanager
def _clocks(case: Case, workload: Workload) -> Iterator[dict[Role, Clock]]:
    """Stopwatches of both sides on the same rows, as far as their contracts agree."""
    assert case.rival and case.champion.root  # noqa: S101
    pythons = {case.root: sys.executable, case.champion.root: case.champion.python}
    if workload != "training":  # the service's environment is small, and the one that answers
        champion.service_environment(case.root, case.champion.root)
        pythons = {root: str(root / ".venv-serve/bin/python") for root in pythons}
    with TemporaryDirectory(prefix="preflight-") as place:
        sides = {"base": case.rival, "control": case.rival, "head": case.candidate}
        clocks: dict[Role, Clock] = {}
        for role in ROLES:
            side = sides[role]
            path = Path(place) / f"{side.name}.npz"
            if not path.exists():
                _save(path, _rows(case, side, workload))
            clocks[role] = Clock(side.root, pythons[side.root], workload, path)
        yield clocks


def _rows(case: Case, side: Side, workload: Workload) -> pl.DataFrame:
    """Known columns of the newest rows, or of training rows with the target.

    Where a side knows a column that the candidate's rows lack, requests are made from its
    contract, and training rows are its own.
    """
    names = [column.name for column in side.contract.known]
    source = case.newest
    if workload == "training":
        names.append(side.contract.target.name)
        source = case.train
        if not set(names) <= set(source.columns):
            source = pl.read_parquet(side.root / SPLIT / "train.parquet")
    elif not set(names) <= set(source.columns):
        return pl.DataFrame(reference.columns(side.contract, ROWS[workload]))
    places = np.linspace(0, len(source) - 1, min(len(source), ROWS[workload])).astype(np.int64)
    return source[places].select(names)


def _save(path: Path, rows: pl.DataFrame) -> None:
    arrays = {
        name: values.astype(str) if values.dtype == object else values
        for name, values in table.arrays(rows).items()
    }
    with replacing(path) as partial, partial.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


@contextmanager
def _starts(case: Case) -> Iterator[Measure]:
    """Sets of three starts of the service, from the command to its readiness."""
    assert case.champion.root  # noqa: S101
    ours, theirs = unregistered.candidate(case.root), unregistered.rival(case.root, case.champion)
    assert theirs  # noqa: S101
    with TemporaryDirectory(prefix="preflight-") as place:
        state = Path(place).resolve()

        def seconds(role: Role) -> float:
            root, folder = (
                (case.root, ours) if role == "head" else (case.champion.root or case.root, theirs)
            )
            start = time.monotonic()
            with bento.served(root, folder, state):
                return time.monotonic() - start

        for role in ("head", "base"):
            seconds(role)  # files that were never read make a start slower

        def measure(timed: Timed, random: np.random.Generator) -> None:
            order = [ROLES[place] for place in random.permutation(len(ROLES))]
            found: Times = {role: [seconds(role)] for role in order}
            timed.add(found)

        yield measure


def _headlines(timed: dict[Workload, Timed]) -> tuple[Headline, ...]:
    one = timed.get("predict-one")
    if one is None:
        return ()
    base, head = (one.seconds(role) * 1e6 for role in ("base", "head"))
    low, high = one.head.ends
    return (
        Headline(
            name="Time of one prediction",
            unit="µs",
            champion=base,
            candidate=head,
            change=(base * (low - 1), base * (high - 1)),
            better="lower",
        ),
    )


def _table(timed: dict[Workload, Timed]) -> Table:
    rows: list[tuple[Cell, ...]] = [
        (workload, *(_time(each.seconds(role)) for role in ROLES), each.head.value, each.head.sets)
        for workload, each in timed.items()
    ]
    columns = ("workload", "champion", "champion again", "candidate", "ratio", "sets")
    return Table(title="Times, medians", columns=columns, rows=tuple(rows))
