"""A promotion lands as promotion wrote it, with a green check and approvals of exactly its head."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from conftest import ROOT, commit, git
from delivered import copied, main, merged, promoted, settled, template, untouched
from fake_github import (
    BOT,
    FORK,
    REPOSITORY,
    TOKEN,
    FakeGitHub,
    Json,
    check,
    green_checks,
    pull,
    review,
    serving,
)
from preflight import release
from preflight.delivery import landing, overlay
from preflight.delivery.landing import Landing, land, land_here
from preflight.delivery.promotion import Way, promote
from preflight.errors import NoData, Problem
from preflight.release import Release
from preflight.ruleset import RULESET

NUMBER = 43
PLACES = overlay.places("production")
BY_TIER = landing._approvals


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone in whose staging release 1 was promoted, and proposed; tests copy it."""
    root = template(tmp_path_factory, "1")
    promote(root, Way(), {})
    return root


@pytest.fixture
def root(one: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, in a tier that asks for one approval."""
    asking(monkeypatch, 1)
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
        served.checks = {head(served): green_checks()}
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


def asking(monkeypatch: pytest.MonkeyPatch, many: int) -> None:
    """Main's tier asks for so many approvals."""
    monkeypatch.setattr(landing, "_approvals", lambda _: many)


def landed(root: Path, fake: FakeGitHub) -> str:
    """What is said when it lands."""
    return land(root, Landing(NUMBER, BOT), variables(fake))


def refused(root: Path, fake: FakeGitHub, match: str, kind: type[Problem] = Problem) -> None:
    """It does not land, for a reason of this kind, and nothing is changed or said."""
    before, written = (untouched(root), main(root)), len(fake.written)
    with pytest.raises(Problem, match=match) as caught:
        landed(root, fake)
    assert type(caught.value) is kind
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


def test_in_a_tier_that_asks_for_no_approval_none_is_recorded(
    root: Path, fake: FakeGitHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    asking(monkeypatch, 0)
    fake.reviews = {}
    landed(root, fake)
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
    fake.checks[again] = green_checks()
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
    fake.checks[made], fake.reviews = green_checks(), {NUMBER: [review("bea", made)]}
    refused(root, fake, f"{place} at {made[:12]}: found bytes that promotion would not write now")


@pytest.mark.parametrize(
    ("when", "said"),
    [
        ("2020-01-01T00:00:00Z", "when: found 2020-01-01T00:00:00.*between staging's promotion"),
        ("2999-01-01T00:00:00Z", "when: found 2999-01-01T00:00:00.*between staging's promotion"),
        ("2030-01-01T00:00:00", "found when: .*timezone.*expected a whole release record"),
    ],
)
def test_a_record_with_another_time_than_a_promotions_is_refused(
    root: Path, fake: FakeGitHub, when: str, said: str
) -> None:
    git(root, "fetch", "--quiet", "origin", head(fake))
    text = git(root, "show", f"{head(fake)}:{PLACES[0]}")
    line = next(each for each in text.splitlines() if each.startswith("when:"))
    pushed(root, fake, PLACES[0], text.replace(line, f"when: '{when}'"))
    refused(root, fake, said)


def test_one_more_file_is_refused_by_name(root: Path, fake: FakeGitHub) -> None:
    pushed(root, fake, "params.yaml", "risk: none\n")
    refused(root, fake, "found 'params.yaml'; expected record, evidence and rendered file alone")


def test_a_staging_that_went_on_is_refused(root: Path, fake: FakeGitHub) -> None:
    promoted(root, "2")
    refused(root, fake, "edited, or behind main|between staging's promotion and now")


@pytest.mark.parametrize("name", ["decide", "commits"])
@pytest.mark.parametrize(
    ("change", "said", "kind"),
    [
        (None, "none", NoData),
        ({"conclusion": None}, "'in_progress'", NoData),
        ({"app": 1}, "none", NoData),
        ({"conclusion": "failure"}, "'failure'", Problem),
        ({"conclusion": "cancelled"}, "'cancelled'", Problem),
    ],
)
def test_it_waits_for_each_check_that_main_requires_and_no_red_one_passes(
    root: Path, fake: FakeGitHub, name: str, change: Json | None, said: str, kind: type[Problem]
) -> None:
    others = [each for each in green_checks() if each["name"] != name]
    fake.checks = {head(fake): others + ([] if change is None else [check(name, **change)])}
    refused(root, fake, f"check {name} of {head(fake)[:12]}: found {said}", kind)


@pytest.mark.parametrize(
    ("conclusion", "kind"), [(None, NoData), ("failure", Problem), ("success", None)]
)
def test_the_newest_run_of_a_check_counts(
    root: Path, fake: FakeGitHub, conclusion: str | None, kind: type[Problem] | None
) -> None:
    before = "failure" if kind is None else "success"
    runs = (check("commits", conclusion, number=9), check("commits", before, number=8))
    fake.checks = {head(fake): [*runs, check()]}
    if kind is None:
        assert "landed" in landed(root, fake)
    else:
        refused(root, fake, f"check commits of {head(fake)[:12]}", kind)


def test_a_red_check_is_told_before_one_that_still_runs(root: Path, fake: FakeGitHub) -> None:
    fake.checks = {head(fake): [check("commits", "failure")]}
    refused(root, fake, "check commits of")


@pytest.mark.parametrize("text", ["{}", "[]", '{"rules": []}', '{"rules": [{"type": "deletion"}]}'])
def test_a_main_that_requires_no_check_lands_nothing(
    root: Path, fake: FakeGitHub, text: str
) -> None:
    git(root, "pull", "--quiet", "--ff-only")
    (root / RULESET).write_text(text)
    commit(root, "Require nothing")
    git(root, "push", "--quiet", "origin", "main")
    refused(root, fake, "required_status_checks: found none, or another form")


@pytest.mark.parametrize(
    "reviews",
    [
        [],
        [(BOT, "APPROVED", "Bot")],
        [("helper", "APPROVED", "Bot")],
        [("eve", "APPROVED", "User")],
        [("bea", "APPROVED", "User"), ("bea", "DISMISSED", "User")],
        [("bea", "COMMENTED", "User")],
    ],
)
def test_an_approval_that_does_not_count_is_none_yet(
    root: Path, fake: FakeGitHub, reviews: list[tuple[str, str, str]]
) -> None:
    fake.permissions = {"eve": "read"}
    fake.reviews = {NUMBER: [review(who, head(fake), state, kind) for who, state, kind in reviews]}
    refused(root, fake, r"found 0 approvals that count; expected 1 of", NoData)


@pytest.mark.parametrize(("author", "opener"), [("ada", "cy"), ("cy", "ada"), ("ada", None)])
def test_neither_the_models_author_nor_who_opened_its_pull_request_approves(
    root: Path, fake: FakeGitHub, author: str, opener: str | None
) -> None:
    fake.authors = dict.fromkeys(fake.authors, author)
    fake.pulls[0]["user"] = {"login": opener, "type": "User"} if opener else None
    fake.reviews = {NUMBER: [review("ada", head(fake))]}
    refused(root, fake, "found an author's own approval, 'ada'; expected 1 of")
    fake.reviews[NUMBER].append(review("bea", head(fake), number=501))
    assert "landed" in landed(root, fake)


def test_a_comment_after_an_approval_leaves_it(root: Path, fake: FakeGitHub) -> None:
    fake.reviews[NUMBER].append(review("bea", head(fake), "COMMENTED"))
    assert "landed" in landed(root, fake)


def test_two_approvals_are_two_persons(
    root: Path, fake: FakeGitHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    asking(monkeypatch, 2)
    fake.reviews[NUMBER].append(review("bea", head(fake), number=501))
    refused(root, fake, "found 1 approvals that count; expected 2", NoData)
    fake.reviews[NUMBER].append(review("cy", head(fake), number=502))
    assert "landed" in landed(root, fake)


@pytest.mark.parametrize("many", [0, 1])
def test_who_asks_for_changes_is_answered_first(
    root: Path, fake: FakeGitHub, monkeypatch: pytest.MonkeyPatch, many: int
) -> None:
    asking(monkeypatch, many)
    fake.reviews[NUMBER].append(review("cy", head(fake), "CHANGES_REQUESTED"))
    refused(root, fake, "found a review that asks for changes")


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
    with pytest.raises(Problem, match="no GitHub here; expected 1 approval"):
        land_here(root, name)
    asking(monkeypatch, 0)
    said = land_here(root, name)
    assert said == f"production: {name} landed as {main(root)[:12]}"
    assert (current(root).id, current(root).approval) == (name, None)
    with pytest.raises(Problem, match="found no branch"):
        land_here(root, name)


@pytest.mark.parametrize(("tier", "lands"), [("low", True), ("high", False)])
def test_the_tier_of_main_says_how_many(
    root: Path, fake: FakeGitHub, monkeypatch: pytest.MonkeyPatch, tier: str, lands: bool
) -> None:
    monkeypatch.setattr(landing, "_approvals", BY_TIER)
    git(root, "pull", "--quiet", "--ff-only")
    risk = yaml.safe_load((ROOT / "params.yaml").read_text())["risk"] | {"tier": tier}
    (root / "params.yaml").write_text(yaml.safe_dump({"risk": risk}))
    commit(root, "Set the tier")
    git(root, "push", "--quiet", "origin", "main")
    fake.reviews = {}
    if lands:
        assert "landed" in landed(root, fake)
    else:
        refused(root, fake, "found 0 approvals that count; expected 1 of", NoData)
