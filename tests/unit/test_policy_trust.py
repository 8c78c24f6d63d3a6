"""Policy, workflows: what a workflow with rights newly trusts of a change is named."""

import pytest

from changes import change
from preflight.policy import trust

PATH = ".github/workflows/report.yml"
HASH = "0" * 40
WORKFLOW = "on: {event}\njobs:\n  post:\n    steps:\n      - {step}\n"
PLAIN = f"uses: actions/checkout@{HASH}"
DOWNLOAD = f"uses: actions/download-artifact@{HASH}"
PRIVILEGED = ["{workflow_run: {workflows: [a]}}", "pull_request_target", "[issue_comment, push]"]
KEYED = "run: make push\n        env:\n          KEY: ${{{{ {} }}}}"


def named(after: str, before: str = "") -> list[str]:
    """What is said about two contents of a workflow."""
    return [str(each) for each in trust.weakened(change({PATH: before}, {PATH: after}))]


def workflow(event: str, step: str) -> str:
    """A workflow of one step."""
    return WORKFLOW.format(event=event, step=step)


def checkout(ref: str) -> str:
    """A step that checks a ref out."""
    return f"{PLAIN}\n        with: {{ref: '{ref}'}}"


@pytest.mark.parametrize("event", PRIVILEGED)
def test_an_artifact_that_is_unpacked_with_rights_is_named(event: str) -> None:
    after = workflow(event, DOWNLOAD)
    said = [f"artifact trusted: {PATH}: jobs.post actions/download-artifact"]
    assert named(after, workflow(event, PLAIN)) == said
    assert named(after, workflow("pull_request", DOWNLOAD)) == said
    assert named(after, after + "# More.\n") == []


def test_an_artifact_that_the_command_line_brings_is_named() -> None:
    (said,) = named(workflow("workflow_run", "run: gh run download 5"))
    assert said == f"artifact trusted: {PATH}: jobs.post gh run download 5"


@pytest.mark.parametrize("event", ["pull_request", "push", "{merge_group: {}}"])
def test_an_artifact_without_rights_is_not_named(event: str) -> None:
    assert named(workflow(event, DOWNLOAD)) == []


@pytest.mark.parametrize("event", PRIVILEGED)
@pytest.mark.parametrize(
    "ref",
    [
        "${{ github.event.pull_request.head.sha }}",
        "${{ github.event.workflow_run.head_sha }}",
        '${{ github.event["pull_request"]["head"]["sha"] }}',
        "${{ github.head_ref }}",
        "refs/pull/${{ github.event.issue.number }}/merge",
    ],
)
def test_a_changes_code_checked_out_with_rights_is_named(event: str, ref: str) -> None:
    assert named(workflow(event, checkout(ref)), workflow(event, PLAIN)) == [
        f"code of a change trusted: {PATH}: jobs.post {ref}"
    ]


@pytest.mark.parametrize(
    "command",
    ["gh pr checkout 5", "git checkout ${{ github.event.workflow_run.head_sha }}"],
)
def test_a_changes_code_that_a_command_brings_is_named(command: str) -> None:
    assert len(named(workflow("workflow_run", f"run: {command}"))) == 1


@pytest.mark.parametrize(
    "step", [PLAIN, checkout("main"), "run: git checkout main", "run: preflight comment"]
)
def test_mains_own_code_is_not_named(step: str) -> None:
    assert named(workflow("workflow_run", step)) == []


def test_a_changes_own_run_may_check_it_out() -> None:
    assert named(workflow("pull_request", checkout("${{ github.head_ref }}"))) == []


@pytest.mark.parametrize("event", ["pull_request", "[push, pull_request]", "pull_request_target"])
@pytest.mark.parametrize("name", ["secrets.KEY", "secrets['KEY']", "toJSON(secrets)"])
def test_a_secret_on_pull_requests_is_named(event: str, name: str) -> None:
    after = workflow(event, KEYED.format(name))
    (said,) = named(after, workflow(event, PLAIN))
    assert said.startswith(f"secret used on pull requests: {PATH}: jobs.post secrets")
    assert named(after, after + "# More.\n") == []


def test_secrets_handed_on_are_named() -> None:
    after = "on: pull_request\njobs:\n  call:\n    uses: ./a.yml\n    secrets: inherit\n"
    assert named(after) == [f"secret used on pull requests: {PATH}: jobs.call secrets: inherit"]


def test_a_secret_in_a_condition_is_named() -> None:
    (said,) = named(workflow("pull_request", "if: secrets.KEY\n        run: make"))
    assert said.endswith("jobs.post secrets.KEY")


@pytest.mark.parametrize(
    ("event", "name"),
    [
        ("push", "secrets.KEY"),
        ("workflow_run", "secrets.KEY"),
        ("pull_request", "secrets.GITHUB_TOKEN"),
    ],
)
def test_other_secrets_are_not_named(event: str, name: str) -> None:
    assert named(workflow(event, KEYED.format(name))) == []


def test_a_file_named_secrets_is_no_secret() -> None:
    assert named(workflow("pull_request", "run: cat secrets.txt")) == []
