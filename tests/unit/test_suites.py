"""Each suite leaves evidence: whole, honest about what did not run, and there after a crash."""

import subprocess
import sys
from pathlib import Path

import pytest

from conftest import ROOT
from preflight import evidence, suites, workspace
from preflight.evidence import Evidence, Part

COMMIT = "c0ffee" * 6 + "abcd"
PASSES = "def test_a_thing_holds():\n    pass\n"
MIXED = '''
import pytest

def test_a_sum_is_right():
    """Two and two make four

    and never five.
    """
    assert 2 + 2 == 5

@pytest.fixture
def broken():
    raise OSError("disk on fire " + "x" * 900)

def test_that_needs_the_broken_fixture(broken):
    pass

@pytest.fixture
def untidy():
    yield
    raise ValueError("left a mess \\ud800 \\x1b[31m")

def test_that_leaves_a_mess(untidy):
    pass

@pytest.mark.skip(reason="no network here")
def test_of_the_network():
    pass

@pytest.mark.parametrize("name", ["zone-far", "zone-odd", "distance-odd"])
def test_of_kinds(name):
    assert not name.startswith("zone-o")
'''


def session(root: Path, *arguments: str, **modules: str) -> int:
    """Run a small tree's tests with the plugin; modules as SUITE="code". Returns the status."""
    for suite, code in modules.items():
        path = root / "tests" / suite / f"test_{suite}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(code)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", "/dev/null"]
    command += ["--rootdir", str(root), "--import-mode=importlib", "-p", "preflight.suites"]
    command += ["--evidence", "found", "--evidence-commit", COMMIT]
    done = subprocess.run(
        [*command, *(arguments or ["tests"])],
        cwd=root,
        env=workspace.environment(ROOT) | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode


def part(root: Path, suite: str) -> Part:
    """A suite's evidence."""
    return evidence.read(root / "found" / f"{suite}.json")


def whole(root: Path, suite: str) -> Evidence:
    """The line on the suite as a whole."""
    return part(root, suite).evidence[0]


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tree after a session with every outcome in one suite, and a sound suite beside it."""
    root = tmp_path_factory.mktemp("mixed")
    beside = PASSES + "import pytest\ndef test_of_late():\n    pytest.skip('no model')\n"
    assert session(root, oddities=MIXED, unit=beside) == 1
    return root


def test_a_suite_whose_tests_pass_passes_and_says_how_many_it_skipped(mixed: Path) -> None:
    found = part(mixed, "unit")
    (line,) = found.evidence
    assert (line.status, line.claim, line.n) == ("pass", "Every unit test passes.", 1)
    assert line.found.startswith("1 passed, 1 skipped in ")
    assert line.reproduce == "make test"
    assert found.commit == COMMIT
    assert [table.rows for table in found.tables] == [
        (("tests/unit/test_unit.py::test_of_late", "no model"),)
    ]


def test_a_failed_test_fails_its_suite_and_no_other(mixed: Path) -> None:
    line = whole(mixed, "oddities")
    assert (line.status, line.n) == ("fail", 6)
    assert line.found.startswith("4 failed, 2 passed, 1 skipped in ")
    assert line.reproduce == "make gates ONLY=oddities"


def test_a_failed_test_is_named_with_its_claim_its_reason_and_its_command(mixed: Path) -> None:
    line = part(mixed, "oddities").evidence[1]
    nodeid = "tests/oddities/test_oddities.py::test_a_sum_is_right"
    assert (line.check, line.status) == ("test-1", "fail")
    assert line.claim == "Two and two make four."
    assert line.found == f"{nodeid}: assert (2 + 2) == 5"
    assert line.reproduce == f".venv/bin/pytest {nodeid}"


def test_an_error_before_or_after_a_test_is_a_failure_in_bounded_printable_text(
    mixed: Path,
) -> None:
    before, after = part(mixed, "oddities").evidence[2:4]
    assert "OSError: disk on fire" in before.found
    assert len(before.found) == 300
    assert before.claim == "That needs the broken fixture."
    assert after.found.endswith("ValueError: left a mess [31m")


def test_results_are_counted_by_kind_of_oddity_the_failed_first(mixed: Path) -> None:
    kinds = part(mixed, "oddities").tables[0]
    assert kinds.columns == ("kind", "cases", "failed")
    assert ("odd", 2, 1) in kinds.rows
    assert ("far", 1, 0) in kinds.rows
    assert [row[2] for row in kinds.rows] == [1, 1, 1, 1, 0]


def test_a_module_that_cannot_be_imported_fails_its_suite(tmp_path: Path) -> None:
    assert session(tmp_path, unit="def test_(:\n", integration=PASSES) == 2
    broken = part(tmp_path, "unit")
    assert broken.status == "fail"
    assert broken.evidence[1].claim == "The module can be collected."
    assert "SyntaxError" in broken.evidence[1].found
    other = whole(tmp_path, "integration")
    assert (other.status, other.n) == ("no-data", 0)


def test_a_session_that_dies_half_way_leaves_no_data(tmp_path: Path) -> None:
    died = (
        PASSES
        + "def test_end():\n    import os, signal\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert session(tmp_path, unit=died) == -9
    line = whole(tmp_path, "unit")
    assert line.status == "no-data"
    assert line.found == "the suite did not finish: 0 of 2 tests came to an end"


@pytest.mark.parametrize("end", ["pytest.exit('enough')", "raise KeyboardInterrupt"])
def test_an_interrupted_session_is_no_data_for_every_suite(tmp_path: Path, end: str) -> None:
    stopped = f"import pytest\n{PASSES}def test_end():\n    {end}\n"
    assert session(tmp_path, base_case=PASSES, unit=stopped) == 2
    assert whole(tmp_path, "base-case").status == "no-data"
    assert whole(tmp_path, "unit").status == "no-data"
    assert whole(tmp_path, "unit").n == 1


def test_a_suite_that_skips_everything_or_has_no_test_is_no_data(tmp_path: Path) -> None:
    skipping = "import pytest\npytest.skip('no model', allow_module_level=True)\n"
    session(tmp_path, "tests/unit", "tests/integration", unit=skipping, integration="")
    assert whole(tmp_path, "unit").status == "no-data"
    assert whole(tmp_path, "unit").found == "no test ran: 1 skipped in 0 s"
    assert whole(tmp_path, "integration").found == "no test ran: no test in 0 s"


@pytest.mark.parametrize(
    "arguments", [("tests/unit", "-k", "holds"), ("tests/unit/test_unit.py::test_a_thing_holds",)]
)
def test_a_part_of_a_suite_is_no_pass(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    session(tmp_path, *arguments, unit=PASSES + "def test_other():\n    pass\n")
    line = whole(tmp_path, "unit")
    assert (line.status, line.n) == ("no-data", 1)
    assert "only a part of the suite was asked for: 1 passed" in line.found


def test_an_older_pass_does_not_outlive_a_session_that_cannot_start(tmp_path: Path) -> None:
    session(tmp_path, "tests/unit", unit=PASSES)
    assert whole(tmp_path, "unit").status == "pass"
    assert session(tmp_path, "tests/unit", "tests/absent") == 4
    assert whole(tmp_path, "unit").status == "no-data"


def test_evidence_needs_a_whole_commit(tmp_path: Path) -> None:
    assert session(tmp_path, "tests", "--evidence-commit", "HEAD", unit=PASSES) == 4
    assert not (tmp_path / "found").exists()


def test_at_most_thirty_failures_are_listed() -> None:
    suite = suites.Suite("unit", failed={f"tests/unit/test_x.py::{n}": "no" for n in range(45)})
    found = suite.part(COMMIT, cut=False)
    assert len(found.evidence) == 31
    assert "45 failed" in found.evidence[0].found
    assert "15 failures are not listed" in found.evidence[0].found


def test_a_suite_is_a_folder_below_tests() -> None:
    assert suites.suite_of("tests/base_case/test_x.py::test_y[a::b]") == "base-case"
    assert suites.suite_of("tests/conftest.py") is None
    assert suites.suite_of("src/unit/test_x.py") is None


@pytest.mark.parametrize("length", [10, 100, 400])
def test_the_command_of_a_failure_fits_its_field(length: int) -> None:
    nodeid = f"tests/unit/test_{'x' * length}.py::test_y[it's]"
    suite = suites.Suite("unit", failed={nodeid: "no"})
    assert len(suite.part(COMMIT, cut=False).evidence[1].reproduce) <= 120


PARALLEL = ("tests", "-p", "xdist", "-n", "2")


def test_tests_that_run_in_parallel_leave_the_same_evidence(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    mixed = MIXED.replace("\\ud800 ", "")  # no process could send it to another
    assert session(one, unit=mixed) == session(two, *PARALLEL, unit=mixed) == 1
    lines, others = part(one, "unit").evidence, part(two, "unit").evidence
    assert others[0].found.rpartition(" in ")[0] == lines[0].found.rpartition(" in ")[0]
    plain = {(line.claim, line.found, line.status) for line in lines[1:]}
    assert {(line.claim, line.found, line.status) for line in others[1:]} == plain


def test_a_part_of_the_tests_in_parallel_is_no_data(tmp_path: Path) -> None:
    session(tmp_path, *PARALLEL, "-k", "holds", unit=PASSES + "\ndef test_other():\n    pass\n")
    assert whole(tmp_path, "unit").status == "no-data"


def test_a_module_that_breaks_in_parallel_is_a_failure(tmp_path: Path) -> None:
    session(tmp_path, *PARALLEL, unit="import nothing_of_this_name\n")
    assert whole(tmp_path, "unit").status == "fail"


def test_a_process_that_dies_in_parallel_is_a_failure(tmp_path: Path) -> None:
    dies = "import os\n\ndef test_dies():\n    os._exit(9)\n"
    session(tmp_path, *PARALLEL, unit=PASSES, integration=dies)
    assert whole(tmp_path, "unit").status == "pass"
    assert whole(tmp_path, "integration").status == "fail"
