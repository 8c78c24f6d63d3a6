"""Real TLC months, where TLC_DIR names a folder of them."""

import os
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from preflight import table
from preflight.params import Params
from preflight.stages.validate import validate
from taxi import data
from taxi.contract import CONTRACT
from taxi.features import read_lookup

FOLDER = os.environ.get("TLC_DIR")
pytestmark = pytest.mark.skipif(
    not FOLDER, reason="TLC_DIR is not set: real months were not checked"
)
MONTHS = ("2021-01", "2021-02", "2021-03", "2023-01", "2023-02")


@pytest.fixture
def real(
    small_params: Callable[..., Params], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Params:
    """Parameters that read the real months, in an empty folder."""
    source = str(Path(FOLDER or "").expanduser().resolve())
    monkeypatch.chdir(tmp_path)
    return small_params(data={"source": source, "months": list(MONTHS)})


def test_both_schema_generations_keep_the_contract_and_its_rules(real: Params) -> None:
    for month in MONTHS:
        data.ingest(real, month, Path(f"data/raw/{month}.parquet"))
        found = pl.scan_parquet(f"data/raw/{month}.parquet").collect_schema()
        assert dict(found) == table.schema(CONTRACT)
    validate(real)
    kept = pl.scan_parquet("data/valid/*.parquet").select(pl.len()).collect().item()
    raw = pl.scan_parquet("data/raw/*.parquet").select(pl.len()).collect().item()
    assert 0.9 < kept / raw < 0.97
    for month in MONTHS:
        rules = pl.read_parquet(f"data/quarantine/{month}.parquet")["rule"].value_counts()
        counts = dict(rules.iter_rows())
        assert counts["trip_distance.range"] > 1_000
        assert counts["reversed_charge"] > 50


def test_the_published_rows_are_counted_exactly(real: Params) -> None:
    """73,908 and 61,921 rows of 1 to 60 minutes, as others counted them."""
    for month, rows in (("2021-01", 73_908), ("2021-02", 61_921)):
        path = Path(f"{month}.parquet")
        data.ingest(real, month, path)
        kept = pl.scan_parquet(path).filter(pl.col("duration_minutes").is_between(1, 60))
        assert kept.select(pl.len()).collect().item() == rows


def test_the_zone_lookup_keeps_its_texts(real: Params) -> None:
    data.lookup(real, Path("lookup.csv"))
    zones = read_lookup(Path("lookup.csv"))
    assert zones.boroughs[0] == "Unknown"
    assert zones.boroughs[zones.borough_of[1]] == "EWR"
    assert {zones.boroughs[zones.borough_of[zone]] for zone in (264, 265)} <= {"Unknown", "N/A"}
