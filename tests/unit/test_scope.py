"""Scope: a change of prose alone is told from every other, and what is unclear is code."""

import subprocess
import sys
from pathlib import Path

import pytest

from conftest import ROOT, commit, git
from preflight import scope

PROSE = [
    "README.md",
    "docs/review.md",
    "docs/pictures/way.svg",
    "docs/way.png",
    "LICENSE",
    ".github/CONTRIBUTING.md",
    ".github/ISSUE_TEMPLATE/bug.yml",
]
READ = [
    "params.yaml",
    "Makefile",
    "data/SOURCES.md",
    "models/card.md",
    "src/taxi/notes.md",
    "tests/unit/cases.md",
    "requirements/serve.txt",
    ".github/workflows/pull-request.yml",
    ".github/waivers.yaml",
    ".github/CODEOWNERS",
    "docs/evidence.schema.json",
    "docs/LICENSE.py",
    "notes.md/run.py",
]


def repository(root: Path) -> Path:
    """A repository on a branch that has just left main."""
    git(root, "init", "--quiet", "--initial-branch=main")
    (root / "README.md").write_text("A house.\n")
    (root / "code.py").write_text("VALUE = 1\n")
    commit(root)
    git(root, "switch", "--quiet", "--create", "change")
    return root


def said(root: Path, output: Path | None = None) -> str:
    """What the script prints in a checkout, by an interpreter that sees no package."""
    command = [sys.executable, "-I", "-S", str(ROOT / "src/preflight/scope.py")]
    variables = {"PATH": "/usr/bin:/bin"} | ({"GITHUB_OUTPUT": str(output)} if output else {})
    done = subprocess.run(
        command, cwd=root, env=variables, capture_output=True, text=True, check=True
    )
    return done.stdout


def test_prose_alone_is_prose() -> None:
    assert scope.docs_only(PROSE)
    assert all(scope.docs_only([path]) for path in PROSE)


@pytest.mark.parametrize("path", READ)
def test_what_a_tool_reads_is_code_even_among_prose(path: str) -> None:
    assert not scope.docs_only([*PROSE, path])


def test_no_change_at_all_is_code() -> None:
    assert not scope.docs_only([])


def test_a_branch_of_prose_is_no_code(tmp_path: Path) -> None:
    root = repository(tmp_path)
    (root / "README.md").write_text("A home.\n")
    commit(root)
    assert said(root) == "code=false\n"


def test_one_line_of_code_in_any_commit_of_the_branch_is_code(tmp_path: Path) -> None:
    root = repository(tmp_path)
    for name in ("code.py", "README.md"):
        (root / name).write_text("VALUE = 2\n")
        commit(root)
    assert said(root) == "code=true\n"


def test_what_main_changed_meanwhile_does_not_count(tmp_path: Path) -> None:
    root = repository(tmp_path)
    (root / "README.md").write_text("A home.\n")
    commit(root)
    git(root, "switch", "--quiet", "main")
    (root / "code.py").write_text("VALUE = 2\n")
    commit(root)
    git(root, "switch", "--quiet", "change")
    assert said(root) == "code=false\n"


def test_code_renamed_to_prose_is_code(tmp_path: Path) -> None:
    root = repository(tmp_path)
    (root / "code.py").rename(root / "code.md")
    commit(root)
    assert sorted(scope.changed(root, "main", "HEAD")) == ["code.md", "code.py"]
    assert said(root) == "code=true\n"


def test_on_main_the_first_parent_counts(tmp_path: Path) -> None:
    root = repository(tmp_path)
    git(root, "switch", "--quiet", "main")
    (root / "README.md").write_text("A home.\n")
    commit(root)
    assert said(root) == "code=false\n"


def test_the_main_at_origin_goes_before_the_one_here(tmp_path: Path) -> None:
    root = repository(tmp_path)
    (root / "code.py").write_text("VALUE = 2\n")
    commit(root)
    git(root, "update-ref", "refs/remotes/origin/main", "main")
    (root / "README.md").write_text("A home.\n")
    commit(root)
    git(root, "branch", "--force", "main", "HEAD~1")
    assert said(root) == "code=true\n"


def test_a_link_that_bears_a_name_of_prose_is_code(tmp_path: Path) -> None:
    root = repository(tmp_path)
    (root / "README.md").unlink()
    (root / "README.md").symlink_to("code.py")
    commit(root)
    assert said(root) == "code=true\n"


def test_a_first_commit_is_code(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet", "--initial-branch=main")
    (tmp_path / "README.md").write_text("A house.\n")
    commit(tmp_path)
    assert said(tmp_path) == "code=true\n"


def test_a_clone_without_main_is_code(tmp_path: Path) -> None:
    root = repository(tmp_path)
    git(root, "branch", "--quiet", "--delete", "main")
    assert said(root) == "code=true\n"


def test_a_folder_without_git_is_code(tmp_path: Path) -> None:
    assert said(tmp_path) == "code=true\n"


def test_the_next_jobs_are_told_without_losing_what_stood_there(tmp_path: Path) -> None:
    output = tmp_path / "output"
    output.write_text("other=1\n")
    said(tmp_path, output)
    assert output.read_text() == "other=1\ncode=true\n"
