"""`make bench`: times of this tree alone; the gate compares the same workloads on two."""

from pathlib import Path

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from conftest import ROOT
from preflight import params, reference, table
from preflight import project as seam
from preflight.gates.benchmark import ROWS
from preflight.gates.stopwatch import WORKLOADS
from preflight.layout import PACKAGED, SPLIT


@pytest.fixture(params=WORKLOADS)
def workload(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Path]:
    """A workload's name and its rows: requests from the contract, or training rows."""
    contract = seam.contract(params.load(ROOT / "params.yaml").project)
    path = tmp_path / "rows.npz"
    if request.param == "training":
        rows = table.scan(ROOT / SPLIT / "train.parquet", contract).head(ROWS["training"]).collect()
        names = [*(column.name for column in contract.known), contract.target.name]
        columns = table.arrays(rows, names)
    else:
        columns = reference.columns(contract, ROWS[request.param])
    np.savez(path, allow_pickle=False, **columns)
    return request.param, path


def test_speed(benchmark: BenchmarkFixture, workload: tuple[str, Path]) -> None:
    """Each workload of the gate `benchmark`, in this process."""
    name, rows = workload
    if not (ROOT / PACKAGED).is_dir():
        pytest.fail(f"{PACKAGED} is not there: run `make restore`")
    benchmark.group = name
    benchmark(WORKLOADS[name](str(rows)))
