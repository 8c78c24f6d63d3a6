"""The champion is another commit, known from Git alone, and its artifacts are whole."""

from pathlib import Path

import pytest
import yaml

from conftest import commit, git
from preflight import champion
from preflight.champion import Champion
from preflight.errors import Problem
from preflight.release import Release
from records import PLACE, record


def step(root: Path, **files: str) -> str:
    """One more commit; `files` are texts by name, `_` stands for a dot."""
    count = git(root, "rev-list", "--all", "--count").strip()  # equal commits would be one
    (root / "count").write_text(count)
    for name, text in files.items():
        (root / name.replace("_", ".")).write_text(text)
    commit(root, "Step")
    return git(root, "rev-parse", "HEAD").strip()


def released(root: Path, of: str, verdict: str = "promoted") -> str:
    """Commit a release record of a commit."""
    (root / PLACE).parent.mkdir(parents=True, exist_ok=True)
    (root / PLACE).write_text(yaml.safe_dump(record(verdict, commit=of, manifests=of)))
    return step(root)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository on main with one commit that has a dvc.lock."""
    git(tmp_path, "init", "--quiet", "--initial-branch=main")
    step(tmp_path, dvc_lock="stages: {}\n")
    return tmp_path


def head(root: Path) -> str:
    """The commit of a checkout."""
    return git(root, "rev-parse", "HEAD").strip()


def test_on_a_branch_the_base_is_the_merge_base(repository: Path) -> None:
    base = head(repository)
    git(repository, "checkout", "--quiet", "-b", "change")
    step(repository)
    ours = step(repository)
    git(repository, "checkout", "--quiet", "main")
    step(repository)
    assert champion.base_of(repository, ours) == (base, "merge base")


def test_on_main_the_base_is_the_first_parent(repository: Path) -> None:
    before = head(repository)
    assert champion.base_of(repository, step(repository)) == (before, "first parent")


def test_a_merge_on_main_is_judged_against_main_as_it_was(repository: Path) -> None:
    git(repository, "checkout", "--quiet", "-b", "change")
    step(repository, other="x")
    git(repository, "checkout", "--quiet", "main")
    before = step(repository, mine="y")
    who = ("-c", "user.name=a", "-c", "user.email=a@localhost")
    git(repository, *who, "merge", "--quiet", "-X", "ours", "-m", "Merge", "change")
    assert champion.base_of(repository, head(repository)) == (before, "first parent")


def test_the_first_commit_has_no_base(repository: Path) -> None:
    assert champion.base_of(repository, head(repository)) == (None, "baseline")
    assert champion.resolve(repository, head(repository)) == Champion("baseline")


def test_main_as_others_have_it_comes_before_ones_own(repository: Path) -> None:
    theirs = head(repository)
    git(repository, "update-ref", "refs/remotes/origin/main", theirs)
    step(repository)
    ours = step(repository)
    assert champion.base_of(repository, ours) == (theirs, "merge base")


def test_a_shallow_clone_is_told_to_fetch_the_rest(repository: Path, tmp_path: Path) -> None:
    step(repository)
    shallow = tmp_path / "shallow"
    git(repository, "clone", "--quiet", "--depth=1", f"file://{repository}", str(shallow))
    with pytest.raises(Problem, match="git fetch --unshallow"):
        champion.base_of(shallow, head(shallow))


def test_without_a_release_the_base_is_the_champion(repository: Path) -> None:
    before = head(repository)
    ours = step(repository)
    assert champion.resolve(repository, ours) == Champion("first parent", before)
    git(repository, "checkout", "--quiet", "-b", "change")
    branch = step(repository)
    assert champion.resolve(repository, branch) == Champion("merge base", ours)


def test_what_was_promoted_in_production_is_the_champion(repository: Path) -> None:
    model = head(repository)
    step(repository)
    released(repository, model)
    assert champion.resolve(repository, step(repository)) == Champion("production", model)


def test_a_record_edited_on_the_branch_itself_has_no_say(repository: Path) -> None:
    good = head(repository)
    weak = step(repository)
    base = released(repository, good)
    git(repository, "checkout", "--quiet", "-b", "change")
    ours = released(repository, weak)
    assert champion.resolve(repository, ours) == Champion("production", good)
    git(repository, "rm", "--quiet", str(PLACE))
    assert champion.resolve(repository, step(repository)) == Champion("production", good)
    assert base != ours


def test_a_record_on_the_branch_alone_makes_no_champion(repository: Path) -> None:
    base = head(repository)
    git(repository, "checkout", "--quiet", "-b", "change")
    step(repository)
    assert champion.resolve(repository, released(repository, base)) == Champion("merge base", base)


@pytest.mark.parametrize("verdict", ["pending", "aborted"])
def test_a_release_that_was_not_promoted_is_no_champion(repository: Path, verdict: str) -> None:
    model = head(repository)
    step(repository)
    base = released(repository, model, verdict)
    assert champion.resolve(repository, step(repository)) == Champion("first parent", base)


def test_the_candidates_own_commit_is_refused(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = step(repository)
    record = Release.model_construct(commit=ours)
    monkeypatch.setattr("preflight.release.promoted", lambda *_: record)
    with pytest.raises(Problem, match=f"the candidate's own commit, {ours[:12]}"):
        champion.resolve(repository, ours)


def test_a_base_without_a_model_leaves_the_trivial_baseline(repository: Path) -> None:
    git(repository, "rm", "--quiet", "dvc.lock")
    step(repository)
    ours = step(repository, dvc_lock="stages: {}\n")
    assert champion.resolve(repository, ours) == Champion("baseline")


def test_a_promoted_commit_that_is_not_here_is_a_problem_and_no_baseline(repository: Path) -> None:
    released(repository, "f" * 40)
    with pytest.raises(Problem, match="f" * 12):
        champion.resolve(repository, step(repository))


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (Champion("baseline"), "the trivial baseline: no earlier model is known"),
        (
            Champion("production", "a" * 40, origin="rebuilt"),
            "aaaaaaaaaaaa, promoted in production; artifacts: rebuilt",
        ),
        (
            Champion("merge base", "a" * 40),
            "aaaaaaaaaaaa, the merge base with main; nothing is in production; "
            "artifacts: not brought yet",
        ),
        (
            Champion("first parent", "a" * 40),
            "aaaaaaaaaaaa, the first parent on main; nothing is in production; "
            "artifacts: not brought yet",
        ),
    ],
)
def test_a_champion_says_what_it_is_and_why(found: Champion, said: str) -> None:
    assert str(found) == said


def test_the_baseline_has_nothing_to_bring(tmp_path: Path) -> None:
    assert champion.bring(tmp_path, Champion("baseline")) == Champion("baseline")


def test_a_champion_comes_from_the_cache_and_stays(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = head(checkout)
    ours = step(checkout)
    brought = champion.bring(checkout, champion.resolve(checkout, ours))
    assert (brought.commit, brought.origin) == (before, "from the DVC cache")
    assert brought.root is not None
    assert head(brought.root) == before
    model = "models/packaged/manifest.json"
    assert (brought.root / model).read_bytes() == (checkout / model).read_bytes()
    assert git(checkout, "status", "--porcelain") == ""

    def never(*_: object, **__: object) -> None:
        raise AssertionError("cloned again")

    monkeypatch.setattr(champion, "clone", never)
    assert champion.bring(checkout, champion.resolve(checkout, ours)) == brought
