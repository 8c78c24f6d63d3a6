"""Logs to measure on: plausible ones of many days, and ones that this tree's model answered."""

import json
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import logged
from benchmark.servers import ROOT
from preflight import reference
from preflight.errors import Problem
from preflight.predictor import Predictor

EVERY = timedelta(milliseconds=100)
PART = 100_000  # records of a segment, and of a day
# In a process of its own, since the system tells the most memory of a whole process.
MEASURED = """
import json, resource, sys, time
from datetime import date
from pathlib import Path
{imports}
start = time.perf_counter()
{work}
seconds = time.perf_counter() - start
most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({{"seconds": seconds, "bytes": most * (1 if sys.platform == "darwin" else 1024)}}))
"""


def plausible(folder: Path, rows: int) -> None:
    """So many records of predictions, 100,000 a day and a segment."""
    for day in range(rows // PART):
        start = logged.START + day * timedelta(days=1)
        every = timedelta(hours=15) / PART
        records = logged.predictions(PART, start, day, every)
        logged.write(folder, "predictions", records)


def answered(folder: Path, model: Predictor, rows: int) -> tuple[datetime, datetime]:
    """Records of what this tree's model says to the reference set; returns their times."""
    columns = reference.columns(model.contract, rows, seed=6)
    found, asked = model.answer(columns), reference.instances(columns)
    values, ends = model.given(columns, found).tolist(), (found.lower, found.upper)
    records = logged.predictions(rows, every=EVERY, model_hash=model.model_hash)
    for place, record in enumerate(records):
        record |= {"input": asked[place], "value": values[place]}
        record |= {
            name: None if end is None or found.invalid[place] else float(end[place])
            for name, end in zip(("lower", "upper"), ends, strict=True)
        }
        record["flags"] = ["fallback.output"] if found.invalid[place] else []
    logged.write(folder, "predictions", records)
    return logged.START, logged.START + EVERY * rows


def alone(imports: str, work: str, *words: str) -> dict[str, Any]:
    """Seconds and most bytes of some work in a process of its own; `sys.argv` has the words."""
    code = MEASURED.format(imports=imports, work=work)
    done = subprocess.run(
        [sys.executable, "-c", code, *words], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise Problem("the measurement", done.stderr[-500:], "a result", "Mend what it says.")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found
