"""What staging promoted is proposed to production once, and nothing else is."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from conftest import commit, git
from delivered import copied, main, merged, promoted, settled, staged, template, untouched
from fake_github import REPOSITORY, TOKEN, FakeGitHub, serving
from preflight import release
from preflight.delivery import gitops, overlay
from preflight.delivery.gitops import Change
from preflight.delivery.promotion import Way, change, promote
from preflight.deploy.rollback import chosen
from preflight.deploy.rollback_commit import rolled_back
from preflight.errors import Problem

WAY = Way()


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone in whose staging release 1 was promoted; tests copy it."""
    return template(tmp_path_factory, "1")


@pytest.fixture
def root(one: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return copied(one, tmp_path / "world")


def here(root: Path) -> str:
    """The id of staging's release."""
    found = release.current(root, "staging")
    assert found is not None
    return found.id


def landed(root: Path, way: Way = WAY) -> str:
    """Promotion's files on main, and production's rollout promoted; returns the id."""
    when = datetime.now(UTC).replace(microsecond=0)
    gitops.pushed(root, lambda tree: Change("Land", change(tree, way, when)[1]))
    name = here(root)
    settled(root, name, environment="production")
    return name


def test_a_branch_holds_productions_three_files_on_top_of_main(root: Path) -> None:
    before = untouched(root)
    said = promote(root, WAY, {})
    name = f"promote/production/{here(root)}"
    assert f"branch {name}: pushed" in said
    assert f"'Release {here(root)} in production' was not opened" in said
    git(root, "fetch", "--quiet", "origin", name)
    assert git(root, "rev-parse", "FETCH_HEAD^").strip() == main(root)
    shown = git(root, "show", "--format=", "--name-only", "FETCH_HEAD").split()
    assert shown == sorted(overlay.places("production"))
    found = next(release.history(root, "production", "FETCH_HEAD"))
    ours = release.current(root, "staging")
    assert ours is not None
    assert (found.model, found.deploys, found.evidence) == (ours.model, ours.deploys, ours.evidence)
    assert (found.rollout.verdict, found.approval, found.previous) == ("pending", None, None)
    assert untouched(root) == before


def test_a_second_call_updates_nothing_and_says_so(root: Path) -> None:
    promote(root, WAY, {})
    before = git(root, "ls-remote", "origin")
    assert "there already, at" in promote(root, WAY, {})
    assert git(root, "ls-remote", "origin") == before


def test_its_pull_request_tells_model_image_judge_and_what_changes(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "*")
    with serving("a" * 40) as fake:
        fake.pulls = []
        fake.head_of = lambda name: git(root, "ls-remote", "origin", name).split()[0]
        variables = {
            "GITHUB_TOKEN": TOKEN,
            "GITHUB_REPOSITORY": REPOSITORY,
            "GITHUB_API_URL": fake.api,
        }
        assert "pull request #43 opened" in promote(root, WAY, variables)
        assert "#43 is there already, open" in promote(root, WAY, variables)
        body = told(fake)
    ours = release.current(root, "staging")
    assert ours is not None
    for each in (ours.image, "taxi-duration 1", "all metrics fine", "Ready", "first release"):
        assert each in body
    assert TOKEN not in body


def told(fake: FakeGitHub) -> str:
    """The text of the one pull request."""
    (found,) = fake.pulls
    return str(found["body"])


@pytest.mark.parametrize("verdict", ["pending", "aborted"])
def test_what_staging_did_not_promote_is_not_proposed(root: Path, verdict: str) -> None:
    found = staged(root, "2")
    if verdict == "aborted":
        settled(root, found.id, "aborted")
    said = f"nothing to propose: staging promoted none, {found.id} is {verdict}"
    assert promote(root, WAY, {}) == said


def test_while_productions_rollout_is_in_flight_the_next_waits(root: Path) -> None:
    when = datetime.now(UTC)
    gitops.pushed(root, lambda tree: Change("Land", change(tree, WAY, when)[1]))
    first, second = here(root), promoted(root, "2").id
    said = f"{second} waits: the rollout of {first} in production has not ended"
    assert promote(root, WAY, {}) == said
    settled(root, first, "aborted", "production")
    assert f"branch promote/production/{second}: pushed" in promote(root, WAY, {})


def test_what_production_has_is_not_proposed_again(root: Path) -> None:
    name = landed(root)
    assert promote(root, WAY, {}) == (
        f"production: {name} is there, promoted; nothing is to be done"
    )


def test_a_production_that_is_ahead_of_staging_is_told(root: Path) -> None:
    promoted(root, "2")
    landed(root)
    rolled_back(root, chosen(root, "staging"), "slow", "Ada")
    git(root, "push", "--quiet", "origin", "main")
    with pytest.raises(Problem, match=r"found it behind 2-.*production is ahead"):
        promote(root, WAY, {})


def test_a_revert_of_a_revert_asks_for_a_reason(root: Path) -> None:
    landed(root)
    promoted(root, "2")
    left = landed(root)
    rolled_back(root, chosen(root, "production"), "slow", "Ada")
    git(root, "push", "--quiet", "origin", "main")
    with pytest.raises(Problem, match=rf"release {left}: found one that production left .*--again"):
        promote(root, WAY, {})
    assert "pushed" in promote(root, Way(again="it was\nthe network"), {})
    git(root, "fetch", "--quiet", "origin", f"promote/production/{left}")
    asked = ("show", "--no-patch", "--format=%(trailers:key=Again,valueonly)", "FETCH_HEAD")
    assert git(root, *asked).strip() == "it was the network"


@pytest.mark.parametrize("at", [1, 2])
def test_files_of_staging_that_are_not_its_records_are_not_proposed(root: Path, at: int) -> None:
    path = root / overlay.places("staging")[at]
    text = path.read_text()
    path.write_text(text.replace("rows", "more") if at == 1 else text.replace("1" * 64, "9" * 64))
    commit(root, "Edit by hand")
    git(root, "push", "--quiet", "origin", "main")
    with pytest.raises(Problem, match=overlay.places("staging")[at]):
        promote(root, WAY, {})


def test_a_main_that_went_on_is_no_hindrance(root: Path) -> None:
    merged(root, "more")
    assert "pushed" in promote(root, WAY, {})


def test_what_staging_went_back_to_can_be_promoted(root: Path) -> None:
    promoted(root, "2")
    rolled_back(root, chosen(root, "staging"), "slow", "Ada")
    git(root, "push", "--quiet", "origin", "main")
    assert "promote/production/1-" in promote(root, WAY, {})
