"""Policy, workflows: what a token may newly write is named."""

import pytest

from changes import change
from preflight.policy import permissions

PATH = ".github/workflows/test.yml"
TOP = "on: push\n{}\njobs:\n  test:\n    steps: []\n"
JOB = "on: push\npermissions: {{}}\njobs:\n  test:\n    steps: []\n{}"


def named(before: str | None, after: str, path: str = PATH) -> list[str]:
    """What is said about two contents of a file."""
    base = {} if before is None else {path: before}
    return [str(each) for each in permissions.weakened(change(base, {path: after}))]


@pytest.mark.parametrize(
    ("was", "now", "said"),
    [
        ("{}", "write-all", ["write permission added: {}: top level write-all"]),
        ("{}", "{contents: write}", ["write permission added: {}: top level contents: write"]),
        (
            "read-all",
            "{id-token: write}",
            ["write permission added: {}: top level id-token: write"],
        ),
        (
            "{issues: write}",
            "{contents: write, issues: write}",
            ["write permission added: {}: top level contents: write"],
        ),
        ("{}", "read-all", []),
        ("{}", "{contents: read}", []),
        ("write-all", "{contents: write}", []),
        ("{contents: write}", "{}", []),
    ],
)
def test_the_top_level_is_read(was: str, now: str, said: list[str]) -> None:
    before, after = (TOP.format(f"permissions: {each}") for each in (was, now))
    assert named(before, after) == [each.format(PATH) for each in said]


def test_a_dropped_key_at_the_top_is_named() -> None:
    said = named(TOP.format("permissions: {}"), TOP.format(""))
    assert said == [f"permissions not stated: {PATH}: top level"]


def test_what_was_not_stated_before_is_not_named_again() -> None:
    assert named(TOP.format(""), TOP.format("env: {A: b}")) == []


def test_a_new_workflow_without_the_key_is_named() -> None:
    assert named(None, TOP.format("")) == [f"permissions not stated: {PATH}: top level"]


def test_a_new_workflow_that_only_reads_is_not_named() -> None:
    assert named(None, JOB.format("    permissions: {contents: read}\n")) == []


@pytest.mark.parametrize("before", [JOB.format(""), None])
def test_a_jobs_own_write_permission_is_named(before: str | None) -> None:
    after = JOB.format("    permissions:\n      contents: write\n")
    said = named(before, after)
    assert said == [f"write permission added: {PATH}: jobs.test contents: write"]


def test_a_new_job_that_writes_is_named() -> None:
    after = JOB.format("  new:\n    permissions: write-all\n    steps: []\n")
    assert named(JOB.format(""), after) == [f"write permission added: {PATH}: jobs.new write-all"]


def test_a_job_that_takes_the_tops_permissions_as_its_own_is_not_named() -> None:
    before = TOP.format("permissions: {contents: write}")
    assert named(before, before + "    permissions: {contents: write}\n") == []


def test_a_job_that_drops_its_key_under_a_top_that_writes_is_named() -> None:
    after = TOP.format("permissions: {contents: write}")
    said = named(after + "    permissions: {}\n", after)
    assert said == [f"write permission added: {PATH}: jobs.test contents: write"]


def test_a_job_that_drops_its_key_under_a_top_without_rights_is_not_named() -> None:
    assert named(JOB.format("    permissions: {contents: write}\n"), JOB.format("")) == []


def test_a_renamed_workflow_gains_nothing() -> None:
    text, other = TOP.format("permissions: write-all"), ".github/workflows/other.yml"
    assert [*permissions.weakened(change({other: text}, {PATH: text}))] == []


def test_a_file_that_is_no_workflow_has_no_token() -> None:
    assert named(None, "jobs: {}\n", ".github/actions/setup/action.yml") == []
