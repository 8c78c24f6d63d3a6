"""The pipeline's stages: one module each, files in and files out."""

import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path

from preflight import params
from preflight.errors import Problem
from preflight.params import Params

log = logging.getLogger("preflight")

LOOKUP = Path("data/lookup.csv")
RAW = Path("data/raw")
VALID = Path("data/valid")
QUARANTINE = Path("data/quarantine")
SPLIT = Path("data/split")
FITTED = Path("models/fitted")
PACKAGED = Path("models/packaged")
EVALUATION = Path("models/evaluation")


def run(stage: Callable[[Params], None]) -> None:
    """Run a stage on ./params.yaml; a mistake or an interruption is one line and an exit code."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    # Two OpenMP programs on the same cores spin against each other unless they wait passively.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        _own_code()
        stage(params.load())
    except Problem as problem:
        log.error("error: %s", problem)
        sys.exit(1)
    except KeyboardInterrupt:
        log.error("interrupted: nothing half-written stays; run the same command to go on")
        sys.exit(130)


def refuse_others(folder: Path, months: tuple[str, ...]) -> None:
    """Refuse a file of a month that was taken out: it would be easy to train on it unseen."""
    for path in sorted(folder.glob("*.parquet")):
        if path.stem not in months:
            raise Problem(
                str(path),
                "a left-over month",
                f"only data.months: {', '.join(months)}",
                "Delete the file (DVC's cache keeps it), or put the month back.",
            )


def _own_code() -> None:
    """Refuse to run another checkout's code, as a shared environment would have it."""
    here, code = Path("src/preflight").resolve(), Path(__file__).resolve().parents[1]
    if here != code:
        raise Problem(
            str(Path.cwd()),
            f"code from {code}",
            f"this checkout's own, {here}",
            "Run it through make or preflight here, or set PYTHONPATH=src.",
        )
