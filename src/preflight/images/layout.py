"""An image in an OCI layout, read: its digest and labels, and the Bento that its layers have."""

import hashlib
import json
from collections.abc import Collection
from pathlib import Path
from typing import IO, Any

from preflight.errors import Problem
from preflight.images.blobs import AGAIN, Config, manifest, parsed, reachable, top
from preflight.images.layers import topmost
from preflight.layout import PACKAGED
from preflight.predictor import MANIFEST

MODEL = f"/{PACKAGED.as_posix()}/{MANIFEST}"
MAX_BYTES = 4_000_000  # of a file that is read whole


def digest(folder: Path) -> str:
    """The image's digest, as `sha256:...`; raises Problem where the layout holds no one image."""
    return top(folder).digest


def check(folder: Path) -> None:
    """Raise Problem where a blob of the image is missing or has other bytes than its digest."""
    for _ in reachable(folder, top(folder)):
        pass


def labels(folder: Path) -> dict[str, str]:
    """The image's labels; `labels.read` makes ours of them."""
    return _config(folder).config.labels or {}


def runs(folder: Path) -> bool:
    """Whether it is an image, or a Bento alone that was put down where no builder works."""
    return _config(folder).os != "unknown"


def model_hash(folder: Path) -> str:
    """SHA-256 of the model's manifest as a container would see it; raises Problem without one."""
    return hashlib.sha256(_model(folder)[1]).hexdigest()


def require_model(folder: Path, wanted: str) -> None:
    """Refuse an image whose model is another than `wanted`, by its manifest or by its files."""
    place, text = _model(folder)
    found = hashlib.sha256(text).hexdigest()
    if found != wanted:
        raise Problem(f"{folder}: /{place}", f"a model of hash {found}", f"of {wanted}", AGAIN)
    home = place.removesuffix(MANIFEST)
    files = {home + name: sha for name, sha in _named(text, f"{folder}: /{place}").items()}
    held = topmost(folder, files.__contains__, _hash, lambda seen: len(seen) == len(files))
    for name, sha in sorted(files.items()):
        if held.get(name) != sha:
            said = f"hash {held[name]}" if name in held else "no such file"
            raise Problem(f"{folder}: /{name}", said, f"hash {sha}, of its manifest", AGAIN)


def bento_files(folder: Path, known: Collection[str] = ()) -> dict[str, str]:
    """SHA-256 of the Bento's files as a container would see them, by path in the Bento.

    Layers below those that have all `known` files, if any are named, are not read.
    """
    home = _home(folder)
    wanted = {home + name for name in known}
    found = topmost(
        folder,
        lambda name: name.startswith(home),
        _hash,
        lambda seen: bool(wanted) and wanted <= seen.keys(),
    )
    return {name.removeprefix(home): found[name] for name in sorted(found)}


def texts(folder: Path, names: Collection[str]) -> dict[str, bytes]:
    """Small files as a container would see them, by path in the Bento; those that are there."""
    home = _home(folder)
    wanted = {home + name for name in names}
    found = topmost(folder, wanted.__contains__, _text, lambda seen: wanted <= seen.keys())
    return {name.removeprefix(home): text for name, text in found.items()}


def _config(folder: Path) -> Config:
    return parsed(folder, manifest(folder, top(folder)).config, Config)


def _home(folder: Path) -> str:
    """Where the image has the Bento, as names in layers begin."""
    place = _config(folder).config.place.strip("/")
    if not place:
        raise Problem(f"{folder}: WorkingDir", "none", "the Bento's folder", AGAIN)
    return place + "/"


def _model(folder: Path) -> tuple[str, bytes]:
    """Path and text of the manifest of the model."""
    home = _home(folder)
    found = topmost(
        folder, lambda name: name.startswith(home) and name.endswith(MODEL), _text, bool
    )
    if len(found) != 1:
        said = f"{len(found)} files …{MODEL}"
        raise Problem(f"{folder}: /{home}", said, "one model", AGAIN)
    return found.popitem()


def _named(text: bytes, where: str) -> dict[str, str]:
    try:
        found: Any = json.loads(text)["files"]
        return {str(name): str(sha) for name, sha in found.items()}
    except (ValueError, TypeError, LookupError, AttributeError):
        raise Problem(where, "no manifest of a model", "one", AGAIN) from None


def _text(file: IO[bytes]) -> bytes:
    return file.read(MAX_BYTES)


def _hash(file: IO[bytes]) -> str:
    found = hashlib.sha256()
    while part := file.read(1 << 20):
        found.update(part)
    return found.hexdigest()
