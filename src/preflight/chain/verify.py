"""Walks the chain of a release from dvc.lock to what runs, and compares each link's two ends."""

from pathlib import Path

from preflight.chain import claim
from preflight.chain.claim import Claim
from preflight.chain.links import Link, Step, looked
from preflight.chain.walk import Service, Walk

REMEDIES = {  # by link, along the chain
    "dvc.lock -> commit": "Run `make repro`, and commit dvc.lock.",
    "tree -> model": "Run `make restore`.",
    "commit -> registry": "Register it again: `make register`.",
    "registry -> Bento": "Delete the Bento, and run `make bento`.",
    "Bento -> image": "Build it again: `make package`.",
    "tag -> digest": "Keep to the digest, and see who moved the tag.",
    "evidence -> record": "Release it by its commands, or go back: git revert.",
    "record -> manifest": "Render it again: `preflight render`.",
    "staging -> release": "Release it in staging first.",
    "manifest -> /version": "See whether a rollout is in flight; else what was deployed by hand.",
}


def verify(root: Path, asked: str, service: Service | None = None) -> tuple[Link, ...]:
    """Each link of the chain up to an environment, commit, Bento or image, in its order.

    Links beyond it are not asked. Raises Problem for a word that names nothing, NoData for a name
    of which nothing is here.
    """
    return tuple(looked(step) for step in steps(root, claim.of(root, asked), service))


def steps(root: Path, said: Claim, service: Service | None = None) -> tuple[Step, ...]:
    """The links of the chain, each with what compares its ends."""
    walk = Walk(root, said, service)
    checks = (
        *(walk.data, walk.model, walk.registry, walk.bento, walk.image, walk.digest),
        *(walk.evidence, walk.manifest, walk.order, walk.running),
    )
    known = zip(REMEDIES.items(), _ends(said), checks, strict=True)
    return tuple(Step(name, ends, check, remedy) for (name, remedy), ends, check in known)


def _ends(said: Claim) -> tuple[tuple[str, str], ...]:
    """Each link's ends in words."""
    commit, version = f"commit {said.commit[:12]}", f"version {said.version or 'of the commit'}"
    bento, image = f"Bento {said.bento or ''}".strip(), f"image {(said.image or '')[:19]}".strip()
    record = f"record {said.record.id}" if said.record else "record"
    return (
        ("dvc.lock", commit),
        ("the tree here", version),
        (commit, version),
        (version, bento),
        (bento, image),
        (f"tag of {bento}", image),
        ("evidence.json", record),
        (record, "rendered file"),
        ("staging", record),
        (record, "/version"),
    )
