"""A packaged model is whole and unchanged, or refused."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from preflight import reference, table
from preflight.errors import Problem
from preflight.files import sha256
from preflight.predictor import Predictor
from preflight.project import Columns
from taxi.contract import CONTRACT


@pytest.fixture
def folder(checkout: Path) -> Path:
    """A packaged model that a test may damage."""
    return checkout / "models/packaged"


def sealed(folder: Path, manifest: dict[str, Any]) -> None:
    """Write a manifest as if the folder had been packaged so."""
    (folder / "manifest.json").unlink()
    (folder / "manifest.json").write_text(json.dumps(manifest))


def change(folder: Path, name: str, edit: Callable[[dict[str, Any]], None]) -> None:
    """Edit a JSON file of a packaged model, and its hash in the manifest."""
    found = json.loads((folder / name).read_text())
    edit(found)
    (folder / name).unlink()
    (folder / name).write_text(json.dumps(found))
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"][name] = sha256(folder / name)
    sealed(folder, manifest)


def drop(folder: Path, name: str) -> None:
    """Take a file out of a packaged model and its manifest."""
    (folder / name).unlink()
    manifest = json.loads((folder / "manifest.json").read_text())
    del manifest["files"][name]
    sealed(folder, manifest)


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
    sealed(folder, manifest)
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


@pytest.fixture(scope="module")
def model(built: Path) -> Predictor:
    """A packaged model of its own, whose output a test may change for a while."""
    return Predictor(built / "models/packaged")


def saying(model: Predictor, monkeypatch: pytest.MonkeyPatch, outputs: list[float]) -> Columns:
    """Let the model say these outputs for the rows that are returned, alone and together."""
    columns = reference.columns(CONTRACT, len(outputs))
    known = dict(zip(map(bytes, model.matrix(columns)), outputs, strict=True))
    monkeypatch.setattr(
        model.model, "predict", lambda matrix: np.array([known[bytes(row)] for row in matrix])
    )
    return columns


def rows(columns: Columns) -> list[Columns]:
    """Each row by itself."""
    count = len(next(iter(columns.values())))
    return [
        {name: values[row : row + 1] for name, values in columns.items()} for row in range(count)
    ]


def require_alike(model: Predictor, columns: Columns) -> None:
    """`one` of each row says what `answer` says of all, to the last bit."""
    found = model.answer(columns)
    assert found.lower is not None
    assert found.upper is not None
    for place, row in enumerate(rows(columns)):
        one = model.one(row)
        expected = found.value[place], found.lower[place], found.upper[place]
        np.testing.assert_array_equal(np.array([one.value, one.lower, one.upper]), expected)
        assert one.outside == np.flatnonzero(found.outside[place]).tolist()
        assert one.invalid == found.invalid[place]
        assert (one.odd, one.wide) == (found.odd[place], found.wide[place])


def test_one_row_is_answered_as_an_array_of_it(model: Predictor) -> None:
    require_alike(model, reference.columns(CONTRACT, 300, seed=2))


def test_one_row_without_calibration_is_answered_as_an_array_of_it(
    model: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model, "interval", None)
    columns = reference.columns(CONTRACT, 20)
    found = model.answer(columns)
    alone = [model.one(row) for row in rows(columns)]
    assert [one.value for one in alone] == found.value.tolist()
    assert {(one.lower, one.upper) for one in alone} == {(None, None)}


OUTPUTS = [30.0, 1.0, 60.0, 0.999, 60.001, -5.0, 1e9, float("nan"), float("inf"), float("-inf")]
SOUND = 3


def test_outputs_that_are_no_number_within_the_range_are_marked(
    model: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    columns = saying(model, monkeypatch, OUTPUTS)
    found = model.answer(columns)
    assert found.invalid.tolist() == [False] * SOUND + [True] * (len(OUTPUTS) - SOUND)
    require_alike(model, columns)


def test_what_is_given_is_the_baselines_where_the_output_is_invalid(
    model: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    columns = saying(model, monkeypatch, OUTPUTS)
    baseline = model.model.baseline(columns)
    expected = OUTPUTS[:SOUND] + baseline[SOUND:].tolist()
    assert model.given(columns).tolist() == expected
    assert model.given(columns, model.answer(columns)).tolist() == expected


def test_what_is_given_of_sound_outputs_is_the_answer(model: Predictor) -> None:
    columns = reference.columns(CONTRACT, 100)
    np.testing.assert_array_equal(model.given(columns), model.answer(columns).value)


def test_a_row_over_the_joint_limit_is_odd_alone_and_together(
    model: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    columns = reference.columns(CONTRACT, 300)
    scores = model.score(model.matrix(columns))
    monkeypatch.setattr(model, "joint_limit", float(np.median(scores)))
    assert model.answer(columns).odd.tolist() == (scores > np.median(scores)).tolist()
    require_alike(model, columns)


def test_an_interval_over_its_limit_is_wide_alone_and_together(
    model: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    columns = reference.columns(CONTRACT, 300)
    found = model.answer(columns)
    assert found.lower is not None
    assert found.upper is not None
    width = found.upper - found.lower
    assert not found.wide.any()
    monkeypatch.setattr(model, "max_width", float(np.median(width)))
    assert model.answer(columns).wide.tolist() == (width > np.median(width)).tolist()
    require_alike(model, columns)


def test_refused_features_are_known_by_position(folder: Path) -> None:
    assert Predictor(folder).refused == []
    change(
        folder, "guards.json", lambda found: found["limits"]["unseen"].update(refuse=["weekday"])
    )
    model = Predictor(folder)
    assert [model.model.features[place] for place in model.refused] == ["weekday"]


@pytest.mark.parametrize(
    ("name", "lacking"), [("guards.json", "no guards"), ("joint.json", "no joint score")]
)
def test_a_model_from_before_the_guards_is_refused_by_name(
    folder: Path, name: str, lacking: str
) -> None:
    drop(folder, name)
    with pytest.raises(Problem, match=f"{name}: found {lacking}.*make repro"):
        Predictor(folder)


def test_the_manifest_names_each_guard_with_its_limit(folder: Path) -> None:
    guards = json.loads((folder / "manifest.json").read_text())["guards"]
    model = Predictor(folder)
    assert guards == {
        "unseen": {"refuse": []},
        "joint": {"limit": model.joint_limit},
        "wide": {"limit": model.max_width},
    }


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
