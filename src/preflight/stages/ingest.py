"""Stage: one month of raw rows, in the contract's columns and types."""

from preflight import project as seam
from preflight.errors import Problem
from preflight.layout import RAW
from preflight.params import Params
from preflight.stages import log


def ingest(params: Params, *words: str) -> None:
    """The source's month, named by the command's one word -> data/raw/MONTH.parquet."""
    month = words[0] if len(words) == 1 else " ".join(words)
    if month not in params.data.months:
        raise Problem(
            "ingest", repr(month), f"one of {', '.join(params.data.months)}", "Name one month."
        )
    target = RAW / f"{month}.parquet"
    seam.data(params.project).ingest(params, month, target)
    log.info("ingest %s from %s -> %s", month, params.data.source, target)
