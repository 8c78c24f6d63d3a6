"""A rollback that is pushed lies on top of main as it is then, chosen anew on each top."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from conftest import git
from delivered import cloned, copied, main, merged, promoted, template, touched, untouched
from preflight import release
from preflight.delivery import overlay
from preflight.deploy import rollback_commit
from preflight.deploy.rollback import Rollback
from preflight.deploy.rollback_commands import rollback


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone in whose staging two releases were promoted."""
    return template(tmp_path_factory, "1", "2")


@pytest.fixture
def root(two: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, where commands run."""
    root = copied(two, tmp_path / "world")
    monkeypatch.chdir(root)
    return root


def pushed(*words: str) -> Result:
    """What comes of a rollback of staging that is pushed."""
    return CliRunner().invoke(rollback, ["staging", "--push", "--why", "slow", *words])


def version(root: Path) -> str:
    """The model's version in staging on the remote's main."""
    git(root, "fetch", "--quiet", "origin")
    return next(release.history(root, "staging", "origin/main")).model.version


def test_it_is_one_commit_on_main_and_what_was_open_here_stays(root: Path) -> None:
    (root / "dvc.lock").write_text("mine\n")
    before = untouched(root)[0]
    done = pushed()
    assert done.exit_code == 0, done.output
    assert (version(root), touched(root, main(root))[-1]) == ("1", overlay.places("staging")[2])
    assert f"commit {main(root)[:12]}: its files" in done.output
    assert untouched(root)[0] == before


def test_a_main_that_moved_gets_it_on_top_and_the_plan_is_made_again(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, plans = cloned(root.parent, "other"), list[Rollback]()
    real = rollback_commit.rolled_back

    def late(tree: Path, plan: Rollback, why: str, who: str) -> str:
        plans.append(plan)
        if len(plans) == 1:
            merged(other)
        return real(tree, plan, why, who)

    monkeypatch.setattr(rollback_commit, "rolled_back", late)
    done = pushed()
    assert done.exit_code == 0, done.output
    assert (len(plans), version(root)) == (2, "1")
    assert git(root, "rev-parse", "origin/main^") == git(other, "rev-parse", "HEAD")
    assert done.output.count("commit ") - done.output.count("as commit ") == 1


def test_a_release_that_came_meanwhile_is_the_one_that_is_left(root: Path) -> None:
    promoted(cloned(root.parent, "other"), "3")
    assert pushed().exit_code == 0
    assert version(root) == "2"


def test_a_branch_beside_it_is_refused(root: Path) -> None:
    done = pushed("--branch", "back")
    assert "--push: found --branch beside it" in str(done.exception)
