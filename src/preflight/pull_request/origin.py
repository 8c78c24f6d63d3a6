"""Which pull request a finished run belongs to: by its head commit, and by nothing it left."""

from dataclasses import dataclass

from preflight.errors import Problem
from preflight.evidence import Commit
from preflight.pull_request.github import Answer, GitHub, shown

WORKFLOW = ".github/workflows/pull-request.yml"
MAIN = "main"


class Repository(Answer):
    """A repository by its OWNER/NAME."""

    full_name: str


class Run(Answer):
    """One run of a workflow, its newest attempt."""

    id: int
    run_attempt: int
    workflow_id: int
    path: str
    event: str
    status: str | None
    head_sha: Commit
    head_branch: str | None
    head_repository: Repository | None


class Runs(Answer):
    """A page of runs."""

    workflow_runs: tuple[Run, ...]


class Side(Answer):
    """The head or the base of a pull request; a fork that was deleted has no repository."""

    ref: str
    sha: Commit
    repo: Repository | None


class PullRequest(Answer):
    """An open pull request."""

    number: int
    head: Side
    base: Side


@dataclass(frozen=True)
class Origin:
    """A run, its attempt, the commit it judged, and the one pull request with that head."""

    run: int
    attempt: int
    head: str
    number: int


def resolve(github: GitHub, run_id: int) -> Origin:
    """The pull request of a run; raises Problem where it is not one, open, and the newest."""
    run = github.get(Run, f"actions/runs/{run_id}")
    path = run.path.partition("@")[0]
    for name, found, expected in (
        ("workflow", path, WORKFLOW),
        ("event", run.event, "pull_request"),
        ("status", str(run.status), "completed"),
    ):
        if found != expected:
            raise _refused(run_id, f"the {name} {shown(found)}", f"the {name} {expected}")
    _require_newest(github, run)
    pull = _pull_request(github, run)
    return Origin(run.id, run.run_attempt, run.head_sha, pull.number)


def confirm(github: GitHub, origin: Origin) -> None:
    """Raise Problem where the run, its head or its pull request is no longer what it was."""
    if resolve(github, origin.run) != origin:
        raise _refused(origin.run, "overtaken by a newer attempt", "the newest attempt")


def _require_newest(github: GitHub, run: Run) -> None:
    path = f"actions/workflows/{run.workflow_id}/runs"
    page = github.get(Runs, path, head_sha=run.head_sha, event=run.event, per_page=100)
    same = (run.head_sha, run.head_branch, run.head_repository)
    for other in page.workflow_runs:
        about = (other.head_sha, other.head_branch, other.head_repository)
        if about == same and (other.id, other.run_attempt) > (run.id, run.run_attempt):
            raise _refused(run.id, f"overtaken by the run {other.id}", "the newest of its head")


def _pull_request(github: GitHub, run: Run) -> PullRequest:
    if run.head_repository is None or run.head_branch is None:
        raise _refused(run.id, "a head whose repository is gone", "an open pull request")
    owner = run.head_repository.full_name.partition("/")[0]
    branch = f"{owner}:{run.head_branch}"
    pulls = github.get(tuple[PullRequest, ...], "pulls", state="open", head=branch, per_page=100)
    # The API ignores a filter that it does not understand.
    ours = [
        pull
        for pull in pulls
        if (pull.head.repo, pull.head.ref) == (run.head_repository, run.head_branch)
    ]
    found = [pull for pull in ours if pull.head.sha == run.head_sha]
    if len(found) > 1:
        numbers = ", ".join(f"#{pull.number}" for pull in found)
        raise _refused(run.id, f"ambiguous: {numbers} have this head", "one pull request")
    if not found and ours:
        raise _refused(run.id, f"head moved to {ours[0].head.sha[:12]}", run.head_sha[:12])
    if not found:
        raise _refused(run.id, "no open pull request with this head", "one pull request")
    base = found[0].base
    if (base.repo, base.ref) != (Repository(full_name=github.repository), MAIN):
        raise _refused(run.id, f"a base {shown(base.ref)}", f"{MAIN} of {github.repository}")
    return found[0]


def _refused(run_id: int, found: str, expected: str) -> Problem:
    remedy = "Nothing was posted; the newest run of the newest head posts its own."
    return Problem(f"run {run_id}", found, expected, remedy)
