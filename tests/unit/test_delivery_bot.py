"""The bot commits releases and nothing else; nobody else edits a record or its evidence."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from conftest import git
from delivered import copied, drafted, settled, template
from preflight import workspace
from preflight.cli import Commands
from preflight.delivery import commands, overlay
from preflight.delivery.bot import refused
from preflight.delivery.staging import stage
from preflight.deploy.rollback import chosen
from preflight.deploy.rollback_commit import rolled_back

BOT = "preflight-bot"
STAGING, PRODUCTION = overlay.places("staging"), overlay.places("production")


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone in whose staging releases 1 and 2 were promoted; tests copy it."""
    return template(tmp_path_factory, "1", "2")


@pytest.fixture
def root(two: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, in which commands work, and its base is tagged."""
    place = copied(two, tmp_path / "world")
    git(place, "tag", "base")
    monkeypatch.setattr(workspace, "root", lambda: place)
    return place


def found(root: Path) -> list[str]:
    """What is refused since the base."""
    return list(refused(root, "base", "HEAD", BOT))


def made(root: Path, who: str, *names: str, text: str = "mine\n") -> str:
    """Somebody's commit that writes files; returns its short name."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
        git(root, "add", "--", name)
    own = ("-c", f"user.name={who}", "-c", "user.email=it@localhost")
    git(root, *own, "commit", "--quiet", "--message=Change")
    return git(root, "rev-parse", "--short=12", "HEAD").strip()


def test_the_bots_release_and_verdict_are_its_own(root: Path) -> None:
    git(root, "config", "user.name", BOT)
    (root / "change-3").write_text("mine")
    git(root, "add", "change-3")
    own = ("-c", "user.name=Ada", "-c", "user.email=a@localhost")
    git(root, *own, "commit", "--quiet", "--message=Go on")
    git(root, "push", "--quiet", "origin", "main")
    drafted(root, "3")
    settled(root, stage(root).release.id)
    assert len(git(root, "rev-list", "base..HEAD").split()) == 3
    assert found(root) == []


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("src/app.py",), "the bot touches 'src/app.py', no record, evidence or rendered file"),
        ((STAGING[0], "params.yaml"), "the bot touches 'params.yaml'"),
        (("deploy/overlays/staging/kustomization.yaml",), "touches 'deploy/overlays/staging/kust"),
        (("deploy/rendered/staging.yaml.bak",), "touches 'deploy/rendered/staging.yaml.bak'"),
        ((STAGING[0], PRODUCTION[0]), "the bot touches production and staging at once"),
    ],
)
def test_a_commit_of_the_bot_beyond_one_release_is_named(
    root: Path, names: tuple[str, ...], said: str
) -> None:
    name = made(root, BOT, *names)
    (line,) = found(root)
    assert line.startswith(f"{name}: ")
    assert said in line


def test_the_bot_is_known_as_committer_too(root: Path) -> None:
    made(root, BOT, "src/app.py")
    git(root, "commit", "--quiet", "--amend", "--no-edit", "--author=Ada <ada@localhost>")
    git(root, "-c", f"user.name={BOT}", "commit", "--quiet", "--amend", "--no-edit")
    assert len(found(root)) == 1


@pytest.mark.parametrize("place", STAGING[:2])
def test_a_record_or_evidence_edited_by_hand_is_named(root: Path, place: str) -> None:
    name = made(root, "Ada", place, "README.md", text=(root / place).read_text() + "\n")
    (line,) = found(root)
    assert line.startswith(f"{name}: {place} edited by hand")
    assert "Ada" not in line


def test_a_record_that_is_deleted_is_named(root: Path) -> None:
    git(root, "rm", "--quiet", STAGING[0])
    made(root, "Ada")
    assert len(found(root)) == 1


def test_others_commit_everything_else(root: Path) -> None:
    made(root, "Ada", "src/app.py", "deploy/base/a.yaml", STAGING[2])
    assert found(root) == []


def test_a_rollback_is_nobodys_edit(root: Path) -> None:
    rolled_back(root, chosen(root, "staging"), "slow", "Ada")
    assert found(root) == []


def test_a_record_of_before_with_todays_rendered_file_is_no_rollback(root: Path) -> None:
    before = chosen(root, "staging").to.at
    git(root, "checkout", "--quiet", before, "--", STAGING[0])
    made(root, "Ada")
    assert len(found(root)) == 1


def test_a_merge_that_hides_an_edit_is_named(root: Path) -> None:
    git(root, "switch", "--quiet", "--create", "side", "base")
    made(root, "Ada", "side")
    git(root, "switch", "--quiet", "main")
    made(root, "Ada", "more")
    git(root, "merge", "--quiet", "--no-ff", "--no-commit", "side")
    made(root, "Ada", STAGING[0])
    assert len(found(root)) == 1


def test_a_merge_of_what_was_released_meanwhile_is_none(root: Path) -> None:
    git(root, "switch", "--quiet", "--create", "side", "base")
    made(root, "Ada", "side")
    git(root, "switch", "--quiet", "main")
    git(root, "config", "user.name", BOT)
    made(root, BOT, *STAGING)
    git(root, "config", "user.name", "Ada")
    git(root, "switch", "--quiet", "side")
    git(root, "merge", "--quiet", "--no-edit", "main")
    assert list(refused(root, "base", "side", BOT)) == []


def invoked(*words: str) -> Result:
    """The command's end."""
    group = Commands()
    group.add_command(commands.bot_commits)
    return CliRunner().invoke(group, ["bot-commits", "--bot", BOT, *words])


def test_the_command_ends_with_1_and_each_name(root: Path) -> None:
    assert invoked("base..HEAD").exit_code == 0
    names = [made(root, BOT, "a"), made(root, BOT, "b")]
    done = invoked("base..HEAD")
    assert done.exit_code == 1
    assert [line[:12] for line in done.output.splitlines()] == names
    assert "error: BASE..HEAD" in invoked("HEAD").output
