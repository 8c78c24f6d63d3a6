"""Each gate leaves a part whatever happens, and the merge base's code and limits judge."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from conftest import ROOT, commit, git
from preflight import evidence, params
from preflight.champion import Champion
from preflight.errors import NoData, Problem
from preflight.evidence import Findings, Part, told
from preflight.gates import GATES, run, trusted
from preflight.gates.run import Run
from preflight.layout import EVIDENCE

FINE = Findings(evidence=(told("any", "one", "It holds.", True, "it does"),))
TOY = """
class CONTRACT:
    @staticmethod
    def as_dict():
        return {"name": "toy"}
"""


def raising(error: Exception) -> Callable[..., Findings]:
    """A gate that raises."""

    def judge(*_: object) -> Findings:
        raise error

    return judge


def test_what_a_gate_finds_is_kept_as_it_is() -> None:
    assert run.judged("quality", lambda: FINE) is FINE


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (NoData("the rows", "3", "at least 9", ""), "no-data", "the rows: 3; expected at least 9"),
        (Problem("the champion", "a", "b", "c"), "fail", "the champion: found a; expected b"),
        (TypeError("no"), "fail", "it crashed: TypeError at test_gates_run.py"),
        (KeyError("x" * 900), "fail", "it crashed: KeyError at"),
        (SystemError(), "fail", "it crashed: SystemError at"),
    ],
)
def test_what_a_gate_raises_is_evidence_and_never_a_pass(
    error: Exception, status: str, said: str
) -> None:
    (found,) = run.judged("quality", raising(error)).evidence
    assert (found.gate, found.status) == ("quality", status)
    assert found.found.startswith(said)


def test_an_interrupt_is_no_evidence() -> None:
    def judge() -> Findings:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run.judged("quality", judge)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository of a toy project with two commits."""
    git(tmp_path, "init", "--quiet", "--initial-branch=main")
    raw = params.read(ROOT / "params.yaml") | {"project": "toy"}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(raw))
    (tmp_path / "src/toy").mkdir(parents=True)
    (tmp_path / "src/toy/contract.py").write_text(TOY)
    (tmp_path / ".gitignore").write_text("reports/\n.preflight/\n")
    commit(tmp_path, "First")
    (tmp_path / "change").touch()
    commit(tmp_path, "Second")
    return tmp_path


@pytest.fixture
def judges(monkeypatch: pytest.MonkeyPatch) -> dict[str, Callable[..., Findings]]:
    """Gates by name that a test may replace; both sides are brought without any work."""
    found: dict[str, Callable[..., Findings]] = dict.fromkeys(("pipeline", *GATES), lambda _: FINE)

    @contextmanager
    def opened(*_: object) -> Iterator[None]:
        yield None

    def module(name: str) -> SimpleNamespace:
        return SimpleNamespace(judge=found[name.rsplit(".", 1)[1]])

    monkeypatch.setattr(run, "restored", lambda _: None)
    monkeypatch.setattr("preflight.champion.bring", lambda _, champion: champion)
    monkeypatch.setattr("preflight.champion.resolve", lambda *_: Champion("baseline"))
    monkeypatch.setattr(run, "opened", opened)
    monkeypatch.setattr(run, "import_module", module)
    return found


Judges = dict[str, Callable[..., Findings]]


def statuses(parts: list[Part]) -> dict[str, str]:
    """What each gate came to."""
    return {part.gate: part.status for part in parts}


def test_one_gates_crash_does_not_stop_the_others(repository: Path, judges: Judges) -> None:
    judges["data"] = raising(ZeroDivisionError("by zero"))
    judges["slices"] = raising(NoData("rows", "0", "more", ""))
    parts = Run(repository, "guards").all(["pipeline", *GATES])
    expected = dict.fromkeys(("pipeline", *GATES), "pass") | {"data": "fail", "slices": "no-data"}
    assert statuses(parts) == expected
    kept = evidence.collect(repository / EVIDENCE, parts[0].commit, ["pipeline", *GATES])
    assert list(kept) == parts


def test_only_the_gates_named_run(repository: Path, judges: Judges) -> None:
    assert list(statuses(Run(repository, "guards").all(["quality"]))) == ["quality"]


def test_without_a_model_nothing_passes_and_the_reason_stands(
    repository: Path, judges: Judges, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "restored", raising(Problem("dvc.lock", "old", "new", "")))
    parts = Run(repository, "guards").all(["pipeline", "quality", "base-case"])
    found = {"pipeline": "fail", "quality": "no-data", "base-case": "no-data"}
    assert statuses(parts) == found
    assert all(word in parts[0].evidence[0].found for word in ("dvc.lock", "old", "new"))
    assert "no candidate model" in parts[1].evidence[0].found


def test_without_the_champion_nothing_passes_and_the_reason_stands(
    repository: Path, judges: Judges, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("preflight.champion.bring", raising(Problem("the champion", "x", "y", "")))
    parts = Run(repository, "guards").all(["pipeline", *GATES])
    expected = {"pipeline": "fail"} | dict.fromkeys(GATES, "no-data")
    assert statuses(parts) == expected
    assert "no champion" in parts[1].evidence[0].found


def processes(say: Callable[[list[str]], object]) -> SimpleNamespace:
    """The module subprocess, with `run` replaced."""
    plain = {name: getattr(subprocess, name) for name in ("DEVNULL", "TimeoutExpired")}
    return SimpleNamespace(run=lambda command, **_: say(command), **plain)


def test_a_suites_own_evidence_is_taken(
    repository: Path, judges: Judges, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = git(repository, "rev-parse", "HEAD").strip()
    part = Part(gate="base-case", commit=ours, seconds=1.0, evidence=FINE.evidence)

    def write(command: list[str]) -> None:
        assert "tests/base_case" in command
        evidence.write(repository / EVIDENCE, part)

    monkeypatch.setattr(run, "subprocess", processes(write))
    assert Run(repository, "guards").all(["base-case"]) == [part]


def test_a_suite_that_wrote_nothing_is_no_data_though_it_once_did(
    repository: Path, judges: Judges, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = git(repository, "rev-parse", "HEAD").strip()
    old = Part(gate="base-case", commit=ours, seconds=1.0, evidence=FINE.evidence)
    evidence.write(repository / EVIDENCE, old)
    monkeypatch.setattr(run, "subprocess", processes(lambda _: None))
    assert statuses(Run(repository, "guards").all(["base-case"])) == {"base-case": "no-data"}


def test_a_suite_that_takes_too_long_does_not_stop_the_gates(
    repository: Path, judges: Judges, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hang(command: list[str]) -> None:
        raise subprocess.TimeoutExpired(command, 600)

    monkeypatch.setattr(run, "subprocess", processes(hang))
    found = statuses(Run(repository, "guards").all(["base-case", "quality"]))
    assert found["base-case"] != "pass"
    assert found["quality"] == "pass"


def test_the_limits_are_those_of_the_base_and_what_it_lacks_is_told(
    repository: Path, judges: Judges
) -> None:
    raw = params.read(repository / "params.yaml")
    rmse = raw["gates"]["quality"].pop("max_rmse")
    bias = raw["gates"]["slices"]["max_bias"]
    (repository / "params.yaml").write_text(yaml.safe_dump(raw))
    commit(repository, "Take one out")
    raw["gates"]["quality"]["max_rmse"] = 50.0
    raw["gates"]["slices"]["max_bias"] = 50.0
    (repository / "params.yaml").write_text(yaml.safe_dump(raw))
    commit(repository, "Loosen two")
    made = Run(repository, "guards")
    assert made.limits.quality.max_rmse == 50.0 != rmse
    assert made.limits.slices.max_bias == bias
    quality, slices = made.all(["quality", "slices"])
    (notice,) = quality.notices
    assert "the merge base lacks gates.quality.max_rmse" in notice.text
    assert slices.notices == ()


def test_the_first_commit_has_no_guards_to_loosen(repository: Path) -> None:
    git(repository, "checkout", "--quiet", "--detach", "HEAD~1")
    git(repository, "branch", "--quiet", "--force", "main", "HEAD")
    (part,) = Run(repository, "this commit's own").all(["policy"])
    assert [(each.check, each.status) for each in part.evidence] == [("first", "pass")]
    assert [(each.kind, each.text) for each in part.notices] == [("guards", "this commit's own")]


def test_contracts_are_those_of_both_commits_by_their_own_code(repository: Path) -> None:
    path = repository / "src/toy/contract.py"
    path.write_text(TOY.replace('"toy"', '"other"'))
    commit(repository, "Rename")
    found = run.contracts_of(repository, *both(repository))
    assert found == ({"name": "toy"}, {"name": "other"})


def both(root: Path) -> tuple[str, str]:
    """The commit before and the commit."""
    before, ours = (git(root, "rev-parse", name).strip() for name in ("HEAD~1", "HEAD"))
    return before, ours


def test_a_contract_that_no_longer_loads_is_a_problem(repository: Path) -> None:
    (repository / "src/toy/contract.py").write_text("CONTRACT = 1 / 0\n")
    commit(repository, "Break it")
    with pytest.raises(Problem, match="none that loads"):
        run.contracts_of(repository, *both(repository))


def test_a_base_whose_contract_never_loaded_is_none(repository: Path) -> None:
    (repository / "src/toy/contract.py").write_text("CONTRACT = 1 / 0\n")
    commit(repository, "Break it")
    (repository / "src/toy/contract.py").write_text(TOY)
    commit(repository, "Mend it")
    assert run.contracts_of(repository, *both(repository)) is None


Calls = list[tuple[str, str, list[str]]]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    """Code, guards and gates of each judging process; the base's code has two gates."""
    found: Calls = []

    def say(command: list[str], **words: Any) -> SimpleNamespace:
        if command[-1] != "--list":
            found.append((words["env"]["PYTHONPATH"].split(":")[0], command[5], command[6:]))
        return SimpleNamespace(returncode=0, stdout="data\nquality\n")

    monkeypatch.setattr(trusted, "subprocess", SimpleNamespace(run=say))
    monkeypatch.setattr("preflight.params.load", lambda _: None)
    monkeypatch.setattr("preflight.gates.limits.load", lambda _: None)
    return found


def code_of(root: Path, commit: str) -> str:
    """Where a commit's machinery lies alone."""
    return str(root / ".preflight/sources" / commit[:12] / "machinery")


def machinery(root: Path, text: str) -> None:
    """Commit the code of the gates."""
    (root / "src/preflight/gates").mkdir(parents=True, exist_ok=True)
    (root / "src/preflight/gates/gate.py").write_text(text)
    commit(root, "Machinery")


def test_gates_that_a_change_leaves_alone_judge_it(repository: Path, calls: Calls) -> None:
    machinery(repository, "the same on both sides")
    (repository / "note").touch()
    commit(repository, "Note")
    trusted.gates(repository, ["data", "quality"])
    base = git(repository, "rev-parse", "HEAD~1").strip()[:12]
    said = f"gate code and limits of the merge base {base}"
    assert calls == [(code_of(repository, base), said, ["data", "quality"])]


def test_gates_that_a_change_edits_do_not_judge_it(repository: Path, calls: Calls) -> None:
    machinery(repository, "strict")
    base = git(repository, "rev-parse", "HEAD").strip()
    machinery(repository, "lenient")
    trusted.gates(repository, ["data", "quality", "slices"])
    (theirs, said, names), (ours, why, new) = calls
    assert (Path(theirs) / "preflight/gates/gate.py").read_text() == "strict"
    assert not (Path(theirs) / "toy").exists()
    assert (said, names) == (f"gate code and limits of the merge base {base[:12]}", names)
    head = git(repository, "rev-parse", "HEAD").strip()
    assert (ours, new) == (code_of(repository, head), ["slices"])
    assert "has no gate code for slices" in why


def test_the_first_commit_is_judged_by_its_own_gates(repository: Path, calls: Calls) -> None:
    git(repository, "checkout", "--quiet", "--detach", "HEAD~1")
    git(repository, "branch", "--quiet", "--force", "main", "HEAD")
    trusted.gates(repository, ["data"])
    code = code_of(repository, git(repository, "rev-parse", "HEAD").strip())
    assert calls == [(code, "this commit's own: it is the first", ["data"])]


def test_a_gate_of_no_such_name_is_a_problem(repository: Path, calls: Calls) -> None:
    with pytest.raises(Problem, match="ONLY: found qualty"):
        trusted.gates(repository, ["data", "qualty"])
    assert calls == []


def test_a_tree_with_changes_of_its_own_is_not_judged(repository: Path, calls: Calls) -> None:
    (repository / "params.yaml").write_text("{}")
    with pytest.raises(Problem, match="uncommitted changes"):
        trusted.gates(repository, ["data"])
    assert calls == []
