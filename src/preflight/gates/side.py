"""Candidate and champion: checkouts that answer through a worker process of their own code."""

import json
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Timer
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from preflight.contract import Contract
from preflight.errors import Problem
from preflight.workspace import environment

Arrays = dict[str, NDArray[Any]]
SECONDS = 900  # for one question


class Side:
    """One checkout with its packaged model; close it, or use it as a context."""

    def __init__(self, root: Path, name: str, python: str = sys.executable) -> None:
        """`name` is candidate or champion, for errors; `python` is its environment's."""
        self.root, self.name = root, name
        self._python = python
        self._process: subprocess.Popen[str] | None = None
        self._scratch = TemporaryDirectory(prefix="preflight-side-")
        self._log = Path(self._scratch.name) / "log"
        self._count = 0

    def __enter__(self) -> "Side":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the worker and remove its files."""
        if self._process:
            assert self._process.stdin and self._process.stdout  # noqa: S101
            with suppress(BrokenPipeError):  # a worker that died
                self._process.stdin.close()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process.stdout.close()
            self._process = None
        self._scratch.cleanup()

    @cached_property
    def described(self) -> dict[str, Any]:
        """What the side says of its model; see worker.describe."""
        return self._ask("describe")

    @cached_property
    def contract(self) -> Contract:
        """The side's contract."""
        return Contract.from_dict(self.described["contract"])

    @cached_property
    def model_hash(self) -> str:
        """SHA-256 of the packaged model's manifest."""
        return str(self.described["model_hash"])

    def predict(self, rows: pl.DataFrame) -> Arrays:
        """Arrays of shape (rows,) by name; see worker.answers."""
        out = self._out()
        self._ask("predict", rows=self.write(rows), out=out)
        return _load(out)

    def slices(self, rows: pl.DataFrame) -> dict[str, NDArray[np.str_]]:
        """Labels of shape (rows,) by the contract's slice names, of those that the rows tell."""
        out = self._out()
        self._ask("slices", rows=self.write(rows), out=out)
        return _load(out)

    def workings(self, rows: pl.DataFrame) -> tuple[dict[str, Any], Arrays]:
        """Facts of the model, and the steps to its answers; see preflight.explanation."""
        out = self._out()
        told = self._ask("workings", rows=self.write(rows), out=out)
        return told, _load(out)

    def matrix(self, rows: pl.DataFrame) -> NDArray[np.float64]:
        """Features of shape (rows, features), from known columns alone."""
        out = self._out()
        self._ask("matrix", rows=self.write(rows), out=out)
        return _load(out)["matrix"]

    def decoded(self, instances: list[dict[str, Any]]) -> NDArray[np.float64]:
        """Features of requests that went through the service's decoder one by one."""
        path, out = Path(self._scratch.name) / "instances.json", self._out()
        path.write_text(json.dumps(instances), encoding="utf-8")
        self._ask("decoded", instances=str(path), out=out)
        return _load(out)["matrix"]

    def refit(
        self, train: Path, lookup: Path, seed: int | None, rows: Sequence[str]
    ) -> tuple[list[NDArray[np.float64]], dict[str, str]]:
        """Predictions of the side's recipe fitted anew, a list by Parquet path; files' hashes."""
        out = self._out()
        words = {"train": str(train), "lookup": str(lookup), "seed": seed, "rows": list(rows)}
        told = self._ask("refit", out=out, **words)
        found = _load(out)
        return [found[f"rows {number}"] for number in range(len(rows))], told["files"]

    def unclipped(self, rows: pl.DataFrame) -> NDArray[np.float64]:
        """Predictions as the model makes them, before they are kept within the range: (rows,)."""
        out = self._out()
        self._ask("unclipped", rows=self.write(rows), out=out)
        return _load(out)["value"]

    def reference(self, rows: int) -> dict[str, list[Any]]:
        """The answers to the reference requests; see preflight.reference.answers."""
        return self._ask("reference", rows=rows)

    def growth(self, rows: pl.DataFrame, count: int) -> dict[str, list[float]]:
        """Seconds and peak bytes of features over `count` and four times as many rows."""
        return self._ask("growth", rows=self.write(rows), count=count)

    def write(self, rows: pl.DataFrame) -> str:
        """A frame as a Parquet file that the worker can read."""
        path = self._out(".parquet")
        rows.write_parquet(path, compression="uncompressed")
        return path

    def _out(self, suffix: str = ".npz") -> str:
        self._count += 1
        return str(Path(self._scratch.name) / f"{self._count}{suffix}")

    def _ask(self, question: str, **words: Any) -> dict[str, Any]:
        process = self._started()
        assert process.stdin and process.stdout  # noqa: S101
        watchdog = Timer(SECONDS, process.kill)
        watchdog.start()
        try:
            process.stdin.write(json.dumps({"ask": question, **words}) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except BrokenPipeError:
            line = ""
        finally:
            watchdog.cancel()
        answer = json.loads(line) if line else {"error": self._last_words()}
        if "error" in answer:
            raise Problem(
                f"the {self.name}", answer["error"], f"an answer to `{question}`", "Mend its code."
            )
        return dict(answer)

    def _last_words(self) -> str:
        lines = self._log.read_text(errors="replace").splitlines()
        return f"a process that died ({(lines or ['it said nothing'])[-1][:200]})"

    def _started(self) -> subprocess.Popen[str]:
        if self._process is None:
            # The judge's own: a change must not answer for itself.
            script = Path(__file__).with_name("worker.py")
            with self._log.open("w") as log:
                self._process = subprocess.Popen(
                    # -P: modules beside the script must not stand in for others of their name.
                    [self._python, "-P", str(script)],
                    cwd=self.root,
                    env=environment(self.root, self._python),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    text=True,
                )
        return self._process


def _load(path: str) -> Arrays:
    with np.load(path, allow_pickle=False) as found:
        arrays = {name: found[name] for name in found.files}
    Path(path).unlink()
    return arrays
