"""A model's way into the registry, and the way back."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
import yaml

from conftest import change_params, commit, git, run
from preflight import bento, lineage, reference, registry
from preflight.errors import NoData, Problem
from preflight.files import read_json, sha256, write_json
from preflight.gates import limits
from preflight.predictor import Predictor
from taxi.contract import CONTRACT

pytestmark = pytest.mark.usefixtures("unmeasured")


@pytest.fixture(scope="module")
def registered(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A clone-like copy of the small repository with its model registered as version 1."""
    import shutil

    root = tmp_path_factory.mktemp("registered") / "checkout"
    shutil.copytree(built, root, symlinks=True)
    assert registry.register(root) == "1"
    yield root


def test_registering_again_changes_nothing(registered: Path) -> None:
    assert registry.register(registered) == "1"


def test_a_version_says_how_when_and_from_what_it_was_made(registered: Path) -> None:
    found = registry.info(registered, "1")
    assert found["model"] == "taxi-duration/1"
    assert found["commit"] == git(registered, "rev-parse", "HEAD").strip()
    assert found["author"] == "preflight"
    assert found["registered_at"].endswith("+00:00")
    assert found["model_hash"] == sha256(registered / "models/packaged/manifest.json")
    assert found["contract"] == CONTRACT.hash
    lock = yaml.safe_load((registered / "dvc.lock").read_text())["stages"]
    raw = lock["ingest@2021-02"]["outs"][0]
    assert found["data"][raw["path"]] == raw["md5"]
    assert found["environment"]["serve_lock"] == sha256(registered / "requirements/serve.txt")
    assert found["params"]["model.rounds"] == "20"
    measured = read_json(registered / "models/evaluation/metrics.json")
    assert found["metrics"]["test.rmse"] == pytest.approx(measured["test"]["rmse"])


def test_the_command_prints_versions_one_after_another(registered: Path) -> None:
    done = run(registered, "preflight", "model-info", "1", "1")
    assert [found["model"] for found in yaml.safe_load_all(done.stdout)] == ["taxi-duration/1"] * 2


def test_an_unknown_version_is_refused_with_the_known_ones(registered: Path) -> None:
    with pytest.raises(Problem, match="found no version '7'; expected one of: 1"):
        registry.info(registered, "7")


def test_the_mlflow_model_answers_as_the_packaged_one(
    registered: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow

    # MLflow leaves the model's copy of our code first on the path, and later tests would run it.
    monkeypatch.setattr(sys, "path", [*sys.path])
    mlflow.set_tracking_uri(f"sqlite:///{registered}/.preflight/mlflow/mlflow.db")
    loaded = mlflow.pyfunc.load_model("models:/taxi-duration/1")
    columns = reference.columns(CONTRACT, 30)
    answered = loaded.predict(pd.DataFrame(reference.instances(columns)))
    model = Predictor(registered / "models/packaged")
    expected = model.answer(columns)
    assert answered["value"].tolist() == model.given(columns).tolist()
    assert expected.lower is not None
    assert answered["lower"].tolist() == expected.lower.tolist()


def test_registering_writes_nothing_that_git_or_dvc_track(registered: Path) -> None:
    assert git(registered, "status", "--porcelain") == ""
    assert json.loads(run(registered, "dvc", "status", "--json").stdout) == {}


def test_a_retrained_model_is_the_next_version(registered: Path) -> None:
    change_params(registered, model={"seed": 2})
    run(registered, "dvc", "repro", "--quiet")
    commit(registered, "Another seed")
    assert registry.register(registered) == "2"
    assert registry.info(registered, "1")["params"]["model.seed"] == "1"


def test_a_commit_without_a_version_builds_no_bento(registered: Path) -> None:
    (registered / "README.md").write_text("Another commit")
    commit(registered)
    with pytest.raises(Problem, match="no version of commit"):
        bento.build(registered)


def test_a_dirty_tree_is_refused_by_the_file_that_makes_it_so(checkout: Path) -> None:
    (checkout / "README.md").write_text("changed")
    with pytest.raises(Problem, match=r"uncommitted changes \(README\.md\)"):
        registry.register(checkout)


def test_a_lock_that_is_not_of_this_code_is_refused(checkout: Path) -> None:
    change_params(checkout, model={"rounds": 21})
    commit(checkout, "Forgot to run the pipeline")
    with pytest.raises(Problem, match=r"train: changed deps: params\.yaml"):
        registry.register(checkout)


def test_changed_data_is_refused(checkout: Path) -> None:
    path = checkout / "data/split/train.parquet"
    path.unlink()
    path.write_bytes((checkout / "data/split/test.parquet").read_bytes())
    with pytest.raises(Problem, match="data/split"):
        registry.register(checkout)


def test_metrics_that_no_run_wrote_are_refused(checkout: Path) -> None:
    """A better figure written into the committed file by hand."""
    path = checkout / "models/evaluation/metrics.json"
    measured = read_json(path)
    measured["test"]["rmse"] = 0.1
    write_json(path, measured)
    commit(checkout, "Improve the figures")
    with pytest.raises(Problem, match=r"metrics\.json modified"):
        registry.register(checkout)


def test_a_model_of_other_bytes_and_equal_predictions_is_current(checkout: Path) -> None:
    """As another processor would build it."""
    _repack(checkout, "tree_sizes=", "tree_sizes= ")
    assert lineage.differences(checkout) == []


def test_a_model_of_other_predictions_is_not_current(checkout: Path) -> None:
    booster = (checkout / "models/packaged/booster.txt").read_text()
    line = next(each for each in booster.splitlines() if each.startswith("leaf_value="))
    first = line.split("=")[1].split()[0]
    # LightGBM aborts the process when a tree has another length than the file says.
    other = ("2" if first[0] != "2" else "3") + first[1:]
    _repack(checkout, f"leaf_value={first}", f"leaf_value={other}")
    (said,) = lineage.differences(checkout)
    assert said.startswith("reference answers: ")


def _repack(root: Path, old: str, new: str) -> None:
    """Change a text in the packaged booster and seal the folder anew."""
    from preflight import predictor

    folder = root / "models/packaged"
    booster = (folder / "booster.txt").read_text()
    for name in ("booster.txt", "manifest.json", "contract.json"):
        (folder / name).unlink()
    (folder / "booster.txt").write_text(booster.replace(old, new, 1))
    predictor.pack(folder, "taxi")


def test_a_model_of_other_intervals_is_not_current(checkout: Path) -> None:
    """Values alone would not tell: calibration at 50% left from another commit."""
    change_params(checkout, calibrate={"coverage": 0.5})
    run(checkout, "dvc", "repro", "--quiet")
    git(checkout, "checkout", ".")
    (said,) = lineage.differences(checkout)
    assert said.startswith("reference answers: ")
    with pytest.raises(Problem, match="reference answers"):
        registry.register(checkout)


def test_a_frozen_stage_is_refused(checkout: Path) -> None:
    path = checkout / "dvc.yaml"
    path.write_text(path.read_text().replace("  train:\n", "  train:\n    frozen: true\n"))
    change_params(checkout, model={"rounds": 5})
    commit(checkout, "Freeze training, and change it")
    with pytest.raises(Problem, match="train: frozen"):
        registry.register(checkout)


def limited(root: Path, **limits: float) -> None:
    """Commit other limits for the evaluation."""
    change_params(root, gates={"quality": limits})
    commit(root, "Other limits")


def test_an_evaluation_that_misses_a_limit_is_not_registered(checkout: Path) -> None:
    limited(checkout, max_rmse=0.1)
    with pytest.raises(Problem, match=r"rmse: found .*; expected <= 0\.1"):
        registry.register(checkout)
    done = run(checkout, "preflight", "register")
    assert done.returncode == 1


def test_an_evaluation_without_a_figure_is_no_data(checkout: Path) -> None:
    measured = read_json(checkout / "models/evaluation/metrics.json")
    del measured["test"]["coverage"]
    write_json(checkout / "models/evaluation/metrics.json", measured)
    commit(checkout, "No coverage")
    floors = limits.load(checkout / "params.yaml").quality
    with pytest.raises(NoData, match="coverage: found no data"):
        registry.require_floors(measured["test"], floors)
