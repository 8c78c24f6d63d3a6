"""A side's own voice: run as a script in a checkout, it answers the gates' questions there.

Candidate and champion may differ in features, model and contract, so each answers in a process
of its own, with its own code. Questions and answers are JSON lines, arrays are .npz files.
The judge's copy of it runs on both sides, so it reaches only what every version of the machinery
has and must keep: the seam, the predictor, the decoder of requests.
"""

import json
import os
import resource
import sys
import time
import traceback
import tracemalloc
from collections.abc import Callable
from contextlib import chdir
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from preflight import params as parameters
from preflight import project as seam
from preflight.errors import Problem
from preflight.predictor import Predictor
from preflight.project import Columns

Arrays = dict[str, NDArray[Any]]
PACKAGED = Path("models/packaged")
NO_ENDS = np.empty(0)


class Side:
    """The model of this checkout, loaded when first asked for."""

    def __init__(self) -> None:
        self.params = parameters.load()
        self.project = self.params.project
        self.features = seam.features(self.project)
        self._model: Predictor | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that the contract names."""
        return seam.contract(self.project).names

    @property
    def model(self) -> Predictor:
        """The packaged model."""
        self._model = self._model or Predictor(PACKAGED)
        return self._model

    def describe(self) -> dict[str, Any]:
        """Contract, features, hashes and size of the packaged model; memory if asked first."""
        names = self.model.model.features
        sizes = getattr(self.model.model, "complexity", dict)
        return {
            "contract": self.model.contract.as_dict(),
            "features": list(names),
            "categorical": [names[position] for position in self.features.categorical(names)],
            "model_hash": self.model.model_hash,
            "files": hashes(PACKAGED),
            "bytes": sum(path.stat().st_size for path in PACKAGED.iterdir()),
            "complexity": sizes(),
            "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
        }

    def predict(self, rows: str, out: str) -> dict[str, Any]:
        """Answers and the baseline's, to a Parquet file's rows -> an .npz file."""
        _save(out, answers(self.model, read(rows)))
        return {}

    def slices(self, rows: str, out: str) -> dict[str, Any]:
        """Labels of a Parquet file's rows by the contract's slices that they tell -> .npz file."""
        _save(out, labels(self.model, read(rows)))
        return {}

    def workings(self, rows: str, out: str) -> dict[str, Any]:
        """Every step to the answers of a Parquet file's rows -> an .npz file; facts of the model.

        Asked of models that a log names; what wrote it has the module.
        """
        from preflight import explanation

        _save(out, explanation.workings(self.model, read(rows)))
        return asdict(explanation.facts(self.model))

    def matrix(self, rows: str, out: str) -> dict[str, Any]:
        """Features of a Parquet file's rows, from the columns that a caller knows and no others."""
        columns = read(rows)
        known = {column.name: columns[column.name] for column in self.model.contract.known}
        _save(out, {"matrix": self.model.matrix(known)})
        return {}

    def decoded(self, instances: str, out: str) -> dict[str, Any]:
        """Features of a JSON list of requests, each through the service's own decoder."""
        from preflight.serving.requests import Decoder

        decoder = Decoder(self.model.contract, 1)
        found = [
            self.model.matrix(decoder.one(json.dumps(each).encode()))
            for each in json.loads(Path(instances).read_text(encoding="utf-8"))
        ]
        _save(out, {"matrix": np.concatenate(found)})
        return {}

    def refit(
        self, train: str, lookup: str, seed: int | None, rows: list[str], out: str
    ) -> dict[str, Any]:
        """This checkout's recipe on other rows: predictions, and the fitted files' bytes.

        `seed` None keeps the recipe's own.
        """
        module = seam.model(self.project)
        table, contract = self.features.read_lookup(Path(lookup)), seam.contract(self.project)
        chosen = self.params.model
        chosen = chosen if seed is None else chosen.model_copy(update={"seed": seed})
        names = module.feature_names(self.params.model)
        known = [column.name for column in contract.known]
        columns = {name: values for name, values in read(train).items() if name in contract.names}
        target = columns[contract.target.name]
        columns = {name: columns[name] for name in known}
        matrix = self.features.compute(columns, table, names)
        codes = self.features.categorical(names)
        # Away from the checkout, a recipe finds no other rows than those it is given.
        with TemporaryDirectory() as elsewhere, chdir(elsewhere):
            model = module.fit(matrix, columns, target, codes, chosen)
        with TemporaryDirectory() as folder:
            model.save(Path(folder))
            files = hashes(Path(folder))
        asked = enumerate(rows)
        _save(
            out,
            {
                f"rows {number}": _within(
                    contract, model.predict(self.features.compute(read(path), table, names))
                )
                for number, path in asked
            },
        )
        return {"files": files}

    def unclipped(self, rows: str, out: str) -> dict[str, Any]:
        """Predictions of a Parquet file's rows as the model makes them -> an .npz file."""
        _save(out, {"value": self.model.model.predict(self.model.matrix(read(rows)))})
        return {}

    def reference(self, rows: int) -> dict[str, Any]:
        """The answers to the reference requests that Git keeps."""
        from preflight import reference

        return reference.answers(self.model, rows)

    def growth(self, rows: str, count: int) -> dict[str, Any]:
        """Processor seconds and peak bytes of the features of `count` and of 4 x `count` rows."""
        columns = read(rows)
        size = len(next(iter(columns.values())))
        small, large = (
            {name: np.resize(values, number) for name, values in columns.items()}
            for number in (min(count, size), 4 * min(count, size))
        )
        return {
            "seconds": [self._seconds(part) for part in (small, large)],
            "bytes": [self._peak(part) for part in (small, large)],
        }

    def _seconds(self, columns: Arrays) -> float:
        best = float("inf")
        for _ in range(5):
            start = time.process_time()
            self.model.matrix(columns)
            best = min(best, time.process_time() - start)
        return best

    def _peak(self, columns: Arrays) -> int:
        tracemalloc.start()
        try:
            self.model.matrix(columns)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()


def _within(contract: Any, value: NDArray[np.float64]) -> NDArray[np.float64]:
    """Kept within the target's range, as a predictor keeps its answers."""
    return np.clip(value, float(contract.target.minimum), float(contract.target.maximum))


def answers(model: Predictor, columns: Columns) -> Arrays:
    """Answers to columns, each array of shape (rows,): ends may be empty.

    `given` is the value as the service gives it, the baseline's where `invalid`.
    """
    found = model.answer(columns)
    # A champion from before fallbacks gives its answers as they are.
    given = getattr(model, "given", lambda *_: found.value)
    return {
        "value": found.value,
        "lower": NO_ENDS if found.lower is None else found.lower,
        "upper": NO_ENDS if found.upper is None else found.upper,
        "baseline": model.model.baseline(columns),
        "given": given(columns, found),
        "invalid": getattr(found, "invalid", np.zeros(len(found.value), dtype=bool)),
        # A champion from before the guards flags nothing of the kind.
        "odd": getattr(found, "odd", NO_ENDS),
        "wide": getattr(found, "wide", NO_ENDS),
    }


def labels(model: Predictor, columns: Columns) -> Arrays:
    """Labels by the contract's slice names, of those that these columns tell: (rows,) each."""
    features = seam.features(model.project)
    absent = set(model.contract.names) - set(columns)
    found: Arrays = {}
    for name in model.contract.slices:
        try:
            told = features.slices(columns, model.lookup, (name,))
        except KeyError as error:
            if error.args[0] not in absent:
                raise
        else:
            found[name] = told[name].astype(str)
    return found


def _save(path: str, arrays: Arrays) -> None:
    with Path(path).open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of a folder's files by name."""
    return {path.name: sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def read(path: str) -> Arrays:
    """A Parquet file's columns as arrays."""
    frame = pl.read_parquet(path)
    return {name: frame[name].to_numpy() for name in frame.columns}


def main() -> None:
    """Answer questions until standard input ends."""
    # What the project's code prints must not mix with the answers.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    side: Side | None = None
    for line in sys.stdin:
        question = json.loads(line)
        try:
            side = side or Side()
            answer = _ask(getattr(side, question.pop("ask")), question)
        except Exception as error:  # whatever the side's code raises is an answer
            answer = {"error": _said(error, side)}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def _said(error: Exception, side: Side | None) -> str:
    """Our own words, or an exception's type and place: its text may hold a person's data."""
    if isinstance(error, Problem):
        return str(error)[:500]
    if isinstance(error, KeyError) and side and error.args[0] in side.columns:
        return f"KeyError: {error.args[0]!r}, which a caller does not know"
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} at {Path(last.filename).name}, line {last.lineno}"


def _ask(method: Callable[..., dict[str, Any]], words: dict[str, Any]) -> dict[str, Any]:
    return method(**words)


if __name__ == "__main__":
    main()
