"""Files of an image as a container would see them: an upper layer's hide those below."""

import gzip
import tarfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from posixpath import normpath
from typing import IO, TypeVar, cast

from preflight.errors import Problem
from preflight.images.blobs import AGAIN, manifest, top, verified

GZIP = b"\x1f\x8b"
REMOVED, EMPTIED = ".wh.", ".wh..wh..opq"  # image specification, layer.md: whiteouts
T = TypeVar("T")


def topmost(
    folder: Path,
    wanted: Callable[[str], bool],
    take: Callable[[IO[bytes]], T],
    enough: Callable[[Mapping[str, T]], bool] = lambda _: False,
) -> dict[str, T]:
    """What `take` makes of each wanted file, by its path without the first slash.

    Layers are read from the upmost down, as streams, until there is `enough`. Links are no files:
    what one stands for or hides is not found. Raises Problem for a layer that cannot be read.
    """
    seen: dict[str, T] = {}
    hidden: set[str] = set()
    for layer in reversed(manifest(folder, top(folder)).layers):
        here, gone = _read(verified(folder, layer), wanted, take)
        seen |= {name: value for name, value in here.items() if not _below(name, hidden)}
        hidden |= gone
        if enough(seen):
            break
    return seen


def _read(
    layer: Path, wanted: Callable[[str], bool], take: Callable[[IO[bytes]], T]
) -> tuple[dict[str, T], set[str]]:
    """What a layer has of the wanted files, and the paths that it hides in those below."""
    here: dict[str, T] = {}
    gone: set[str] = set()
    try:
        with _opened(layer) as file, tarfile.open(fileobj=file, mode="r|") as stream:
            for member in stream:
                name = normpath("/" + member.name).lstrip("/")
                if not member.isdir():
                    gone.add(_hides(name))
                    here.pop(name, None)
                if member.isreg() and wanted(name) and (held := stream.extractfile(member)):
                    here[name] = take(held)
    except (tarfile.TarError, zlib.error, EOFError, OSError) as error:
        said = f"a layer that cannot be read ({' '.join(str(error).split())})"
        raise Problem(str(layer), said, "tar, or tar by gzip", AGAIN) from None
    return here, gone


def _opened(layer: Path) -> IO[bytes]:
    """A layer's tar. What tarfile itself unpacks may be large at once; this is not."""
    with layer.open("rb") as file:
        packed = file.read(len(GZIP)) == GZIP
    return cast(IO[bytes], gzip.open(layer)) if packed else layer.open("rb")


def _hides(name: str) -> str:
    """The path that a file, a link or a whiteout takes from the layers below."""
    parent, slash, last = name.rpartition("/")
    if last == EMPTIED:
        return parent
    return parent + slash + last.removeprefix(REMOVED)


def _below(name: str, hidden: set[str]) -> bool:
    parts = name.split("/")
    return any("/".join(parts[:length]) in hidden for length in range(1, len(parts) + 1))
