"""A promotion lands as promotion wrote it, with a green check and approvals of exactly its head."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from conftest import commit, git
from delivered import copied, main, merged, promoted, settled, template, untouched
from fake_github import BOT, FORK, REPOSITORY, TOKEN, FakeGitHub, Json, check, pull, review, serving
from preflight import release
from preflight.delivery import overlay
from preflight.delivery.landing import Landing, land, land_here
from preflight.delivery.promotion import Way, promote
from preflight.errors import Problem
from preflight.release import Release

NUMBER = 43
PLACES = overlay.places("production")


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone in whose staging release 1 was promoted, and proposed; tests copy it."""
    root = template(tmp_path_factory, "1")
    promote(root, Way(), {})
    return root


@pytest.fixture
def root(one: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return copied(one, tmp_path / "world")


@pytest.fixture
def fake(root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeGitHub]:
    """A fake GitHub with the promotion's pull request: green, and approved by Bea."""
    monkeypatch.setenv("no_proxy", "*")
    with serving("a" * 40) as served:
        ours = release.current(root, "staging")
        assert ours is not None
        served.authors = {ours.commit: "ada"}
        served.pulls = [pull(7, ours.commit) | {"user": {"login": "ada", "type": "User"}}]
        name = f"promote/production/{ours.id}"
        own = pull(NUMBER, tip(root, name), fork=REPOSITORY)
        own["head"]["ref"] = name
        served.pulls.append(own | {"user": {"login": BOT, "type": "Bot"}})
        served.checks = {head(served): [check()]}
        served.reviews = {NUMBER: [review("bea", head(served))]}
        yield served


def variables(fake: FakeGitHub) -> dict[str, str]:
    """As a workflow has them."""
    return {
        "GITHUB_TOKEN": TOKEN,
        "GITHUB_REPOSITORY": REPOSITORY,
        "GITHUB_API_URL": fake.api,
    }


def tip(root: Path, name: str) -> str:
    """The commit of a branch of the remote; empty without it."""
    return "".join(git(root, "ls-remote", "origin", f"refs/heads/{name}").split()[:1])


def opened(fake: FakeGitHub) -> Json:
    """The promotion's pull request."""
    return next(each for each in fake.pulls if each["number"] == NUMBER)


def head(fake: FakeGitHub) -> str:
    """Its head."""
    return str(opened(fake)["head"]["sha"])


def landed(root: Path, fake: FakeGitHub, approvals: int = 1) -> str:
    """What is said when it lands."""
    return land(root, Landing(NUMBER, BOT, approvals), variables(fake))


def refused(root: Path, fake: FakeGitHub, match: str, approvals: int = 1) -> None:
    """It does not land, for a reason, and nothing is changed or said."""
    before, written = (untouched(root), main(root)), len(fake.written)
    with pytest.raises(Problem, match=match):
        landed(root, fake, approvals)
    assert ((untouched(root), main(root)), len(fake.written)) == (before, written)


def current(root: Path) -> Release:
    """Production's record on the remote's main."""
    git(root, "fetch", "--quiet", "origin")
    return next(release.history(root, "production", "origin/main"))


def pushed(root: Path, fake: FakeGitHub, name: str, text: str) -> str:
    """Somebody pushes to the branch; returns the new head, that the API shows."""
    branch = opened(fake)["head"]["ref"]
    git(root, "fetch", "--quiet", "origin", branch)
    git(root, "switch", "--quiet", "--detach", "FETCH_HEAD")
    (root / name).write_text(text)
    commit(root, "Change it")
    git(root, "push", "--quiet", "origin", f"HEAD:{branch}")
    git(root, "switch", "--quiet", "main")
    opened(fake)["head"]["sha"] = tip(root, branch)
    return head(fake)


def test_it_lands_as_one_commit_with_the_approval_in_the_record(
    root: Path, fake: FakeGitHub
) -> None:
    seen, before = head(fake), main(root)
    said = landed(root, fake)
    found = current(root)
    assert found.approval is not None
    assert (found.approval.who, found.approval.commit) == ("bea", seen)
    assert found.approval.review.endswith("#pullrequestreview-500")
    made = main(root)
    assert said == f"pull request #43: {found.id} landed as {made[:12]}"
    assert git(root, "rev-parse", f"{made}^").strip() == before
    assert git(root, "show", "--format=", "--name-only", made).split() == sorted(PLACES)
    assert git(root, "diff", seen, made, "--", *PLACES[1:]) == ""


def test_its_pull_request_is_closed_with_a_word_and_its_branch_goes(
    root: Path, fake: FakeGitHub
) -> None:
    landed(root, fake)
    assert fake.said[NUMBER][0]["body"] == f"Landed on main as {main(root)}."
    assert opened(fake)["state"] == "closed"
    assert tip(root, opened(fake)["head"]["ref"]) == ""


def test_in_a_tier_that_asks_for_no_approval_none_is_recorded(root: Path, fake: FakeGitHub) -> None:
    fake.reviews = {}
    landed(root, fake, approvals=0)
    assert current(root).approval is None


def test_on_top_of_a_main_that_went_on(root: Path, fake: FakeGitHub) -> None:
    before = merged(root, "more")
    landed(root, fake)
    assert git(root, "rev-parse", f"{main(root)}^").strip() == before


def test_what_has_landed_is_only_closed(root: Path, fake: FakeGitHub) -> None:
    branch, seen = opened(fake)["head"]["ref"], head(fake)
    landed(root, fake)
    made = main(root)
    settled(root, current(root).id, environment="production")
    git(root, "push", "--quiet", "origin", f"{seen}:refs/heads/{branch}")
    opened(fake)["state"] = "open"
    assert f"landed as {made[:12]}" in landed(root, fake)
    assert opened(fake)["state"] == "closed"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("state", "closed"),
        ("user", {"login": "eve", "type": "User"}),
        ("head", {"ref": "promote/production/1", "sha": "a" * 40, "repo": {"full_name": FORK}}),
        ("head", {"ref": "mine", "sha": "a" * 40, "repo": {"full_name": REPOSITORY}}),
        ("base", {"ref": "release", "sha": "b" * 40, "repo": {"full_name": REPOSITORY}}),
    ],
)
def test_another_pull_request_than_the_bots_own_is_refused(
    root: Path, fake: FakeGitHub, field: str, value: object
) -> None:
    opened(fake)[field] = value
    refused(root, fake, r"pull request #43: found .*A promotion alone lands so")


def test_a_push_after_the_approval_is_refused_with_both_commits(
    root: Path, fake: FakeGitHub
) -> None:
    seen = head(fake)
    git(root, "fetch", "--quiet", "origin", seen)
    again = git(root, "commit-tree", f"{seen}^{{tree}}", "-p", f"{seen}", "-m", "Nothing").strip()
    branch = opened(fake)["head"]["ref"]
    git(root, "push", "--quiet", "origin", f"{again}:refs/heads/{branch}")
    opened(fake)["head"]["sha"] = again
    fake.checks[again] = [check()]
    refused(root, fake, f"found approved {seen[:7]}, the head is {again[:7]}")


def test_a_head_that_the_api_does_not_show_yet_is_refused(root: Path, fake: FakeGitHub) -> None:
    seen = head(fake)
    pushed(root, fake, "dvc.lock", "mine\n")
    opened(fake)["head"]["sha"] = seen
    refused(root, fake, f"found head .*; expected {seen[:12]}. It was pushed to meanwhile")


@pytest.mark.parametrize("place", PLACES)
def test_a_file_that_was_edited_is_refused_by_name(
    root: Path, fake: FakeGitHub, place: str
) -> None:
    git(root, "fetch", "--quiet", "origin", head(fake))
    made = pushed(root, fake, place, git(root, "show", f"{head(fake)}:{place}") + "\n")
    fake.checks[made], fake.reviews = [check()], {NUMBER: [review("bea", made)]}
    refused(root, fake, f"{place} at {made[:12]}: found bytes that promotion would not write now")


def test_a_record_with_another_time_than_a_promotions_is_refused(
    root: Path, fake: FakeGitHub
) -> None:
    git(root, "fetch", "--quiet", "origin", head(fake))
    text = git(root, "show", f"{head(fake)}:{PLACES[0]}")
    line = next(each for each in text.splitlines() if each.startswith("when:"))
    pushed(root, fake, PLACES[0], text.replace(line, "when: '2020-01-01T00:00:00Z'"))
    refused(root, fake, r"when: found 2020-01-01T00:00:00.*between staging's promotion and now")


def test_one_more_file_is_refused_by_name(root: Path, fake: FakeGitHub) -> None:
    pushed(root, fake, "params.yaml", "risk: none\n")
    refused(root, fake, "found 'params.yaml'; expected record, evidence and rendered file alone")


def test_a_staging_that_went_on_is_refused(root: Path, fake: FakeGitHub) -> None:
    promoted(root, "2")
    refused(root, fake, "edited, or behind main|between staging's promotion and now")


@pytest.mark.parametrize(
    ("runs", "said"),
    [
        ([], "none"),
        ([check(conclusion="failure")], "failure"),
        ([check(), check(conclusion=None, number=2)], "in_progress"),
        ([check(app=1)], "none"),
        ([check(name="other")], "none"),
    ],
)
def test_without_a_green_check_of_the_head_it_waits(
    root: Path, fake: FakeGitHub, runs: list[Json], said: str
) -> None:
    fake.checks = {head(fake): runs}
    refused(root, fake, f"check decide of {head(fake)[:12]}: found '?{said}")


@pytest.mark.parametrize(
    "reviews",
    [
        [],
        [("ada", "APPROVED", "User")],
        [(BOT, "APPROVED", "Bot")],
        [("helper", "APPROVED", "Bot")],
        [("eve", "APPROVED", "User")],
        [("bea", "APPROVED", "User"), ("bea", "DISMISSED", "User")],
        [("bea", "COMMENTED", "User")],
    ],
)
def test_an_approval_that_does_not_count_is_none(
    root: Path, fake: FakeGitHub, reviews: list[tuple[str, str, str]]
) -> None:
    fake.permissions = {"eve": "read"}
    fake.reviews = {NUMBER: [review(who, head(fake), state, kind) for who, state, kind in reviews]}
    refused(root, fake, r"found 0 approvals that count; expected 1 of")


def test_a_comment_after_an_approval_leaves_it(root: Path, fake: FakeGitHub) -> None:
    fake.reviews[NUMBER].append(review("bea", head(fake), "COMMENTED"))
    assert "landed" in landed(root, fake)


def test_two_approvals_are_two_persons(root: Path, fake: FakeGitHub) -> None:
    fake.reviews[NUMBER].append(review("bea", head(fake), number=501))
    refused(root, fake, "found 1 approvals that count; expected 2", approvals=2)
    fake.reviews[NUMBER].append(review("cy", head(fake), number=502))
    assert "landed" in landed(root, fake, approvals=2)


def test_who_asks_for_changes_is_answered_first(root: Path, fake: FakeGitHub) -> None:
    fake.reviews[NUMBER].append(review("cy", head(fake), "CHANGES_REQUESTED"))
    refused(root, fake, "found a review that asks for changes", approvals=0)


def test_an_author_without_an_account_cannot_be_told_from_the_approver(
    root: Path, fake: FakeGitHub
) -> None:
    fake.authors = {}
    fake.pulls[0]["user"] = None
    refused(root, fake, "found no account of its author")


def test_on_a_laptop_it_lands_where_the_tier_asks_for_no_approval(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = next(release.history(root, "staging", "HEAD")).id
    monkeypatch.setattr("preflight.delivery.landing._approvals", lambda _: 1)
    with pytest.raises(Problem, match="no GitHub here; expected 1 approval"):
        land_here(root, name)
    monkeypatch.setattr("preflight.delivery.landing._approvals", lambda _: 0)
    said = land_here(root, name)
    assert said == f"production: {name} landed as {main(root)[:12]}"
    assert (current(root).id, current(root).approval) == (name, None)
    with pytest.raises(Problem, match="found no branch"):
        land_here(root, name)


def test_without_a_number_the_tier_says_how_many(
    root: Path, fake: FakeGitHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("preflight.delivery.landing._approvals", lambda _: 2)
    asked = replace(Landing(NUMBER, BOT, 1), approvals=None)
    with pytest.raises(Problem, match="expected 2 of"):
        land(root, asked, variables(fake))
