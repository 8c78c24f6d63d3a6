"""When what runs is the champion's, so that there is nothing to time."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from conftest import commit, git
from preflight.champion import Champion
from preflight.gates import case
from preflight.gates.case import Case

BENTOFILE = "include: [/build.json, /assets/zones.bin, /models/packaged/]\n"
FILES = {
    **{f"{name}/one": "a\n" for name in ("src", "requirements", "assets", "tests")},
    **dict.fromkeys(("params.yaml", "dvc.yaml", "pyproject.toml", "README.md"), "a: 1\n"),
    "assets/zones.bin": "a\n",
    "bentofile.yaml": BENTOFILE,
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository of one commit, of which a service is made."""
    git(tmp_path, "init", "--quiet", "--initial-branch=main")
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    commit(tmp_path, "Begin")
    return tmp_path


def alike(root: Path, name: str | None, model: str = "the same") -> bool:
    """Whether a commit that changes a file, or none, runs what its parent runs."""
    before = git(root, "rev-parse", "HEAD").strip()
    with (root / (name or "README.md")).open("a") as file:
        file.write("# more\n")
    commit(root, "Change it")
    now, then = (cast("Any", SimpleNamespace(model_hash=each)) for each in (model, "the same"))
    head = git(root, "rev-parse", "HEAD").strip()
    champion = Champion("first parent", before, root)
    return Case(root, head, champion, cast("Any", None), now, then, root / "cache").runs_alike


@pytest.mark.parametrize("name", ["README.md", "tests/one"])
def test_a_change_of_what_does_not_run_is_alike(root: Path, name: str) -> None:
    assert alike(root, name)


@pytest.mark.parametrize(
    "name",
    [*(f"{each}/one" for each in ("src", "requirements")), *case.RUNS[2:], "assets/zones.bin"],
)
def test_a_change_of_what_runs_is_not(root: Path, name: str) -> None:
    assert not alike(root, name)


def test_every_part_that_runs_was_changed_above() -> None:
    assert case.RUNS[:2] == ("src", "requirements")
    assert set(case.RUNS[2:]) <= set(FILES)


def test_another_model_is_not_alike_though_no_file_of_git_differs(root: Path) -> None:
    assert not alike(root, None, model="another")
