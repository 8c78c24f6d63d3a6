"""A Bento put down as an OCI layout, where no builder works: the same Bento, the same digest."""

import hashlib
import io
import json
import tarfile
from collections.abc import Iterable, Mapping
from gzip import GzipFile
from pathlib import Path
from typing import Any

from preflight.errors import Problem
from preflight.images.blobs import INDEX
from preflight.layout import PACKAGED

HOME = "home/bentoml/bento"  # as deploy/image/Containerfile, and as the pods' manifests expect it
MODEL = ("src", *PACKAGED.parts[:-1])  # the folder of models, which is a layer of its own
USER = 1034
TYPE = "application/vnd.oci.image"


class _Hashed(io.RawIOBase):
    """Hashes and counts what passes to a file, so that nothing large is held in memory."""

    def __init__(self, below: Any) -> None:
        super().__init__()
        self.below, self.hash, self.size = below, hashlib.sha256(), 0

    def writable(self) -> bool:
        """It is only written to."""
        return True

    def write(self, data: Any) -> int:
        """Pass `data` on."""
        self.hash.update(data)
        self.size += len(data)
        self.below.write(data)
        return len(data)


def write(folder: Path, bento: Path, labels: Mapping[str, str]) -> None:
    """Write a Bento's code, then its model, as two layers of a layout in the new `folder`.

    Names are sorted, times are 0 and owners one, so equal Bentos are equal bytes. There is no
    Python in it, so its platform is `unknown`: nothing runs it. Raises Problem for a link.
    """
    files = _files(bento)
    model = [each for each in files if each.parts[: len(MODEL)] == MODEL]
    code = [each for each in files if each not in set(model)]
    (folder / "blobs/sha256").mkdir(parents=True)
    layers = [_layer(folder, bento, part) for part in (code, model)]
    config = {
        "architecture": "unknown",
        "os": "unknown",
        "config": {"User": str(USER), "WorkingDir": f"/{HOME}", "Labels": dict(labels)},
        "rootfs": {"type": "layers", "diff_ids": [whole for _, whole in layers]},
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{TYPE}.manifest.v1+json",
        "config": _document(folder, f"{TYPE}.config.v1+json", config),
        "layers": [layer for layer, _ in layers],
    }
    held = [_document(folder, f"{TYPE}.manifest.v1+json", manifest)]
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": held}
    (folder / "index.json").write_bytes(_json(index))
    (folder / "oci-layout").write_bytes(_json({"imageLayoutVersion": "1.0.0"}))


def _files(bento: Path) -> list[Path]:
    """A Bento's files, relative and sorted, without what Python left there when it was served."""
    found = sorted(each.relative_to(bento) for each in bento.rglob("*"))
    for each in found:
        if (bento / each).is_symlink():
            raise Problem(str(bento / each), "a link", "a file", "Build the Bento again.")
    return [each for each in found if (bento / each).is_file() and "__pycache__" not in each.parts]


def _layer(folder: Path, bento: Path, files: Iterable[Path]) -> tuple[dict[str, Any], str]:
    """A layer's descriptor, and the digest of its tar before it was compressed."""
    partial = folder / "layer.partial"
    with partial.open("wb") as file:
        packed = _Hashed(file)
        with GzipFile("", "wb", compresslevel=6, fileobj=packed, mtime=0) as zipped:
            whole = _Hashed(zipped)
            with tarfile.open(fileobj=whole, mode="w|", format=tarfile.PAX_FORMAT) as tar:
                _add(tar, bento, list(files))
    digest = packed.hash.hexdigest()
    partial.replace(folder / "blobs/sha256" / digest)
    layer = _descriptor(f"{TYPE}.layer.v1.tar+gzip", digest, packed.size)
    return layer, f"sha256:{whole.hash.hexdigest()}"


def _add(tar: tarfile.TarFile, bento: Path, files: list[Path]) -> None:
    folders = {Path(HOME, each).parent for each in files}
    folders |= {up for each in folders for up in each.parents if len(up.parts) > 1}
    for each in sorted(folders):
        tar.addfile(_member(each.as_posix(), tarfile.DIRTYPE, 0o755))
    for name in files:
        runs = (bento / name).stat().st_mode & 0o100
        member = _member(f"{HOME}/{name.as_posix()}", tarfile.REGTYPE, 0o755 if runs else 0o644)
        member.size = (bento / name).stat().st_size
        with (bento / name).open("rb") as file:
            tar.addfile(member, file)


def _member(name: str, kind: bytes, mode: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.mode, member.uid, member.gid = kind, mode, USER, USER
    return member


def _document(folder: Path, kind: str, value: Any) -> dict[str, Any]:
    text = _json(value)
    digest = hashlib.sha256(text).hexdigest()
    (folder / "blobs/sha256" / digest).write_bytes(text)
    return _descriptor(kind, digest, len(text))


def _descriptor(kind: str, digest: str, size: int) -> dict[str, Any]:
    return {"mediaType": kind, "digest": f"sha256:{digest}", "size": size}


def _json(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
