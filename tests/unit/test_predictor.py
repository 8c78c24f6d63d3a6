"""A packaged model is whole and unchanged, or refused."""

import json
from pathlib import Path

import numpy as np
import pytest

from preflight import reference, table
from preflight.errors import Problem
from preflight.predictor import Predictor
from taxi.contract import CONTRACT


@pytest.fixture
def folder(checkout: Path) -> Path:
    """A packaged model that a test may damage."""
    return checkout / "models/packaged"


def test_a_missing_file_is_named(folder: Path) -> None:
    (folder / "baseline.json").unlink()
    with pytest.raises(Problem, match=r"baseline\.json: found a file too many or missing"):
        Predictor(folder)


def test_a_file_too_many_is_named(folder: Path) -> None:
    (folder / "extra.txt").touch()
    with pytest.raises(Problem, match=r"extra\.txt"):
        Predictor(folder)


def test_no_model_at_all_is_named(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="found no model"):
        Predictor(tmp_path)


def test_a_model_of_another_contract_is_refused(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["contract"] = "0" * 64
    (folder / "manifest.json").unlink()
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(Problem, match="another contract"):
        Predictor(folder)


def test_rows_are_answered_alike_alone_and_together(built: Path) -> None:
    model = Predictor(built / "models/packaged")
    columns = reference.columns(CONTRACT, 50)
    together = model.answer(columns)
    for row in range(50):
        alone = model.answer({name: values[row : row + 1] for name, values in columns.items()})
        assert alone.value[0] == together.value[row]
        assert (alone.outside[0] == together.outside[row]).all()


def test_training_rows_are_flagged_nowhere(built: Path) -> None:
    model = Predictor(built / "models/packaged")
    rows = table.scan(built / "data/split/train.parquet", CONTRACT).collect()
    assert not model.answer(table.arrays(rows)).outside.any()


def test_reference_requests_keep_the_contract_and_never_change() -> None:
    columns = reference.columns(CONTRACT, 1_000)
    for column in CONTRACT.known:
        if column.kind != "time":
            assert columns[column.name].min() >= column.minimum
            assert columns[column.name].max() <= column.maximum
    again = reference.columns(CONTRACT, 1_000)
    assert all(np.array_equal(columns[name], again[name]) for name in columns)
