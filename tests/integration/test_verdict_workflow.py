"""verdict.yml, promote.yml and rollback.yml do what their YAML states, one after another."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from shutil import copytree

import pytest

from conftest import git
from fake_github import check, review, whole
from preflight import evidence, release
from preflight.delivery import overlay
from preflight.evidence import Part
from preflight.release import Rollout
from released import release_of
from workflow.fake_judge import judging
from workflow.release_rehearsal import World, world
from workflow.runner import Result

PENDING = Rollout(verdict="pending", at=None)
QUESTION = "rollout=taxi&stable=a&canary=b"
ABORT = {"result": "abort", "reason": "slower by half", "at": 9e9}


def results(done: dict[str, Result]) -> dict[str, str]:
    """Results by job."""
    return {name: each.result for name, each in done.items()}


@pytest.fixture(scope="module")
def staged(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A world in which staging's first rollout runs."""
    folder = tmp_path_factory.mktemp("verdict")
    source = folder / "source"
    copytree(built, source, symlinks=True)
    with world(source, folder / "world", planted=True) as found:
        head = found.head()
        parts = [Part.model_validate_json(each) for each in whole(head).values()]
        first = release_of(
            "1",
            "pending",
            environment="staging",
            commit=head,
            manifests=head,
            previous=None,
            evidence=evidence.digest(parts),
            approval=None,
            pull_request=None,
        )
        found.put(first, {overlay.places("staging")[1]: evidence.packed(parts)})
        yield found


@pytest.fixture(scope="module")
def proposed(staged: World) -> World:
    """After staging's promotion."""
    done = staged.told("staging", "promoted")
    said = staged.log("settle") + staged.log("promote")
    assert results(done) == dict.fromkeys(("settle", "resume", "promote"), "success"), said
    return staged


@pytest.fixture(scope="module")
def approved(proposed: World) -> World:
    """After an approval of production's pull request, and a push that came later."""
    [pull] = proposed.fake.pulls
    record = proposed.record("staging")
    assert record is not None
    proposed.fake.authors[record.commit] = "ada"
    proposed.fake.reviews[pull["number"]] = [review("grace", pull["head"]["sha"])]
    pull["head"]["sha"] = proposed.push(pull["head"]["ref"], {})
    return proposed


def test_a_promoted_verdict_leads_to_productions_pull_request(proposed: World) -> None:
    record, opened = proposed.record("staging"), proposed.fake.pulls
    assert record is not None
    assert record.rollout.verdict == "promoted"
    assert [each["head"]["ref"] for each in opened] == [f"promote/production/{record.id}"]
    assert proposed.touched(opened[0]["head"]["ref"]) == set(overlay.places("production"))
    assert proposed.record("production") is None


def test_a_word_of_an_old_release_changes_nothing(proposed: World) -> None:
    before = proposed.head()
    assert results(proposed.told("staging", "aborted", "0-0123456789ab"))["settle"] == "success"
    assert (proposed.head(), len(proposed.fake.pulls)) == (before, 1)


def test_what_is_not_checked_yet_lands_later_and_nothing_is_red(approved: World) -> None:
    [pull] = approved.fake.pulls
    assert results(approved.heard(pull["number"])) == {"land": "success", "propose": "skipped"}
    assert "found none; expected success" in approved.log("land")
    assert approved.record("production") is None


@pytest.fixture(scope="module")
def checked(approved: World) -> World:
    """After its checks."""
    [pull] = approved.fake.pulls
    approved.fake.checks[pull["head"]["sha"]] = [check(), check(name="commits", number=2)]
    return approved


def test_a_push_after_the_approval_is_refused(checked: World) -> None:
    [pull] = checked.fake.pulls
    old = checked.fake.reviews[pull["number"]][0]["commit_id"]
    assert results(checked.heard(pull["number"]))["land"] == "failure"
    assert f"approved {old[:7]}, the head is {pull['head']['sha'][:7]}" in checked.log("land")
    assert checked.record("production") is None


def test_another_branch_lands_nothing(checked: World) -> None:
    done = checked.heard(checked.fake.pulls[0]["number"], head_branch="longer-trips")
    assert set(results(done).values()) == {"skipped"}


@pytest.fixture(scope="module")
def landed(checked: World) -> World:
    """After an approval of exactly the head."""
    [pull] = checked.fake.pulls
    checked.fake.reviews[pull["number"]].append(review("grace", pull["head"]["sha"]))
    done = checked.heard(pull["number"])
    assert results(done) == {"land": "success", "propose": "skipped"}, checked.log("land")
    return checked


def test_an_approval_of_the_head_lands_with_it_in_the_record(landed: World) -> None:
    [pull], record = landed.fake.pulls, landed.record("production")
    assert record is not None
    assert record.approval is not None
    assert (record.approval.who, record.approval.commit) == ("grace", pull["head"]["sha"])
    assert landed.touched() == set(overlay.places("production"))
    assert pull["state"] == "closed"


@pytest.fixture(scope="module")
def second(landed: World) -> World:
    """After a second release in production, whose rollout runs."""
    done = landed.told("production", "promoted")
    ends = {"settle": "success", "resume": "skipped", "promote": "success"}
    assert results(done) == ends, landed.log("settle")
    assert "is there, promoted; nothing is to be done" in landed.log("promote")
    record = landed.record("production")
    assert record is not None
    second = record.model_copy(
        update={
            "model": record.model.model_copy(update={"version": "2"}),
            "commit": landed.head(),
            "image": f"sha256:{'b' * 64}",
            "previous": record.commit,
            "when": datetime.now(UTC).replace(microsecond=0),
            "rollout": PENDING,
        }
    )
    landed.put(second)
    return landed


@pytest.fixture(scope="module")
def lied(second: World) -> World:
    """After a word of its promotion, for which the judge does not stand."""
    with judging(ABORT) as fake:
        second.variables["JUDGE"] = fake.address
        done = second.told("production", "promoted", question=QUESTION)
        del second.variables["JUDGE"]
    assert fake.asked == [f"/v1/verdict?{QUESTION}"], second.log("settle")
    assert results(done)["settle"] == "failure"
    return second


def test_a_promotion_for_which_the_judge_does_not_stand_is_not_written(lied: World) -> None:
    assert "found abort: slower by half" in lied.log("settle")
    record = lied.record("production")
    assert record is not None
    assert record.rollout == PENDING


@pytest.fixture(scope="module")
def aborted(lied: World) -> World:
    """After its abort."""
    done = lied.told("production", "aborted")
    assert results(done)["settle"] == "success", lied.log("settle")
    return lied


def test_an_abort_leads_to_the_reverts_pull_request(aborted: World) -> None:
    record, opened = aborted.record("production"), aborted.fake.pulls[-1]
    assert record is not None
    assert record.rollout.verdict == "aborted"
    assert opened["head"]["ref"] == f"revert/production/{record.id}"
    back = aborted.record("production", opened["head"]["ref"])
    assert back is not None
    assert (back.model.version, back.rollout.verdict) == ("1", "promoted")


def test_a_rollback_goes_back_by_one_commit_on_main(aborted: World) -> None:
    done = aborted.rollback("production", "fares of airport trips are off; `touch /tmp/x` $(id)")
    assert results(done) == {"rollback": "success"}, aborted.log("rollback")
    record = aborted.record("production")
    assert record is not None
    assert record.model.version == "1"
    assert aborted.touched() <= set(overlay.places("production"))


def test_what_production_left_is_proposed_again_with_a_reason_alone(aborted: World) -> None:
    if (now := aborted.record("production")) and now.model.version != "1":
        aborted.rollback("production", "slow")
    known = release.history(aborted.remote, "production", "main")
    left = next(each for each in known if each.model.version == "2")
    ended = Rollout(verdict="promoted", at=datetime.now(UTC).replace(microsecond=0))
    aborted.put(left.model_copy(update={"environment": "staging", "rollout": ended}))
    assert results(aborted.proposed("")) == {"land": "skipped", "propose": "failure"}
    assert "a revert of a revert brings the same fault" in aborted.log("propose")
    assert results(aborted.proposed("the network $(id)"))["propose"] == "success"
    branch = f"promote/production/{left.id}"
    said = git(aborted.remote, "show", "--no-patch", "--format=%(trailers:key=Again)", branch)
    assert said.strip() == "Again: the network $(id)"
