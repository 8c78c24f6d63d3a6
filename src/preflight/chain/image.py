"""An image as an end of the chain: where it lies, what its labels say, and what it holds."""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from preflight.chain.ends import Packed, absent, pins, said
from preflight.errors import NoData, Problem
from preflight.images import labels, layers, layout
from preflight.images.labels import Labels
from preflight.layout import PACKAGED, STATE
from preflight.predictor import MANIFEST

BUILD, LOCK = "/build.json", "/requirements/serve.txt"
MODEL = f"/{PACKAGED.as_posix()}/{MANIFEST}"
MAX_BYTES = 4_000_000  # of a file that is read


def digest(root: Path, tag: str) -> str:
    """The digest that a tag has where images lie; raises NoData without the tag or the place."""
    from preflight.images import store

    with _reached(f"image {tag}"):
        found = store.of(root).digest(tag)
    if found is None:
        raise absent(f"image {tag}", "no such tag", "one that `make publish` pushed")
    return found


def folder(root: Path, image: str) -> Path:
    """The layout of an image by its digest: as it was built here, else fetched once."""
    from preflight.images import store

    built, kept = root / STATE / "image", root / STATE / "chain" / image.partition(":")[2]
    for each in (built, kept):
        if (each / "index.json").is_file() and layout.digest(each) == image:
            return each
    with _reached(f"image {image}"):
        return store.of(root).fetch(image, kept)


def labelled(place: Path) -> Labels:
    """What an image says of itself; raises Problem for a label that is missing or no such."""
    return labels.read(layout.labels(place), str(place))


def held(place: Path) -> Packed:
    """The Bento that an image holds, read from its upmost layers; raises Problem without one."""
    names = (BUILD, LOCK, MODEL)
    found = layers.topmost(
        place,
        lambda name: name.endswith(names),
        lambda file: file.read(MAX_BYTES),
        lambda seen: _home(seen) is not None,
    )
    if (home := _home(found)) is None:
        expected = f"one with {', '.join(name.lstrip('/') for name in names)}"
        raise Problem(str(place), "no Bento in the image", expected, "Build it: make package.")
    build, lock, model = (found[home + name] for name in names)
    version, commit, tag = said(build, str(place))
    packages = pins(lock.decode(errors="replace"))
    return Packed(version, commit, tag, _sha256(model), _sha256(lock), packages)


def _sha256(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()


def _home(seen: Mapping[str, bytes]) -> str | None:
    """The folder that has all of a Bento's files that are looked for."""
    homes = (name.removesuffix(MODEL) for name in seen if name.endswith(MODEL))
    return next((home for home in homes if {home + BUILD, home + LOCK} <= seen.keys()), None)


def inside(place: Path) -> str:
    """The hash of the model that an image holds; raises Problem where a file is another."""
    found = layout.model_hash(place)
    layout.require_model(place, found)
    return found


@contextmanager
def _reached(where: str) -> Iterator[None]:
    """Whatever keeps the place of images from answering makes what it holds absent."""
    try:
        yield
    except NoData:
        raise
    except Problem as problem:
        raise absent(f"{where}, {problem.where}", problem.found, problem.expected) from None
