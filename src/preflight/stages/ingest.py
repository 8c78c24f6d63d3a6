"""Stage: one month of raw rows, in the contract's columns and types."""

import sys

from preflight import project as seam
from preflight.errors import Problem
from preflight.params import Params
from preflight.stages import RAW, log, run


def ingest(params: Params) -> None:
    """The source's month, named by the command's argument -> data/raw/MONTH.parquet."""
    month = sys.argv[1] if len(sys.argv) == 2 else ""
    if month not in params.data.months:
        raise Problem(
            "ingest", repr(month), f"one of {', '.join(params.data.months)}", "Name one month."
        )
    target = RAW / f"{month}.parquet"
    seam.data(params.project).ingest(params, month, target)
    log.info("ingest %s from %s -> %s", month, params.data.source, target)


if __name__ == "__main__":
    run(ingest)
