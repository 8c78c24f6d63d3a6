"""Commands in a checkout: their environment, and how a failure is told."""

from pathlib import Path

import pytest

from conftest import ROOT
from preflight import workspace
from preflight.errors import Problem


def test_a_failed_stage_is_told_in_its_own_words() -> None:
    said = (
        "Running stage 'train':\nerror: x: found a; expected b. Do c.\nERROR: failed to reproduce"
    )
    problem = workspace.failed(("dvc", "repro", "--force"), said)
    assert str(problem).startswith("dvc repro --force: found a failure: x: found a; expected b.")
    assert "Running stage" not in str(problem)


def test_another_failure_is_told_by_its_last_lines() -> None:
    problem = workspace.failed(("git", "clone"), "\n".join(f"line {n}" for n in range(9)))
    assert "line 8" in str(problem)
    assert "line 3" not in str(problem)


def test_a_failing_command_is_a_problem(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="git rev-parse HEAD: found a failure"):
        workspace.run(tmp_path, "git", "rev-parse", "HEAD")


def test_outside_a_checkout_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Problem, match="no Git repository"):
        workspace.root()


def test_engines_tell_nobody_and_run_the_checkouts_code() -> None:
    variables = workspace.environment(ROOT)
    assert variables["PYTHONPATH"] == str(ROOT / "src")
    for name in ("DVC_NO_ANALYTICS", "MLFLOW_DISABLE_TELEMETRY", "BENTOML_DO_NOT_TRACK"):
        assert variables[name].lower() == "true"


def test_dvcs_own_setting_is_off_too() -> None:
    assert "analytics = false" in (ROOT / ".dvc/config").read_text()
