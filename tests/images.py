"""Small Bentos and their labels, as `preflight package` has them."""

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from preflight.files import sha256
from preflight.images import written
from preflight.images.labels import Labels

COMMIT = "c" * 40
TAG = f"v3-{COMMIT[:12]}"
MODEL = "src/models/packaged"


def bento_at(folder: Path, booster: str = "tree") -> Path:
    """A Bento of version 3 below `folder`, with code, an entry point and a sealed model."""
    place = folder / "taxi" / TAG
    build = {"model_version": "3", "commit": COMMIT, "bento": f"taxi:{TAG}"}
    manifest = {"files": {"booster.txt": hashlib.sha256(booster.encode()).hexdigest()}}
    texts = {
        "bento.yaml": "name: taxi\n",
        "env/docker/entrypoint.sh": "#!/usr/bin/env bash\n",
        "src/build.json": json.dumps(build),
        "src/taxi/service.py": "answer = 1\n",
        f"{MODEL}/booster.txt": booster,
        f"{MODEL}/manifest.json": json.dumps(manifest),
    }
    for name, text in texts.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(text)
    (place / "env/docker/entrypoint.sh").chmod(0o755)
    return place


def labels_of(place: Path, /, **others: Any) -> Labels:
    """The labels of such a Bento, some of them others."""
    known = {
        "name": "taxi-duration",
        "version": "3",
        "model_hash": sha256(place / MODEL / "manifest.json"),
        "commit": COMMIT,
        "data": "d" * 64,
        "evidence": "e" * 64,
        "bento": f"taxi:{TAG}",
    }
    return Labels(**(known | others))


def layout_at(folder: Path, place: Path, /, **others: Any) -> Path:
    """A layout of a Bento, as it is written where no builder works."""
    written.write(folder, place, labels_of(place, **others).oci())
    return folder


def image_at(folder: Path, layers: list[Mapping[str, str | None]], **config: Any) -> Path:
    """A layout of layers of texts by name; None is a link. `config` is laid over its settings."""
    settings = {"WorkingDir": "/app", "Labels": {}} | config
    (folder / "blobs/sha256").mkdir(parents=True)
    document = {"os": "linux", "config": settings}
    manifest = {
        "config": blob(folder, json.dumps(document).encode(), "config.v1+json"),
        "layers": [blob(folder, packed(each), "layer.v1.tar+gzip") for each in layers],
    }
    own = blob(folder, json.dumps(manifest).encode(), "manifest.v1+json")
    (folder / "index.json").write_text(json.dumps({"manifests": [own]}))
    return folder


def blob(folder: Path, text: bytes, kind: str) -> dict[str, Any]:
    """Put a blob into a layout; returns its descriptor."""
    digest = hashlib.sha256(text).hexdigest()
    (folder / "blobs/sha256" / digest).write_bytes(text)
    kind = f"application/vnd.oci.image.{kind}"
    return {"mediaType": kind, "digest": f"sha256:{digest}", "size": len(text)}


def packed(files: Mapping[str, str | None]) -> bytes:
    """A layer of texts by name; None is a link."""
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            if text is None:
                member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
            member.size = len((text or "").encode())
            tar.addfile(member, io.BytesIO((text or "").encode()))
    return gzip.compress(whole.getvalue(), mtime=0)
