"""Lint is evidence: each hook's result is told, its places named, and what it read kept back."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from conftest import ROOT, commit, git
from preflight import cli, evidence, linted
from preflight.errors import Problem
from preflight.evidence import Evidence, Part

HOOKS = {
    "types": "types",
    "spaces": "spaces",
    "workflows": "workflows, zizmor",
}
TRACKED = frozenset({"src/a.py", "src/b.py", ".github/workflows/test.yml", "token"})


def shown(name: str, word: str, *lines: str, postfix: str = "") -> str:
    """One hook's result as pre-commit 4 shows it, and the lines below."""
    dots = "." * (79 - len(name) - len(postfix) - len(word))
    return "\n".join((f"{name}{dots}{postfix}{word}", *lines, ""))


GREEN = "".join(shown(name, "Passed") for name in HOOKS.values())


def judged(output: str, code: int = 0) -> dict[str, Evidence]:
    """The evidence of an output, by check."""
    found = linted.judged(HOOKS, code, output, TRACKED).evidence
    assert {each.reproduce for each in found} == {"make lint"}
    return {each.check: each for each in found}


def statuses(output: str, code: int = 0) -> dict[str, str]:
    """The status of each check."""
    return {check: each.status for check, each in judged(output, code).items()}


def test_hooks_that_passed_pass_and_bear_their_names() -> None:
    found = judged(GREEN)
    assert {check: each.status for check, each in found.items()} == dict.fromkeys(HOOKS, "pass")
    assert found["workflows"].claim == "The hook finds nothing: workflows, zizmor."


def test_a_failure_is_told_by_its_places() -> None:
    said = ["- hook id: types", "- exit code: 1", "", "src/a.py:3: error: Bad [x]", "src/b.py:7:1:"]
    found = judged(GREEN.replace(shown("types", "Passed"), shown("types", "Failed", *said)), 1)
    assert (found["types"].status, found["types"].found) == (
        "fail",
        "src/a.py:3, src/b.py:7",
    )
    assert found["spaces"].status == "pass"


def test_only_the_first_places_are_told() -> None:
    said = [f"./src/a.py:{line}:1: E1" for line in range(1, 10)]
    found = judged(shown("types", "Failed", *said), 1)["types"].found
    assert found == ("src/a.py:1, src/a.py:2, src/a.py:3, src/a.py:4, src/a.py:5 and 4 more")


def test_the_offending_text_is_never_told() -> None:
    said = [
        "Secret Type: Secret Keyword",
        "Location:    src/a.py:4",
        "key = hunter2:99",
        "h/u.nt:2",
    ]
    assert judged(shown("spaces", "Failed", *said), 1)["spaces"].found == "src/a.py:4"


def test_a_hook_that_changed_files_is_told() -> None:
    said = ["- hook id: types", "- files were modified by this hook", "", "Fixing src/a.py"]
    found = judged(shown("types", "Failed", *said), 1)["types"]
    assert found.found == "files were changed by the hook; src/a.py"


def test_a_failure_without_a_place_leads_to_the_output() -> None:
    found = judged(shown("types", "Failed", "- exit code: 2", "", "crash"), 1)["types"]
    assert found.found == "see the output of `make lint`"


def test_a_skipped_hook_is_no_data() -> None:
    output = GREEN.replace(shown("types", "Passed"), shown("types", "Skipped"))
    assert statuses(output)["types"] == "no-data"


def test_a_hook_without_files_to_check_is_no_data() -> None:
    nothing = shown("types", "Skipped", postfix="(no files to check)")
    assert statuses(GREEN.replace(shown("types", "Passed"), nothing))["types"] == "no-data"


def test_a_hook_that_did_not_run_is_no_data() -> None:
    assert statuses(shown("types", "Failed"), 1) == {
        "types": "fail",
        "spaces": "no-data",
        "workflows": "no-data",
    }


def test_a_forged_result_hides_no_failure() -> None:
    forged = shown("types", "Failed", shown("spaces", "Passed").strip())
    assert statuses(forged + shown("spaces", "Failed"), 1)["spaces"] == "fail"


def test_an_exit_status_that_no_hook_explains_fails() -> None:
    found = judged(GREEN, 3)["pre-commit"]
    assert (found.status, found.found) == ("fail", "exit code 3, no hook failed")


@pytest.mark.parametrize(
    ("hook", "check"), [("Ruff_Format", "ruff-format"), ("2to3", "hook-2to3"), ("é", "hook-")]
)
def test_an_id_becomes_a_checks_name(hook: str, check: str) -> None:
    (line,) = linted.judged({hook: "x"}, 0, shown("x", "Passed"), TRACKED).evidence
    assert line.check == check


def hook(name: str, entry: str) -> dict[str, object]:
    """A local hook."""
    return {"id": name, "name": name, "entry": entry, "language": "system"}


@pytest.fixture
def linting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """A committed repository with some hooks, where the next commands run."""

    def make(*hooks: dict[str, object]) -> Path:
        root = tmp_path / "house"
        root.mkdir()
        git(root, "init", "--quiet", "--initial-branch=main")
        (root / ".gitignore").write_text("reports\n")
        (root / "code.py").write_text("VALUE = 1\n")
        plain = {"repos": [{"repo": "local", "hooks": list(hooks)}]}
        (root / linted.CONFIG).write_text(yaml.safe_dump(plain))
        commit(root)
        monkeypatch.chdir(root)
        monkeypatch.setenv("PRE_COMMIT_HOME", str(tmp_path / "store"))
        return root

    return make


def part(root: Path) -> Part:
    """The evidence that was left."""
    return evidence.read(root / "reports/evidence/lint.json")


def test_a_committed_tree_leaves_green_evidence(
    linting: Callable[..., Path], capfd: pytest.CaptureFixture[str]
) -> None:
    root = linting(hook("fine", "true"))
    assert linted.lint(root) == "pass"
    assert (part(root).commit, part(root).status) == (
        git(root, "rev-parse", "HEAD").strip(),
        "pass",
    )
    assert "Passed" in capfd.readouterr().out


def test_a_failed_hook_leaves_red_evidence_and_its_exit_status(
    linting: Callable[..., Path],
) -> None:
    root = linting(hook("fine", "true"), hook("bad", "sh -c 'echo code.py:1: bad; exit 1'"))
    done = CliRunner().invoke(cli.main, ["lint"])
    assert done.exit_code == 1
    assert "code.py:1: bad" in done.stdout
    assert [(each.check, each.found) for each in part(root).evidence] == [
        ("fine", "nothing"),
        ("bad", "code.py:1"),
    ]


def test_a_hook_that_mends_the_tree_leaves_red_evidence(linting: Callable[..., Path]) -> None:
    root = linting(hook("mend", "sh -c 'echo more >> code.py'"))
    assert linted.lint(root) == "fail"
    assert part(root).evidence[0].found == "files were changed by the hook"


def test_a_tree_with_changes_leaves_no_evidence(
    linting: Callable[..., Path], capfd: pytest.CaptureFixture[str]
) -> None:
    root = linting(hook("fine", "true"))
    (root / "code.py").write_text("VALUE = 2\n")
    assert linted.lint(root) == "pass"
    assert not (root / "reports/evidence/lint.json").exists()
    assert "uncommitted changes, so no evidence is kept" in capfd.readouterr().err


def test_a_tree_that_changed_meanwhile_leaves_no_green_evidence(
    linting: Callable[..., Path],
) -> None:
    root = linting(hook("fine", "sh -c 'echo > new.txt'"))
    assert linted.lint(root) == "pass"
    assert not (root / "reports/evidence/lint.json").exists()


def test_a_skipped_hook_has_the_status_of_no_data(
    linting: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    linting(hook("fine", "true"))
    monkeypatch.setenv("SKIP", "fine")
    assert CliRunner().invoke(cli.main, ["lint"]).exit_code == 2


def test_a_machine_without_pre_commit_is_told_what_to_do(
    linting: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = linting(hook("fine", "true"))
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    with pytest.raises(Problem, match=r"no pre-commit.*make setup"):
        linted.lint(root)


@pytest.mark.parametrize("text", ["repos: [", "[]", "repos: []", "repos: [{hooks: [{}]}]"])
def test_settings_without_a_hook_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / linted.CONFIG).write_text(text)
    with pytest.raises(Problem, match=linted.CONFIG):
        linted.hooks_of(tmp_path)


def test_a_house_without_settings_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="no readable file"):
        linted.hooks_of(tmp_path)


def test_every_hook_of_this_repository_is_a_check_of_its_own() -> None:
    hooks = linted.hooks_of(ROOT)
    found = linted.judged(hooks, 0, "", frozenset()).evidence
    assert len({each.check for each in found}) == len(hooks) == len(set(hooks.values()))


def test_a_hook_whose_tool_is_missing_is_no_green_check() -> None:
    said = shown("types", "Passed", "types is not installed: nothing was checked by it")
    output = GREEN.replace(shown("types", "Passed"), said)
    found = linted.judged(HOOKS, 0, output, TRACKED)
    assert "types" not in {line.check for line in found.evidence}
    assert found.tables[0].rows == (("types", "its tool is not installed; CI requires it"),)
