"""The first environment of a release: one commit on main with its record there."""

from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from preflight import release
from preflight.delivery import draft, gitops, overlay
from preflight.delivery.draft import Draft
from preflight.delivery.gitops import Change
from preflight.errors import Problem
from preflight.lineage import head
from preflight.release import Recorded, Release

FIRST = "staging"


def stage(root: Path) -> Recorded:
    """Commit the draft's release to staging, on top of the remote's main.

    Raises Problem for a draft or evidence of another commit, for a commit that main has not, that
    was released before or is behind what is released, and while staging's rollout is in flight:
    of two releases at once the later waits.
    """
    made = draft.read(root)
    if not overlay.same_source(root, made.commit, commit := head(root)):
        found = f"the draft of another commit, {made.commit[:12]}"
        remedy = "Make it again: preflight package."
        raise Problem(str(draft.PLACE), found, f"that of HEAD, {commit[:12]}", remedy)
    proof, when = draft.packed(root, made), datetime.now(UTC).replace(microsecond=0)
    pushed = gitops.pushed(root, partial(_change, made=made, proof=proof, when=when))
    return next(release.recorded(root, FIRST, pushed or "HEAD"))


def _change(tree: Path, made: Draft, proof: bytes, when: datetime) -> Change:
    """The commit on a top of main; raises Problem where it does not stand there."""
    overlay.require_environment(tree, FIRST)
    now = release.current(tree, FIRST)
    _require_new(tree, made)
    overlay.require_settled(now)
    _require_ahead(tree, made, now)
    record = made.record(
        environment=FIRST,
        manifests=_manifests(tree, made, now),
        when=when,
        previous=now.commit if now else None,
        rollout={"verdict": "pending", "at": None},
    )
    left = f"The release before was {now.id}." if now else "It is the first one."
    message = f"Release {record.id} in {FIRST}\n\n{left}\n\nRelease: {record.id}"
    return Change(message, overlay.files(tree, record, proof))


def _manifests(tree: Path, made: Draft, now: Release | None) -> str:
    """The draft's commit where deploy/ changed since the record's manifests; else those."""
    if now and overlay.alike(tree, FIRST, now.manifests, made.commit):
        return now.manifests
    return made.commit


def _require_new(tree: Path, made: Draft) -> None:
    short = made.commit[:12]
    if not overlay.ancestor(tree, made.commit, "HEAD"):
        remedy = "Merge it first, and package what main has."
        raise Problem(f"commit {short}", "it not on the remote's main", "a merged one", remedy)
    for each in release.history(tree, FIRST, "HEAD"):
        if each.commit == made.commit:
            raise Problem(
                f"commit {short}",
                f"it released already, as {each.id} ({each.rollout.verdict})",
                "a commit that was not released",
                "Nothing is to be done; to come back to a release: preflight rollback.",
            )


def _require_ahead(tree: Path, made: Draft, now: Release | None) -> None:
    if now and overlay.ancestor(tree, made.commit, now.commit):
        found = f"it behind {now.commit[:12]}, that release {now.id} has"
        remedy = "To go back is `preflight rollback`."
        raise Problem(f"commit {made.commit[:12]}", found, "a later commit", remedy)
