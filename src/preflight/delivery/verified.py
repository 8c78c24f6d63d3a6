"""The chain up to a draft's published image, walked before its release goes into Git."""

from pathlib import Path

from preflight.chain import claim, links, verify
from preflight.chain.links import Link
from preflight.delivery.draft import Draft
from preflight.errors import NoData, Problem


def require(root: Path, made: Draft) -> tuple[Link, ...]:
    """The chain's links, where all that were asked hold; raises Problem, NoData for an absent one.

    What the image says of itself must be what the draft says.
    """
    said = claim.of(root, made.image)
    image = f"image {made.image[:19]}"
    for name, found, expected in (
        ("commit", said.commit, made.commit),
        ("name", said.model, made.model.name),
        ("version", said.version, made.model.version),
        ("model hash", said.hash, made.model.hash),
        ("data", said.data, made.data),
        ("evidence", said.evidence, made.evidence),
        ("Bento", said.bento, made.bento),
    ):
        if found != expected:
            remedy = "Make both again: preflight package, preflight publish."
            raise Problem(f"{image}: {name}", str(found), f"the draft's, {expected}", remedy)
    walked = tuple(links.looked(step) for step in verify.steps(root, said))
    for link in walked:
        if links.EXIT[link.status]:
            raise _broken(link)
    return walked


def _broken(link: Link) -> Problem:
    differing = [each for each in link.compared if not each.same]
    kind = NoData if link.status == "absent" else Problem
    found = link.why or "; ".join(f"{each.what} {each.right}" for each in differing)
    expected = "; ".join(f"{each.what} {each.left}" for each in differing) or link.ends[1]
    return kind(f"{link.name}: {link.ends[0]} -> {link.ends[1]}", found, expected, link.remedy)
