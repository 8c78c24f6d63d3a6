"""What is verified: an environment, a commit, a Bento or an image, and what it says of itself."""

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from preflight import params, release
from preflight.chain import ends, image
from preflight.deploy import tree
from preflight.errors import NoData, Problem
from preflight.params import Registry
from preflight.release import Release
from preflight.workspace import run

Kind = Literal["commit", "bento", "image", "environment"]
KINDS: tuple[Kind, ...] = ("commit", "bento", "image", "environment")  # along the chain
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
TAG = re.compile(r"v[A-Za-z0-9_.-]+-[0-9a-f]{12}")
BENTO = re.compile(r"[a-z][a-z0-9_.-]*:[A-Za-z0-9_.-]+")


@dataclass(frozen=True)
class Claim:
    """What an end says of itself; None where it says nothing.

    `hash` is the model's, `data` and `evidence` are digests, `bento` is a tag, `image` a digest.
    `registry` is params.yaml's; `packed` is the folder of a Bento, `layout` that of an image, where
    one was named. `tag` is the one that an image was asked for by, in place of its digest.
    """

    kind: Kind
    named: str
    commit: str
    registry: Registry
    model: str
    version: str | None = None
    hash: str | None = None
    data: str | None = None
    evidence: str | None = None
    bento: str | None = None
    image: str | None = None
    record: Release | None = None
    packed: Path | None = None
    layout: Path | None = None
    tag: str | None = None

    def reaches(self, kind: Kind) -> bool:
        """Whether it lies at an end of this kind, or beyond it."""
        return KINDS.index(self.kind) >= KINDS.index(kind)


def of(root: Path, asked: str) -> Claim:
    """What `asked` says of itself: ENV, COMMIT, BENTO or IMAGE by name, tag, digest or folder.

    Raises Problem for a word that names none of them, NoData where there is nothing of the name.
    """
    folder, registry = root / asked, params.load(root / "params.yaml").registry
    if asked in tree.environments(root):
        return _environment(root, asked, registry)
    if (folder / "bento.yaml").is_file():
        return _bento(folder, asked, registry, ends.stored(root, folder))
    if (folder / "index.json").is_file():
        return _image(folder, asked, None, registry)
    if DIGEST.fullmatch(asked):
        return _image(image.folder(root, asked), asked, asked, registry)
    if TAG.fullmatch(asked):
        digest = image.digest(root, asked)
        said = _image(image.folder(root, digest), f"image {asked}", digest, registry)
        name = (said.bento or "").partition(":")[0]
        return replace(said, bento=f"{name}:{asked}", tag=asked)
    if BENTO.fullmatch(asked):
        return _bento(ends.bento(root, asked), asked, registry, asked)
    return Claim("commit", asked, _commit(root, asked), registry, registry.name)


def _environment(root: Path, name: str, registry: Registry) -> Claim:
    record = release.current(root, name)
    if record is None:
        place = release.PLACE.format(environment=name)
        raise NoData(place, "no release yet", "its record", "Release something first.")
    return Claim(
        "environment",
        name,
        record.commit,
        registry,
        record.model.name,
        record.model.version,
        record.model.hash,
        record.data,
        record.evidence,
        record.bento,
        record.image,
        record,
    )


def _bento(folder: Path, asked: str, registry: Registry, tag: str | None) -> Claim:
    """A Bento's own word: its build.json, and the model in it; but its tag is where it lies."""
    packed = ends.unpacked(folder)
    return Claim(
        "bento",
        asked,
        packed.commit,
        registry,
        registry.name,
        packed.version,
        packed.hash,
        bento=tag or packed.tag,
        packed=folder,
    )


def _image(folder: Path, asked: str, digest: str | None, registry: Registry) -> Claim:
    """An image's own word: its labels; its digest is what it is, not what it says."""
    said = image.labelled(folder)
    return Claim(
        "image",
        asked,
        said.commit,
        registry,
        said.name,
        said.version,
        said.model_hash,
        said.data,
        said.evidence,
        said.bento,
        digest,
        layout=folder,
    )


def _commit(root: Path, asked: str) -> str:
    words = ("git", "rev-parse", "--verify", "--quiet", "--end-of-options", f"{asked}^{{commit}}")
    found = run(root, *words, check=False)
    if found.returncode:
        known = ", ".join(tree.environments(root)) or "none"
        raise Problem(
            repr(asked),
            "nothing of that name",
            f"an environment ({known}), a commit, a Bento's tag or folder, or an image's digest, "
            "tag or folder",
            "Name one of them.",
        )
    return found.stdout.strip()
