"""A layout's digest, labels and model are those of its bytes, or a Problem."""

import hashlib
import json
import os
import shutil
import tracemalloc
from pathlib import Path

import pytest

from images import bento_at, blob, image_at, labels_of, layout_at
from preflight.errors import Problem
from preflight.files import sha256
from preflight.images import blobs, labels, layout, written

SUFFIX = "src/models/packaged"
MANIFEST = f"app/{SUFFIX}/manifest.json"


@pytest.fixture
def bento(tmp_path: Path) -> Path:
    return bento_at(tmp_path / "bentos")


@pytest.fixture
def held(tmp_path: Path, bento: Path) -> Path:
    """A layout of that Bento."""
    return layout_at(tmp_path / "image", bento)


def blob_file(folder: Path, digest: str) -> Path:
    return folder / "blobs/sha256" / digest.removeprefix("sha256:")


def layers_of(folder: Path) -> tuple[str, ...]:
    return tuple(each.digest for each in blobs.manifest(folder, blobs.top(folder)).layers)


def test_the_same_bento_gives_the_same_digest_wherever_and_whenever_it_lies(
    tmp_path: Path, bento: Path, held: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = shutil.copytree(bento, tmp_path / "elsewhere" / bento.name)
    for each in other.rglob("*"):
        os.utime(each, (7, 7))
    (other / "src/taxi/__pycache__").mkdir()
    (other / "src/taxi/__pycache__/service.pyc").write_bytes(b"left by a server")
    monkeypatch.setattr("time.time", lambda: 7.0)
    assert layout.digest(layout_at(tmp_path / "again", other)) == layout.digest(held)


def test_another_model_changes_the_last_layer_alone(tmp_path: Path, held: Path) -> None:
    other = layout_at(tmp_path / "other", bento_at(tmp_path / "retrained", "another tree"))
    assert layers_of(other)[:-1] == layers_of(held)[:-1]
    assert layers_of(other)[-1] != layers_of(held)[-1]
    assert layout.model_hash(other) != layout.model_hash(held)


def test_files_are_those_of_the_bento(bento: Path, held: Path) -> None:
    files = [each for each in bento.rglob("*") if each.is_file()]
    wanted = {each.relative_to(bento).as_posix(): sha256(each) for each in files}
    assert layout.bento_files(held) == wanted
    assert layout.model_hash(held) == wanted[f"{SUFFIX}/manifest.json"]
    assert not layout.runs(held)
    layout.check(held)


def test_labels_are_read_as_they_were_given(tmp_path: Path, bento: Path) -> None:
    own = labels_of(bento, source="https://example.org/taxi", run=None)
    written.write(tmp_path / "image", bento, own.oci())
    assert labels.read(layout.labels(tmp_path / "image"), "image") == own


@pytest.mark.parametrize("field", ["name", "version", "commit", "model_hash", "bento", "evidence"])
def test_a_label_that_is_missing_or_no_such_is_named(bento: Path, field: str) -> None:
    name, _ = labels.KNOWN[field]
    whole = labels_of(bento).oci()
    with pytest.raises(Problem, match=f"image: label {name}: found no such label"):
        labels.read({each: whole[each] for each in whole if each != name}, "image")
    with pytest.raises(Problem, match=f"image: label {name}: found '  no'"):
        labels.read(whole | {name: "  no"}, "image")


def test_a_missing_blob_is_named(held: Path) -> None:
    gone = layers_of(held)[0]
    blob_file(held, gone).unlink()
    with pytest.raises(Problem, match=f"blob {gone}: found no such file"):
        layout.check(held)


def test_a_blob_of_other_bytes_is_named_with_both_hashes(held: Path) -> None:
    changed = layers_of(held)[-1]
    file = blob_file(held, changed)
    file.write_bytes(file.read_bytes()[:-1] + b"!")
    with pytest.raises(Problem, match=f"of sha256:{sha256(file)}; expected .* of {changed}"):
        layout.check(held)
    with pytest.raises(Problem, match=changed):
        layout.model_hash(held)


def test_a_manifest_of_other_bytes_is_refused(held: Path) -> None:
    blob_file(held, layout.digest(held)).write_text("{}")
    with pytest.raises(Problem, match=layout.digest(held)):
        layout.labels(held)


@pytest.mark.parametrize(
    ("index", "said"),
    [
        ("", "the file: Invalid JSON"),
        ('{"manifests": []}', "0 images"),
        ('{"manifests": [{"digest": "sha256:../../x", "size": 1, "mediaType": ""}]}', "digest"),
    ],
)
def test_an_index_that_is_none_is_refused(held: Path, index: str, said: str) -> None:
    (held / "index.json").write_text(index)
    with pytest.raises(Problem, match=said):
        layout.digest(held)


def test_a_folder_without_an_index_is_no_layout(tmp_path: Path) -> None:
    with pytest.raises(Problem, match=r"index\.json: found no such file"):
        layout.digest(tmp_path)


def test_another_model_under_the_right_label_is_told(
    tmp_path: Path, bento: Path, held: Path
) -> None:
    registered = labels_of(bento).model_hash
    layout.require_model(held, registered)
    other = bento_at(tmp_path / "other", "another tree")
    swapped = layout_at(tmp_path / "swapped", other, model_hash=registered)
    found = sha256(other / SUFFIX / "manifest.json")
    with pytest.raises(Problem, match=f"a model of hash {found}; expected of {registered}"):
        layout.require_model(swapped, layout.labels(swapped)["preflight.model-hash"])


@pytest.mark.parametrize("change", ["rewritten", "removed"])
def test_a_model_whose_files_are_not_its_manifests_is_told(
    tmp_path: Path, bento: Path, change: str
) -> None:
    booster = bento / SUFFIX / "booster.txt"
    booster.write_text("another tree") if change == "rewritten" else booster.unlink()
    with pytest.raises(Problem, match=r"booster.txt: found (hash|no such file)"):
        layout.require_model(layout_at(tmp_path / "i", bento), labels_of(bento).model_hash)


def text_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def test_the_upper_of_two_models_counts(tmp_path: Path) -> None:
    image = image_at(tmp_path / "i", [{MANIFEST: "old"}, {f"./{MANIFEST}": "new"}])
    assert layout.model_hash(image) == text_hash("new")
    assert layout.runs(image)


def test_a_model_outside_the_bento_does_not_count(tmp_path: Path) -> None:
    image = image_at(tmp_path / "i", [{MANIFEST: "true"}, {f"tmp/{MANIFEST}": "decoy"}])
    assert layout.model_hash(image) == text_hash("true")


@pytest.mark.parametrize(
    "upper",
    [
        {f"app/{SUFFIX}/.wh.manifest.json": ""},
        {"app/src/.wh.models": ""},
        {"app/src/.wh..wh..opq": ""},
        {MANIFEST: None},
        {"app/src": None},
    ],
    ids=["removed", "folder removed", "emptied", "a link", "below a link"],
)
def test_a_model_that_an_upper_layer_hides_is_none(
    tmp_path: Path, upper: dict[str, str | None]
) -> None:
    image = image_at(tmp_path / "i", [{MANIFEST: "text"}, upper])
    with pytest.raises(Problem, match="found 0 files"):
        layout.model_hash(image)


def test_two_models_in_one_bento_are_refused(tmp_path: Path) -> None:
    image = image_at(tmp_path / "i", [{MANIFEST: "a", f"app/old/{SUFFIX}/manifest.json": "b"}])
    with pytest.raises(Problem, match="found 2 files"):
        layout.model_hash(image)


def test_a_layer_that_is_no_archive_is_refused(tmp_path: Path) -> None:
    image = image_at(tmp_path / "i", [])
    manifest = {
        "config": blob(image, b'{"os": "linux", "config": {"WorkingDir": "/app"}}', "config"),
        "layers": [blob(image, b"\x28\xb5\x2f\xfd no archive that Python reads", "layer")],
    }
    own = blob(image, json.dumps(manifest).encode(), "manifest.v1+json")
    (image / "index.json").write_text(json.dumps({"manifests": [own]}))
    with pytest.raises(Problem, match="a layer that cannot be read"):
        layout.model_hash(image)


def test_an_image_beside_its_attestation_is_read_and_both_are_checked(
    tmp_path: Path, held: Path
) -> None:
    own = blobs.top(held)
    said = blob(held, b'{"about": "the build"}', "config")
    attested = {"config": said, "layers": []}
    unknown = {"platform": {"os": "unknown"}}
    beside = blob(held, json.dumps(attested).encode(), "manifest.v1+json") | unknown
    image = {"mediaType": own.media_type, "digest": own.digest, "size": own.size}
    index = json.dumps({"manifests": [image | {"platform": {"os": "linux"}}, beside]})
    listed = blob(held, index.encode(), "index.v1+json")
    before = layout.labels(held)
    (held / "index.json").write_text(json.dumps({"manifests": [listed]}))
    assert layout.labels(held) == before
    assert layout.digest(held) == listed["digest"]
    layout.check(held)
    blob_file(held, said["digest"]).unlink()
    with pytest.raises(Problem, match=said["digest"]):
        layout.check(held)


def test_a_link_in_a_bento_is_refused(tmp_path: Path, bento: Path) -> None:
    (bento / "src/link").symlink_to("/etc/passwd")
    with pytest.raises(Problem, match="src/link: found a link"):
        layout_at(tmp_path / "image", bento)


def test_a_large_model_is_streamed(tmp_path: Path, bento: Path) -> None:
    size = 64 * 1024 * 1024
    with (bento / SUFFIX / "booster.txt").open("wb") as file:
        file.truncate(size)
    tracemalloc.start()
    try:
        layout.bento_files(layout_at(tmp_path / "image", bento))
        assert tracemalloc.get_traced_memory()[1] < size / 4
    finally:
        tracemalloc.stop()
