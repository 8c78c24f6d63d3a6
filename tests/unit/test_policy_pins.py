"""Policy, workflows: an action that is not pinned by commit is named."""

import pytest

from changes import change
from preflight.policy import pins

PATH = ".github/workflows/test.yml"
STEP = "jobs:\n  test:\n    steps:\n      - uses: {}\n"
HASH = "3d3c42e5aac5ba805825da76410c181273ba90b1"  # pragma: allowlist secret


def named(path: str, after: str, before: str = "") -> list[str]:
    """What is said about two contents of a file."""
    return [str(each) for each in pins.weakened(change({path: before}, {path: after}))]


@pytest.mark.parametrize(
    "name",
    [
        *("actions/checkout@v4", "actions/checkout@main", "actions/checkout", "a/b/c@v1"),
        *(f"actions/checkout@{HASH[:7]}", f"actions/checkout@v4-{HASH}", "docker://alpine:3.20"),
        f"docker://alpine@{HASH}",
    ],
)
def test_an_action_pinned_to_a_tag_is_named(name: str) -> None:
    after = STEP.format(name)
    assert named(PATH, after, STEP.format(f"actions/checkout@{HASH}")) == [
        f"action pinned to a tag: {PATH}: jobs.test {name}"
    ]
    assert named(PATH, after, after + "# More.\n") == []


@pytest.mark.parametrize(
    "name",
    [
        *(f"actions/checkout@{HASH} # v4", f"a/b/c@{HASH}", "./.github/actions/setup", "$/x"),
        f"docker://alpine@sha256:{'0' * 64}",
    ],
)
def test_a_pinned_action_is_not_named(name: str) -> None:
    assert named(PATH, STEP.format(name)) == []


def test_a_reusable_workflow_is_looked_at() -> None:
    after = "jobs:\n  call:\n    uses: a/b/.github/workflows/c.yml@main\n"
    (said,) = named(PATH, after)
    assert said.endswith(": jobs.call a/b/.github/workflows/c.yml@main")


def test_an_action_of_the_repository_is_looked_at() -> None:
    path = ".github/actions/setup/action.yml"
    (said,) = named(path, "runs:\n  steps:\n    - uses: a/b@v1\n")
    assert said == f"action pinned to a tag: {path}: runs.steps a/b@v1"
