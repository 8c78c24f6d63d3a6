"""Rules of releases: what production runs was promoted in staging, and files are what Git says."""

import re
from collections.abc import Iterator

from preflight import release
from preflight.deploy import rendering
from preflight.deploy.tree import Environment, Finding, Tree
from preflight.errors import NoData, Problem

BEFORE = {"production": "staging"}
HUNK = re.compile(r"@@ -(\d+)")  # of a unified difference


def ahead(tree: Tree) -> Iterator[Finding]:
    """What an environment runs was promoted in the one before it: production's in staging."""
    for env in tree.environments:
        before = BEFORE.get(env.name)
        if before is None or env.record is None:
            continue
        known = list(_promoted(tree, before))
        if not any(_alike(env.record, each) for each in known):
            record = env.record
            yield Finding(
                release.PLACE.format(environment=env.name),
                "",
                "model",
                f"{record.id} by manifests {record.manifests[:12]}, never promoted in {before}",
                f"one of {len(known)} releases that were promoted there",
                f"Release it in {before} first.",
            )


def _promoted(tree: Tree, environment: str) -> Iterator[release.Release]:
    """Records whose rollout was promoted, by Git, and by the file that is not yet committed."""
    current = [each.record for each in tree.environments if each.name == environment]
    for each in (*filter(None, current), *release.history(tree.root, environment, "HEAD")):
        if each.rollout.verdict == "promoted":
            yield each


def _alike(one: release.Release, other: release.Release) -> bool:
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

    Raises NoData without kustomize, when nothing else is wrong.
    """
    missing = None
    for env in tree.environments:
        text = (tree.root / env.manifests.where).read_text(encoding="utf-8")
        found = list(recorded(env, text))
        yield from found
        if found:
            continue
        try:
            difference = rendering.difference(tree.root, env.name)
        except NoData as problem:
            missing = problem
            continue
        except Problem as problem:
            yield Finding(problem.where, "", "", problem.found, problem.expected, problem.remedy)
            continue
        if difference:
            yield _edited(env, difference)
    if missing:
        raise missing


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
