"""A verdict comes into its record once, as the judge stands for it; an abort goes back."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from conftest import ROOT, git
from delivered import copied, main, refusing, settled, staged, template, touched
from fake_github import REPOSITORY, TOKEN, FakeGitHub, serving
from preflight import release
from preflight.delivery import judge, overlay
from preflight.delivery.settling import End, settle
from preflight.errors import NoData, Problem
from preflight.release import Release

FINE: dict[str, Any] = {"result": "promote", "reason": "all metrics fine", "at": 1.0, "looks": 9}


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone with release 1 promoted in staging, and 2 in flight."""
    root = template(tmp_path_factory, "1")
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


@contextmanager
def judging(answer: Any, status: int = 200) -> Iterator[str]:
    """A judge that gives one answer; yields the address of a question."""

    class Judge(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(answer if isinstance(answer, bytes) else json.dumps(answer).encode())

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Judge)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1/verdict?rollout=taxi&stable=a&canary=b"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def asked(root: Path, judge: str, verdict: Any = "promoted") -> Release:
    """Settle staging's release by the judge; returns its record."""
    end = End("staging", current(root).id, verdict, "told by the controller", judge)
    list(settle(root, end, {}))
    return current(root)


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
    with judging(FINE | {"reason": "fine,\n\u202e by all \x1b[2Jmetrics"}) as address:
        assert asked(root, address).rollout.reason == "fine, by all [2Jmetrics"


@pytest.mark.parametrize(
    ("answer", "kind", "said"),
    [
        ({"result": "abort", "reason": "latency", "at": 1.0}, Problem, "found abort: latency"),
        ({"result": "continue", "reason": "blind", "at": None}, NoData, "found no data: blind"),
        (b"<html>", NoData, "found an answer that is no verdict"),
    ],
)
def test_a_promotion_that_the_judge_does_not_stand_for_is_refused(
    root: Path, answer: Any, kind: type[Problem], said: str
) -> None:
    before = main(root)
    with judging(answer) as address, pytest.raises(kind, match=said):
        asked(root, address)
    assert main(root) == before


def test_a_judge_that_refuses_is_no_data_for_a_promotion(root: Path) -> None:
    with judging({}, status=503) as address, pytest.raises(NoData, match="no answer"):
        asked(root, address)


def test_an_abort_is_written_whatever_the_judge_can_see(root: Path) -> None:
    with judging({}, status=503) as address:
        found = asked(root, address, "aborted")
    assert (found.rollout.verdict, found.rollout.reason) == ("aborted", "told by the controller")


def test_another_address_than_the_analyses_ask_is_refused(root: Path) -> None:
    with judging(FINE) as address:
        for other in (
            address.replace("=taxi", "=other"),
            address.replace("/v1/", "/v2/"),
            "file:///x",
        ):
            with pytest.raises(Problem, match=r"--judge: found another address; expected /v1/verd"):
                asked(root, other)


@pytest.mark.parametrize("environment", ["staging", "production"])
def test_the_address_that_this_repositorys_analyses_ask_is_known(environment: str) -> None:
    judge._require_known(ROOT, environment, "http://127.0.0.1:1/v1/verdict?rollout=taxi&stable=a")


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
