"""The fault catalogue is whole: its changes fit this tree, and every gate has one."""

import shutil
from pathlib import Path

import pytest
import yaml

from conftest import ROOT, git
from faults import house
from faults.__main__ import chosen, possible
from faults.catalogue import FAULTS
from faults.fault import Fault, ReleaseFault
from faults.honest import Honest, generated
from faults.releases import RELEASES
from faults.study import PLANTED, Outcome, Power, Study
from preflight import params
from preflight.chain.verify import REMEDIES
from preflight.cli import main
from preflight.gates import CODE_SUITES, REQUIRED

HONEST = generated()
# The others only set parameters.
EDITS = [*FAULTS, *(each for each in HONEST if each.kind not in ("seeds", "parameters", "months"))]


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This tree's files under the study's profile, without a pipeline's run."""
    place = tmp_path_factory.mktemp("tree")
    for name in git(ROOT, "ls-files", "--cached", "--others", "--exclude-standard").splitlines():
        if (ROOT / name).is_file():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, place / name)
    merged = params.merged(ROOT / "params.yaml", house.PROFILE)
    (place / "params.yaml").write_text(yaml.safe_dump(merged, sort_keys=False))
    for month in ("2021-01", "2021-02", "2021-03"):
        (place / f"data/raw/{month}.parquet").touch()
    (place / "models/packaged").mkdir(parents=True)
    (place / ".git/info").mkdir(parents=True)
    return place


@pytest.mark.parametrize("each", EDITS, ids=lambda each: each.name)
def test_a_change_fits_this_tree(each: Fault | Honest, tree: Path, tmp_path: Path) -> None:
    """An edit that no longer finds its text would plant nothing."""
    root = tmp_path / "root"
    shutil.copytree(tree, root, copy_function=lambda a, b: Path(b).hardlink_to(a))
    before = {path: path.stat().st_ino for path in root.rglob("*") if path.is_file()}
    each.change(root)
    after = {path: path.stat().st_ino for path in root.rglob("*") if path.is_file()}
    assert before != after
    assert all(path.stat().st_nlink == 1 for path in after if before.get(path) != after[path])


def test_every_gate_has_a_fault_that_it_must_catch() -> None:
    caught = {fault.gate for fault in FAULTS}
    assert caught - set(CODE_SUITES) == set(REQUIRED) - set(CODE_SUITES)
    assert all(bool(fault.test) == (fault.gate in CODE_SUITES) for fault in FAULTS)


def test_there_are_enough_of_both_and_names_are_told_apart() -> None:
    assert len(FAULTS) >= 36
    assert len(HONEST) >= 150
    names = [each.name for each in PLANTED] + [each.name for each in HONEST]
    assert len(set(names)) == len(names)
    assert sum(each.thorough for each in HONEST) == 10
    assert [each.name for each in generated()] == [each.name for each in HONEST]


def test_the_docs_list_every_fault_with_its_gate_and_its_words() -> None:
    text = (ROOT / "docs/gates.md").read_text()
    for fault in PLANTED:
        row = f"| {fault.name} | {fault.kind} | {fault.gate} | {fault.words} |"
        assert row in text, f"{fault.name}: run `make faults ARGS=--write`"


def test_a_fault_without_its_tool_is_left_out_with_a_word_unless_tools_are_required(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tooled,) = (each for each in FAULTS if each.tool)
    monkeypatch.setattr(shutil, "which", lambda _: None)
    monkeypatch.delenv("PREFLIGHT_REQUIRE_TOOLS", raising=False)
    assert not possible(tooled)
    assert f"left out, as there is no kustomize: {tooled.name}" in capsys.readouterr().err
    assert all(possible(each) for each in FAULTS if not each.tool)
    monkeypatch.setenv("PREFLIGHT_REQUIRE_TOOLS", "1")
    assert possible(tooled)


def test_each_link_of_the_chain_has_a_fault_that_must_break_it() -> None:
    words = [each.words for each in RELEASES if each.gate == "verify"]
    assert all(any(each.startswith(f"{link}: ") for each in words) for link in REMEDIES)


def test_a_release_fault_is_caught_by_a_command_of_ours() -> None:
    assert {each.gate for each in RELEASES} <= set(main.commands)
    assert {each.kind for each in RELEASES} == {"release"}


def test_what_must_go_through_is_told_from_what_must_not() -> None:
    assert [each.name for each in RELEASES if each.passes] == [
        "main moved while a release was pushed"
    ]


def test_a_commits_part_is_of_gates_or_of_releases_and_both_have_their_turn() -> None:
    drawn = [chosen(f"{number:040}", ())[0] for number in range(40)]
    kinds = [{isinstance(each, ReleaseFault) for each in faults} for faults in drawn]
    assert all(len(each) == 1 for each in kinds)
    assert 4 <= kinds.count({True}) <= 18


def part(commit: str) -> tuple[list[str], list[str]]:
    """Names of the faults and honest changes that a commit's hash chooses."""
    faults, honest = chosen(commit, ())
    return [each.name for each in faults], [each.name for each in honest]


def test_a_commits_part_is_small_always_the_same_and_another_one_for_another_commit() -> None:
    assert {len(part(f"{number:040}")[0]) for number in range(20)} == {7, 8}
    assert part("a" * 40) == part("a" * 40)
    assert part("a" * 40) != part("b" * 40)


def outcome(name: str, *, right: bool, gate: str = "") -> Outcome:
    """What became of one trial."""
    return Outcome(name, "data", gate, "words", (), "said", right, 1.0)


def test_a_study_is_green_only_when_every_fault_is_caught() -> None:
    caught, missed = outcome("a", right=True, gate="data"), outcome("b", right=False, gate="data")
    assert Study((caught,), None, 1.0).green
    assert not Study((caught, missed), None, 1.0).green
    assert "GOT THROUGH" not in Study((caught,), None, 1.0).text()
    assert "GOT THROUGH" in Study((caught, missed), None, 1.0).text()
    assert Study((caught, missed), None, 1.0).text().endswith("1 passed, 1 failed")


@pytest.mark.parametrize(("stopped", "green"), [(0, True), (2, True), (3, False)])
def test_a_study_lets_two_honest_changes_in_150_be_stopped(stopped: int, green: bool) -> None:
    trials = [outcome(f"{number}", right=number >= stopped) for number in range(150)]
    assert Study(tuple(trials), None, 1.0).green == green


@pytest.mark.parametrize(
    ("named", "flagged", "green"), [(0.96, 0.0, True), (0.9, 0.0, False), (0.96, 0.1, False)]
)
def test_a_study_wants_power_and_quiet(named: float, flagged: float, green: bool) -> None:
    done = outcome("a", right=True, gate="data")
    assert Study((done,), Power(100, named, 30, flagged), 1.0).green == green


def ran(name: str, seconds: float, *, right: bool = True) -> Study:
    """The study of one planted fault."""
    return Study((Outcome(name, "data", "data", "words", (), "said", right, seconds),), None, 60.0)


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """A page with the table of a whole run, two seconds each."""
    path = tmp_path / "page.md"
    path.write_text("before\n<!-- generated: faults -->\n\n<!-- end: faults -->\nafter\n")
    outcomes = [ran(each.name, 2.0).outcomes[0] for each in PLANTED]
    assert Study(tuple(outcomes), None, 120.0).write(path) == f"written: {path}"
    return path


def test_a_run_of_some_faults_writes_their_rows_and_leaves_the_others(page: Path) -> None:
    before = page.read_text().splitlines()
    assert ran("month twice", 5.0).write(page) == f"written: {page}"
    after = page.read_text().splitlines()
    many = len(PLANTED)
    assert sorted(set(after) - set(before)) == [
        f"- {many} of {many} planted faults caught by their gate; 1 of them in a run of their own",
        "| month twice | data | data | words | 5 |",
    ]
    assert len(before) == len(after)


def test_a_run_of_some_faults_that_missed_one_writes_nothing(page: Path) -> None:
    before = page.read_text()
    assert "not written" in ran("month twice", 5.0, right=False).write(page)
    assert page.read_text() == before


def test_a_fault_that_never_ran_has_no_row_and_the_table_is_not_written(page: Path) -> None:
    page.write_text(page.read_text().replace("| month twice |", "| another |"))
    said = ran("outdated months", 5.0).write(page)
    assert said == "not written: no row of 'month twice'; it never ran"
