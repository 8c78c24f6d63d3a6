"""The bot commits releases and nothing else; nobody else edits a record or its evidence."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from conftest import ROOT, git
from delivered import copied, drafted, settled, staged, template
from preflight import workspace
from preflight.cli import Commands
from preflight.delivery import commands, overlay
from preflight.delivery.bot import refused
from preflight.delivery.promotion import Way, promote
from preflight.delivery.staging import stage
from preflight.deploy.rollback import chosen
from preflight.deploy.rollback_commit import rolled_back
from workflow.expressions import filled

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


def found(root: Path, bot: str = BOT) -> list[str]:
    """What is refused since the base."""
    return list(refused(root, "base", "HEAD", bot))


def asked(name: str, bot: str = BOT, /, **context: Any) -> dict[str, str]:
    """BASE and BOT of commits.yml for an event, by the names of GitHub's contexts."""
    jobs = yaml.safe_load((ROOT / ".github/workflows/commits.yml").read_text())["jobs"]
    (step,) = (each for each in jobs["commits"]["steps"] if each.get("run") == "make bot-commits")
    github = {"event_name": name, "actor": "eve", "event": {}} | context
    known = {"github": github, "vars": {"BOT": bot} if bot else {}}
    return {key: filled(text, known, {}) for key, text in step["env"].items()}


def opened(who: str) -> dict[str, Any]:
    """A pull request's event."""
    return {"pull_request": {"user": {"login": who}, "base": {"sha": "b" * 40}}}


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


@pytest.mark.parametrize(
    ("event", "context", "bot"),
    [
        ("pull_request", {"actor": BOT, "event": opened(BOT)}, BOT),
        ("push", {"actor": BOT, "event": {"before": "b" * 40}}, BOT),
        ("pull_request", {"actor": "eve", "event": opened("eve")}, BOT),
        ("pull_request", {"actor": "eve", "event": opened(BOT)}, BOT),
        ("pull_request", {"actor": BOT, "event": opened("eve")}, BOT),
        ("pull_request", {"actor": "eve", "event": opened("eve")}, ""),
        ("push", {"actor": "eve", "event": {"before": "b" * 40}}, BOT),
        ("push", {"actor": "eve", "event": {"before": "b" * 40}}, ""),
        ("merge_group", {"actor": BOT, "event": {"merge_group": {"base_sha": "b" * 40}}}, BOT),
    ],
)
def test_the_bot_is_known_where_github_vouches_for_it_and_by_its_name_alone_nowhere(
    event: str, context: dict[str, Any], bot: str
) -> None:
    known = asked(event, bot, **context)["BOT"]
    pushed = event == "push" or context["event"] == opened(BOT)
    vouched = bool(bot) and pushed and context["actor"] == BOT
    assert known == (BOT if vouched else "<nobody>")


@pytest.mark.parametrize("who", [BOT, "preflight", "<nobody>", "nobody"])
def test_nobody_bears_the_name_that_stands_for_nobody(root: Path, who: str) -> None:
    made(root, who, *PRODUCTION)
    bot = asked("pull_request", actor="eve", event=opened("eve"))["BOT"]
    (line,) = found(root, bot)
    assert f"{PRODUCTION[1]} edited by hand" in line


def test_without_a_bot_a_commit_without_a_name_is_edited_by_hand(root: Path) -> None:
    for name in PRODUCTION:
        (root / name).write_text("mine\n")
    git(root, "add", "--", *PRODUCTION)
    tree = git(root, "write-tree").strip()
    parent = git(root, "rev-parse", "HEAD").strip()
    raw = f"tree {tree}\nparent {parent}\nauthor  <a@b> 1 +0000\ncommitter  <a@b> 1 +0000\n\nx\n"
    (root.parent / "raw").write_text(raw)
    put = ("hash-object", "-t", "commit", "-w", "--literally", str(root.parent / "raw"))
    git(root, "reset", "--quiet", "--hard", git(root, *put).strip())
    assert len(found(root, bot="")) == 1


def test_a_proposal_of_production_merged_by_hand_is_refused_in_the_queue_and_told_on_main(
    root: Path,
) -> None:
    promote(root, Way(), {})
    (branch,) = git(root, "ls-remote", "origin", "refs/heads/promote/*").split()[1::2]
    git(root, "fetch", "--quiet", "origin", branch)
    git(root, "cherry-pick", "--no-commit", "FETCH_HEAD")
    made(root, BOT)  # as GitHub squashes what the bot opened
    queued = asked("merge_group", actor=BOT, event={"merge_group": {"base_sha": "b" * 40}})
    pushed = asked("push", actor="eve", event={"before": "b" * 40})
    for each in (queued, pushed):
        (line,) = found(root, each["BOT"])
        assert f"{PRODUCTION[1]} edited by hand" in line
    assert found(root, asked("push", actor=BOT, event={"before": "b" * 40})["BOT"]) == []


def test_the_way_back_after_an_abort_passes_the_queue_as_nobodys_edit(root: Path) -> None:
    git(root, "config", "user.name", BOT)
    name = staged(root, "3").id
    settled(root, name, "aborted")
    listed = git(root, "ls-remote", "origin", "refs/heads/*").split()[1::2]
    (branch,) = (each for each in listed if not each.endswith("/main"))
    git(root, "fetch", "--quiet", "origin", "main")
    git(root, "fetch", "--quiet", "origin", branch)
    nobody = asked("merge_group")["BOT"]
    assert list(refused(root, "origin/main", "FETCH_HEAD", nobody)) == []


def test_of_a_pull_request_what_is_on_main_already_is_left_out(root: Path) -> None:
    git(root, "switch", "--quiet", "--create", "side", "base")
    made(root, "Ada", "side")
    git(root, "switch", "--quiet", "main")
    git(root, "config", "user.name", BOT)
    staged(root, "3")
    git(root, "config", "user.name", "Ada")
    git(root, "switch", "--quiet", "side")
    git(root, "merge", "--quiet", "--no-edit", "main")
    known = asked("pull_request", actor="ada", event=opened("ada"))
    assert list(refused(root, known["BASE"], "side", known["BOT"])) == []
    assert list(refused(root, "base", "side", known["BOT"])) != []


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
