"""Run one stage: python -m preflight.stages NAME [MONTH]."""

import logging
import os
import sys
from pathlib import Path

from preflight.errors import Problem
from preflight.stages import log

STAGES = ("lookup", "ingest", "validate", "split", "train", "calibrate", "evaluate")


def main(words: list[str]) -> int:
    """Run a stage on ./params.yaml; a mistake or an interruption is one line and a status."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    # Two OpenMP programs on the same cores spin against each other unless they wait passively.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        _own_code()
        _run(words)
    except Problem as problem:
        log.error("error: %s", problem)
        return 1
    except KeyboardInterrupt:
        log.error("interrupted: nothing half-written stays; run the same command to go on")
        return 130
    return 0


def _run(words: list[str]) -> None:
    # The engines' imports take seconds, in which Ctrl-C must be caught as well.
    from importlib import import_module

    from preflight import params

    name = words[0] if words else "no stage"
    if name not in STAGES:
        raise Problem("stage", name, f"one of {', '.join(STAGES)}", "Name one; see dvc.yaml.")
    stage = getattr(import_module(f"preflight.stages.{name}"), name)
    stage(params.load(), *words[1:])


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


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
