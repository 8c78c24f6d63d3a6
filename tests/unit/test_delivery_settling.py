"""A verdict comes into its record once, as the judge stands for it; an abort goes back."""

import time
from collections.abc import Iterator
from pathlib import Path
from shutil import copy
from typing import Any

import pytest

from conftest import ROOT, commit, git
from delivered import copied, main, refusing, settled, staged, template, touched
from fake_github import REPOSITORY, TOKEN, FakeGitHub, serving
from preflight import release
from preflight.delivery import judge, overlay
from preflight.delivery.settling import End, settle
from preflight.errors import NoData, Problem
from preflight.release import Release
from preflight.rollout.judge import NEEDED
from workflow.fake_judge import FakeJudge, judging

FINE: dict[str, Any] = {"result": "promote", "reason": "all metrics fine", "looks": 9}
OPEN: dict[str, Any] = {
    "result": "continue",
    "reason": "slow: too early",
    "requests": [900, 900],
    "metrics": [{"name": each, "state": "open"} for each in NEEDED],
}
PAST, LATER = -3600.0, 3600.0  # seconds beside the release


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone with release 1 promoted in staging, and 2 in flight."""
    root = template(tmp_path_factory, "1")
    copy(ROOT / "params.yaml", root)
    commit(root, "State how a canary is judged")
    git(root, "push", "--quiet", "origin", "main")
    staged(root, "2")
    return root


@pytest.fixture
def root(two: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return copied(two, tmp_path / "world")


@pytest.fixture
def fake(root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeGitHub]:
    """A fake GitHub that knows the remote's branches."""
    monkeypatch.setenv("no_proxy", "*")
    with serving("a" * 40) as served:
        served.pulls = []
        served.head_of = lambda name: git(root, "ls-remote", "origin", name).split()[0]
        yield served


def variables(fake: FakeGitHub) -> dict[str, str]:
    """As a workflow has them."""
    return {
        "GITHUB_TOKEN": TOKEN,
        "GITHUB_REPOSITORY": REPOSITORY,
        "GITHUB_API_URL": fake.api,
    }


def current(root: Path) -> Release:
    """Staging's record on the remote's main."""
    git(root, "fetch", "--quiet", "origin")
    return next(release.history(root, "staging", "origin/main"))


def seen(root: Path, answer: Any, after: float = 0.0) -> Any:
    """An answer whose last look was at a time after the release."""
    return answer | {"at": current(root).when.timestamp() + after}


def asked(root: Path, judge: FakeJudge, verdict: Any = "promoted", query: str = "") -> Release:
    """Settle staging's release by the judge; returns its record."""
    question = judge.question(query) if query else judge.question()
    end = End("staging", current(root).id, verdict, "told by the controller", question)
    list(settle(root, end, {}))
    return current(root)


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that were waited for, in none."""
    found: list[float] = []
    monkeypatch.setattr("preflight.delivery.judge.time.sleep", found.append)
    return found


@pytest.fixture
def a_minute_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was stable is gone since more than a minute."""
    now = time.time()
    monkeypatch.setattr("preflight.delivery.judge.time.time", lambda: now + 90)


def test_a_verdict_is_one_commit_of_the_record_alone(root: Path) -> None:
    before = current(root)
    told = settled(root, before.id)
    made = main(root)
    assert told == [f"commit {made[:12]}: {before.id} promoted"]
    assert touched(root, made) == [overlay.places("staging")[0]]
    found = current(root)
    assert (found.rollout.verdict, found.rollout.reason) == ("promoted", "all metrics fine")
    assert found.rollout.at is not None
    assert found.model_copy(update={"rollout": before.rollout}) == before


def test_the_same_verdict_again_writes_nothing(root: Path) -> None:
    settled(root, current(root).id)
    before = main(root)
    assert settled(root, current(root).id) == [f"staging: {current(root).id} is promoted already"]
    assert main(root) == before


def test_of_another_release_than_the_current_one_nothing_is_written(root: Path) -> None:
    before = main(root)
    (said,) = settled(root, "1-111111111111", "aborted")
    assert said == f"staging: 1-111111111111 is not current ({current(root).id} is): not written"
    assert main(root) == before


def test_a_contradictory_verdict_is_refused(root: Path) -> None:
    settled(root, current(root).id)
    with pytest.raises(Problem, match="found promoted; expected pending"):
        settled(root, current(root).id, "aborted")


def test_the_judges_sentence_is_the_reason(root: Path) -> None:
    said = {"reason": "fine,\n\u202e by all \x1b[2Jmetrics"}
    with judging(seen(root, FINE | said)) as fake:
        assert asked(root, fake).rollout.reason == "fine, by all [2Jmetrics"


@pytest.mark.parametrize(
    ("answer", "kind", "said"),
    [
        ({"result": "abort", "reason": "latency", "at": 9e9}, Problem, "found abort: latency"),
        ({"result": "continue", "reason": "blind", "at": None}, NoData, "found no data: blind"),
        ({"result": "maybe", "reason": "fine", "at": 9e9}, NoData, "that is no verdict"),
        (b"<html>", NoData, "found an answer that is no verdict"),
    ],
)
def test_a_promotion_that_the_judge_does_not_stand_for_is_refused(
    root: Path, answer: Any, kind: type[Problem], said: str
) -> None:
    before = main(root)
    with judging(answer) as fake, pytest.raises(kind, match=said):
        asked(root, fake)
    assert main(root) == before


def test_a_verdict_on_an_earlier_rollout_bears_nothing(root: Path) -> None:
    with (
        judging(seen(root, FINE, PAST)) as fake,
        pytest.raises(Problem, match=r"found a last look at .*; expected one since"),
    ):
        asked(root, fake)


def test_a_rollout_that_goes_on_is_no_promotion(root: Path, waits: list[float]) -> None:
    before = main(root)
    with (
        judging(seen(root, OPEN, LATER)) as fake,
        pytest.raises(NoData, match="found continue: slow: too early; expected promote"),
    ):
        asked(root, fake)
    assert (len(fake.asked), sum(waits)) == (13, 180)
    assert main(root) == before


def test_the_judge_is_asked_again_until_it_says_promote(root: Path, waits: list[float]) -> None:
    answers = [seen(root, each, LATER) for each in (OPEN, OPEN, FINE)]
    with judging(*answers) as fake:
        assert asked(root, fake).rollout.reason == "all metrics fine"
    assert waits == [15, 15]


@pytest.mark.usefixtures("a_minute_later")
def test_once_stable_is_gone_what_was_seen_last_bears_a_promotion(root: Path) -> None:
    with judging(seen(root, OPEN)) as fake:
        found = asked(root, fake).rollout
    assert (found.verdict, found.reason) == (
        "promoted",
        "Asked once stable was gone: after 900 requests of its own the release was worse in none "
        f"of {len(NEEDED)} metrics.",
    )


@pytest.mark.usefixtures("a_minute_later")
@pytest.mark.parametrize(
    ("lack", "said"),
    [
        ({"requests": [900, 199]}, "a last look after 199 requests; expected 200 requests"),
        ({"metrics": OPEN["metrics"][1:]}, f"after 900 requests, without {NEEDED[0]}"),
    ],
)
def test_a_canary_of_which_too_little_was_seen_is_no_promotion(
    root: Path, lack: dict[str, Any], said: str
) -> None:
    with judging(seen(root, OPEN | lack)) as fake, pytest.raises(NoData, match=said):
        asked(root, fake)


def test_a_judge_that_refuses_is_no_data_for_a_promotion(root: Path) -> None:
    with judging({}, status=503) as fake, pytest.raises(NoData, match="no answer"):
        asked(root, fake)


def test_an_abort_is_written_whatever_the_judge_can_see(root: Path) -> None:
    with judging({}, status=503) as fake:
        found = asked(root, fake, "aborted")
    assert (found.rollout.verdict, found.rollout.reason) == ("aborted", "told by the controller")


def test_an_abort_has_the_judges_reason_for_it(root: Path) -> None:
    with judging({"result": "abort", "reason": "slow by half", "at": 1.0}) as fake:
        assert asked(root, fake, "aborted").rollout.reason == "slow by half"


def test_another_address_than_the_analyses_ask_is_refused(root: Path) -> None:
    with judging(seen(root, FINE)) as fake:
        address = fake.question()
        for other in (
            address.replace("=taxi", "=other"),
            address.replace("/v1/", "/v2/"),
            "file:///x?rollout=taxi",
        ):
            end = End("staging", current(root).id, "promoted", None, other)
            with pytest.raises(Problem, match=r"--judge: found another address; expected /v1/verd"):
                list(settle(root, end, {}))
        assert fake.asked == []


@pytest.mark.parametrize(
    "hashes",
    ["stable=a&canary=a", "stable=&canary=b", "stable=a", "stable=a&canary=b&canary=c",
     "stable=a&canary=b&started=2026-11-21T22:00:00Z", "stable=a&canary=b%22%7D"],
)  # fmt: skip
def test_a_question_of_anything_but_two_releases_is_refused(root: Path, hashes: str) -> None:
    with judging(seen(root, FINE)) as fake:
        with pytest.raises(Problem, match="--judge: found another question"):
            asked(root, fake, query=f"rollout=taxi&{hashes}")
        assert fake.asked == []


@pytest.mark.parametrize("verdict", ["promoted", "aborted"])
def test_without_a_question_no_later_release_than_the_first_is_settled(
    root: Path, verdict: Any
) -> None:
    end = End("staging", current(root).id, verdict, None, "http://127.0.0.1:1/v1/verdict?")
    with pytest.raises(Problem, match=r"--judge: found no question; expected one .* with 1-"):
        list(settle(root, end, {}))


def test_a_first_release_has_no_other_to_be_compared_with(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    root = template(tmp_path_factory)
    found = staged(root, "1")
    end = End("staging", found.id, "promoted", None, "http://127.0.0.1:1/v1/verdict?")
    list(settle(root, end, {}))
    assert current(root).rollout.verdict == "promoted"


@pytest.mark.parametrize("environment", ["staging", "production"])
def test_the_address_that_this_repositorys_analyses_ask_is_known(environment: str) -> None:
    judge._require_known(ROOT, environment, FakeJudge([], address="http://127.0.0.1:1").question())


def test_an_abort_proposes_the_release_before_byte_for_byte(root: Path) -> None:
    aborted = current(root)
    settled_, proposed = settled(root, aborted.id, "aborted")
    assert aborted.id in settled_
    name = f"revert/staging/{aborted.id}"
    assert f"branch {name}: pushed" in proposed
    assert "no GITHUB_TOKEN: the pull request 'Go back to 1-" in proposed
    git(root, "fetch", "--quiet", "origin", name)
    found = next(release.recorded(root, "staging", "FETCH_HEAD"))
    assert (found.release.model.version, found.release.rollout.verdict) == ("1", "promoted")
    assert git(root, "rev-parse", "FETCH_HEAD^").strip() == main(root)


def test_with_a_token_its_pull_request_is_opened_once(root: Path, fake: FakeGitHub) -> None:
    end = End("staging", current(root).id, "aborted", "slow @everybody")
    first = list(settle(root, end, variables(fake)))
    again = list(settle(root, end, variables(fake)))
    assert "pull request #43 opened: Go back to 1-" in first[1]
    assert "there already, at" in again[1]
    assert "pull request #43 is there already, open" in again[1]
    assert len(fake.written) == 1
    assert "@everybody" not in fake.pulls[0]["body"]


def test_without_an_earlier_promoted_release_there_is_nothing_to_go_back_to(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    root = template(tmp_path_factory)
    found = staged(root, "1")
    assert settled(root, found.id, "aborted")[1] == (
        f"staging: no release was promoted before {found.id}: nothing to go back to"
    )


def test_an_abort_whose_proposal_failed_is_proposed_when_it_is_told_again(root: Path) -> None:
    aborted = current(root)
    end = End("staging", aborted.id, "aborted", "slow")
    steps = settle(root, end, {})
    next(steps)
    refusing(root.parent / "remote.git")
    with pytest.raises(Problem, match="git push"):
        next(steps)
    (root.parent / "remote.git/hooks/pre-receive").unlink()
    assert "pushed" in list(settle(root, end, {}))[1]


def test_an_unknown_environment_is_told(root: Path) -> None:
    with pytest.raises(Problem, match="no environment 'prod'"):
        settled(root, "1", environment="prod")
