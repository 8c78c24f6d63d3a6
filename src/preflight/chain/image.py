"""An image as an end of the chain: where it lies, what its labels say, and what it holds."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from preflight.chain.ends import BUILD, LOCK, MODEL, Packed, absent, pins, said
from preflight.chain.links import Compared
from preflight.errors import NoData, Problem
from preflight.files import sha256
from preflight.images import labels, layout
from preflight.images.labels import Labels
from preflight.layout import STATE

RUN = ("src/", "env/")  # the rest of a Bento says when it was built
CACHES = "/__pycache__/"  # which a server may leave in a Bento's folder


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
    from preflight.images.build import LAYOUT

    built, kept = root / LAYOUT, root / STATE / "chain" / image.partition(":")[2]
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
    found = layout.texts(place, names)
    if not found.keys() >= set(names):
        expected = f"one with {', '.join(names)}"
        raise Problem(str(place), "no Bento in the image", expected, "Build it: make package.")
    build, lock, model = (found[name] for name in names)
    version, commit, tag = said(build, str(place))
    packages = pins(lock.decode(errors="replace"))
    return Packed(version, commit, tag, _sha256(model), _sha256(lock), packages)


def _sha256(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()


def compared(here: Packed, inside: Packed) -> Iterator[Compared]:
    """A Bento against the one that an image holds; their packages are those of their locks."""
    yield Compared("version inside", here.version, inside.version)
    yield Compared("commit inside", here.commit, inside.commit)
    yield Compared("Bento inside", here.tag, inside.tag)
    yield Compared("model inside", here.hash, inside.hash)
    yield Compared("lock inside", here.lock, inside.lock)


def files(place: Path, bento: Path) -> Iterator[Compared]:
    """Each file that runs of a Bento's folder that an image has otherwise, and how many."""
    paths = ((each, each.relative_to(bento).as_posix()) for each in bento.rglob("*"))
    known = {name: sha256(each) for each, name in paths if name.startswith(RUN) and each.is_file()}
    wanted = {name for name in known if CACHES not in name}
    inside = layout.bento_files(place, wanted)
    names = wanted | {name for name in inside if name.startswith(RUN)}
    odd = sorted(name for name in names if known.get(name) != inside.get(name))
    for name in odd:
        yield Compared(name, known.get(name, "none"), inside.get(name, "none"))
    many = f"{len(wanted)} files"
    yield Compared("files inside", many, f"{len(odd)} others" if odd else many)


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
