"""Policy, workflows: what goes on after an error is named, and what its neighbours find."""

import pytest

from changes import change
from preflight.policy import workflows

PATH = ".github/workflows/test.yml"
STEP = "jobs:\n  test:\n    steps:\n      - run: |\n          {}\n"
TARGET = "test: setup\n\t@{}\n"


def named(path: str, after: str, before: str = "") -> list[str]:
    """What is said about two contents of a file."""
    return [str(each) for each in workflows.forgiving(change({path: before}, {path: after}))]


@pytest.mark.parametrize(
    "command",
    [
        *("make test || true", "make test ||true", "make test || :", "make test || exit 0"),
        *("set +e; make test", "set +eu", "set +o errexit", "bash -c 'make test || true'"),
    ],
)
def test_a_command_that_hides_its_failure_is_named(command: str) -> None:
    after = STEP.format(command)
    assert named(PATH, after) == [f"goes on after an error: {PATH}: jobs.test; {command}"]
    assert named(PATH, after, after) == []


@pytest.mark.parametrize(
    "command", ["make test", "make test || exit 1", "set -e", "echo true || truely"]
)
def test_a_command_that_fails_is_not_named(command: str) -> None:
    assert named(PATH, STEP.format(command)) == []


@pytest.mark.parametrize("value", ["true", "${{ matrix.new }}", "'false'"])
def test_continue_on_error_is_named(value: str) -> None:
    (said,) = named(PATH, STEP.format("make test") + f"        continue-on-error: {value}\n")
    assert "jobs.test; continue-on-error: " in said


def test_continue_on_error_of_a_job_is_named() -> None:
    (said,) = named(PATH, "jobs:\n  test:\n    continue-on-error: true\n")
    assert "jobs.test; continue-on-error: true" in said


def test_stopping_on_error_is_not_named() -> None:
    assert named(PATH, STEP.format("make test") + "        continue-on-error: false\n") == []


def test_a_step_that_moved_within_its_job_is_not_named() -> None:
    before = STEP.format("make test || true")
    assert named(PATH, before.replace("- run", "- run: make lint\n      - run", 1), before) == []


def test_an_action_of_the_repository_is_looked_at() -> None:
    after = "runs:\n  steps:\n    - run: make setup || true\n"
    (said,) = named(".github/actions/setup/action.yml", after)
    assert "runs.steps; make setup || true" in said


def test_a_workflow_that_is_no_yaml_is_named() -> None:
    assert named(PATH, "jobs: [", STEP) == [f"no longer YAML: {PATH}"]


def test_a_workflow_that_was_no_yaml_is_judged_as_new() -> None:
    assert len(named(PATH, STEP.format("a || true"), "jobs: [")) == 1


@pytest.mark.parametrize("command", ["-pytest", "pytest || true", "-@pytest", "a; \\\n\tb || :"])
def test_a_guarded_target_that_hides_its_failure_is_named(command: str) -> None:
    after = TARGET.format(command)
    (said,) = named("Makefile", after)
    assert said.startswith("goes on after an error: Makefile: test; @")
    assert named("Makefile", after, after) == []


@pytest.mark.parametrize("text", [TARGET.format("pytest -x"), "clean:\n\t-rm -rf .venv\n"])
def test_other_recipes_are_not_named(text: str) -> None:
    assert named("Makefile", text) == []


def test_a_makefile_that_ignores_every_error_is_named() -> None:
    assert len(named("Makefile", ".IGNORE: test\n")) == 1


def test_a_new_guarded_target_is_looked_at() -> None:
    assert len(named("Makefile", "bench-compare:\n\t-@pytest\n")) == 1


def test_a_renamed_workflow_is_not_named() -> None:
    text = STEP.format("make test || true")
    moved = change({".github/workflows/old.yml": text}, {PATH: text})
    assert [*workflows.forgiving(moved)] == []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("on: pull_request", "on: push", "trigger removed"),
        ("permissions: {}", "permissions: write-all", "write permission added"),
        ("- run: a", "- uses: a/b@v1", "action pinned to a tag"),
        ("- run: a", "- run: a | tee b", "pipe without pipefail"),
        ("- run: a", "- run: a || true", "goes on after an error"),
        ("- run: a", "- run: a ${{ secrets.KEY }}", "secret used on pull requests"),
    ],
)
def test_each_neighbour_is_asked(old: str, new: str, said: str) -> None:
    before = "on: pull_request\npermissions: {}\njobs:\n  test:\n    steps:\n    - run: a\n"
    (found,) = workflows.weakened(change({PATH: before}, {PATH: before.replace(old, new)}))
    assert str(found).startswith(f"{said}: {PATH}: ")
