"""The gates on a real commit: both sides brought, judged, and reported whatever happens."""

import shutil
from pathlib import Path

import pytest

from conftest import change_params, commit, git, run
from preflight import evidence, lineage
from preflight.evidence import Part
from preflight.gates import REQUIRED, TIMED
from preflight.gates.run import HERE
from preflight.layout import EVIDENCE

PREDICTED = "        found: Matrix = self._output(matrix)\n"
BIASED = '        found = found + 3.0 * (matrix[:, self.features.index("pickup_borough")] == 4)\n'


@pytest.fixture
def branch(built: Path, tmp_path: Path) -> Path:
    """A branch of a clone that shares the small repository's cache, as a contributor has it."""
    root = tmp_path / "checkout"
    shutil.copytree(built, root, symlinks=True)
    git(root, "checkout", "--quiet", "-b", "change")
    return root


def parts(root: Path) -> dict[str, Part]:
    """The evidence of the checkout's HEAD by gate."""
    found = evidence.collect(root / EVIDENCE, lineage.head(root), REQUIRED)
    return {part.gate: part for part in found}


def edit(root: Path, path: str, old: str, new: str) -> None:
    """Replace a text that must be there."""
    text = (root / path).read_text()
    assert old in text
    (root / path).write_text(text.replace(old, new, 1))


@pytest.fixture(scope="module")
def _biased(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A branch with a model that adds three minutes in one borough, its pipeline run."""
    root = tmp_path_factory.mktemp("biased") / "checkout"
    shutil.copytree(built, root, symlinks=True)
    git(root, "checkout", "--quiet", "-b", "change")
    edit(root, "src/taxi/model.py", PREDICTED, PREDICTED + BIASED)
    assert run(root, "dvc", "repro", "--quiet").returncode == 0
    commit(root, "Calibrate boroughs")
    return root


@pytest.fixture
def biased(_biased: Path, tmp_path: Path) -> Path:
    """A copy of that branch, which a test may change."""
    return shutil.copytree(_biased, tmp_path / "checkout", symlinks=True)


def test_a_change_beside_the_model_is_green_in_every_gate(branch: Path) -> None:
    (branch / "docs/note.md").write_text("# A note\n")
    commit(branch, "Note")
    done = run(branch, "preflight", "gates")
    assert done.returncode == 0, done.stderr
    found = parts(branch)
    untimed = [gate for gate in HERE if gate not in TIMED]
    green = {gate: found[gate].status for gate in untimed}
    assert green == dict.fromkeys(untimed, "pass"), done.stderr
    assert "unchanged: both have hash" in found["differential"].evidence[0].found
    # Without the tests' evidence nobody can tell: no data never looks green.
    report = run(branch, "preflight", "report")
    assert report.returncode == 2
    text = (branch / "reports/report.md").read_text()
    assert text.splitlines()[0].startswith(
        "## 🟡 Cannot tell: no data from 7 of 20 gates: benchmark"
    )


def test_a_biased_borough_is_named_in_the_reports_first_screen(biased: Path) -> None:
    assert run(biased, "preflight", "gates", "differential", "slices").returncode == 1
    found = parts(biased)
    assert found["differential"].status == "fail"
    assert run(biased, "preflight", "report").returncode == 1
    screen = (biased / "reports/report.md").read_text()[:2_000]
    assert screen.startswith("## 🔴 Not ready")
    assert "pickup&#95;borough=Northbank" in screen


def test_a_gate_that_the_change_edits_does_not_judge_it(biased: Path) -> None:
    path = "src/preflight/gates/differential.py"
    edit(biased, path, "    if case.rival is None:\n", "    if case.rival is not None:\n")
    change_params(biased, gates={"differential": {"max_slice_shift": 90.0, "max_mean_shift": 90.0}})
    run(biased, "dvc", "commit", "--force", "--quiet")
    edit(biased, "src/preflight/gates/__init__.py", '    "stability",\n', "")
    commit(biased, "Make it green")
    done = run(biased, "preflight", "gates", "differential", "policy", "stability")
    found = parts(biased)
    assert found["stability"].status == "pass", "taken out of the list, and judged all the same"
    assert found["differential"].status == "fail", done.stderr
    assert found["policy"].status == "fail"
    said = " ".join(line.found for line in found["policy"].evidence)
    assert "gates.differential.max_slice_shift" in said
    assert any("merge base" in notice.text for notice in found["policy"].notices)
    assert any(path in notice.text for notice in found["policy"].notices)


def test_training_that_crashes_leaves_evidence_of_every_gate(branch: Path) -> None:
    line = "    lightgbm = boosting.lightgbm()\n"
    edit(branch, "src/taxi/model.py", line, "    raise MemoryError\n")
    commit(branch, "Use less memory")
    assert run(branch, "preflight", "gates").returncode == 1
    found = parts(branch)
    assert found["pipeline"].status == "fail"
    assert "make repro" in found["pipeline"].evidence[0].found
    assert found["policy"].status == "pass"
    assert {found[gate].status for gate in ("quality", "parity", "base-case")} == {"no-data"}
    assert run(branch, "preflight", "report").returncode == 1


def test_a_tree_with_uncommitted_changes_is_not_judged(branch: Path) -> None:
    (branch / "README.md").write_text("changed")
    done = run(branch, "preflight", "gates")
    assert done.returncode == 1
    assert "uncommitted changes (README.md)" in done.stderr


def test_a_misspelt_gate_is_named(branch: Path) -> None:
    done = run(branch, "preflight", "gates", "qualty")
    assert done.returncode == 1
    assert "found qualty" in done.stderr
