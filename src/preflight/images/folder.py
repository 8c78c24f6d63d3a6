"""Images in a folder: an OCI layout of many, which tools for images read as it is."""

import fcntl
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from preflight.errors import Problem
from preflight.files import read_json, replacing, write_json
from preflight.images import blobs
from preflight.images.blobs import TAG, Descriptor, Index, reachable
from preflight.images.store import DIGESTS, Store, require_name


class Folder(Store):
    """An OCI layout of many images, each under its tag in index.json."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.place = folder, str(folder)

    def digest(self, tag: str) -> str | None:
        """As index.json has it; raises Problem where that names two."""
        found = [each for each in self._images() if each.annotations.get(TAG) == tag]
        if len({each.digest for each in found}) > 1:
            many = ", ".join(each.digest for each in found)
            raise Problem(f"{self.place}: tag {tag}", many, "one image", "Mend its index.json.")
        return found[0].digest if found else None

    def fetch(self, digest: str, folder: Path) -> Path:
        """Copy an image's blobs, each of which is checked."""
        require_name(DIGESTS, digest, self.place)
        found = [each for each in self._images() if each.digest == digest]
        if not found:
            raise Problem(f"{self.place}: {digest}", "no such image", "one", "Publish it there.")
        with replacing(folder) as partial:
            for each in reachable(self.folder, found[0]):
                _copy(self.folder, partial, each)
            _begin(partial)
            write_json(partial / "index.json", _index([_plain(found[0], None)]))
        return folder

    def _put(self, folder: Path, tag: str) -> None:
        own, place = blobs.top(folder), self.folder / "index.json"
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._alone():
            for each in reachable(folder, own):
                _copy(folder, self.folder, each)
            _begin(self.folder)
            held: list[Any] = read_json(place)["manifests"] if place.is_file() else []
            if self.digest(tag) is None:
                write_json(place, _index([*held, _plain(own, tag)]))
            for _ in reachable(self.folder, own):  # each is read again
                pass

    def _images(self) -> tuple[Descriptor, ...]:
        place = self.folder / "index.json"
        return blobs.document(place, Index).manifests if place.exists() else ()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Two that push at once do so one after the other."""
        with (self.folder / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _copy(source: Path, target: Path, blob: Descriptor) -> None:
    """Copy a blob that is not there yet, as a stream."""
    name = Path("blobs/sha256", blob.digest.removeprefix("sha256:"))
    if not (target / name).exists():
        with replacing(target / name) as partial:
            shutil.copyfile(source / name, partial)


def _begin(folder: Path) -> None:
    text = json.dumps({"imageLayoutVersion": "1.0.0"})
    (folder / "oci-layout").write_text(text, encoding="utf-8")


def _plain(blob: Descriptor, tag: str | None) -> dict[str, Any]:
    found = {"mediaType": blob.media_type, "digest": blob.digest, "size": blob.size}
    return found | ({"annotations": {TAG: tag}} if tag else {})


def _index(manifests: list[Any]) -> dict[str, Any]:
    return {"schemaVersion": 2, "mediaType": blobs.INDEX, "manifests": manifests}
