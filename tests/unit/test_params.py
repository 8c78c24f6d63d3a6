"""params.yaml: typed, and every mistake named."""

from pathlib import Path

import pytest

from conftest import ROOT
from preflight import params
from preflight.errors import Problem
from preflight.gates import limits

TEXT = (ROOT / "params.yaml").read_text()


def refusal(tmp_path: Path, old: str, new: str) -> str:
    """What is said about params.yaml with one text replaced."""
    assert old in TEXT
    path = tmp_path / "params.yaml"
    path.write_text(TEXT.replace(old, new, 1))
    with pytest.raises(Problem) as caught:
        params.load(path)
    return str(caught.value)


def test_the_shipped_parameters_load() -> None:
    assert params.load(ROOT / "params.yaml").project == "taxi"


def test_an_unknown_key_is_refused_with_the_nearest_known_one(tmp_path: Path) -> None:
    said = refusal(tmp_path, "  calibrate_days:", "  calibrat_days:")
    assert "split.calibrat_days: found an unknown key" in said
    assert "Did you mean `calibrate_days`?" in said


def test_an_unknown_key_of_the_projects_own_section_is_refused(tmp_path: Path) -> None:
    assert "model.rouns: found an unknown key" in refusal(tmp_path, "  rounds:", "  rouns:")


def test_an_unknown_section_is_refused(tmp_path: Path) -> None:
    assert "colour: found an unknown key" in refusal(tmp_path, "split:", "colour: red\n\nsplit:")


def test_a_risk_section_under_another_name_is_refused_with_the_right_one(tmp_path: Path) -> None:
    said = refusal(tmp_path, "\nrisk:", "\nrisks:")
    assert "risks: found an unknown key" in said
    assert "Did you mean `risk`?" in said


def test_an_unknown_key_deep_in_a_section_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(TEXT.replace("    max_rmse:", "    max_rmsee: 1.0\n    max_rmse:", 1))
    with pytest.raises(Problem, match=r"gates\.quality\.max_rmsee: found an unknown key"):
        limits.load(path)


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    said = refusal(tmp_path, "  groups: 10\n", "")
    assert "calibrate.groups: found no such key" in said


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("test_months: 2", "test_months: two", "split.test_months"),
        ("test_months: 2", "test_months: '2'", "split.test_months"),
        ("test_months: 2", "test_months: true", "split.test_months"),
        ("sample: 1.0", "sample: 0.0", "data.sample"),
        ("sample: 1.0", "sample: .nan", "data.sample"),
        ('"2021-01", ', '"2021-13", ', "data.months.0"),
        ("coverage: 0.9", "coverage: 1.0", "calibrate.coverage"),
        ('"2021-02", ', '"2021-01", ', "data.months"),
        ("project: taxi", 'project: ""', "project"),
        ("project: taxi", "project: preflight", "project"),
        ("    - same_zone", "    - same_zonne", "model.features"),
    ],
)
def test_a_mistyped_value_is_named(tmp_path: Path, old: str, new: str, key: str) -> None:
    assert key in refusal(tmp_path, old, new)


def test_text_that_is_no_yaml_is_refused(tmp_path: Path) -> None:
    assert "expected valid YAML" in refusal(tmp_path, "project: taxi", "project: [taxi")


def test_a_list_instead_of_keys_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text("- project\n")
    with pytest.raises(Problem, match="found list"):
        params.load(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(Problem, match=r"params\.yaml: found no file"):
        params.load(tmp_path / "params.yaml")


def test_a_project_that_is_no_package_is_refused(tmp_path: Path) -> None:
    assert "'taxy'" in refusal(tmp_path, "project: taxi", "project: taxy")


def test_a_missing_project_is_refused(tmp_path: Path) -> None:
    assert "project: found None" in refusal(tmp_path, "project: taxi", "projects: taxi")


def test_an_overlay_changes_its_own_keys_and_no_others(tmp_path: Path) -> None:
    overlay = tmp_path / "overlay.yaml"
    overlay.write_text("gates: {quality: {max_rmse: 1.5}}\n")
    plain, laid = (params.load(ROOT / "params.yaml", each) for each in (None, overlay))
    assert laid.gates["quality"]["max_rmse"] == 1.5
    assert laid.evaluate.resamples == plain.evaluate.resamples
    assert laid.gates["slices"] == plain.gates["slices"]


def test_an_overlays_unknown_key_is_refused_under_the_overlays_name(tmp_path: Path) -> None:
    overlay = tmp_path / "overlay.yaml"
    overlay.write_text("data: {sauce: synthetic}\n")
    with pytest.raises(Problem, match=r"overlay\.yaml: data\.sauce: found an unknown key"):
        params.load(ROOT / "params.yaml", overlay)
