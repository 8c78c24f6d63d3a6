"""Rules of releases: what production runs was promoted in staging, and files are what Git says."""

import re
from collections.abc import Iterator
from pathlib import Path

from preflight import params, release
from preflight.deploy import checkout, rendering
from preflight.deploy.tree import Environment, Finding, Tree
from preflight.errors import NoData, Problem
from preflight.release import Release
from preflight.workspace import run

FIRST = "staging"  # where whatever others run was promoted
HUNK = re.compile(r"@@ -(\d+)")  # of a unified difference


def complete(tree: Tree) -> Iterator[Finding]:
    """Each environment has all its files, and each document is an object or a known tool's."""
    yield from tree.odd


def ahead(tree: Tree) -> Iterator[Finding]:
    """What an environment runs was promoted in staging before its record came."""
    for env in tree.environments:
        if env.name == FIRST or (record := env.record) is None:
            continue
        known = list(_promoted(tree.root, _before(tree.root, env.name, record)))
        if not any(_alike(record, each) for each in known):
            yield _finding(
                env,
                f"{record.id} by manifests {record.manifests[:12]}, never promoted in {FIRST}",
                f"one of {len(known)} releases that were promoted there, by an earlier commit",
                f"Release it in {FIRST} first.",
            )


def _before(root: Path, environment: str, record: Release) -> str:
    """The commit before the one that brought a record; HEAD while it is not committed."""
    brought = None
    for each in release.recorded(root, environment, "HEAD"):
        if each.release.deploys != record.deploys:
            break
        brought = each.at
    return f"{brought}^" if brought else "HEAD"


def _promoted(root: Path, commit: str) -> Iterator[Release]:
    """Staging's records whose rollout was promoted, as a commit knows them."""
    there = run(root, "git", "rev-parse", "--verify", "--quiet", commit, check=False)
    for each in release.history(root, FIRST, commit) if there.returncode == 0 else ():
        if each.rollout.verdict == "promoted":
            yield each


def again(tree: Tree) -> Iterator[Finding]:
    """No release comes back that was aborted: rollbackWindow would promote it unjudged."""
    for env in tree.environments:
        if (record := env.record) is None:
            continue
        known = release.history(tree.root, env.name, "HEAD")
        same = [each for each in (record, *known) if each.id == record.id]
        aborted = any(
            each.rollout.verdict == "aborted" and each.when != record.when for each in same
        )
        if aborted and not any(each.rollout.verdict == "promoted" for each in same):
            yield _finding(
                env,
                f"{record.id}, which was aborted; with rollbackWindow it would get all traffic "
                "unjudged",
                "a release that was promoted, or a new one",
                "Release a new commit of it.",
            )


def approved(tree: Tree) -> Iterator[Finding]:
    """What came to main beyond staging has the approval that main's risk tier asked for then.

    The tier is that of the commit before the one that brought the record, whatever it is now. A
    proposal, pending and not on main, has none yet: it gets it when it lands. Whether a named
    review is real, GitHub alone can say.
    """
    for env in tree.environments:
        if env.name == FIRST or (record := env.record) is None:
            continue
        brought = _brought(tree.root, record)
        proposal = record.rollout.verdict == "pending" and not _on_main(tree.root, brought)
        if proposal or not _approvals(tree.root, f"{brought}^" if brought else "HEAD"):
            continue
        who = record.approval.who if record.approval else None
        if who in (None, record.who):
            found = f"{record.id} with {'its author' if who else 'nobody'} as its approver"
            remedy = f"Go back: preflight rollback {env.name}; a promotion lands by promote.yml."
            place = release.PLACE.format(environment=env.name)
            expected = "an approval by another, as its risk tier asked"
            yield Finding(place, "", "approval", found, expected, remedy)


def _brought(root: Path, record: Release) -> str | None:
    """The first commit that had a record, but for its rollout; None while it is not committed."""
    plain = {"rollout": record.rollout}
    known = release.recorded(root, record.environment, "HEAD")
    found = [each.at for each in known if each.release.model_copy(update=plain) == record]
    return found[-1] if found else None


def _on_main(root: Path, commit: str | None) -> bool:
    """Whether the remote's main, as last fetched, has a commit."""
    at = checkout.of(root)
    asked = ("merge-base", "--is-ancestor", commit or "", f"refs/remotes/{at.remote}/{at.main}")
    return run(root, "git", *asked, check=False).returncode == 0


def _approvals(root: Path, commit: str) -> int:
    """How many approvals a commit's risk tier asks for; none before there were tiers."""
    shown = run(root, "git", "show", f"{commit}:params.yaml", check=False)
    raw = params.plain(shown.stdout, f"params.yaml at {commit}") if shown.returncode == 0 else {}
    if (known := raw.get("risk")) is None:
        return 0
    return int(known["tiers"][known["tier"]]["approvals"])


def _finding(env: Environment, found: str, expected: str, remedy: str) -> Finding:
    place = release.PLACE.format(environment=env.name)
    return Finding(place, "", "model", found, expected, remedy)


def _alike(one: Release, other: Release) -> bool:
    """Whether they put the same into their environments, by the same manifests."""
    return (one.model, *one.deploys) == (other.model, *other.deploys)


def recorded(env: Environment, text: str) -> Iterator[Finding]:
    """Digest, version and release id in a rendered file are the record's."""
    where = env.manifests.where
    try:
        expected = rendering.released(text, env.record, where)
    except Problem as problem:
        yield Finding(where, "", "", problem.found, problem.expected, problem.remedy)
        return
    for number, (found, wanted) in enumerate(
        zip(text.splitlines(), expected.splitlines(), strict=False), 1
    ):
        if found != wanted:
            place = f"line {number}"
            source = "the record's" if env.record else "unreleased, as there is no record"
            remedy = f"Render it: preflight render {env.name}."
            yield Finding(where, "", place, found.strip(), f"{wanted.strip()}, {source}", remedy)


def by_hand(tree: Tree) -> Iterator[Finding]:
    """Rendered files hold what their record says, and what deploy/ gives, to the byte.

    Raises NoData without kustomize, and Problem without a record that can be read.
    """
    missing: Problem | None = None
    for env in tree.environments:
        if env.unread:  # nobody knows what the file should hold
            missing = env.unread
            continue
        text = (tree.root / env.manifests.where).read_text(encoding="utf-8")
        found = list(recorded(env, text))
        yield from found
        if found:
            continue
        try:
            yield from _rendered(tree.root, env)
        except NoData as problem:
            missing = problem
    if missing:
        raise missing


def _rendered(root: Path, env: Environment) -> Iterator[Finding]:
    """Where a file differs from one rendered anew; raises NoData without kustomize."""
    try:
        difference = rendering.difference(root, env.name)
    except NoData:
        raise
    except Problem as problem:
        yield Finding(problem.where, "", "", problem.found, problem.expected, problem.remedy)
        return
    if difference:
        yield _edited(env, difference)


def _edited(env: Environment, difference: str) -> Finding:
    """A finding of the first line that differs, without its value: it may be a secret's."""
    whole = difference.splitlines()
    at = next(at for at, line in enumerate(whole) if line.startswith("@@"))
    start = HUNK.match(whole[at])
    after = next(at for at, line in enumerate(whole[at + 1 :]) if line[:1] in "+-")
    line = f"line {int(start[1]) + after}" if start else ""
    key = whole[at + 1 + after][1:].partition(":")[0].strip()
    remedy = f"Edit deploy/base or an overlay, and render: preflight render {env.name}."
    expected = f"what deploy/ gives: preflight render --check {env.name}"
    return Finding(env.manifests.where, "", line, f"another {key!r}", expected, remedy)
