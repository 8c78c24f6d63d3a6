"""Gate: in this process, decoded, served from the Bento and loaded by MLflow, one answer."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from preflight import bento, reference
from preflight.errors import Problem
from preflight.evidence import Evidence, Findings, told
from preflight.files import sha256
from preflight.gates.case import Case
from preflight.layout import PACKAGED
from preflight.predictor import MANIFEST
from preflight.workspace import environment

GATE = "parity"
ROWS = 300
# What callers of /v1 rely on.
FIELDS = {"prediction_id", "model_version", "value", "unit", "interval", "flags"}
MLFLOW = Path(__file__).with_name("mlflow_answers.py")
SECONDS = 180


def judge(case: Case) -> Findings:
    """The same requests on every way to an answer."""
    rows = _rows(case)
    expected = case.candidate.predict(rows)["given"]
    instances = reference.instances({name: rows[name].to_numpy() for name in rows.columns})
    return Findings(
        evidence=(
            _features(case, rows, instances),
            *_served(case, instances, expected),
            _mlflow(case, rows, expected),
        )
    )


def _rows(case: Case) -> pl.DataFrame:
    """Known columns of rows spread over the held-out ones."""
    count = len(case.held_out)
    chosen = np.linspace(0, count - 1, min(count, ROWS)).astype(np.int64)
    return case.held_out[chosen].select([column.name for column in case.contract.known])


def _features(case: Case, rows: pl.DataFrame, instances: list[dict[str, Any]]) -> Evidence:
    """Features as training computes them, against those of decoded requests."""
    trained, asked = case.candidate.matrix(rows), case.candidate.decoded(instances)
    odd = np.flatnonzero((trained != asked).any(axis=0))
    names = [case.candidate.described["features"][place] for place in odd]
    found = f"{', '.join(names)} differ" if names else f"all {trained.shape[1]} features are equal"
    claim = "Features of a served request equal those that training computes, bit by bit."
    return told(GATE, "features", claim, not names, found, measured=len(names), n=len(rows))


def _served(
    case: Case, instances: list[dict[str, Any]], expected: NDArray[np.float64]
) -> list[Evidence]:
    claim = "The candidate's Bento is built and answers."
    try:
        with _bento(case) as (folder, server):
            packed = _packed(case, folder)
            batch = bento.ask(server, "/v1/predict/batch", {"instances": instances})["predictions"]
            single = [bento.ask(server, "/v1/predict", each) for each in instances]
    except (Problem, OSError, KeyError, ValueError) as error:
        said = error.found if isinstance(error, Problem) else type(error).__name__
        return [told(GATE, "served", claim, False, f"no answers: {said}")]
    return [packed, _fields(single[0]), *_values(case, batch, single, expected)]


@contextmanager
def _bento(case: Case) -> Iterator[tuple[Path, bento.Server]]:
    """A Bento of the candidate's commit and model, built and served for the block."""
    with TemporaryDirectory(prefix="preflight-") as place:
        home = Path(place).resolve()
        folder = bento.build_unregistered(case.root, home)
        with bento.served(case.root, folder, home) as server:
            yield folder, server


def _packed(case: Case, folder: Path) -> Evidence:
    found = sha256(folder / "src" / PACKAGED / MANIFEST)
    ours = case.candidate.model_hash
    claim = "The Bento holds the candidate's model and no other."
    said = f"the Bento holds model {found[:12]}; the candidate is {ours[:12]}"
    return told(GATE, "packed-model", claim, found == ours, said)


def _fields(answer: dict[str, Any]) -> Evidence:
    lost, new = sorted(FIELDS - answer.keys()), sorted(answer.keys() - FIELDS)
    found = f"answers lack {', '.join(lost)}" if lost else "all fields of /v1 are there"
    found += f"; new: {', '.join(new)}" if new else ""
    claim = "Answers have every field that callers of /v1 rely on."
    return told(GATE, "fields", claim, not lost, found, n=len(answer))


def _values(
    case: Case,
    batch: list[dict[str, Any]],
    single: list[dict[str, Any]],
    expected: NDArray[np.float64],
) -> list[Evidence]:
    ways = {"batch": batch, "single": single}
    return [
        _gap(
            case,
            f"served-{way}",
            f"the served {way}",
            [each.get("value") for each in found],
            expected,
        )
        for way, found in ways.items()
    ]


def _gap(
    case: Case, check: str, way: str, values: list[Any], expected: NDArray[np.float64]
) -> Evidence:
    most = case.limits.parity.max_gap
    found = np.array([np.nan if value is None else value for value in values], dtype=np.float64)
    gap = float(np.max(np.abs(found - expected[: len(found)]), initial=0)) if len(found) else np.nan
    bad = not np.isfinite(gap)
    return told(
        GATE,
        check,
        f"Values of {way} equal those computed in process.",
        gap <= most,
        "values are missing" if bad else f"largest difference {gap:.3g}",
        measured=None if bad else gap,
        limit=f"<= {most:g}",
        n=len(found),
    )


def _mlflow(case: Case, rows: pl.DataFrame, expected: NDArray[np.float64]) -> Evidence:
    """Saved and loaded by MLflow in a process of the candidate's own code."""
    with TemporaryDirectory(prefix="preflight-") as place:
        asked = Path(place) / "rows.json"
        told_rows = reference.instances({name: rows[name].to_numpy() for name in rows.columns})
        asked.write_text(json.dumps(told_rows), encoding="utf-8")
        variables = environment(case.root)
        python = str(Path(variables["PATH"].split(":")[0]) / "python")
        done = subprocess.run(
            [python, "-P", str(MLFLOW), str(asked), place],
            cwd=case.root,
            env=variables,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        if done.returncode:
            claim = "The model loads through MLflow."
            last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
            return told(GATE, "mlflow", claim, False, f"it does not: {last[:300]}")
        values = json.loads((Path(place) / "values.json").read_text(encoding="utf-8"))
    return _gap(case, "mlflow", "the MLflow model", values, expected)
