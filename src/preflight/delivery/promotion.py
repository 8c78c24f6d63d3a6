"""What one environment promoted, proposed to the next: a branch and its pull request."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from preflight import evidence, release
from preflight.delivery import gitops, overlay, words
from preflight.delivery.gitops import Change
from preflight.delivery.proposal import Proposal, proposed
from preflight.delivery.staging import FIRST
from preflight.deploy import rendering
from preflight.errors import Problem
from preflight.release import EVIDENCE, Release

NEXT = "production"


@dataclass(frozen=True)
class Way:
    """From which environment to which; `again` says why a release comes that was left before."""

    source: str = FIRST
    target: str = NEXT
    again: str | None = None


def branch(target: str, name: str) -> str:
    """The branch that proposes a release, by its id."""
    return f"promote/{target}/{name}"


def promote(root: Path, way: Way, environ: Mapping[str, str]) -> str:
    """Propose the source's promoted release to the target; says what was done.

    What is proposed already, or there, is said and not touched; so is a source that promoted
    nothing, and a target whose rollout is in flight: it is asked again when that has ended. Raises
    Problem for a source that is not what its record says, for a release behind the target's, and
    for one that the target left before, unless `way` says why.
    """
    with gitops.top(root) as tree:
        if said := _nothing(tree, way):
            return said
        found = source(tree, way)
        when = datetime.now(UTC).replace(microsecond=0)
        record, files = change(tree, way, when)
        proof = evidence.unpacked(files[EVIDENCE.format(environment=way.target)].decode(), "")
        title = f"Release {record.id} in {way.target}"
        made = gitops.committed(tree, Change(_message(record, way), files))
        body = words.body(tree, found, record, proof, way.again)
        return proposed(root, made, Proposal(branch(way.target, record.id), title, body), environ)


def _nothing(tree: Path, way: Way) -> str | None:
    """Why there is nothing to propose now; None where there is."""
    for environment in (way.source, way.target):
        overlay.require_environment(tree, environment)
    found, now = release.current(tree, way.source), release.current(tree, way.target)
    if found is None or found.rollout.verdict != "promoted":
        said = f"{found.id} is {found.rollout.verdict}" if found else "it has no release"
        return f"nothing to propose: {way.source} promoted none, {said}"
    if now and _same(found, now):
        return f"{way.target}: {now.id} is there, {now.rollout.verdict}; nothing is to be done"
    if now and now.rollout.verdict == "pending":
        return f"{found.id} waits: the rollout of {now.id} in {way.target} has not ended"
    return None


def change(tree: Path, way: Way, when: datetime) -> tuple[Release, dict[str, bytes]]:
    """The target's record and files on a scratch tree of main, whoever asks; raises Problem."""
    overlay.require_environment(tree, way.target)
    found, now = source(tree, way), release.current(tree, way.target)
    overlay.require_settled(now)
    _require_forward(tree, found, now)
    _require_not_left(tree, found, way)
    _require_whole(tree, found)
    record = Release.model_validate(
        found.model_dump()
        | {
            "environment": way.target,
            "when": when,
            "previous": now.commit if now else None,
            "approval": None,
            "rollout": {"verdict": "pending", "at": None},
        }
    )
    proof = (tree / EVIDENCE.format(environment=way.source)).read_bytes()
    return record, overlay.files(tree, record, proof)


def source(tree: Path, way: Way) -> Release:
    """What was promoted in the source; raises Problem for less."""
    overlay.require_environment(tree, way.source)
    found = release.current(tree, way.source)
    if found is None or found.rollout.verdict != "promoted":
        said = f"release {found.id}, {found.rollout.verdict}" if found else "no release"
        remedy = f"Settle it in {way.source} first."
        raise Problem(way.source, said, "a promoted release", remedy)
    return found


def _require_whole(tree: Path, found: Release) -> None:
    """Raise Problem where a record's evidence or rendered file is another's."""
    _, where, place = overlay.places(found.environment)
    path = tree / where
    raw = path.read_text(encoding="utf-8") if path.is_file() else ""
    if (known := evidence.digest(evidence.unpacked(raw, where))) != found.evidence:
        said = f"the set {known[:12]}"
        raise Problem(where, said, f"{found.evidence[:12]}, the record's", "Restore it.")
    text = (tree / place).read_bytes().decode()
    if rendering.released(text, found, place) != text:
        remedy = f"Render it: preflight render {found.environment}."
        raise Problem(place, "another release's values", f"those of {found.id}", remedy)


def _same(one: Release, other: Release) -> bool:
    return (one.model, *one.deploys) == (other.model, *other.deploys)


def _require_forward(tree: Path, found: Release, now: Release | None) -> None:
    if now and now.commit != found.commit and overlay.ancestor(tree, found.commit, now.commit):
        raise Problem(
            f"release {found.id}",
            f"it behind {now.id}, that {now.environment} has",
            "a later commit",
            f"{now.environment} is ahead; to go back there: preflight rollback {now.environment}.",
        )


def _require_not_left(tree: Path, found: Release, way: Way) -> None:
    """A release that the target had, and has no more, comes back only with a reason."""
    known = list(release.history(tree, way.target, "HEAD"))
    left = next((each for each in known if each.id == found.id), None)
    if left is None or known[0].id == found.id or way.again:
        return
    raise Problem(
        f"release {found.id}",
        f"one that {way.target} left before ({left.rollout.verdict}; it has {known[0].id} now)",
        "a release that it never left: a revert of a revert brings the same fault",
        "Release a new commit; or say why it is right now: --again WHY.",
    )


def _message(record: Release, way: Way) -> str:
    again = f"\nAgain: {' '.join(way.again.split())}" if way.again else ""
    said = f"Promoted in {way.source}."
    return f"Release {record.id} in {way.target}\n\n{said}\n\nRelease: {record.id}{again}"
