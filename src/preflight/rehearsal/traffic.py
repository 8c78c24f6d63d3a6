"""The traffic of a rehearsal: a stretch of real trips, asked by callers in another process."""

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, cast

import msgspec
import numpy as np
import polars as pl

import preflight
from preflight import params, reference, table
from preflight.contract import Contract
from preflight.errors import NoData, Problem
from preflight.files import replacing
from preflight.layout import VALID
from preflight.rehearsal.generator import ANSWER_SECONDS, SENT, Trip
from preflight.workspace import environment

RATE = 300.0  # requests a second
START_SECONDS = 20.0
DELAY_SECONDS = 2 * 3600  # mean, from a trip's end until somebody has told
UNITS = {"second": 1.0, "minute": 60.0, "hour": 3600.0}  # of a target that is a time itself


def requests(
    root: Path, contracts: Sequence[Contract], file: Path, count: int, seed: int, compression: float
) -> Path:
    """Write `count` trips in a row of the newest valid month, a JSON object a line; returns it.

    Each has the body of its request, the entity, what really happened, and after how many seconds
    of the rehearsal that is known: its own duration and the time until it is told, divided by
    `compression`. Rows are of the first of the `contracts`, and a request has what all of them
    know. Equal seeds make equal files. Raises NoData without rows, Problem on no file.
    """
    contract = contracts[0]
    month = max(params.read(root / "params.yaml")["data"]["months"])
    rows = table.scan(root / VALID / f"{month}.parquet", contract).collect()
    if not len(rows):
        raise NoData(f"the valid rows of {month}", "none", "some", "Run `make repro`.")
    random = np.random.default_rng(seed)
    rows = rows.sort(contract.time.name, *contract.identity, maintain_order=True)
    start = int(random.integers(0, len(rows)))
    rows = rows[(start + np.arange(count)) % len(rows)]
    lasts = rows[contract.target.name].to_numpy() * UNITS.get(contract.target.unit or "", 0.0)
    after = (lasts + random.exponential(DELAY_SECONDS, count)) / compression
    with replacing(file) as partial:
        lines = msgspec.json.Encoder().encode_lines(_trips(rows, contracts, after.tolist()))
        partial.write_bytes(lines)
    return file


def _trips(rows: pl.DataFrame, contracts: Sequence[Contract], after: list[float]) -> list[Trip]:
    contract = contracts[0]
    known = set.intersection(*({each.name for each in one.known} for one in contracts))
    sent = [each.name for each in contract.known if each.name in known]
    bodies = reference.instances({name: rows[name].to_numpy() for name in sent})
    entities, outcomes = rows[contract.entity.name], rows[contract.target.name]
    return [
        Trip(msgspec.json.encode(content).decode(), str(entity), float(outcome), round(seconds, 4))
        for content, entity, outcome, seconds in zip(bodies, entities, outcomes, after, strict=True)
    ]


class Traffic:
    """A running generator; `answers` is the file of what it got."""

    def __init__(self, process: "subprocess.Popen[bytes]", answers: Path) -> None:
        """`process` waits for its key, and then creates the file."""
        self.process, self.answers = process, answers

    def begin(self, key: str) -> None:
        """Give it the key, and wait until it asks; raises Problem when it does not."""
        self._say(key)
        deadline = time.monotonic() + START_SECONDS
        while not self.answers.exists():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise self._gone()
            time.sleep(0.02)

    def pause(self) -> None:
        """Ask nothing new; outcomes are told on."""
        self._say("pause")

    def resume(self) -> None:
        """Go on at the same rate, without making up for the pause."""
        self._say("resume")

    def stop(self) -> None:
        """End once what is under way was answered; afterwards the file of answers is whole.

        Raises Problem where the generator died, or a request that it sent is not in the file.
        """
        if self.process.poll() is None:
            self._say("stop")
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(ANSWER_SECONDS + 5)
        if self.process.returncode != 0:
            raise self._gone()
        kept = self.answers.read_bytes().count(b"\n")
        if self._said() != SENT.format(kept):
            raise Problem(str(self.answers), f"{kept} answers", self._said(), "Rehearse again.")

    def kill(self) -> None:
        """End at once, whatever is under way."""
        self.process.kill()
        self.process.wait()
        with suppress(OSError):
            cast(IO[bytes], self.process.stdin).close()

    def _say(self, word: str) -> None:
        told = cast(IO[bytes], self.process.stdin)
        try:
            told.write(f"{word}\n".encode())
            told.flush()
        except OSError:
            raise self._gone() from None

    def _gone(self) -> Problem:
        found = f"exit status {self.process.poll()}: {self._said()}"
        return Problem("the generator", found, "a running one", f"See {self._log}.")

    @property
    def _log(self) -> Path:
        return self.answers.with_suffix(".log")

    def _said(self) -> str:
        """Its last words; what frames the errors of a group is none."""
        lines = [line.strip(" |+-") for line in self._log.read_text(errors="replace").splitlines()]
        return ([line for line in lines if line] or ["it said nothing"])[-1][-200:]


@contextmanager
def generating(
    address: str, key: str, requests: Path, rate: float, folder: Path
) -> Iterator[Traffic]:
    """Ask `address` for the trips of a file, again from the first after the last, at a fixed rate.

    Until the block ends; yields once it has begun. Answers are `answers.jsonl` in `folder`. Raises
    Problem when the generator does not start, and as `stop` does where the block ends well.
    """
    folder.mkdir(parents=True, exist_ok=True)
    answers = folder / "answers.jsonl"
    answers.unlink(missing_ok=True)
    traffic = Traffic(_started(address, requests, rate, answers), answers)
    try:
        traffic.begin(key)
        yield traffic
        traffic.stop()
    finally:
        traffic.kill()


def _started(address: str, requests: Path, rate: float, answers: Path) -> "subprocess.Popen[bytes]":
    module = "preflight.rehearsal.generator"
    command = [sys.executable, "-P", "-m", module, address, str(requests), str(rate), str(answers)]
    code = str(Path(preflight.__file__).parents[1])
    with answers.with_suffix(".log").open("wb") as output:
        return subprocess.Popen(
            command,
            env=environment(answers.parent) | {"PYTHONPATH": code},
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
