"""The whole way on one machine: where it ends early, and what it says."""

import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from conftest import ROOT, change_params, git
from fake_github import green
from preflight import champion, evidence, lineage
from preflight.champion import Champion
from preflight.delivery import here, landing
from preflight.errors import Problem
from preflight.evidence import told
from preflight.gates import REQUIRED
from preflight.journal import Journal
from preflight.layout import EVIDENCE
from preflight.rehearsal import rehearsed
from released import release, release_of, started


@pytest.fixture
def root(tmp_path: Path) -> Path:
    found = started(tmp_path / "root")
    release(found, release_of("1", "pending", environment="staging"))
    (found / ".git/info/exclude").write_text("/reports\n/.preflight\n/params.yaml\n/overlay.yaml\n")
    return found


@pytest.fixture
def way(root: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[here._Way, list[tuple[str, ...]]]:
    """A way whose commands are noted, and not run; its scratch clone is the checkout."""
    asked: list[tuple[str, ...]] = []

    def noted(_: Path, *words: str) -> SimpleNamespace:
        asked.append(words)
        return SimpleNamespace(stdout="said\n", stderr="")

    monkeypatch.setattr(here, "run", noted)
    return here._Way(root, root, Journal("release")), asked


def test_a_red_gate_ends_it_before_anything_is_made(root: Path) -> None:
    commit = lineage.head(root)
    for gate in REQUIRED:
        evidence.write(root / EVIDENCE, green(commit, gate))
    red = told("quality", "rmse", "It holds.", False, "7.1")
    part = green(commit, "quality").model_copy(update={"evidence": (red,)})
    evidence.write(root / EVIDENCE, part)
    with pytest.raises(Problem, match=r"fail: quality \(rmse: 7\.1\)"):
        here.release_here(root)
    assert not (root / here.PLACE).exists()


def test_a_dirty_tree_is_refused(root: Path) -> None:
    (root / "dvc.lock").write_text("stages: {x: {}}\n")
    with pytest.raises(Problem, match="uncommitted changes"):
        here.release_here(root)


def test_evidence_that_is_missing_is_made_and_asked_again(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = lineage.head(root)

    def reported(command: tuple[str, ...], **_: Any) -> None:
        assert command == ("preflight", "report", "--run")
        for gate in REQUIRED:
            evidence.write(root / EVIDENCE, green(commit, gate))

    monkeypatch.setattr(subprocess, "run", reported)
    monkeypatch.setattr(lineage, "head", lambda _: commit)
    journal = Journal("release")
    here._evidence(here._Way(root, root, journal))
    assert journal.steps[0][1] == f"{len(REQUIRED)} gates green on {commit[:12]}"


@pytest.mark.parametrize(("state", "ended"), [("aborted", "aborted"), ("promoted", "promoted")])
def test_a_rollouts_end_goes_into_the_record_and_a_bad_one_ends_it(
    way: tuple[here._Way, list[tuple[str, ...]]],
    monkeypatch: pytest.MonkeyPatch,
    state: str,
    ended: str,
) -> None:
    made, asked = way
    rival = Champion("baseline")
    monkeypatch.setattr(champion, "resolve", lambda *_: rival)
    monkeypatch.setattr(champion, "bring", lambda *_: rival)
    monkeypatch.setattr(rehearsed, "releases", lambda *_: (SimpleNamespace(), SimpleNamespace()))
    found = SimpleNamespace(state=state, reason="errors")
    monkeypatch.setattr(rehearsed, "between", lambda *_: (found, Path("x.json")))
    record = here._current(made.scratch, "staging")
    if ended == "aborted":
        with pytest.raises(Problem, match="found aborted: errors"):
            here._roll_out(made, record, made.root)
    else:
        here._roll_out(made, record, made.root)
    words = ("preflight", "settle", "staging", record.id, ended, "--reason", "errors")
    assert asked == [words]


def test_a_tier_that_asks_for_an_approval_ends_it_at_the_proposal(
    way: tuple[here._Way, list[tuple[str, ...]]],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    made, _ = way
    shutil.copy(ROOT / "params.yaml", made.root)
    monkeypatch.setattr(landing, "land_here", lambda *_: "landed")
    assert here._land(made) == "production"
    change_params(made.root, risk={"tier": "high"}, log={"explain": True})
    assert here._land(made) == "staging"
    assert "tier high asks for 1 approval" in caplog.text


def test_without_a_record_it_says_so(root: Path) -> None:
    git(root, "rm", "--quiet", "deploy/overlays/staging/release.yaml")
    with pytest.raises(Problem, match="found no record"):
        here._current(root, "staging")


def test_a_journal_tells_its_steps_and_how_long_it_took_to_one(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    journal = Journal("release")
    for name in ("one", "two"):
        with journal.step(name) as say:
            say(f"{name} is done")
    journal.steps = [(name, said, 2.0) for name, said, _ in journal.steps]
    assert (journal.seconds("one"), journal.seconds()) == (2.0, 4.0)
    journal.show()
    assert caplog.messages[0] == "release: one …"
    assert "two     2.0 s  two is done" in caplog.text
