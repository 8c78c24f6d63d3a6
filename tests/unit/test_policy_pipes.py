"""Policy, workflows: a pipeline whose first command may fail unseen is named."""

import pytest

from changes import change
from preflight.policy import pipes

PATH = ".github/workflows/test.yml"
STEP = "jobs:\n  test:\n    steps:\n      - run: |\n          {}\n"
TARGET = "test: setup\n\t@{}\n"


def named(path: str, after: str, before: str = "") -> list[str]:
    """What is said about two contents of a file."""
    return [str(each) for each in pipes.weakened(change({path: before}, {path: after}))]


@pytest.mark.parametrize(
    "command",
    [
        *("make test | tee log", "make test|tee log", "make test |& tee log", "a || b | c"),
        *("bash -c 'make test | tee log'", "set +o pipefail; make test | tee log", "make test |"),
        *("echo set -o pipefail | tee log", "make test | tee log # set -o pipefail"),
    ],
)
def test_a_pipe_without_pipefail_is_named(command: str) -> None:
    after = STEP.format(command)
    (said,) = named(PATH, after)
    assert said.startswith(f"pipe without pipefail: {PATH}: jobs.test; ")
    assert named(PATH, after, after + "# More.\n") == []


@pytest.mark.parametrize(
    "command",
    [
        *("make test", "make test || exit 1", "grep 'a|b' log", 'grep "a|b" log', "# a | b"),
        *("set -o pipefail; a | b", "set -euo pipefail; a | b", "set -e -o pipefail; a | b"),
        *("bash -o pipefail -c 'a | b'", "bash -c 'set -o pipefail; a | b'", "echo >| log"),
    ],
)
def test_a_command_whose_failure_counts_is_not_named(command: str) -> None:
    assert named(PATH, STEP.format(command)) == []


def test_pipefail_holds_for_the_lines_below_it() -> None:
    below = "set -euo pipefail\n          a | b"
    above = "a | b\n          set -euo pipefail"
    assert (named(PATH, STEP.format(below)), len(named(PATH, STEP.format(above)))) == ([], 1)


@pytest.mark.parametrize(
    ("shell", "count"),
    [
        ("bash", 0),
        ("bash -eo pipefail {0}", 0),
        ("python", 0),
        ("pwsh", 0),
        ("sh", 1),
        ("bash -e {0}", 1),
    ],
)
def test_the_steps_shell_counts(shell: str, count: int) -> None:
    after = STEP.format("a | b") + f"        shell: '{shell}'\n"
    assert len(named(PATH, after)) == count


@pytest.mark.parametrize("place", ["", "    "])
def test_the_default_shell_of_a_workflow_or_job_counts(place: str) -> None:
    default = f"{place}defaults: {{run: {{shell: bash}}}}\n"
    step = STEP.format("a | b")
    assert (
        named(PATH, step.replace("    steps", f"{default}    steps") if place else default + step)
        == []
    )


def test_a_pipe_that_loses_its_shell_is_named() -> None:
    before = STEP.format("a | b") + "        shell: bash\n"
    assert len(named(PATH, STEP.format("a | b"), before)) == 1


def test_a_shell_within_bash_takes_over_no_option() -> None:
    after = STEP.format("sh -c 'a | b'") + "        shell: bash\n"
    assert len(named(PATH, after)) == 1


def test_an_action_of_the_repository_is_looked_at() -> None:
    after = "runs:\n  steps:\n    - run: a | b\n      shell: sh\n"
    (said,) = named(".github/actions/setup/action.yml", after)
    assert said.endswith(": runs.steps; a | b")


@pytest.mark.parametrize("target", ["test", "load", "bench-compare", "verdict"])
def test_a_guarded_target_that_pipes_is_named(target: str) -> None:
    after = f"{target}: setup\n\t@a \\\n\t| tee log\n"
    (said,) = named("Makefile", after)
    assert said.startswith(f"pipe without pipefail: Makefile: {target}; @a ")
    assert named("Makefile", after, after + "# More.\n") == []


@pytest.mark.parametrize(
    "text",
    [
        TARGET.format("set -o pipefail; a | b"),
        TARGET.format("a || b"),
        ".SHELLFLAGS := -eo pipefail -c\n" + TARGET.format("a | b"),
        "help:\n\t@a | b\n",
    ],
)
def test_other_recipes_are_not_named(text: str) -> None:
    assert named("Makefile", text) == []
