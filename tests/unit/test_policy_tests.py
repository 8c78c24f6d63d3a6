"""Policy, tests: a test that was removed, emptied or skipped is named."""

import pytest

from changes import Texts, change
from preflight.policy import tests

PATH = "tests/unit/test_x.py"
TEST = "def test_a():\n    assert f(1) == 2\n"
OTHER = "def test_b():\n    with pytest.raises(ValueError):\n        f(2)\n"
BOTH = f"import pytest\n\n{TEST}\n{OTHER}"


def named(before: Texts, after: Texts) -> list[str]:
    """What is said about two sets of files."""
    return [str(each) for each in tests.weakened(change(before, after))]


def rewritten(after: str, before: str = BOTH) -> list[str]:
    """What is said about two contents of one file of tests."""
    return named({PATH: before}, {PATH: after})


def test_a_removed_test_is_named() -> None:
    assert rewritten(BOTH.replace(OTHER, "")) == [f"test removed: {PATH}::test_b"]


def test_a_removed_method_is_named_with_its_class() -> None:
    before = "class TestX:\n    def test_a(self): assert f()\n    def test_b(self): assert g()\n"
    after = "class TestX:\n    def test_a(self): assert f()\n"
    assert rewritten(after, before) == [f"test removed: {PATH}::TestX::test_b"]


@pytest.mark.parametrize("after", [{}, {PATH: "import pytest\n"}])
def test_a_file_that_lost_all_its_tests_is_named_once(after: Texts) -> None:
    many = "".join(TEST.replace("test_a", f"test_{n}").replace("2", str(n)) for n in range(5))
    assert named({PATH: many}, after) == [
        f"tests removed: {PATH} 5 tests -> none; test_0, test_1, test_2 and 2 more"
    ]


def test_a_file_that_is_no_longer_python_is_named() -> None:
    assert rewritten("def test_a(:\n") == [f"no longer Python: {PATH} 2 tests -> none"]


def test_a_renamed_test_with_an_equal_body_is_not_named() -> None:
    assert rewritten(BOTH.replace("test_b():", "test_c():\n    'Says more.'")) == []


def test_a_renamed_test_whose_body_changed_is_named() -> None:
    after = BOTH.replace("test_b", "test_c").replace("f(2)", "f(3)")
    assert rewritten(after) == [f"test removed: {PATH}::test_b"]


def test_a_test_that_moved_to_another_file_is_not_named() -> None:
    moved = {PATH: BOTH.replace(OTHER, ""), "tests/integration/test_y.py": OTHER}
    assert named({PATH: BOTH}, moved) == []


def test_a_moved_file_is_not_named() -> None:
    assert named({PATH: BOTH}, {"tests/unit/test_y.py": BOTH}) == []


def test_an_equal_test_that_was_there_before_is_no_new_place() -> None:
    before = {PATH: TEST, "tests/unit/test_y.py": TEST}
    assert named(before, {PATH: TEST}) == [
        "tests removed: tests/unit/test_y.py 1 test -> none; test_a"
    ]


@pytest.mark.parametrize("place", ["tests/unit/x.py", "tests/old/test_x.py"])
def test_a_test_that_moved_to_where_pytest_does_not_look_is_named(place: str) -> None:
    settings = {"pyproject.toml": "[tool.pytest.ini_options]\ntestpaths = ['tests/unit']\n"}
    found = named(settings | {PATH: TEST}, settings | {place: TEST})
    assert found == [f"tests removed: {PATH} 1 test -> none; test_a"]


def test_a_class_that_pytest_no_longer_collects_is_named() -> None:
    before = "class TestX:\n    def test_a(self): assert f()\n"
    assert len(rewritten(before.replace("TestX", "X"), before)) == 1


@pytest.mark.parametrize(
    "body",
    [
        *("pass", "...", "return", "'Only words.'", "f(1)", "assert True", "assert 'said'"),
        *("assert (f(1) == 3, 'said')", "f(1)\n    return\n    assert f(1) == 2"),
    ],
)
def test_an_emptied_test_is_named(body: str) -> None:
    after = BOTH.replace("assert f(1) == 2", body)
    assert rewritten(after) == [f"test emptied: {PATH}::test_a 1 check -> none"]


def test_an_emptied_test_that_checked_through_a_helper_is_named() -> None:
    before = "def test_a():\n    refuses(1)\n"
    expected = [f"test emptied: {PATH}::test_a a body -> none"]
    assert rewritten("def test_a():\n    pass\n", before) == expected


@pytest.mark.parametrize(
    "body", ["assert f(1) == 3", "np.testing.assert_allclose(f(1), 2)", "assert_two(f(1))"]
)
def test_a_test_that_checks_otherwise_is_not_named(body: str) -> None:
    assert rewritten(BOTH.replace("assert f(1) == 2", body)) == []


@pytest.mark.parametrize("cases", ["[]", "()", "CASES"])
def test_a_test_left_without_cases_is_named(cases: str) -> None:
    form = "CASES = {}\n\n@pytest.mark.parametrize('x', {})\ndef test_a(x):\n    assert f(x)\n"
    before = form.format("[1]", cases if cases == "CASES" else "[1]")
    found = rewritten(form.format("[]", cases), before)
    assert found == [f"test left without cases: {PATH}::test_a some -> none"]


MARKS = [
    *("@pytest.mark.skip", "@pytest.mark.skip(reason='later')", "@pytest.mark.skipif(True)"),
    *("@pytest.mark.xfail", "@pytest.mark.parametrize('x', [pytest.param(1, marks=S)])"),
]


@pytest.mark.parametrize("mark", MARKS)
def test_a_newly_marked_test_is_named(mark: str) -> None:
    mark = mark.replace("marks=S", "marks=pytest.mark.skip")
    after = BOTH.replace("def test_a", f"{mark}\ndef test_a")
    (said,) = rewritten(after)
    assert said.startswith(f"test skipped: {PATH}::test_a; pytest.mark.")
    assert rewritten(after, after) == []


@pytest.mark.parametrize(
    ("top", "line"),
    [
        ("from pytest import mark as m", "@m.skip"),
        ("import pytest as p", "@p.mark.xfail"),
        ("import unittest", "@unittest.skip('later')"),
        ("import pytest\nslow = pytest.mark.skipif(True)", "@slow"),
    ],
)
def test_a_mark_under_another_name_is_named(top: str, line: str) -> None:
    (said,) = rewritten(f"{top}\n\n{line}\n{TEST}", TEST)
    assert said == f"test skipped: {PATH}::test_a; {line.removeprefix('@')}"


@pytest.mark.parametrize(
    "call", ["pytest.skip('later')", "pytest.importorskip('x')", "pytest.xfail()"]
)
def test_a_new_call_in_a_test_is_named(call: str) -> None:
    after = BOTH.replace("    assert", f"    {call}\n    assert")
    assert rewritten(after) == [f"test skipped: {PATH}::test_a; {call}"]


@pytest.mark.parametrize(
    "line",
    [
        *("pytestmark = pytest.mark.skip", "pytest.importorskip('x')", "__test__ = False"),
        "pytestmark = [pytest.mark.skipif(True)]",
    ],
)
def test_a_file_that_is_newly_skipped_is_named(line: str) -> None:
    (said,) = rewritten(BOTH.replace("import pytest\n", f"import pytest\n{line}\n"))
    assert said.startswith(f"test skipped: {PATH}; ")


def test_a_class_that_is_newly_skipped_is_named() -> None:
    before = "import pytest\nclass TestX:\n    def test_a(self): assert f()\n"
    after = before.replace("class", "@pytest.mark.skip\nclass")
    assert rewritten(after, before) == [f"test skipped: {PATH}::TestX; pytest.mark.skip"]


def test_a_fixture_that_newly_skips_is_named() -> None:
    after = BOTH + "\n@pytest.fixture\ndef engine():\n    pytest.skip('none')\n"
    assert rewritten(after) == [f"test skipped: {PATH}::engine; pytest.skip('none')"]


def test_a_changed_condition_is_named() -> None:
    form = "import pytest\n\n@pytest.mark.skipif({})\n" + TEST
    (said,) = rewritten(form.format("True"), form.format("sys.platform == 'x'"))
    assert said == f"test skipped: {PATH}::test_a; pytest.mark.skipif(True)"


def test_a_moved_file_that_is_newly_skipped_is_named() -> None:
    after = {"tests/unit/test_y.py": BOTH + "\npytestmark = pytest.mark.skip\n"}
    assert named({PATH: BOTH}, after) == [
        "test skipped: tests/unit/test_y.py; pytest.mark.skip",
    ]


def test_a_new_test_may_be_skipped() -> None:
    new = "\n@pytest.mark.skipif(True)\ndef test_c():\n    assert f(3)\n"
    assert rewritten(BOTH + new) == []
    assert named({PATH: BOTH}, {PATH: BOTH, "tests/unit/test_y.py": f"import pytest\n{new}"}) == []


def test_a_skip_that_goes_is_not_named() -> None:
    assert rewritten(BOTH, BOTH.replace("def test_a", "@pytest.mark.skip\ndef test_a")) == []


@pytest.mark.parametrize(
    "text",
    [
        "collect_ignore = ['unit/test_x.py']\n",
        "collect_ignore_glob: list[str] = ['*']\n",
        "def pytest_ignore_collect(path):\n    return True\n",
        "def pytest_collection_modifyitems(items):\n    items.clear()\n",
        "import sys\nsys.argv.append('--ignore=tests/unit')\n",
        "import pytest\n\n@pytest.fixture(autouse=True)\ndef no():\n    pytest.skip('no')\n",
    ],
)
def test_a_conftest_that_leaves_tests_out_is_named(text: str) -> None:
    (said,) = named({PATH: BOTH}, {PATH: BOTH, "tests/conftest.py": text})
    assert said.startswith("test skipped: tests/conftest.py")


def test_a_conftest_of_a_folder_without_older_tests_is_not_named() -> None:
    text = "import pytest\npytest.importorskip('x')\n"
    assert named({PATH: BOTH}, {PATH: BOTH, "tests/load/conftest.py": text}) == []


def test_settings_that_are_no_toml_are_named() -> None:
    before, after = {"pyproject.toml": "[tool.pytest]\n"}, {"pyproject.toml": "[tool"}
    (said,) = named(before, after)
    assert said.startswith("settings of pytest removed: pyproject.toml")
