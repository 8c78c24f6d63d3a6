"""`preflight package`: what a release is made of, from a commit whose evidence is green."""

import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from preflight import evidence, lineage, params, restore
from preflight.delivery import draft
from preflight.delivery.draft import Draft
from preflight.errors import NoData, Problem
from preflight.evidence import Part
from preflight.files import replacing
from preflight.gates import REQUIRED
from preflight.layout import EVIDENCE
from preflight.pull_request.github import SERVER, Answer, GitHub
from preflight.release import ReleasedModel
from preflight.workspace import run

if TYPE_CHECKING:
    from preflight.images.build import Built
    from preflight.images.labels import Labels

SQUASHED = re.compile(r"\(#([1-9]\d{0,9})\)$")  # as GitHub ends a squash commit's subject
SQLITE = "sqlite:///"
log = logging.getLogger("preflight")


class Merged(Answer):
    """A pull request that has a commit; not merged, it has no time."""

    number: int
    merged_at: str | None


def package(root: Path, environ: Mapping[str, str]) -> Draft:
    """Register HEAD's model, build its Bento and image; write the draft and its evidence.

    Raises Problem for a tree that is dirty or not current, for evidence of another commit, for a
    gate that is red, and for a registry or a store of images that would be gone with its runner;
    NoData for a gate without evidence.
    """
    require_lasting(root, environ)
    lineage.require_committed(root)
    parts = green(root, lineage.head(root))
    made = _made(root, parts, environ)
    with replacing(root / draft.EVIDENCE) as partial:
        partial.write_bytes(evidence.packed(parts).encode())
    draft.write(root, made)
    return made


def green(root: Path, commit: str) -> tuple[Part, ...]:
    """The evidence of a commit, each required gate's there and green; raises Problem, NoData."""
    for gate in REQUIRED:
        path = root / EVIDENCE / f"{gate}.json"
        if path.is_file():
            draft.require_of((evidence.read(path),), commit, str(EVIDENCE))
    parts = evidence.collect(root / EVIDENCE, commit, REQUIRED)
    for status, kind in (("fail", Problem), ("no-data", NoData)):
        if found := [part.gate for part in parts if part.status == status]:
            first = next(
                line
                for part in parts
                if part.gate == found[0]
                for line in part.evidence
                if line.status == status
            )
            raise kind(
                f"the evidence of {commit[:12]}",
                f"{status}: {', '.join(found)} ({first.check}: {first.found})",
                f"all {len(parts)} gates green",
                f"Nothing was released. {first.reproduce} shows it.",
            )
    return parts


def require_lasting(root: Path, environ: Mapping[str, str]) -> None:
    """In GitHub Actions raise Problem for a registry or images in the runner's own checkout."""
    if environ.get("GITHUB_ACTIONS") != "true":
        return
    registry = params.load(root / "params.yaml").registry
    local = registry.uri.startswith(SQLITE) and not registry.uri.startswith(f"{SQLITE}/")
    folder = "://" not in registry.images and not Path(registry.images).is_absolute()
    for key, value, gone in (
        ("uri", registry.uri, local),
        ("images", registry.images, folder),
    ):
        if gone:
            raise Problem(
                f"params.yaml: registry.{key}",
                f"{value}, below the checkout",
                "one that outlives the runner",
                "Name a server's there; docs/setup-github.md says how.",
            )


def _made(root: Path, parts: tuple[Part, ...], environ: Mapping[str, str]) -> Draft:
    from preflight import bento, registry
    from preflight.images.build import build
    from preflight.images.labels import Labels

    version = registry.register(root)
    folder, origin = bento.build(root), lineage.origin(root)
    name = params.load(root / "params.yaml").registry.name
    labels = Labels(
        name=name,
        version=version,
        model_hash=origin.model_hash,
        commit=origin.commit,
        data=lineage.data_digest(origin.data),
        evidence=evidence.digest(parts),
        bento=f"{folder.parent.name}:{folder.name}",
        source=source_of(environ),
        run=log_of(environ),
    )
    built = build(root, folder, labels)
    log.info("%s", built.said)
    return _draft(root, labels, built, pull_request(root, origin.commit, environ))


def _draft(root: Path, labels: "Labels", built: "Built", number: int | None) -> Draft:
    return Draft(
        model=ReleasedModel(name=labels.name, version=labels.version, hash=labels.model_hash),
        commit=labels.commit,
        data=labels.data,
        evidence=labels.evidence,
        bento=labels.bento,
        image=built.digest,
        who=author(root, labels.commit),
        artifacts=restore.artifacts(root),
        run=labels.run,
        pull_request=number,
        builder=built.builder,
    )


def author(root: Path, commit: str) -> str:
    """The name of a commit's author."""
    return run(root, "git", "show", "--no-patch", "--format=%an", commit).stdout.strip()


def source_of(environ: Mapping[str, str]) -> str | None:
    """The address of the workflow's repository; None outside of GitHub Actions."""
    if environ.get("GITHUB_ACTIONS") != "true":
        return None
    return f"{environ.get('GITHUB_SERVER_URL') or SERVER}/{environ.get('GITHUB_REPOSITORY', '')}"


def log_of(environ: Mapping[str, str]) -> str | None:
    """The address of the running workflow's log; None outside of GitHub Actions."""
    place = source_of(environ)
    return f"{place}/actions/runs/{environ.get('GITHUB_RUN_ID', '')}" if place else None


def pull_request(root: Path, commit: str, environ: Mapping[str, str]) -> int | None:
    """The pull request that a commit came by: GitHub's answer where a token is, else its subject's.

    None for a commit that came without one. Raises Problem for an answer that is none.
    """
    if environ.get("GITHUB_TOKEN"):
        pulls = GitHub.of(environ).get(tuple[Merged, ...], f"commits/{commit}/pulls", per_page=100)
        return next((each.number for each in pulls if each.merged_at), None)
    subject = run(root, "git", "show", "--no-patch", "--format=%s", commit).stdout.strip()
    found = SQUASHED.search(subject)
    return int(found[1]) if found else None
