"""Named stretches of production traffic as data sets: data/windows/NAME.parquet."""

import re
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

from preflight import table
from preflight.contract import Contract
from preflight.errors import NoData, Problem
from preflight.gates.limits import WINDOW
from preflight.log.inputs import Inputs, hashed

FOLDER = Path("data/windows")


def place(root: Path, name: str) -> Path:
    """Where a window lies; raises Problem for a name that cannot be a check's."""
    if not re.match(WINDOW, name):
        raise Problem(f"window {name!r}", "an odd name", f"one like {WINDOW}", "Choose another.")
    return root / FOLDER / f"{name}.parquet"


def write(target: Path, contract: Contract, frames: Iterable[pl.DataFrame]) -> tuple[int, int]:
    """Write the inputs of frames of predictions as the contract types them; rows kept and not.

    Inputs that do not keep the contract are left out. Memory is that of one frame. Raises Problem
    when the contract calls a column of a request sensitive, NoData when no row is left.
    """
    if hidden := sorted(hashed(contract)):
        raise Problem(
            f"column {hidden[0]}",
            "a sensitive column, which the log holds as a hash",
            "inputs that a data set may keep",
            "Try candidates on this contract's held-out months alone.",
        )
    inputs, kept, refused = Inputs(contract), 0, 0
    with TemporaryDirectory(prefix="preflight-window-") as folder:
        for number, frame in enumerate(frames):
            columns, odd = inputs.columns(frame["input"].to_list())
            refused += len(odd)
            if columns is not None:
                part = pl.DataFrame(dict(columns)).cast(pl.Schema(_schema(contract)))
                part.write_parquet(Path(folder) / f"{number:06}.parquet", compression="zstd")
                kept += len(part)
        if not kept:
            raise NoData("the log", "no input in this stretch", "some", "Name another stretch.")
        table.write_parquet(pl.scan_parquet(Path(folder) / "*.parquet"), target)
    return kept, refused


def read(root: Path, name: str, contract: Contract) -> pl.DataFrame:
    """A window's rows; raises NoData when there is no file, Problem for one of other columns."""
    path = place(root, name)
    if not path.is_file():
        raise NoData(
            str(path.relative_to(root)),
            "no file",
            "the window that gates.differential.windows names",
            "Bring it with `make pull`, or make it: `preflight replay --save`, then `dvc add`.",
        )
    rows = pl.read_parquet(path)
    if dict(rows.schema) != (expected := _schema(contract)):
        raise Problem(
            str(path.relative_to(root)),
            f"columns {', '.join(rows.columns)}",
            f"those of a request, as the contract types them: {', '.join(expected)}",
            "Make it anew with `preflight replay --save`.",
        )
    return rows


def _schema(contract: Contract) -> dict[str, pl.DataType]:
    types = table.schema(contract)
    return {column.name: types[column.name] for column in contract.known}
