"""A rollback is one commit that makes two files what they were, and says who did it and why."""

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from conftest import commit, git
from preflight import champion, workspace
from preflight import release as records
from preflight.cli import Commands
from preflight.deploy.change import pace
from preflight.deploy.rollback import chosen
from preflight.deploy.rollback_commands import rollback
from preflight.deploy.rollback_commit import require_ready, rolled_back
from preflight.errors import Problem
from preflight.release import PLACE, RENDERED
from released import TEXT, release, release_of, started

FILES = tuple(each.format(environment="production") for each in (PLACE, RENDERED))
WHY = "fares are off by half"


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository in which releases 1 and 2 were promoted; tests copy it."""
    root = started(tmp_path_factory.mktemp("rollback") / "two")
    for version in "12":
        release(root, release_of(version, "pending"))
        release(root, release_of(version))
    return root


@pytest.fixture
def root(two: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, in which commands work."""
    place = tmp_path / "repository"
    shutil.copytree(two, place)
    monkeypatch.setattr(workspace, "root", lambda: place)
    return place


def back(root: Path, to: str | None = None, *, in_flight: bool = False) -> str:
    """Roll production back; returns the commit."""
    plan = chosen(root, "production", to)
    require_ready(root, plan, in_flight=in_flight)
    return rolled_back(root, plan, WHY, "Ada")


def bytes_at(root: Path, commit: str) -> list[str]:
    """The hashes of the two files' bytes as a commit has them."""
    return [git(root, "rev-parse", f"{commit}:{each}").strip() for each in FILES]


def run(*arguments: str) -> Result:
    group = Commands()
    group.add_command(rollback)
    return CliRunner().invoke(group, ["rollback", "production", "--why", WHY, *arguments])


def now(root: Path) -> str:
    """The id of the release that the tree names."""
    found = records.current(root, "production")
    assert found is not None
    return found.id


def test_record_and_rendered_file_are_those_of_the_release_before_byte_for_byte(
    root: Path,
) -> None:
    before = bytes_at(root, "HEAD~2")
    made = back(root)
    assert bytes_at(root, made) == before != bytes_at(root, "HEAD~1")
    assert git(root, "status", "--porcelain") == ""
    assert git(root, "show", "--format=", "--name-only", made).split() == list(FILES)


def test_who_and_why_stand_in_the_commit_and_not_in_the_files(root: Path) -> None:
    held = git(root, "rev-parse", "HEAD~2").strip()
    made = back(root)
    said = git(root, "show", "--no-patch", "--format=%s%n%(trailers:only)", made).splitlines()
    assert [line for line in said if line] == [
        "Roll production back to 1-111111111111",
        "Rolled-back-from: 2-222222222222",
        "Rolled-back-to: 1-111111111111",
        f"Restored-from: {held}",
        f"Reason: {WHY}",
        "By: Ada",
    ]


def test_a_reason_of_many_lines_adds_no_trailer(root: Path) -> None:
    made = rolled_back(root, chosen(root, "production"), "slow\n\nBy: Eve\x1b[2J", "Ada")
    told = git(root, "show", "--no-patch", "--format=%(trailers:key=By,valueonly)", made)
    assert told.split() == ["Ada"]


@pytest.mark.parametrize(("why", "who"), [(" \n", "Ada"), (WHY, "")])
def test_a_rollback_without_reason_or_name_is_refused(root: Path, why: str, who: str) -> None:
    with pytest.raises(Problem, match="words for who reads the history"):
        rolled_back(root, chosen(root, "production"), why, who)


def test_after_an_abort_it_goes_back_to_the_last_promoted(root: Path) -> None:
    release(root, release_of("3", "aborted"))
    back(root)
    assert now(root) == "2-222222222222"


def test_what_was_rolled_back_from_is_not_gone_back_to_unasked(root: Path) -> None:
    release(root, release_of("3"))
    back(root)
    assert now(root) == "2-222222222222"
    release(root, release_of("4"))
    back(root)
    assert now(root) == "2-222222222222"
    back(root, "3")
    assert now(root) == "3-333333333333"


def test_the_first_release_has_none_before_it(tmp_path: Path) -> None:
    root = started(tmp_path / "first")
    release(root, release_of("1"))
    with pytest.raises(Problem, match=r"before 1-1+: found none that was promoted and not rolled"):
        back(root)


@pytest.mark.parametrize("to", ["1", "1-111111111111", "1" * 7, "1" * 40])
def test_a_release_goes_by_id_by_version_and_by_commit(root: Path, to: str) -> None:
    release(root, release_of("3"))
    back(root, to)
    assert now(root) == "1-111111111111"


def test_a_release_goes_by_the_commit_that_holds_its_record(root: Path) -> None:
    release(root, release_of("2", manifests="c" * 40), TEXT.replace("café", "tea"))
    held = git(root, "rev-parse", "HEAD~1").strip()
    before = bytes_at(root, held)
    assert bytes_at(root, back(root, held[:10])) == before


def test_manifests_of_another_commit_come_back_with_their_record(root: Path) -> None:
    release(root, release_of("3", manifests="c" * 40), TEXT.replace("café", "tea"))
    assert "about: tea" in (root / FILES[1]).read_text()
    back(root)
    assert "about: café" in (root / FILES[1]).read_text()
    assert "manifests: " + "b" * 40 in (root / FILES[0]).read_text()


@pytest.mark.parametrize(
    ("to", "named"),
    [
        ("9", "release 9: found no record of it.*Known are 2-222222222222, 1-111111111111"),
        ("2", "release 2: found the one that is there now"),
        ("4", "release 4: found 4-4+, aborted; expected a promoted one, of: 2-2+, 1-1+"),
        ("1111", "found 4 digits of a commit; expected a version, an id, or 7 digits"),
    ],
)
def test_a_release_that_cannot_be_gone_back_to_is_told(root: Path, to: str, named: str) -> None:
    release(root, release_of("4", "aborted"))
    release(root, release_of("2"))
    with pytest.raises(Problem, match=named):
        back(root, to)


def test_an_environment_without_a_release_is_told(root: Path) -> None:
    overlay = root / "deploy/overlays/staging/kustomization.yaml"
    overlay.parent.mkdir()
    overlay.write_text("resources: []\n")
    with pytest.raises(Problem, match=r"staging/release\.yaml: found no release record"):
        chosen(root, "staging")


def test_an_unknown_environment_is_no_environment_without_release(root: Path) -> None:
    with pytest.raises(Problem, match="no environment 'prod'; expected one of production"):
        chosen(root, "prod")


def test_while_a_rollout_is_in_flight_it_waits_unless_told(root: Path) -> None:
    before = bytes_at(root, "HEAD")
    release(root, release_of("3", "pending"))
    with pytest.raises(Problem, match=r"a rollout in flight.*--in-flight: .* is instant"):
        back(root)
    assert bytes_at(root, back(root, in_flight=True)) == before


def test_a_changed_file_is_refused_and_one_that_git_does_not_know_is_not(root: Path) -> None:
    (root / "notes").write_text("what I saw\n")
    (root / "dvc.lock").write_text("stages: {a: b}\n")
    with pytest.raises(Problem, match=r"uncommitted changes \(dvc\.lock\)"):
        back(root)
    git(root, "restore", "dvc.lock")
    back(root)
    assert git(root, "show", "--format=", "--name-only").split() == list(FILES)


@pytest.mark.parametrize("gone", [False, True])
def test_a_rendered_file_that_does_not_run_its_records_image_is_not_restored(
    root: Path, gone: bool
) -> None:
    path = root / FILES[1]
    if gone:
        path.unlink()
    else:
        path.write_text(path.read_text().replace("2" * 64, "9" * 64))
    (root / FILES[0]).write_text((root / FILES[0]).read_text() + "# by hand\n")
    commit(root, "Edit by hand")
    release(root, release_of("3"))
    with pytest.raises(Problem, match="no file" if gone else "not run the image of its record"):
        back(root)


def test_a_commit_that_fails_leaves_tree_and_branch_as_they_were(root: Path) -> None:
    git(root, "config", "commit.gpgsign", "true")
    git(root, "config", "gpg.program", "false")
    before = git(root, "rev-parse", "HEAD")
    with pytest.raises(Problem, match="git commit"):
        rolled_back(root, chosen(root, "production"), WHY, "Ada", "way-back")
    assert git(root, "rev-parse", "HEAD") == before
    assert git(root, "status", "--porcelain") == ""
    assert git(root, "branch", "--format=%(refname:short)").split() == ["main"]


def test_git_alone_is_needed(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    found = shutil.which("git")
    assert found is not None
    (tools / "git").symlink_to(found)
    monkeypatch.setattr(workspace, "environment", lambda *_: {"PATH": str(tools)})
    back(root)
    assert now(root) == "1-111111111111"


def test_a_revert_by_git_makes_the_same_bytes_and_so_does_a_revert_of_it(root: Path) -> None:
    both = bytes_at(root, "HEAD~2"), bytes_at(root, "HEAD")
    last = git(root, "rev-list", "--max-count=2", "HEAD").split()
    git(root, "revert", "--no-edit", *last)  # the verdict's commit, then the release's
    assert bytes_at(root, "HEAD") == both[0]
    git(root, "revert", "--no-edit", *git(root, "rev-list", "--max-count=2", "HEAD").split())
    assert bytes_at(root, "HEAD") == both[1]
    assert bytes_at(root, back(root, "1")) == both[0]
    git(root, "revert", "--no-edit", "HEAD")
    assert bytes_at(root, "HEAD") == both[1]


def test_a_revert_of_a_rollout_in_flight_makes_the_same_bytes(root: Path) -> None:
    made = release(root, release_of("3", "pending"))
    by_us = bytes_at(root, back(root, in_flight=True))
    git(root, "reset", "--quiet", "--hard", made)
    git(root, "revert", "--no-edit", made)
    assert bytes_at(root, "HEAD") == by_us


@pytest.mark.parametrize("merged", [False, True])
def test_the_champion_is_the_release_that_was_restored(root: Path, merged: bool) -> None:
    first = git(root, "rev-list", "--max-parents=0", "HEAD").strip()
    release(root, release_of("3", commit=first))
    release(root, release_of("4"))
    if merged:
        run("--branch", "way-back")
        git(root, "switch", "--quiet", "main")
        (root / "meanwhile").write_text("another change\n")
        commit(root, "Go on")
        git(root, "merge", "--quiet", "--no-ff", "-m", "Merge the way back", "way-back")
    else:
        back(root)
    found = records.promoted(root, "production", "HEAD")
    assert found is not None
    assert found.model.version == "3"
    (root / "change").write_text("a candidate\n")
    commit(root, "Change the model")
    head = git(root, "rev-parse", "HEAD").strip()
    assert champion.resolve(root, head).commit == first


def test_the_command_says_what_was_done_what_is_next_and_how_to_watch(root: Path) -> None:
    done = run()
    assert done.exit_code == 0, done.output
    made = git(root, "rev-parse", "--short=12", "HEAD").strip()
    lines = done.output.splitlines()
    assert lines[0] == "production: 2-222222222222, promoted, gives way to 1-111111111111"
    assert lines[1] == "pace:  by steps, like a new release: the Rollout has no rollbackWindow"
    assert lines[2].startswith(f"commit {made}: its files as commit ")
    assert "next:  git push origin main" in lines
    assert (
        "watch: kubectl argo rollouts get rollout taxi --namespace taxi-production --watch" in lines
    )
    assert lines[-1] == f"undo:  git revert {made}  # brings back 2-222222222222"


def test_on_a_branch_main_stays_and_a_pull_request_is_next(root: Path) -> None:
    before = git(root, "rev-parse", "main")
    done = run("--branch", "way-back", "--to", "1", "--who", "Bo")
    assert done.exit_code == 0, done.output
    assert "next:  git push origin way-back\n       then open its pull request" in done.output
    assert git(root, "rev-parse", "main") == before == git(root, "rev-parse", "way-back~1")
    assert git(root, "show", "--no-patch", "--format=%(trailers:key=By)").strip() == "By: Bo"


def test_files_that_todays_code_cannot_read_come_back_all_the_same(root: Path) -> None:
    release(root, release_of("3"), TEXT.replace("  name: taxi-stable\n", ""))
    release(root, release_of("4"))
    done = run()
    assert done.exit_code == 0, done.output
    assert "watch: " not in done.output
    assert now(root) == "3-333333333333"


def test_a_name_that_is_said_is_enough_to_commit(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"):
        monkeypatch.setenv(place, "/dev/null")
    for key in ("user.name", "user.email"):
        git(root, "config", "--unset", key)
    git(root, "config", "user.useConfigOnly", "true")
    done = run("--who", "Ada")
    assert done.exit_code == 0, done.output
    assert git(root, "show", "--no-patch", "--format=%an %ae").strip() == "Ada rollback@localhost"


def test_who_has_no_name_is_asked_for_one(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for place in ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM"):
        monkeypatch.setenv(place, "/dev/null")
    git(root, "config", "--unset", "user.name")
    done = run()
    assert done.exit_code == 1
    assert "git's user.name: found none; expected who rolls back" in done.output


def test_a_mistake_ends_in_one_line(root: Path) -> None:
    done = run("--to", "9")
    assert done.exit_code == 1
    assert done.output.startswith("error: release 9: ")
    assert len(done.output.splitlines()) == 1


def broken(root: Path, text: str = "environment: production\n") -> str:
    """Commit a record that is none; returns the commit."""
    (root / FILES[0]).write_text(text)
    commit(root, "Break the record")
    return git(root, "rev-parse", "HEAD").strip()


def test_a_record_that_was_mended_since_is_passed_over_with_a_warning(
    root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    held = broken(root)
    release(root, release_of("2"))
    back(root)
    assert now(root) == "1-111111111111"
    assert f"warning: passed over {FILES[0]} at {held[:12]}: found model: " in caplog.text


def test_from_a_record_that_cannot_be_read_it_goes_back_to_the_last_promoted(root: Path) -> None:
    before = bytes_at(root, "HEAD")
    broken(root)
    done = run()
    assert done.exit_code == 0, done.output
    assert "production: an unreadable record gives way to 2-222222222222" in done.output
    assert bytes_at(root, "HEAD") == before
    told = git(root, "show", "--no-patch", "--format=%(trailers:key=Rolled-back-from,valueonly)")
    assert told.strip() == "unreadable"


@pytest.mark.parametrize("text", ["environment: production\n", "another's"])
def test_a_record_that_cannot_be_read_is_not_gone_back_to(root: Path, text: str) -> None:
    others = (root / FILES[0]).read_text().replace("environment: production", "environment: dev")
    held = broken(root, others if text == "another's" else text)
    release(root, release_of("2"))
    with pytest.raises(Problem, match=f"release.yaml at {held[:12]}"):
        back(root, held[:7])


def test_a_second_rollback_in_a_row_has_to_name_its_release(root: Path) -> None:
    release(root, release_of("3"))
    run()
    again = run()
    assert again.exit_code == 1
    assert "production: found it rolled back from 3-333333333333 to 2-222222222222 by Ada at " in (
        again.output
    )
    assert f" UTC ({WHY}); expected a release that was rolled out. To go further name" in (
        again.output
    )
    assert "name one by --to: 3-333333333333, 1-111111111111." in again.output
    assert run("--to", "1").exit_code == 0


def test_after_a_revert_by_git_too(root: Path) -> None:
    made = release(root, release_of("3"))
    git(root, "revert", "--no-edit", made)
    with pytest.raises(Problem, match=r'from 3-3+ to 2-2+ by Ada at .*\(Revert "Release 3-3+'):
        back(root)


def test_after_a_merged_branch_too(root: Path) -> None:
    release(root, release_of("3"))
    run("--branch", "way-back", "--who", "Bo")
    git(root, "switch", "--quiet", "main")
    git(root, "merge", "--quiet", "--no-ff", "-m", "Merge the way back", "way-back")
    with pytest.raises(Problem, match=r"from 3-3+ to 2-2+ by Bo at "):
        back(root)


def test_a_release_that_is_rolled_out_again_can_be_gone_back_from(root: Path) -> None:
    release(root, release_of("3", "aborted"))
    back(root)
    release(root, release_of("3", "pending"))
    back(root, in_flight=True)
    assert now(root) == "2-222222222222"
    release(root, release_of("3", "pending"))
    release(root, release_of("3"))
    back(root)
    assert now(root) == "2-222222222222"


def cloned(root: Path, place: Path, *options: str, remote: str = "origin") -> Path:
    """A clone, with its user's name."""
    git(root, "clone", "--quiet", *options, f"--origin={remote}", root.as_uri(), str(place))
    git(place, "config", "user.name", "Ada")
    git(place, "config", "user.email", "ada@localhost")
    return place


@pytest.fixture
def behind(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clone that has fetched release 3, but not pulled it."""
    place = cloned(root, tmp_path / "clone", remote="team")
    release(root, release_of("3"))
    git(place, "fetch", "--quiet")
    monkeypatch.setattr(workspace, "root", lambda: place)
    return place


def test_a_checkout_behind_its_upstream_is_refused(behind: Path) -> None:
    with pytest.raises(Problem, match=r"found it 1 commit behind team/main .*Run `git pull`"):
        back(behind)
    git(behind, "pull", "--quiet")
    done = run()
    assert "next:  git push team main\n" in done.output
    assert now(behind) == "2-222222222222"


def test_without_upstream_main_is_compared(behind: Path) -> None:
    git(behind, "switch", "--quiet", "--create", "mine")
    with pytest.raises(Problem, match=r"behind team/main .*Run `git switch main && git pull`"):
        back(behind)


def test_a_branch_of_another_name_is_pushed_to_its_upstream(behind: Path) -> None:
    git(behind, "switch", "--quiet", "--create", "mine", "--track", "team/main")
    done = run()
    assert "next:  git push team mine:main\n" in done.output
    assert "warning" not in done.output


def test_beside_main_it_warns_that_argo_cd_reads_main(root: Path) -> None:
    assert "warning" not in run().output
    git(root, "switch", "--quiet", "--create", "mine", "HEAD~1")
    assert "warning: this is branch mine; Argo CD reads main, once it is merged" in run().output
    git(root, "switch", "--quiet", "--detach", "HEAD~1")
    done = run()
    assert "warning: HEAD is detached: this is on no branch, and Argo CD reads main" in done.output
    assert ":refs/heads/NAME" in done.output


def test_a_shallow_clone_is_told_as_such(root: Path, tmp_path: Path) -> None:
    place = cloned(root, tmp_path / "shallow", "--depth=1")
    for to in (None, "1"):
        with pytest.raises(Problem, match=r"a shallow clone.*git fetch --unshallow"):
            back(place, to)


def test_an_unresolved_merge_has_one_remedy(root: Path) -> None:
    git(root, "switch", "--quiet", "--create", "mine", "HEAD~2")
    release(root, release_of("3"))
    workspace.run(root, "git", "merge", "main", check=False)
    done = run()
    assert "found a merge that has not ended; expected none" in done.output
    assert "or leave it: `git merge --abort`." in done.output


def test_an_index_that_is_locked_has_one_remedy(root: Path) -> None:
    (root / ".git/index.lock").touch()
    done = run()
    assert "another Git at work here; expected no such file" in done.output
    assert f"one was killed: rm {root}/.git/index.lock" in done.output


def replicas(many: int) -> str:
    """A rendered text with a size."""
    return TEXT.replace("  name: taxi\n", f"  name: taxi\n  replicas: {many}\n", 1)


def test_manifests_that_come_back_too_are_told_by_their_lines(root: Path) -> None:
    release(root, release_of("2", manifests="c" * 40), replicas(8))
    release(root, release_of("3", manifests="d" * 40), replicas(4))
    lines = run().output.splitlines()
    words = "1 line besides the image (replicas 4 -> 8)"
    assert lines[1] == f"also goes back to the manifests of ccccccc: {words}"
    git(root, "reset", "--quiet", "--hard", "HEAD~2")
    lines = run().output.splitlines()
    assert lines[0] == (
        "production: 2-222222222222 (manifests ccccccc), promoted, gives way to "
        "2-222222222222 (manifests bbbbbbb)"
    )
    assert lines[1].endswith("1 line besides the image (without replicas: 8)")
    assert lines[-1].endswith("  # brings back 2-222222222222 (manifests ccccccc)")


def test_other_manifests_that_render_alike_are_told_as_such(root: Path) -> None:
    release(root, release_of("3", manifests="c" * 40))
    assert "goes back to the manifests of bbbbbbb, which render alike\n" in run().output


def test_manifests_that_stay_are_not_spoken_of(root: Path) -> None:
    assert "manifests" not in run().output


def test_lists_tell_releases_of_one_id_by_their_manifests(root: Path) -> None:
    held = git(root, "rev-parse", "--short=7", "HEAD").strip()
    release(root, release_of("2", manifests="c" * 40))
    with pytest.raises(Problem, match=rf"2-2+ \(manifests bbbbbbb, commit {held}\), 1-1+\.$"):
        back(root, "9")


def test_a_name_of_what_is_there_now_changes_no_manifests_unasked(root: Path) -> None:
    held = git(root, "rev-parse", "--short=7", "HEAD").strip()
    release(root, release_of("2", manifests="c" * 40), replicas(8))
    said = r"manifests of ccccccc.*of bbbbbbb it would change 1 line besides .*8\): name it by"
    with pytest.raises(Problem, match=f"{said} {held}"):
        back(root, "2")
    back(root, held)
    assert "replicas" not in (root / FILES[1]).read_text()


@pytest.fixture(scope="module")
def five(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository of five releases, whose Rollout has a window of three."""
    root = started(tmp_path_factory.mktemp("five") / "five")
    spec = "spec:\n  template:\n    metadata"
    text = TEXT.replace(spec, spec.replace("\n", "\n  rollbackWindow: {revisions: 3}\n", 1))
    for version in "12345":
        release(root, release_of(version), text)
    return root


@pytest.mark.parametrize(
    ("to", "how"),
    [
        ("4", "at once: it is one of the last 3 releases"),
        ("2", "at once: it is one of the last 3 releases"),
        ("1", "by steps, like a new release: the last 3 alone go at once"),
    ],
)
def test_it_says_whether_it_goes_at_once_or_by_steps(five: Path, to: str, how: str) -> None:
    plan = chosen(five, "production", to)
    stable = plan.known[0].at
    assert pace(five, "production", plan.known, stable, plan.to.at) == f"{how} (rollbackWindow)"


def test_a_release_after_what_stable_runs_goes_by_steps(five: Path) -> None:
    plan = chosen(five, "production", "2")
    found = pace(five, "production", plan.known, plan.to.at, plan.known[0].at)
    assert found == "by steps, like a new release: it came after what stable runs"


def test_a_rollout_in_flight_gives_way_at_once_and_its_undo_releases_it_again(root: Path) -> None:
    release(root, release_of("3", "pending"))
    lines = run("--in-flight").output.splitlines()
    assert "pace:  at once: it is what stable runs" in lines
    assert lines[-1].endswith("  # releases 3-333333333333 again")
