"""What was measured on a quiet machine comes from the run that judged the same tree."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conftest import commit, git
from fake_github import BRANCH, REPOSITORY, TOKEN, FakeGitHub, Json, green, run, serving, zipped
from preflight import evidence
from preflight.errors import NoData, Problem
from preflight.evidence import Notice, Part, told
from preflight.gates import TIMED
from preflight.pull_request.measured import measured
from released import started

QUEUE = "gh-readonly-queue/main/pr-42-abc"
GONE = "e" * 40


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository of two commits with the same tree; HEAD is the later one."""
    root = started(tmp_path_factory.mktemp("measured") / "repository")
    git(root, "commit", "--quiet", "--allow-empty", "--message=The same tree")
    return root


@pytest.fixture
def fake(repository: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeGitHub]:
    """A fake GitHub, as a workflow's variables name it, without runs and artifacts."""
    for path in (repository / "reports/evidence").glob("*"):
        path.unlink()
    monkeypatch.setenv("no_proxy", "*")
    with serving(head(repository)) as served:
        served.runs = []
        yield served


def head(root: Path, name: str = "HEAD") -> str:
    return git(root, "rev-parse", name).strip()


def fetched(fake: FakeGitHub, root: Path) -> dict[str, Part]:
    """What is written of the newest run."""
    environ = {
        "GITHUB_REPOSITORY": REPOSITORY,
        "GITHUB_TOKEN": TOKEN,
        "GITHUB_API_URL": fake.api,
    }
    measured(root, environ)
    return {path.stem: evidence.read(path) for path in (root / "reports/evidence").glob("*.json")}


def ended(number: int, commit: str, event: str = "merge_group", **fields: Any) -> Json:
    """A successful run of this repository's queue or main."""
    plain = {
        "event": event,
        "conclusion": "success",
        "head_branch": QUEUE if event == "merge_group" else "main",
        "head_repository": {"full_name": REPOSITORY},
    }
    return run(number, commit, **(plain | fields))


def upload(fake: FakeGitHub, commit: str, *others: Part, gates: tuple[str, ...] = TIMED) -> None:
    """Put evidence of timed gates into the run."""
    parts = {gate: green(commit, gate) for gate in gates} | {part.gate: part for part in others}
    for gate, part in parts.items():
        body = part.model_dump_json().encode()
        fake.upload(f"evidence-{gate}", zipped({f"{gate}.json": body}))


def test_evidence_of_heads_own_run_is_written_as_it_is(fake: FakeGitHub, repository: Path) -> None:
    fake.runs = [ended(1, head(repository))]
    upload(fake, head(repository))
    found = fetched(fake, repository)
    assert found == {gate: green(head(repository), gate) for gate in TIMED}


def test_other_evidence_of_the_run_is_left_alone(fake: FakeGitHub, repository: Path) -> None:
    fake.runs = [ended(1, head(repository))]
    upload(fake, head(repository), green(head(repository), "quality"))
    assert set(fetched(fake, repository)) == set(TIMED)


def test_a_commit_of_the_same_tree_is_named_and_its_lines_stay(
    fake: FakeGitHub, repository: Path
) -> None:
    before = head(repository, "HEAD^")
    line = told("load", "rate", "It keeps up.", True, "190 requests a second", measured=190.0)
    part = Part(gate="load", commit=before, seconds=9.0, evidence=(line,))
    fake.runs = [ended(7, before)]
    upload(fake, before, part)
    found = fetched(fake, repository)["load"]
    assert found.commit == head(repository)
    assert found.evidence == (line,)
    assert found.notices == (
        Notice(
            kind="machinery",
            text=f"load: measured on commit {before[:12]}, whose tree is this one's, by run 7",
        ),
    )


def test_heads_own_run_goes_before_a_newer_one_of_the_same_tree(
    fake: FakeGitHub, repository: Path
) -> None:
    fake.runs = [ended(1, head(repository), "push"), ended(9, head(repository, "HEAD^"))]
    upload(fake, head(repository))
    assert fetched(fake, repository)["load"].notices == ()


def test_the_newest_run_of_the_queue_goes_first(fake: FakeGitHub, repository: Path) -> None:
    own = head(repository)
    fake.runs = [ended(1, own), ended(3, own), ended(9, own, "push")]
    upload(fake, own)
    fetched(fake, repository)
    assert any("/actions/runs/3/artifacts" in path for path, _ in fake.asked)


@pytest.mark.parametrize(
    "fields",
    [
        {"conclusion": "failure"},
        {"status": "in_progress", "conclusion": None, "head_branch": "main"},
        {"event": "pull_request", "head_branch": BRANCH},
        {"event": "push", "head_branch": "own-branch"},
        {"head_branch": "main"},
        {"head_repository": {"full_name": "eve/model"}},
        {"path": ".github/workflows/own.yml"},
    ],
)
def test_no_other_run_counts(fake: FakeGitHub, repository: Path, fields: Json) -> None:
    fake.runs = [ended(1, head(repository), **fields)]
    upload(fake, head(repository))
    with pytest.raises(NoData, match="no successful run of pull-request"):
        fetched(fake, repository)
    assert not list((repository / "reports/evidence").glob("*"))


@pytest.fixture
def looks(fake: FakeGitHub, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds between looks, of which none passes; main's run of HEAD ends at the third."""
    found: list[float] = []

    def sleep(seconds: float) -> None:
        found.append(seconds)
        if len(found) == 2:
            fake.runs[0] |= {"status": "completed", "conclusion": "success"}

    monkeypatch.setattr("preflight.pull_request.measured.time.sleep", sleep)
    return found


def test_mains_own_run_is_waited_for_where_there_is_no_merge_queue(
    fake: FakeGitHub, repository: Path, looks: list[float]
) -> None:
    own = head(repository)
    fake.runs = [ended(1, own, "push", status="in_progress", conclusion=None)]
    upload(fake, own)
    assert set(fetched(fake, repository)) == set(TIMED)
    assert looks == [30.0, 30.0]


def test_a_run_that_never_ends_is_given_up_after_forty_minutes(
    fake: FakeGitHub, repository: Path, looks: list[float]
) -> None:
    looks += [0.0, 0.0, 0.0]  # beyond the third
    fake.runs = [ended(1, head(repository), "push", status="in_progress", conclusion=None)]
    with pytest.raises(NoData, match="has not ended in 2400 s"):
        fetched(fake, repository)
    assert sum(looks) <= 2400


def test_a_run_of_another_tree_does_not_count(fake: FakeGitHub, tmp_path: Path) -> None:
    root = started(tmp_path / "repository")
    (root / "code.py").write_text("")
    commit(root)
    fake.runs = [ended(1, head(root, "HEAD^"))]
    with pytest.raises(NoData, match="no successful run"):
        fetched(fake, root)


def test_a_commit_that_is_gone_is_passed_over(
    fake: FakeGitHub, repository: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before = head(repository, "HEAD^")
    fake.runs = [ended(9, GONE), ended(7, before)]
    upload(fake, before)
    assert "by run 7" in fetched(fake, repository)["load"].notices[0].text
    assert f"passed over {GONE[:12]}" in caplog.text


def test_a_tree_that_the_api_names_otherwise_is_not_fetched(
    fake: FakeGitHub, repository: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fake.runs = [ended(9, GONE, head_commit={"tree_id": "f" * 40})]
    with pytest.raises(NoData):
        fetched(fake, repository)
    assert "passed over" not in caplog.text


def test_a_run_without_a_gate_is_no_data_by_its_name(fake: FakeGitHub, repository: Path) -> None:
    fake.runs = [ended(5, head(repository))]
    upload(fake, head(repository), gates=("load",))
    with pytest.raises(NoData, match="run 5 without evidence of benchmark, rehearsal"):
        fetched(fake, repository)


def test_evidence_of_a_commit_that_the_run_did_not_judge_is_refused(
    fake: FakeGitHub, repository: Path
) -> None:
    fake.runs = [ended(5, head(repository))]
    upload(fake, GONE)
    with pytest.raises(Problem, match=f"found the commit {GONE[:12]}"):
        fetched(fake, repository)
    assert not list((repository / "reports/evidence").glob("*"))
