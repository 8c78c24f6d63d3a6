"""Where trips come from, and what is wrong with a trip."""

import csv
import shutil
from datetime import datetime
from http.client import HTTPException
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.error import HTTPError
from urllib.request import urlopen

import polars as pl

from preflight.errors import Problem
from preflight.files import replacing
from preflight.params import Params
from preflight.table import write_parquet
from taxi import synthetic, tlc

LOOKUP_FILE = "taxi_zone_lookup.csv"
LOOKUP_HEADER = ["LocationID", "Borough", "Zone", "service_zone"]


def ingest(params: Params, month: str, target: Path) -> None:
    """Write one month in the contract's columns to a Parquet file.

    The source is the generator, a folder of TLC files, or an address with {month} in it.
    """
    seed, source = params.generator.seed, params.data.source
    if source == "synthetic":
        raw = synthetic.scan(month, params.generator.rows, seed)
        _write(raw, f"synthetic {month}", params, target)
        return
    with TemporaryDirectory(prefix="preflight-") as folder:
        path = _month_file(source, month, Path(folder))
        _write(tlc.scan(path), str(path), params, target)


def _write(raw: pl.LazyFrame, where: str, params: Params, target: Path) -> None:
    frame = tlc.canonical(raw, params.generator.seed)
    try:
        write_parquet(tlc.sampled(frame, params.data.sample, params.generator.seed), target)
    except pl.exceptions.PolarsError as error:
        raise Problem(
            where,
            f"unreadable values ({str(error).splitlines()[0]})",
            "TLC's columns in TLC's types",
            "The file is damaged or of another kind; fetch it again.",
        ) from None


def _month_file(source: str, month: str, folder: Path) -> Path:
    if _is_address(source):
        if "{month}" not in source:
            raise Problem(
                "params.yaml: data.source",
                repr(source),
                "an address with {month} in it",
                "Write {month} where the address has the month, as in trips_{month}.parquet.",
            )
        return _download(source.replace("{month}", month), folder / f"{month}.parquet")
    return Path(source).expanduser() / f"green_tripdata_{month}.parquet"


def _download(address: str, target: Path) -> Path:
    try:
        with urlopen(address, timeout=60) as answer, target.open("wb") as file:  # noqa: S310
            shutil.copyfileobj(answer, file)
            promised = answer.headers.get("Content-Length")
        if promised is not None and target.stat().st_size != int(promised):
            raise ConnectionError(f"{target.stat().st_size} of {promised} bytes came")
    except (OSError, HTTPException, ValueError) as error:
        if isinstance(error, HTTPError):
            error.close()
        raise Problem(
            address,
            f"no whole answer ({error})",
            "the file",
            "Check data.source, data.lookup and data.months.",
        ) from None
    return target


def lookup(params: Params, target: Path) -> None:
    """Write the zone table (zone, borough, name, service_zone), to be bundled with the model.

    It comes from data.lookup, a path or an address, or else from beside the months.
    """
    if params.data.source == "synthetic":
        rows = [list(map(str, row)) for row in synthetic.zone_table()]
    else:
        place = params.data.lookup or _beside(params.data.source)
        with TemporaryDirectory(prefix="preflight-") as folder:
            rows = _read_lookup(_local(place, Path(folder)))
    with replacing(target) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("zone", "borough", "name", "service_zone"))
        writer.writerows(rows)


def _beside(source: str) -> str:
    folder = source.rsplit("/", 1)[0] if _is_address(source) else source
    return f"{folder}/{LOOKUP_FILE}"


def _local(place: str, folder: Path) -> Path:
    return (
        _download(place, folder / LOOKUP_FILE) if _is_address(place) else Path(place).expanduser()
    )


def _is_address(place: str) -> bool:
    return place.startswith(("http://", "https://"))


def _read_lookup(path: Path) -> list[list[str]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            header, *rows = (row for row in csv.reader(file) if row)
    except (OSError, ValueError) as error:
        raise Problem(
            str(path), f"no zone lookup ({error})", "TLC's CSV", "Put it there; see data.lookup."
        ) from None
    if header != LOOKUP_HEADER:
        raise Problem(
            str(path), f"columns {header}", f"columns {LOOKUP_HEADER}", "Fetch TLC's file again."
        )
    for row in rows:
        if len(row) != len(LOOKUP_HEADER) or not row[0].isdecimal():
            raise Problem(
                str(path), f"a row {row}", "a zone's number and three texts", "Fetch it again."
            )
    return sorted(rows, key=lambda row: int(row[0]))


def row_rules(month: str) -> dict[str, pl.Expr]:
    """Rules beyond the contract's, by name: true where a trip breaks one."""
    first = datetime.fromisoformat(f"{month}-01")
    after = datetime(first.year + first.month // 12, first.month % 12 + 1, 1)
    return {
        "outside_month": ~pl.col("pickup_at").is_between(first, after, closed="left"),
        # A charge that was taken back: the trip's own record stays, the negative twin goes.
        "reversed_charge": (pl.col("fare_amount") < 0) | (pl.col("total_amount") < 0),
    }
