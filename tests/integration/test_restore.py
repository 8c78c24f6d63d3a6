"""Data and model of a commit: pulled, else reproduced."""

import shutil
from pathlib import Path

import pytest

from conftest import git, run
from preflight import lineage, workspace
from preflight.errors import Problem
from preflight.restore import restore

pytestmark = pytest.mark.usefixtures("unmeasured")


def emptied(root: Path, *, cache: bool) -> None:
    """Remove a checkout's outputs, and its cache where asked."""
    git(root, "clean", "-dfqX", "data", "models")
    if cache:
        shutil.rmtree(root / ".dvc/cache")


def test_a_current_tree_is_left_alone(checkout: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    restore(checkout)
    assert caplog.messages == ["data and model are current"]


def test_what_was_pushed_is_pulled(checkout: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    assert run(checkout, "dvc", "push").returncode == 0
    emptied(checkout, cache=True)
    restore(checkout)
    assert caplog.messages[-1] == "pulled; current with dvc.lock"
    assert lineage.differences(checkout) == []


def test_without_a_remote_it_is_reproduced(
    checkout: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    emptied(checkout, cache=True)
    lock = (checkout / "dvc.lock").read_text()
    restore(checkout)
    assert caplog.messages[-1] == "reproduced; current with dvc.lock"
    assert lineage.differences(checkout) == []
    assert (checkout / "dvc.lock").read_text() == lock
    assert git(checkout, "status", "--porcelain") == ""


def test_a_damaged_model_is_brought_back(checkout: Path) -> None:
    booster = checkout / "models/packaged/booster.txt"
    booster.unlink()
    booster.write_text("damaged")
    restore(checkout)
    assert lineage.differences(checkout) == []


def test_files_of_git_that_were_deleted_come_back_too(checkout: Path) -> None:
    shutil.rmtree(checkout / "models")
    restore(checkout)
    assert lineage.differences(checkout) == []
    assert git(checkout, "status", "--porcelain") == ""


def test_a_stale_model_in_the_tree_is_replaced_by_the_locks(checkout: Path) -> None:
    packaged = checkout / "models/packaged"
    run(checkout, "sh", "-c", "sed -i.old 's/coverage: 0.9/coverage: 0.5/' params.yaml")
    run(checkout, "dvc", "repro", "--quiet")
    git(checkout, "clean", "-fdq")
    git(checkout, "checkout", ".")
    assert '"coverage": 0.5' in (packaged / "interval.json").read_text()
    restore(checkout)
    assert '"coverage": 0.9' in (packaged / "interval.json").read_text()


def test_code_that_does_not_give_what_the_lock_says_is_refused(checkout: Path) -> None:
    """A generator changed without a new dvc.lock gives other data."""
    path = checkout / "src/taxi/synthetic.py"
    path.write_text(path.read_text().replace("100_000 // (3 +", "100_000 // (4 +"))
    workspace.commit(checkout, "Change the generator alone")
    emptied(checkout, cache=True)
    with pytest.raises(Problem, match=r"synthetic\.py modified.*make repro"):
        restore(checkout)
