"""Stage: train, calibrate and test rows, divided by time and never by chance."""

from datetime import datetime, timedelta

import polars as pl

from preflight import project as seam
from preflight import table
from preflight.errors import Problem
from preflight.layout import SPLIT, VALID
from preflight.params import Params
from preflight.stages import log

PARTS = ("train", "calibrate", "test")


def split(params: Params) -> None:
    """data/valid -> data/split/{train,calibrate,test}.parquet."""
    table.refuse_others(VALID, params.data.months)
    contract = seam.contract(params.project)
    months, testing = sorted(params.data.months), params.split.test_months
    if testing >= len(months):
        raise Problem(
            "params.yaml: split.test_months",
            str(testing),
            f"fewer than the {len(months)} data.months",
            "Add a month, or lower it.",
        )
    frames = {month: table.scan(VALID / f"{month}.parquet", contract) for month in months}
    fitted = pl.concat([frames[month] for month in months[:-testing]])
    tested = pl.concat([frames[month] for month in months[-testing:]])
    start = datetime.fromisoformat(f"{months[-testing]}-01")
    late = pl.col(contract.time.name) >= start - timedelta(days=params.split.calibrate_days)
    late = late if params.split.calibrate_days else pl.lit(value=False)
    for name, frame in zip(PARTS, (fitted.filter(~late), fitted.filter(late), tested), strict=True):
        table.write_parquet(frame, SPLIT / f"{name}.parquet")
    _check_order(contract.time.name, params)


def _check_order(time: str, params: Params) -> None:
    """No row of a part may be older than the newest of the part before."""
    rules = params.validate_.row_rules
    newest: datetime | None = None
    for name in PARTS:
        rows, first, last = (
            pl.scan_parquet(SPLIT / f"{name}.parquet")
            .select(pl.len(), pl.col(time).min().alias("first"), pl.col(time).max().alias("last"))
            .collect()
            .row(0)
        )
        log.info("split %s: %d rows, %s to %s", name, rows, first, last)
        # Rows outside their month stay only where a profile asks for every row.
        if first and newest and first <= newest and (rules is None or "outside_month" in rules):
            raise Problem(
                f"{SPLIT}/{name}.parquet",
                f"a row of {first}",
                f"rows after {newest}, the newest of the part before",
                "Rows outside their month must be quarantined first.",
            )
        newest = last or newest
        if name == "train" and not rows:
            raise Problem(
                f"{SPLIT}/train.parquet",
                "no rows",
                "some",
                "Add months, or lower split.calibrate_days.",
            )
