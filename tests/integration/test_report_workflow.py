"""The commands of report.yml, as its YAML states them, turn a run's artifacts into the comment."""

from pathlib import Path

import pytest

from fake_github import whole
from workflow.rehearsal import change, posted


@pytest.fixture
def head(checkout: Path, tmp_path: Path) -> str:
    """The head of a pull request against the small repository, with all gates green."""
    found = change(checkout, tmp_path, "honest")
    artifact = tmp_path / "pull-request/artifacts/evidence-gates"
    artifact.mkdir(parents=True)
    for name, body in whole(found).items():
        (artifact / name).write_bytes(body)
    return found


def test_a_finished_runs_artifacts_become_the_comment(
    head: str, checkout: Path, tmp_path: Path
) -> None:
    done, comment = posted(checkout, tmp_path, head)
    assert done.result == "success"
    assert comment is not None
    assert comment.startswith("## 🟢 Ready: all ")
    assert f"Commit `{head[:12]}`" in comment


def test_a_run_that_crashed_before_any_gate_has_a_comment_too(
    head: str, checkout: Path, tmp_path: Path
) -> None:
    for path in (tmp_path / "pull-request/artifacts/evidence-gates").iterdir():
        path.unlink()
    done, comment = posted(checkout, tmp_path, head)
    assert done.result == "success"
    assert str(comment).startswith("## 🟡 Cannot tell")


def test_a_superseded_run_posts_nothing(head: str, checkout: Path, tmp_path: Path) -> None:
    done, comment = posted(checkout, tmp_path, head, conclusion="cancelled")
    assert (done.result, comment) == ("skipped", None)
