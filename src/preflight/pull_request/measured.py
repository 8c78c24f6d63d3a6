"""Evidence that only a quiet machine can give, from the run that judged the same tree before."""

import logging
import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from preflight import evidence, lineage
from preflight.errors import NoData, Problem
from preflight.evidence import Commit, Notice, Part
from preflight.gates import TIMED
from preflight.layout import EVIDENCE
from preflight.pull_request import artifact, policy
from preflight.pull_request.github import Answer, GitHub, shown
from preflight.pull_request.origin import MAIN, WORKFLOW, Repository
from preflight.workspace import run

# The queue's runs first: they judged the tree before it was merged. A branch may run what it
# likes on a push to itself, so that of main counts alone.
HEADS = {"merge_group": re.compile(rf"gh-readonly-queue/{MAIN}/.+"), "push": re.compile(MAIN)}
FETCHED = 20  # commits that are looked at, of runs whose head is another
LOOKS, EVERY = 80, 30.0  # at a run of HEAD itself that has not ended, and seconds between them
log = logging.getLogger("preflight")


class Commits(Answer):
    """The head commit of a run, as far as the API tells."""

    tree_id: Commit


class Finished(Answer):
    """A run of the workflow, and how it ended."""

    id: int
    path: str
    event: str
    status: str | None
    conclusion: str | None
    head_sha: Commit
    head_branch: str | None
    head_repository: Repository | None
    head_commit: Commits | None = None


class Page(Answer):
    """The newest runs."""

    workflow_runs: tuple[Finished, ...]


def measured(root: Path, environ: Mapping[str, str]) -> tuple[Part, ...]:
    """Leave the evidence of benchmark, load and rehearsal of HEAD's tree in reports/evidence.

    It comes from the newest successful run of pull-request.yml on that tree, in the merge queue,
    else on main; where that judged another commit, each part says so and becomes HEAD's. Without
    a merge queue main's run of HEAD has only begun: it is waited for, 40 minutes at most. Reads
    GITHUB_TOKEN and GITHUB_REPOSITORY. Raises NoData without such a run or a part of it, and
    Problem, with nothing written, for an artifact that is no plain evidence.
    """
    github, head = GitHub.of(environ), lineage.head(root)
    source = _awaited(root, github, head)
    found = artifact.parts(github, source.id, source.head_sha)
    if missing := [gate for gate in TIMED if gate not in found]:
        raise _none(f"run {source.id} without evidence of {', '.join(missing)}", head)
    parts = tuple(_of_head(found[gate], source, head) for gate in TIMED)
    for part in parts:
        evidence.write(root / EVIDENCE, part)
    log.info(
        "run %d, %s on %s: %s",
        *(source.id, source.event, source.head_sha[:12]),
        ", ".join(f"{part.gate} {part.status}" for part in parts),
    )
    return parts


def _awaited(root: Path, github: GitHub, head: str) -> Finished:
    """The run that is taken, as soon as there is one; NoData where none is under way either."""
    for look in range(LOOKS):
        if look:
            time.sleep(EVERY)
        running = _running(github, head)  # first: between both it may end
        try:
            return _source(root, github, head)
        except NoData:
            if not running:
                raise
        log.info("run %d of %s has not ended", running[0], head[:12])
    raise _none(f"a run of pull-request.yml on it that has not ended in {LOOKS * EVERY:g} s", head)


def _running(github: GitHub, head: str) -> list[int]:
    """The runs of HEAD on main, or in its queue, that have not ended."""
    return [
        each.id
        for event in HEADS
        for each in _listed(github, event, head_sha=head)
        if each.head_sha == head and each.status != "completed"
    ]


def _source(root: Path, github: GitHub, head: str) -> Finished:
    """The run that is taken: of HEAD itself, else of a commit with the same tree."""
    tree = run(root, "git", "rev-parse", f"{head}^{{tree}}").stdout.strip()
    for event in HEADS:
        for each in _runs(github, event, head_sha=head):
            if each.head_sha == head:  # the API ignores a filter that it does not understand
                return each
    looked = 0
    for event in HEADS:
        for each in _runs(github, event):
            known = each.head_commit.tree_id if each.head_commit else None
            if known not in (None, tree) or looked == FETCHED:
                continue
            looked += 1
            if _tree(root, github, each.head_sha) == tree:
                return each
    raise _none("no successful run of pull-request.yml on it", head)


def _runs(github: GitHub, event: str, **query: str) -> Iterator[Finished]:
    """Successful runs of this repository's main or its queue, newest first."""
    for each in _listed(github, event, status="success", **query):
        if (each.status, each.conclusion) == ("completed", "success"):
            yield each


def _listed(github: GitHub, event: str, **query: str) -> Iterator[Finished]:
    """Runs of this repository's main or its queue, newest first, whatever became of them."""
    name = WORKFLOW.rpartition("/")[2]
    path = f"actions/workflows/{name}/runs"
    page = github.get(Page, path, event=event, per_page=100, **query)
    for each in sorted(page.workflow_runs, key=lambda one: one.id, reverse=True):
        own = each.head_repository == Repository(full_name=github.repository)
        named = (each.event, each.path.partition("@")[0]) == (event, WORKFLOW)
        if own and named and HEADS[event].fullmatch(each.head_branch or ""):
            yield each


def _tree(root: Path, github: GitHub, commit: str) -> str | None:
    """The tree of a commit, by Git's objects; None where they are gone, as of a queue's branch."""
    try:
        policy.fetch(root, github, commit)
    except Problem as problem:
        log.info("passed over %s: %s", commit[:12], shown(problem.found))
        return None
    return run(root, "git", "rev-parse", f"{commit}^{{tree}}").stdout.strip()


def _of_head(part: Part, source: Finished, head: str) -> Part:
    """A part as HEAD's; its lines stay, and a notice says of which commit they were measured."""
    if part.commit == head:
        return part
    text = (
        f"{part.gate}: measured on commit {part.commit[:12]}, whose tree is this one's, "
        f"by run {source.id}"
    )
    notice = Notice(kind="machinery", text=text)
    return part.model_copy(update={"commit": head, "notices": (*part.notices, notice)})


def _none(found: str, head: str) -> NoData:
    wanted = f"evidence of {', '.join(TIMED)} for the tree of {head[:12]}"
    remedy = "Let pull-request.yml end on it, or run `make bench-compare load rehearse` here."
    return NoData("the runs of the merge queue and of main", found, wanted, remedy)
