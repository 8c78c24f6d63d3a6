"""A release comes to staging by one commit on top of the remote's main, or not at all."""

import os
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest
from click.testing import CliRunner

from conftest import commit, git
from delivered import (
    cloned,
    copied,
    drafted,
    green_parts,
    main,
    merged,
    refusing,
    settled,
    staged,
    template,
    touched,
    untouched,
)
from fake_github import green
from preflight import release, workspace
from preflight.cli import Commands
from preflight.delivery import commands, draft, gitops, overlay, verified
from preflight.delivery.gitops import Change
from preflight.delivery.staging import stage
from preflight.deploy import rendering
from preflight.deploy.rendering import released
from preflight.errors import NoData, Problem

PLACES = overlay.places("staging")


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone in whose staging release 1 was promoted; tests copy it."""
    return template(tmp_path_factory, "1")


@pytest.fixture
def root(one: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return copied(one, tmp_path / "world")


def test_one_commit_holds_record_evidence_and_rendered_file(root: Path) -> None:
    merged(root)
    made = drafted(root, "2")
    found = stage(root)
    assert main(root) == found.at == git(root, "rev-parse", "HEAD").strip()
    assert touched(root, found.at) == sorted(PLACES)
    assert git(root, "status", "--porcelain") == ""
    assert (root / PLACES[1]).read_bytes() == (root / draft.EVIDENCE).read_bytes()
    record = release.current(root, "staging")
    assert record == found.release
    assert (record.commit, record.rollout.verdict) == (made.commit, "pending")
    text = (root / PLACES[2]).read_text()
    assert released(text, record) == text


def test_the_record_names_the_release_before_and_keeps_its_manifests(root: Path) -> None:
    before = release.current(root, "staging")
    assert before is not None
    found = staged(root, "2")
    assert (found.previous, found.manifests) == (before.commit, before.manifests)


def test_a_first_release_comes_without_kustomize(one: Path) -> None:
    first = list(release.history(one, "staging", "HEAD"))[-1]
    assert (first.previous, first.manifests) == (None, first.commit)


def test_a_change_of_deploy_moves_the_manifests_to_the_commit(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (root / PLACES[2]).read_text()
    built: list[Path] = []

    def build(_: Path, tree: Path, __: str) -> str:
        built.append(tree)
        return text

    monkeypatch.setattr(rendering, "_built", build)
    git(root, "pull", "--quiet")
    (root / "deploy/overlays/staging/kustomization.yaml").write_text("resources: [a]\n")
    head = merged(root)
    drafted(root, "2")
    assert stage(root).release.manifests == head
    assert len(built) == 1


def test_while_the_rollout_is_in_flight_the_next_release_waits(root: Path) -> None:
    first = staged(root, "2")
    merged(root, "more")
    drafted(root, "3")
    before = untouched(root), main(root)
    with pytest.raises(Problem, match=rf"release {first.id} in staging: found a rollout in flight"):
        stage(root)
    assert (untouched(root), main(root)) == before
    settled(root, first.id, "aborted")
    git(root, "pull", "--quiet")
    assert stage(root).release.model.version == "3"


def test_a_commit_is_released_once(root: Path) -> None:
    found = staged(root, "2")
    settled(root, found.id)
    git(root, "reset", "--quiet", "--hard", found.commit)
    with pytest.raises(Problem, match=rf"found it released already, as {found.id} \(promoted\)"):
        stage(root)


def test_a_commit_behind_what_is_released_is_refused(root: Path) -> None:
    behind = merged(root)
    settled(root, staged(root, "2").id)
    git(root, "reset", "--quiet", "--hard", behind)
    drafted(root, "3")
    with pytest.raises(Problem, match=rf"commit {behind[:12]}: found it behind"):
        stage(root)


def test_a_commit_that_main_has_not_is_refused(root: Path) -> None:
    (root / "mine").write_text("mine")
    commit(root, "Mine")
    drafted(root, "2")
    with pytest.raises(Problem, match="found it not on the remote's main"):
        stage(root)


def test_the_draft_of_another_commit_is_refused(root: Path) -> None:
    drafted(root, "2")
    merged(root)
    with pytest.raises(Problem, match="found the draft of another commit"):
        stage(root)


def test_evidence_of_another_commit_is_refused_by_gate_and_commit(root: Path) -> None:
    head = merged(root)
    other = (green("9" * 40, "load"), *(each for each in green_parts(head) if each.gate != "load"))
    drafted(root, "2", other)
    with pytest.raises(
        Problem, match=rf"load: found evidence of another commit, 9{{12}}.*{head[:12]}"
    ):
        stage(root)


def test_evidence_that_was_changed_since_is_refused(root: Path) -> None:
    merged(root)
    drafted(root, "2")
    path = root / draft.EVIDENCE
    path.write_text(path.read_text().replace("as it should be", "as it may be"))
    with pytest.raises(Problem, match=r"release-evidence\.json: found the set"):
        stage(root)


@pytest.mark.parametrize("text", [None, "{}", "no JSON"])
def test_without_a_draft_nothing_is_released(root: Path, text: str | None) -> None:
    merged(root)
    drafted(root, "2")
    (root / draft.PLACE).unlink()
    if text is not None:
        (root / draft.PLACE).write_text(text)
    with pytest.raises(Problem, match=r"reports/release.json.*preflight package"):
        stage(root)


def test_where_main_moved_the_same_change_comes_on_top(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    merged(root)
    drafted(root, "2")
    other = cloned(root.parent, "other")
    moved = overtaking(monkeypatch, lambda: merged(other, "meanwhile"))
    found = stage(root)
    assert git(root, "rev-parse", f"{found.at}^").strip() == moved[0] == merged_head(other)
    assert (root / "meanwhile").exists()


def test_two_releases_at_once_leave_the_later_waiting(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    merged(root)
    drafted(root, "2")
    other = cloned(root.parent, "other")
    overtaking(monkeypatch, lambda: staged(other, "3").commit)
    before = untouched(root)
    with pytest.raises(Problem, match=r"release 3-\w+ in staging: found a rollout in flight"):
        stage(root)
    assert untouched(root) == before


def test_after_five_pushes_too_late_it_gives_up_and_forces_nothing(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    merged(root)
    drafted(root, "2")
    other, numbers = cloned(root.parent, "other"), count()
    moved = overtaking(monkeypatch, lambda: merged(other, f"late-{next(numbers)}"), times=9)
    with pytest.raises(Problem, match="found main moved 5 times"):
        stage(root)
    assert len(moved) == 5
    assert main(root) == moved[-1]


def test_a_push_that_is_refused_is_not_tried_again(root: Path) -> None:
    merged(root)
    drafted(root, "2")
    refusing(root.parent / "remote.git", "main takes pull requests alone")
    before = untouched(root), main(root)
    with pytest.raises(Problem, match="main takes pull requests alone"):
        stage(root)
    assert (untouched(root), main(root)) == before


def test_a_dirty_checkout_keeps_what_it_has(root: Path) -> None:
    merged(root)
    drafted(root, "2")
    (root / "dvc.lock").write_text("mine\n")
    stage(root)
    assert (root / "dvc.lock").read_text() == "mine\n"


def test_a_detached_checkout_and_no_name_are_enough(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"):
        monkeypatch.setenv(place, os.devnull)
    merged(root)
    for key in ("user.name", "user.email"):
        git(root, "config", "--unset", key)
    git(root, "switch", "--quiet", "--detach")
    drafted(root, "2")
    made = stage(root).at
    assert git(root, "show", "--no-patch", "--format=%an", made).strip() == "preflight"
    assert main(root) == made


def test_without_a_remote_or_with_half_a_history_it_is_told(root: Path, tmp_path: Path) -> None:
    shallow = tmp_path / "shallow"
    remote = (root.parent / "remote.git").as_uri()
    git(tmp_path, "clone", "--quiet", "--depth=1", remote, str(shallow))
    drafted(shallow, "2")
    with pytest.raises(Problem, match="shallow clone"):
        stage(shallow)
    git(root, "remote", "remove", "origin")
    drafted(root, "2")
    with pytest.raises(Problem, match="found no remote"):
        stage(root)


def test_a_change_that_fails_leaves_everything_as_it_was(root: Path) -> None:
    before = untouched(root), main(root)

    def fails(tree: Path) -> Change:
        (tree / "half").write_text("half")
        raise NoData("it", "nothing", "something", "Stop.")

    with pytest.raises(NoData):
        gitops.pushed(root, fails)
    assert (untouched(root), main(root)) == before


def test_a_remotes_password_is_in_no_error(root: Path) -> None:
    secret = "-".join(("hunter", "2"))
    git(root, "remote", "set-url", "origin", f"http://ada:{secret}@127.0.0.1:9/x.git")
    with pytest.raises(Problem) as caught:
        gitops.fetch(root)
    assert secret not in str(caught.value)


def test_the_command_says_what_it_did(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workspace, "root", lambda: root)
    monkeypatch.setattr(verified, "require", lambda *_: ())
    merged(root)
    made = drafted(root, "2")
    group = Commands()
    group.add_command(commands.stage)
    done = CliRunner().invoke(group, ["stage"])
    assert done.exit_code == 0, done.output
    assert f"release 2-{made.commit[:12]} in staging, pending" in done.output


def overtaking(
    monkeypatch: pytest.MonkeyPatch, move: Callable[[], str], times: int = 1
) -> list[str]:
    """Let main move right before each of so many pushes; returns where it moved to."""
    moved: list[str] = []
    taken = gitops._taken

    def late(root: Path, base: str, made: str) -> bool:
        if len(moved) < times:
            moved.append("")
            moved[-1] = move()
        return taken(root, base, made)

    monkeypatch.setattr(gitops, "_taken", late)
    return moved


def merged_head(root: Path) -> str:
    return git(root, "rev-parse", "HEAD").strip()
