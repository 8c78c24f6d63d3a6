"""Planted mismatches of a release's chain: one of its ends is another than the next one says."""

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from faults.changes import append, edit, lay, put
from faults.world import PRODUCTION, World, green_parts
from preflight import evidence, params
from preflight.delivery import draft
from preflight.evidence import Part
from preflight.files import read_json, sha256, write_json
from preflight.images import labels, layout, store, written
from preflight.images.build import LAYOUT
from preflight.images.labels import Labels
from preflight.layout import EVIDENCE as PARTS
from preflight.layout import PACKAGED
from preflight.release import EVIDENCE, PLACE, RENDERED

OTHER = "f" * 40
LOCK = "requirements/serve.txt"
NUMPY = "numpy=="


def older(path: Path) -> None:
    """Pin another numpy in a lock."""
    text = path.read_text(encoding="utf-8")
    assert f"\n{NUMPY}" in text, f"{path} pins no numpy: the planted change no longer fits"
    put(path, text.replace(f"\n{NUMPY}", f"\n{NUMPY}1.0.0.post", 1))


def another(model: Path) -> None:
    """Make a packaged model another one, whose manifest knows it."""
    manifest = read_json(model / "manifest.json")
    name = next(each for each in sorted(manifest["files"]) if each.endswith(".json"))
    put(model / name, (model / name).read_text(encoding="utf-8") + "\n")
    manifest["files"][name] = sha256(model / name)
    put(model / "manifest.json", json.dumps(manifest))


def code_alone(world: World) -> None:
    append("src/taxi/features.py", "\n")(world.root)
    world.push("Another code")


def other_data(world: World) -> None:
    world.record(PRODUCTION, world.current(PRODUCTION), data="9" * 64)


def own_tree(world: World) -> Path:
    """The released commit checked out, and the folder of the model there."""
    world.git("checkout", "--quiet", world.draft.commit)
    return world.root / PACKAGED


def tree_damaged(world: World) -> None:
    model = own_tree(world)
    append("contract.json", "\n")(model)


def tree_of_another(world: World) -> None:
    another(own_tree(world))


def registry(world: World) -> Any:
    """A client of the world's registry, and the name and version there."""
    from mlflow import MlflowClient

    known = params.load(world.root / "params.yaml").registry
    address = f"sqlite:///{world.root / known.uri.removeprefix('sqlite:///')}"
    return MlflowClient(address, address), known.name, world.draft.model.version


def version_deleted(world: World) -> None:
    client, name, version = registry(world)
    client.delete_model_version(name, version)


def tagged(world: World, key: str, value: str) -> None:
    """Lay another tag on the registered version."""
    client, name, version = registry(world)
    client.set_model_version_tag(name, version, key, value)


def version_retagged(world: World) -> None:
    tagged(world, "model_hash", "8" * 64)


def lock_of_commit(world: World) -> None:
    """All but the lock of a commit is what its version says of it."""
    older(world.root / LOCK)
    tagged(world, "commit", world.push("Another lock"))


def model_renamed(world: World) -> None:
    now = world.current(PRODUCTION)
    world.record(PRODUCTION, now, model=now.model.model_dump() | {"name": "fares"})


def lock_of_bento(world: World) -> None:
    older(world.bento / "env/python/requirements.txt")


def bento_of_another(world: World) -> None:
    another(world.bento / "src" / PACKAGED)


def published(world: World, bento: Path, **others: str) -> str:
    """Publish an image of a Bento in place of the packaged one; returns its digest.

    The draft names it, as do labels that are right but for `others`.
    """
    world.back("packaged")
    place = world.root / LAYOUT
    said = replace(labels.read(layout.labels(place), str(place)), **others)
    shutil.rmtree(world.root / ".preflight/images")
    digest = laid(place, bento, said)
    store.of(world.root).push(place, bento.name)
    draft.write(world.root, world.draft.model_copy(update={"image": digest}))
    return digest


def laid(place: Path, bento: Path, said: Labels) -> str:
    """Write an image of a Bento where there may be one; returns its digest."""
    shutil.rmtree(place, ignore_errors=True)
    written.write(place, bento, said.oci())
    return layout.digest(place)


def beside(world: World) -> Path:
    """A copy of the Bento, to be made another one."""
    copy = world.place / "other" / world.bento.name
    shutil.copytree(world.bento, copy)
    return copy


def image_of_another(world: World) -> None:
    other = beside(world)
    another(other / "src" / PACKAGED)
    published(world, other)


def lock_of_image(world: World) -> None:
    other = beside(world)
    older(other / "src" / LOCK)
    published(world, other)


def label_of_another(world: World) -> None:
    published(world, world.bento, commit=OTHER)


def image_of_commit(world: World) -> None:
    """Production's record pins an image that says it is of another commit."""
    digest = published(world, world.bento, commit=OTHER)
    world.back("released")
    world.record(PRODUCTION, world.current(PRODUCTION), image=digest)


def tag_moved(world: World) -> None:
    """The tag leads to another image than was pinned, which lies there too."""
    images = world.root / ".preflight/images"
    index = read_json(images / "index.json")
    (kept,) = index["manifests"]
    tag = kept.pop("annotations")
    place = world.place / "moved"
    said = labels.read(layout.labels(world.root / LAYOUT), "the image")
    laid(place, world.bento, replace(said, run="http://127.0.0.1/2"))
    shutil.copytree(place / "blobs", images / "blobs", dirs_exist_ok=True)
    (moved,) = read_json(place / "index.json")["manifests"]
    index["manifests"] = [kept, moved | {"annotations": tag}]
    write_json(images / "index.json", index)


def packaged_again(world: World) -> None:
    """The same tag, and another image than was published under it."""
    world.back("packaged")
    place = world.root / LAYOUT
    said = replace(labels.read(layout.labels(place), "the image"), run="http://127.0.0.1/2")
    digest = laid(place, world.bento, said)
    draft.write(world.root, world.draft.model_copy(update={"image": digest}))


def evidence_edited(world: World) -> None:
    place = EVIDENCE.format(environment=PRODUCTION)
    edit(place, ("as it should be", "better still"))(world.root)
    world.push("Better evidence")


def evidence_of(world: World, parts: tuple[Part, ...]) -> None:
    """Production's record with other evidence, by its right digest."""
    text = evidence.packed(parts)
    put(world.root / EVIDENCE.format(environment=PRODUCTION), text)
    found = hashlib.sha256(text.encode()).hexdigest()
    world.record(PRODUCTION, world.current(PRODUCTION), evidence=found)


def evidence_of_another(world: World) -> None:
    evidence_of(world, green_parts(OTHER))


def evidence_too_few(world: World) -> None:
    parts = green_parts(world.draft.commit)
    evidence_of(world, tuple(each for each in parts if each.gate != "quality"))


def gates_of_another(world: World) -> None:
    """One gate's evidence is of the commit before."""
    world.back("packaged")
    (part,) = (each for each in green_parts(OTHER) if each.gate == "quality")
    evidence.write(world.root / PARTS, part)


def rendered_by_hand(world: World) -> None:
    place = RENDERED.format(environment=PRODUCTION)
    edit(place, (world.draft.image, f"sha256:{'7' * 64}"))(world.root)
    world.push("Another image")


def record_by_hand(world: World) -> None:
    place = PLACE.format(environment=PRODUCTION)
    edit(place, (world.draft.image, f"sha256:{'7' * 64}"))(world.root)
    world.push("Another image")


def ahead(world: World) -> None:
    """Production has what staging never promoted: the same image by other manifests."""
    before = world.git("rev-parse", f"{world.draft.commit}^")
    world.record(PRODUCTION, world.current(PRODUCTION), manifests=before)


def limit_of_tier(world: World) -> None:
    """Tier high allows what its gate does not, and the gates say green."""
    world.back("packaged")
    lay(risk={"tiers": {"high": {"limits": {"slices": {"max_bias": 2.0}}}}})(world.root)
    for part in green_parts(world.push("Another limit")):
        evidence.write(world.root / PARTS, part)
