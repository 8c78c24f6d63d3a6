"""Nothing is declared without its evidence: each way to lack it is a finding of its own."""

from collections.abc import Iterable
from pathlib import Path

import pytest

from declared import environment, tree
from fake_github import green
from preflight.deploy import lint, rules
from preflight.evidence import Part, digest, packed
from preflight.gates import REQUIRED
from preflight.release import EVIDENCE, Release
from records import record

COMMIT, OTHER = "a" * 40, "c" * 40
PLACE = EVIDENCE.format(environment="staging")


def parts(commit: str = COMMIT, without: str = "", status: str = "pass") -> list[Part]:
    """Evidence of each required gate, one of them missing or of another status."""
    found = {gate: green(commit, gate) for gate in REQUIRED}
    if without:
        del found[without]
    line = found["data"].evidence[0].model_copy(update={"status": status})
    found["data"] = found["data"].model_copy(update={"evidence": (line,)})
    return list(found.values())


def told(root: Path, found: Iterable[Part] | str | None, evidence: str = "") -> str:
    """What the rule says of staging, whose record names `evidence`, else what lies there."""
    text = found if isinstance(found, str) else packed(found or ())
    if found is not None:
        (root / PLACE).parent.mkdir(parents=True, exist_ok=True)
        (root / PLACE).write_text(text)
    named = evidence or (digest(found) if found and not isinstance(found, str) else "3" * 64)
    known = Release.model_validate(record(environment="staging", commit=COMMIT, evidence=named))
    given = tree(environment(record=known), root=root)
    return "\n".join(map(str, rules.admission.proven(given)))


def test_whole_evidence_of_the_commit_breaks_no_rule(tmp_path: Path) -> None:
    assert not told(tmp_path, parts())


def test_before_the_first_release_nothing_is_asked(tmp_path: Path) -> None:
    assert not list(rules.admission.proven(tree(root=tmp_path)))


def test_a_record_without_evidence_is_found(tmp_path: Path) -> None:
    said = told(tmp_path, None)
    assert said.startswith(f"{PLACE}: found no file; expected the evidence of 3-aaaaaaaaaaaa.")


def test_another_evidence_than_the_record_names_is_found(tmp_path: Path) -> None:
    said = told(tmp_path, parts(), evidence="5" * 64)
    assert f"{PLACE}: digest: found {digest(parts())}; expected {'5' * 64}." in said


def test_evidence_of_another_commit_is_found(tmp_path: Path) -> None:
    assert f"commit of gates: found {OTHER}; expected {COMMIT}." in told(tmp_path, parts(OTHER))


def test_one_part_of_another_commit_is_found_by_its_gate(tmp_path: Path) -> None:
    mixed = [*parts(without="load"), green(OTHER, "load")]
    said = told(tmp_path, mixed)
    assert f"commit of load: found {OTHER}; expected {COMMIT}." in said
    assert "commit of gates" not in said


@pytest.mark.parametrize("status", ["fail", "no-data"])
def test_a_gate_that_did_not_pass_is_found(tmp_path: Path, status: str) -> None:
    said = told(tmp_path, parts(status=status))
    assert f"gate data: found {status}; expected pass." in said
    assert f"gates that pass: found {len(REQUIRED) - 1} of {len(REQUIRED)}" in said


def test_a_gate_that_left_nothing_is_found(tmp_path: Path) -> None:
    said = told(tmp_path, parts(without="rehearsal"))
    assert "gate rehearsal: found no evidence; expected pass." in said


@pytest.mark.parametrize("text", ["{}", '{"data": {}}', "no json", '{"load": 1'])
def test_what_is_no_evidence_is_found(tmp_path: Path, text: str) -> None:
    assert PLACE in told(tmp_path, text)


def test_the_lint_runs_the_rule() -> None:
    assert rules.admission.proven in [each.check for each in lint.RULES]
