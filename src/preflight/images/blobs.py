"""Blobs of an OCI layout: files named by their hash, and each is checked when it is read.

Formats: OCI image specification 1.1, image-layout.md, image-index.md, manifest.md, config.md.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from preflight.errors import Problem
from preflight.files import sha256

Digest = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
TAG = "org.opencontainers.image.ref.name"
INDEX = "application/vnd.oci.image.index.v1+json"
INDEXES = (INDEX, "application/vnd.docker.distribution.manifest.list.v2+json")
MAX_JSON = 4_000_000  # bytes; registries refuse manifests above
AGAIN = "Build it again: `preflight package`."


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, populate_by_name=True)


class Platform(_Part):
    """What an image runs on; `unknown` for an attestation beside it."""

    os: str = "unknown"


class Descriptor(_Part):
    """A blob: its digest, size in bytes, and what it is."""

    digest: Digest
    size: Annotated[int, Field(ge=0)]
    media_type: Annotated[str, Field(alias="mediaType")]
    platform: Platform | None = None
    annotations: dict[str, str] = {}


class Manifest(_Part):
    """An image: its configuration, and its layers from the lowest on."""

    config: Descriptor
    layers: tuple[Descriptor, ...]


class Index(_Part):
    """A list of images."""

    manifests: tuple[Descriptor, ...]


class Settings(_Part):
    """How an image's program starts."""

    labels: Annotated[dict[str, str] | None, Field(alias="Labels")] = None
    place: Annotated[str, Field(alias="WorkingDir")] = ""


class Config(_Part):
    """An image's configuration."""

    os: str
    config: Settings = Settings()


Parsed = TypeVar("Parsed", bound=_Part)


def verified(folder: Path, blob: Descriptor) -> Path:
    """A blob's file; raises Problem where it is missing or has other bytes than its digest."""
    place = folder / "blobs/sha256" / blob.digest.removeprefix("sha256:")
    if not place.is_file():
        raise Problem(f"{folder}: blob {blob.digest}", "no such file", "the blob", AGAIN)
    found = "sha256:" + sha256(place)
    if found != blob.digest or place.stat().st_size != blob.size:
        said = f"{place.stat().st_size} bytes of {found}"
        wanted = f"{blob.size} bytes of {blob.digest}"
        raise Problem(f"{folder}: blob {blob.digest}", said, wanted, AGAIN)
    return place


def parsed(folder: Path, blob: Descriptor, kind: type[Parsed]) -> Parsed:
    """A blob that is a JSON document; raises Problem where it is none of that kind."""
    return document(verified(folder, blob), kind)


def document(place: Path, kind: type[Parsed]) -> Parsed:
    """A JSON file of an OCI layout; raises Problem where it is missing or of another kind."""
    if not place.is_file() or place.stat().st_size > MAX_JSON:
        raise Problem(str(place), "no such file", f"a file of at most {MAX_JSON} bytes", AGAIN)
    try:
        return kind.model_validate_json(place.read_bytes())
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        said = f"{'.'.join(map(str, first['loc'])) or 'the file'}: {first['msg']}"
        raise Problem(str(place), said, f"an OCI {kind.__name__.lower()}", AGAIN) from None


def top(folder: Path) -> Descriptor:
    """What a layout of one image holds; raises Problem where it holds another number."""
    found = document(folder / "index.json", Index).manifests
    if len(found) != 1:
        raise Problem(f"{folder}/index.json", f"{len(found)} images", "one", AGAIN)
    return found[0]


def manifest(folder: Path, blob: Descriptor) -> Manifest:
    """The one image that `blob` is, or lists beside its attestations."""
    if blob.media_type not in INDEXES:
        return parsed(folder, blob, Manifest)
    listed = parsed(folder, blob, Index).manifests
    run = [each for each in listed if each.platform is None or each.platform.os != "unknown"]
    if len(run) != 1 or run[0].media_type in INDEXES:
        raise Problem(
            f"{folder}: {blob.digest}", f"{len(run)} images", "one", "Build for one platform."
        )
    return parsed(folder, run[0], Manifest)


def reachable(folder: Path, blob: Descriptor, *, listed: bool = False) -> Iterator[Descriptor]:
    """All that an image consists of, each verified, the image's own descriptor last."""
    if blob.media_type in INDEXES and not listed:
        for each in parsed(folder, blob, Index).manifests:
            yield from reachable(folder, each, listed=True)
    else:
        image = parsed(folder, blob, Manifest)
        for each in (image.config, *image.layers):
            verified(folder, each)
            yield each
    yield blob
