"""Coverage is evidence: of the whole, and of the lines that a change touches."""

import json
from pathlib import Path
from typing import Any

import pytest

from conftest import commit, git
from preflight import tested
from preflight.evidence import Evidence
from preflight.files import write_json

SOURCE = "def one():\n    return 1\n\n\ndef two():\n    return 2\n"
PYPROJECT = "[tool.coverage.report]\nfail_under = {}\n"
PARAMS = "gates: {{coverage: {{min_changed_lines: {}}}}}\n"


def committed(root: Path, **files: str) -> str:
    """Write files (a name's __ is a slash, its last _ a dot) and commit them: the new commit."""
    for name, text in files.items():
        folder, _, last = name.rpartition("__")
        path = root / folder.replace("__", "/") / ".".join(last.rsplit("_", 1))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    commit(root)
    return git(root, "rev-parse", "HEAD").strip()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository with two functions, limits of 90%, and no report."""
    git(tmp_path, "init", "--quiet", "--initial-branch=main")
    (tmp_path / ".gitignore").write_text(".preflight\nreport.json\n")
    committed(
        tmp_path,
        src__app__code_py=SOURCE,
        pyproject_toml=PYPROJECT.format(90),
        params_yaml=PARAMS.format(0.9),
    )
    return tmp_path


def report(root: Path, percent: float = 95.0, /, **files: tuple[set[int], set[int]]) -> Path:
    """coverage's report, with the run and the missed lines of each file of src/app."""
    path = root / "report.json"
    totals = {"percent_covered": percent, "num_statements": 400, "num_branches": 100}
    lines = {
        f"src/app/{name}.py": {"executed_lines": sorted(run), "missing_lines": sorted(missed)}
        for name, (run, missed) in files.items()
    }
    path.write_text(json.dumps({"meta": {}, "files": lines, "totals": totals}))
    return path


def judged(root: Path, path: Path, base: str | None = None) -> tuple[Evidence, Evidence]:
    """The two checks on HEAD against a base."""
    head = git(root, "rev-parse", "HEAD").strip()
    total, changed = tested.coverage(root, path, base, head).evidence
    assert (total.check, changed.check) == ("total", "changed-lines")
    return total, changed


@pytest.mark.parametrize(("percent", "status"), [(90.0, "pass"), (89.99, "fail")])
def test_the_total_is_held_to_its_limit(root: Path, percent: float, status: str) -> None:
    total, _ = judged(root, report(root, percent))
    assert (total.status, total.measured, total.n) == (status, percent, 500)
    assert total.claim == "Tests cover at least 90% of lines and branches."
    assert total.limit == "at least 90%"


def test_limits_are_the_bases_whatever_the_change_says(root: Path) -> None:
    base = git(root, "rev-parse", "HEAD").strip()
    committed(
        root,
        pyproject_toml=PYPROJECT.format(10),
        params_yaml=PARAMS.format(0.1),
        src__app__code_py=SOURCE + "\n\nLAST = 3\n",
    )
    total, changed = judged(root, report(root, 50.0, code=({1, 2}, {9})), base)
    assert (total.status, changed.status) == ("fail", "fail")
    assert changed.claim == "At least 90% of the changed lines of src run in tests."


def test_a_limit_that_the_base_lacks_is_the_changes(root: Path) -> None:
    base = committed(root, pyproject_toml="[tool]\n", params_yaml="gates: {}\n")
    committed(root, pyproject_toml=PYPROJECT.format(70), params_yaml=PARAMS.format(0.5))
    total, changed = judged(root, report(root, 71.0), base)
    assert (total.limit, changed.limit) == ("at least 70%", "at least 50%")


def test_a_limit_that_nobody_states_is_no_data(root: Path) -> None:
    committed(root, pyproject_toml="not = [toml", params_yaml="gates: [1")
    total, changed = judged(root, report(root))
    assert (total.status, changed.status) == ("no-data", "no-data")
    assert "pyproject.toml: found no limit" in total.found
    assert "params.yaml: found no limit" in changed.found


def test_the_total_is_compared_with_the_bases_where_that_was_measured(root: Path) -> None:
    base = git(root, "rev-parse", "HEAD").strip()
    judged(root, report(root, 92.7))
    committed(root, note_txt="more")
    total, _ = judged(root, report(root, 93.1), base)
    assert total.found == "93.1%, +0.4 points against the base"


@pytest.mark.parametrize("kept", [None, ["odd"], {"percent": "93"}])
def test_a_base_that_was_not_measured_is_said(root: Path, kept: Any) -> None:
    base = git(root, "rev-parse", "HEAD").strip()
    committed(root, note_txt="more")
    if kept is not None:
        write_json(root / tested.TOTALS / f"{base}.json", kept)
    assert judged(root, report(root), base)[0].found == "95.0%, the base was not measured here"


def test_changed_lines_that_run_pass(root: Path) -> None:
    base = git(root, "rev-parse", "HEAD").strip()
    committed(root, src__app__code_py=SOURCE.replace("return 2", "return 3"))
    _, changed = judged(root, report(root, code=({1, 2, 5, 6}, set())), base)
    assert (changed.status, changed.measured, changed.n) == ("pass", 100.0, 1)
    assert changed.found == "1 of 1 changed lines, 100.0%"


def test_changed_lines_that_do_not_run_fail_and_are_named(root: Path) -> None:
    base = git(root, "rev-parse", "HEAD").strip()
    more = "\n\ndef three():\n    a = 1\n    b = 2\n    return a + b\n"
    head = committed(root, src__app__code_py=SOURCE + more)
    path = report(root, code=({1, 2, 5, 6, 9}, {10, 11, 12}))
    found = tested.coverage(root, path, base, head)
    changed = found.evidence[1]
    assert (changed.status, changed.measured, changed.n) == ("fail", 25.0, 4)
    assert changed.found.endswith("; not run: src/app/code.py:10-12")
    assert found.tables[0].rows == (("src/app/code.py", "10-12"),)


def test_lines_missed_before_the_change_do_not_count(root: Path) -> None:
    base = git(root, "rev-parse", "HEAD").strip()
    committed(root, src__app__code_py=SOURCE + "LAST = 3\n")
    _, changed = judged(root, report(root, code=({1, 5, 7}, {2, 6})), base)
    assert (changed.status, changed.n) == ("pass", 1)


def test_a_changed_file_that_coverage_does_not_know_counts_as_not_run(root: Path) -> None:
    base = git(root, "rev-parse", "HEAD").strip()
    committed(root, src__app__new_py=SOURCE)
    _, changed = judged(root, report(root, code=({1}, set())), base)
    assert (changed.status, changed.measured, changed.n) == ("fail", 0.0, 6)
    assert "src/app/new.py:1-6" in changed.found


def test_a_change_without_an_executable_line_passes_and_says_so(root: Path) -> None:
    base = git(root, "rev-parse", "HEAD").strip()
    committed(root, src__app__code_py=SOURCE + "# The end.\n", src__app__page_html="<p>", a_md="x")
    _, changed = judged(root, report(root, code=({1, 2, 5, 6}, set())), base)
    assert (changed.status, changed.n, changed.measured) == ("pass", 0, None)
    assert changed.found == "no executable line changed"


def test_a_moved_file_has_only_the_lines_that_changed(root: Path) -> None:
    base = git(root, "rev-parse", "HEAD").strip()
    git(root, "mv", "src/app/code.py", "src/app/moved.py")
    head = committed(root, src__app__moved_py=SOURCE + "LAST = 3\n")
    assert tested.changed_lines(root, base, head) == {"src/app/moved.py": {7}}


def test_content_that_looks_like_a_diff_is_content(root: Path) -> None:
    base = git(root, "rev-parse", "HEAD").strip()
    text = '"""\n++ b/src/app/code.py\r+++ b/src/app/code.py\r@@ -1 +90,5 @@\n"""\n'
    head = committed(root, src__app__odd_py=text, src__app__zoé_py="A = 1\n")
    found = tested.changed_lines(root, base, head)
    assert found == {"src/app/odd.py": {1, 2, 3}, "src/app/zoé.py": {1}}


def test_without_a_base_every_line_is_a_changed_one(root: Path) -> None:
    _, changed = judged(root, report(root, code=({1, 2, 5}, {6})))
    assert (changed.status, changed.n) == ("fail", 4)


def test_a_base_that_git_does_not_know_is_no_data(root: Path) -> None:
    total, changed = judged(root, report(root), "f" * 40)
    assert (total.status, changed.status) == ("pass", "no-data")
    assert "git diff" in changed.found


@pytest.mark.parametrize(
    "content",
    [
        None,
        "",
        "[]",
        '{"files": {}}',
        {"files": {}, "totals": {"percent_covered": 100.0, "num_statements": 0}},
        {"files": {}, "totals": {"percent_covered": 190.0, "num_statements": 9}},
        {"files": {"a.py": {}}, "totals": {"percent_covered": 90.0, "num_statements": 9}},
    ],
    ids=["absent", "empty", "list", "no-totals", "no-statement", "over-100", "no-lines"],
)
def test_a_report_that_cannot_be_read_is_no_data(root: Path, content: Any) -> None:
    path = root / "report.json"
    if content is not None:
        path.write_text(content if isinstance(content, str) else json.dumps(content))
    for line in judged(root, path):
        assert line.status == "no-data"
        assert "report.json: found" in line.found
        assert str(root) not in line.found


def test_many_missed_lines_are_counted_but_not_all_listed(root: Path) -> None:
    base = git(root, "rev-parse", "HEAD").strip()
    text = "".join(f"A{number} = {number}\n" for number in range(1, 2_001))
    names = [f"f{number}" for number in range(100)]
    head = committed(root, **{f"src__app__{name}_py": text for name in names})
    odd = set(range(1, 2_001, 2))
    path = report(root, **{name: (set(range(2, 2_001, 2)), odd) for name in names})
    found = tested.coverage(root, path, base, head)
    assert found.evidence[1].measured == 50.0
    assert "and 99995 more" in found.evidence[1].found
    assert len(found.tables[0].rows) == 80
