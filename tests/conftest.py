"""What several tests share: a small repository of the same code, with its pipeline run."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from preflight import params, workspace

ROOT = Path(__file__).resolve().parents[1]
# CI's own, which a packaged service refuses; a test that is about it sets it.
os.environ.setdefault("REQUIRE_TOOLS", os.environ.pop("PREFLIGHT_REQUIRE_TOOLS", ""))


def git(root: Path, *words: str) -> str:
    """Run git in a checkout; returns what it printed."""
    return workspace.run(root, "git", *words).stdout


def commit(root: Path, message: str = "Change") -> None:
    """Commit everything in a test's checkout."""
    workspace.commit(root, message)


def change_params(root: Path, **sections: object) -> None:
    """Lay keys over a checkout's params.yaml."""
    overlay = root / "overlay.yaml"
    overlay.write_text(yaml.safe_dump(sections))
    merged = params.merged(root / "params.yaml", overlay)
    overlay.unlink()
    (root / "params.yaml").write_text(yaml.safe_dump(merged, sort_keys=False))


def run(root: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a checkout with its own code; returns it whatever its status."""
    return workspace.run(root, *command, check=False)


def _small(target: Path) -> Path:
    """A repository of this tree's files with the test profile."""
    target.mkdir()
    files = git(ROOT, "ls-files", "--cached", "--others", "--exclude-standard").splitlines()
    for name in files:
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target / name)
    (target / "dvc.lock").unlink(missing_ok=True)
    merged = params.merged(ROOT / "params.yaml", ROOT / "tests/small.yaml")
    (target / "params.yaml").write_text(yaml.safe_dump(merged, sort_keys=False))
    git(target, "init", "--quiet", "--initial-branch=main")
    (target / ".venv-serve").symlink_to(ROOT / ".venv-serve")
    (target / ".git/info/exclude").write_text(".venv-serve\n")
    return target


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small repository after `dvc repro` and a commit; tests only read it."""
    root = _small(tmp_path_factory.mktemp("built") / "repository")
    commit(root, "The house")
    workspace.run(root, "dvc", "repro", "--quiet")
    commit(root, "Record the pipeline's run in dvc.lock")
    return root


@pytest.fixture
def checkout(built: Path, tmp_path: Path) -> Path:
    """A copy of the small repository that a test may change."""
    target = tmp_path / "checkout"
    shutil.copytree(built, target, symlinks=True)
    return target


@pytest.fixture(scope="module")
def unmeasured() -> Iterator[None]:
    """Processes of a module's tests run without coverage, at half the time: what they run is
    measured by `built`, by test_service, or by tests in this process.
    """
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("COVERAGE")]:
            patch.delenv(name)
        yield


@pytest.fixture
def small_params() -> Callable[..., params.Params]:
    """params.yaml under the test profile, with keys laid over it."""

    def load(**sections: dict[str, object]) -> params.Params:
        raw = params.merged(ROOT / "params.yaml", ROOT / "tests/small.yaml")
        for name, keys in sections.items():
            raw[name] = {**raw[name], **keys}
        return params.parse(raw, "params.yaml")

    return load
