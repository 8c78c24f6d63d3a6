"""The image of a Bento as an OCI layout, built where a builder works, and read back."""

import logging
from dataclasses import dataclass, replace
from pathlib import Path

from preflight.errors import Problem
from preflight.files import read_json, replacing
from preflight.images import builders, layout, written
from preflight.images.labels import Labels, read
from preflight.layout import STATE
from preflight.workspace import run

CONTAINERFILE = Path("deploy/image/Containerfile")
LAYOUT = STATE / "image"
log = logging.getLogger("preflight")


@dataclass(frozen=True)
class Built:
    """A layout's folder, its digest, the builder or None, and what is to be said of it."""

    layout: Path
    digest: str
    builder: str | None
    said: str


def build(root: Path, bento: Path, labels: Labels) -> Built:
    """Build the image of a Bento's folder into .preflight/image, replacing what was there.

    Where no builder works the layout holds the Bento alone, and `said` says so. What was built is
    read back: raises Problem where its labels or its model are not those that were asked for.
    """
    _require_same(bento, labels)
    builder, refusals = builders.working()
    with replacing(root / LAYOUT) as partial:
        if builder is None:
            written.write(partial, bento, labels.oci())
        else:
            log.info("building the image with %s", builder)
            time = int(run(root, "git", "show", "-s", "--format=%ct", labels.commit).stdout)
            job = builders.Job(root / CONTAINERFILE, bento, labels.oci(), time)
            builders.build(builder, job, partial)
        _require_labels(partial, labels)
        layout.check(partial)
        layout.require_model(partial, labels.model_hash)
    return Built(
        root / LAYOUT, layout.digest(root / LAYOUT), builder, _said(bento, builder, refusals)
    )


def _said(bento: Path, builder: str | None, refusals: str) -> str:
    if builder:
        return f"image by {builder}"
    tag = f"{bento.parent.name}:{bento.name}"
    return f"the Bento {tag} alone, and no image that runs: no Python in it ({refusals})"


def _require_same(bento: Path, labels: Labels) -> None:
    """Refuse labels of another Bento, as its build.json names it."""
    place = bento / "src/build.json"
    held = read_json(place)
    found = replace(
        labels, version=held["model_version"], commit=held["commit"], bento=held["bento"]
    )
    _require(str(place), found, labels)


def _require_labels(folder: Path, labels: Labels) -> None:
    _require(f"{folder.name}: labels", read(layout.labels(folder), folder.name), labels)


def _require(where: str, found: Labels, wanted: Labels) -> None:
    mine, other = wanted.oci(), found.oci()
    if differing := sorted(name for name in mine if other.get(name) != mine[name]):
        name = differing[0]
        remedy = "Build it again: `preflight package`."
        raise Problem(where, f"{name} {other.get(name)}", mine[name], remedy)
