"""What a release writes into an environment: its record, evidence and rendered file."""

from pathlib import Path

import yaml

from preflight import release
from preflight.deploy import rendering
from preflight.errors import Problem
from preflight.release import EVIDENCE, OVERLAYS, PLACE, RENDERED, Release
from preflight.workspace import run


def places(environment: str) -> tuple[str, str, str]:
    """The three files' paths: record, evidence, rendered file."""
    record, evidence, rendered = (
        each.format(environment=environment) for each in (PLACE, EVIDENCE, RENDERED)
    )
    return record, evidence, rendered


def text(record: Release) -> str:
    """A record as YAML, in the order of its fields."""
    plain = record.model_dump(mode="json")
    return yaml.safe_dump(plain, sort_keys=False, allow_unicode=True)


def files(tree: Path, record: Release, evidence: bytes) -> dict[str, bytes]:
    """The bytes of an environment's three files with a release, by path.

    `tree` is a scratch tree: the record may stay written there. Without kustomize where the
    manifests stay those of the rendered file; else raises NoData where kustomize is missing.
    """
    place, proof, rendered = places(record.environment)
    return {
        place: text(record).encode(),
        proof: evidence,
        rendered: _rendered(tree, record).encode(),
    }


def alike(root: Path, environment: str, one: str, other: str) -> bool:
    """Whether two commits have the same sources of an environment's manifests."""
    sources = ("deploy/base", "deploy/components", str(OVERLAYS / environment))
    own = [f":(exclude){each}" for each in places(environment)]
    compared = ("git", "diff", "--quiet", one, other, "--", *sources, *own)
    return one == other or run(root, *compared, check=False).returncode == 0


def same_source(root: Path, one: str, other: str) -> bool:
    """Whether two commits differ in records, evidence and rendered files at most."""
    own = [f":(exclude,glob){each}" for each in places("*")]
    compared = ("git", "diff", "--quiet", one, other, "--", ".", *own)
    return one == other or run(root, *compared, check=False).returncode == 0


def require_environment(tree: Path, environment: str) -> None:
    """Raise Problem for an environment that has no overlay."""
    if environment not in (known := rendering.renderable(tree)):
        expected = f"one of {', '.join(known)}" if known else "an overlay"
        found = f"no environment {environment!r}"
        raise Problem(str(OVERLAYS), found, expected, "Name one of them.")


def require_settled(record: Release | None) -> None:
    """Raise Problem while an environment's rollout is in flight."""
    if record and record.rollout.verdict == "pending":
        raise Problem(
            f"release {record.id} in {record.environment}",
            "a rollout in flight",
            "its verdict in the record, promoted or aborted",
            "Wait for it; two releases at once are one too many.",
        )


def ancestor(root: Path, one: str, other: str) -> bool:
    """Whether a commit is an ancestor of another, or the same."""
    asked = ("git", "merge-base", "--is-ancestor", one, other)
    return run(root, *asked, check=False).returncode == 0


def _rendered(tree: Path, record: Release) -> str:
    environment = record.environment
    before, path = (
        release.current(tree, environment),
        tree / RENDERED.format(environment=environment),
    )
    since = before.manifests if before else "HEAD"
    if path.is_file() and alike(tree, environment, since, record.manifests):
        kept = path.read_bytes().decode()
        return rendering.released(kept, record, str(path.relative_to(tree)))
    (tree / PLACE.format(environment=environment)).write_text(text(record), encoding="utf-8")
    return rendering.rendered(tree, environment)
