"""Policy, gates: what leaves the lists of gates, their modules or the planted faults is named."""

import pytest

from changes import Texts, change
from conftest import ROOT
from preflight.policy import machinery

LISTS = "src/preflight/gates/__init__.py"
FAULTS = "tests/faults/quality.py"


def named(before: Texts, after: Texts) -> list[str]:
    """What is said about two sets of files."""
    return [str(each) for each in machinery.removed(change(before, after))]


@pytest.mark.parametrize(
    "path", ["src/preflight/gates/quality.py", "src/preflight/stages/validate.py"]
)
def test_a_removed_module_is_named(path: str) -> None:
    assert named({path: "LIMIT = 1\n"}, {}) == [f"gate removed: {path}"]
    assert named({path: "LIMIT = 1\n"}, {path: "LIMIT = 2\n"}) == []


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("GATES = ('a', 'b')", "GATES = ('a',)", ["gate removed: GATES: b"]),
        ("CODE_SUITES = ('a',)", "CODE_SUITES = ()", ["gate removed: CODE_SUITES: a"]),
        ("TIMED = ('a', 'b')", "TIMED = ('b',)", ["gate removed: TIMED: a"]),
        ("LINT = ('lint',)", "LINT = ()", ["gate removed: LINT: lint"]),
        ("GATES: tuple[X, ...] = (a.judge, b)", "GATES = (b,)", ["gate removed: GATES: a.judge"]),
        ("SUITES = (x('a'), x('b'))", "SUITES = (x('b'),)", ["gate removed: SUITES: x('a')"]),
        ("REQUIRED = (*GATES, 'unit')", "REQUIRED = ('unit',)", ["gate removed: REQUIRED: *GATES"]),
        ("GATES = ('a',)", "GATES = ('b', 'a')", []),
        ("OTHER = ('a',)", "OTHER = ()", []),
    ],
)
def test_an_entry_that_leaves_a_list_is_named(before: str, after: str, said: list[str]) -> None:
    assert named({LISTS: before}, {LISTS: after}) == said


@pytest.mark.parametrize("after", ["", "GATES = tuple(found())", "GATES = (", "GATES = ('a',)[:0]"])
def test_a_list_that_can_no_longer_be_read_is_named(after: str) -> None:
    expected = ["list of gates removed: GATES a -> no literal tuple"]
    assert named({LISTS: "GATES = ('a',)"}, {LISTS: after}) == expected


def test_a_list_that_is_cut_later_in_the_module_is_named() -> None:
    after = "GATES = ('a', 'b')\nGATES = GATES[:1]\n"
    assert len(named({LISTS: "GATES = ('a', 'b')"}, {LISTS: after})) == 1


@pytest.mark.parametrize("plant", ["Fault('noise', 1)", "Fault(name='noise')", "x.Fault('noise')"])
def test_a_planted_fault_that_goes_is_named(plant: str) -> None:
    expected = ["planted fault removed: tests/faults: noise"]
    assert named({FAULTS: plant}, {FAULTS: "x = 1"}) == expected
    assert named({FAULTS: plant}, {}) == expected


def test_a_planted_fault_that_moves_is_not_named() -> None:
    assert named({FAULTS: "Fault('noise')"}, {"tests/faults/noise.py": "Fault('noise', 2)"}) == []


def test_every_list_of_this_repository_is_read() -> None:
    lists = machinery.named((ROOT / LISTS).read_text())
    assert {"GATES", "TIMED", "LINT", "REQUIRED"} <= lists.keys() <= set(machinery.TUPLES)
    assert "policy" in lists["REQUIRED"]
