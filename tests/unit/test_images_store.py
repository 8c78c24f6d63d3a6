"""An image is kept under one tag for ever, and what is kept is read again."""

import json
import shutil
import sys
from pathlib import Path
from threading import Thread

import pytest
import yaml

from conftest import ROOT
from images import TAG, bento_at, image_at, layout_at
from preflight.errors import Problem
from preflight.images import layout, store
from preflight.images.folder import Folder
from preflight.images.registry import Registry

NAME = "docker://registry.example/taxi"
# A registry as a folder of layouts by tag; what it is told stands in the file `told`.
SKOPEO = f"""#!{sys.executable}
import hashlib, json, pathlib, shutil, sys
home, words = pathlib.Path(__file__).parent, sys.argv[1:]
with (home / "told").open("a") as file:
    print(json.dumps(words), file=file)
if (home / "fails").exists():
    sys.exit((home / "fails").read_text())
def digest(folder):
    return json.loads((folder / "index.json").read_text())["manifests"][0]["digest"]
source, target = words[-2:]
if words[0] == "inspect":
    folder = home / "tags" / target.rpartition(":")[2]
    if not folder.exists():
        sys.exit("reading manifest: manifest unknown")
    blob = folder / "blobs/sha256" / digest(folder)[7:]
    sys.stdout.write(blob.read_text() + ("changed" if (home / "changes").exists() else ""))
elif target.startswith("oci:"):
    kept = {{digest(each): each for each in (home / "tags").iterdir()}}
    named = next(iter(kept)) if (home / "changes").exists() else source.partition("@")[2]
    shutil.copytree(kept[named], target[4:])
else:
    shutil.copytree(source[4:], home / "tags" / target.rpartition(":")[2], dirs_exist_ok=True)
"""


@pytest.fixture
def held(tmp_path: Path) -> Path:
    """A layout of a Bento."""
    return layout_at(tmp_path / "image", bento_at(tmp_path / "bentos"))


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """A layout of the same Bento with another model."""
    return layout_at(tmp_path / "other", bento_at(tmp_path / "retrained", "another tree"))


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "kept")


@pytest.fixture
def skopeo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the path that has a fake skopeo."""
    place = tmp_path / "tools"
    (place / "tags").mkdir(parents=True)
    (place / "skopeo").write_text(SKOPEO)
    (place / "skopeo").chmod(0o755)
    monkeypatch.setenv("PATH", str(place), prepend=":")
    return place


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """An image that a registry takes."""
    return image_at(tmp_path / "runs", [{"app/a": "a"}])


def told(skopeo: Path) -> list[list[str]]:
    return [json.loads(line) for line in (skopeo / "told").read_text().splitlines()]


@pytest.mark.parametrize(
    ("named", "kind"), [("images", Folder), ("/srv/images", Folder), (NAME, Registry)]
)
def test_the_store_is_the_one_that_params_name(
    tmp_path: Path, named: str, kind: type[store.Store]
) -> None:
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["registry"]["images"] = named
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    found = store.of(tmp_path)
    assert isinstance(found, kind)
    assert found.place == (named if kind is Registry else str(tmp_path / named))


def test_what_a_folder_keeps_comes_back_by_digest(
    tmp_path: Path, folder: Folder, held: Path
) -> None:
    assert folder.digest(TAG) is None
    assert folder.push(held, TAG) == layout.digest(held) == folder.digest(TAG)
    back = folder.fetch(layout.digest(held), tmp_path / "back")
    layout.check(back)
    assert layout.digest(back) == layout.digest(held)
    assert layout.bento_files(back) == layout.bento_files(held)


def test_a_second_push_of_the_same_changes_nothing(folder: Folder, held: Path) -> None:
    folder.push(held, TAG)
    before = (folder.folder / "index.json").read_bytes()
    folder.push(held, TAG)
    assert (folder.folder / "index.json").read_bytes() == before


def test_a_tag_is_never_moved(folder: Folder, held: Path, other: Path) -> None:
    folder.push(held, TAG)
    said = f"tag {TAG}: found {layout.digest(held)}; expected {layout.digest(other)}"
    with pytest.raises(Problem, match=said):
        folder.push(other, TAG)
    assert folder.digest(TAG) == layout.digest(held)
    folder.push(other, "v4-other")
    assert folder.digest("v4-other") == layout.digest(other)


def test_a_blob_that_the_folder_has_otherwise_is_told(folder: Folder, held: Path) -> None:
    folder.push(held, TAG)
    blob = folder.folder / "blobs/sha256" / layout.digest(held).removeprefix("sha256:")
    blob.write_text("another")
    with pytest.raises(Problem, match=blob.name):
        folder.push(held, TAG)
    with pytest.raises(Problem, match=blob.name):
        folder.fetch(layout.digest(held), folder.folder / "back")
    assert not (folder.folder / "back").exists()


def test_a_broken_layout_is_not_pushed(folder: Folder, held: Path) -> None:
    (held / "blobs/sha256" / layout.digest(held).removeprefix("sha256:")).unlink()
    with pytest.raises(Problem, match="no such file"):
        folder.push(held, TAG)
    assert not folder.folder.exists()


def test_a_tag_of_two_images_is_refused(folder: Folder, held: Path, other: Path) -> None:
    folder.push(held, TAG)
    folder.push(other, "v4-other")
    index = folder.folder / "index.json"
    index.write_text(index.read_text().replace("v4-other", TAG))
    with pytest.raises(Problem, match="expected one image"):
        folder.digest(TAG)


def test_what_a_folder_has_not_is_told(folder: Folder, tmp_path: Path) -> None:
    with pytest.raises(Problem, match="no such image"):
        folder.fetch("sha256:" + "0" * 64, tmp_path / "back")


@pytest.mark.parametrize("name", ["", "a/b", "-a", "a b", "a" * 129, "a:b", "a\n"])
def test_a_name_that_is_no_tag_is_refused(folder: Folder, held: Path, name: str) -> None:
    with pytest.raises(Problem, match="a name like"):
        folder.push(held, name)


def test_two_that_push_at_once_are_both_kept(folder: Folder, held: Path, other: Path) -> None:
    pushes = [(held, "v1-a"), (other, "v2-b"), (held, "v3-c"), (other, "v4-d")]
    threads = [Thread(target=folder.push, args=push) for push in pushes]
    for each in threads:
        each.start()
    for each in threads:
        each.join(30)
    assert {tag: folder.digest(tag) for _, tag in pushes} == {
        tag: layout.digest(image) for image, tag in pushes
    }


def test_a_registry_is_asked_told_and_asked_again(skopeo: Path, runs: Path) -> None:
    digest = Registry(NAME).push(runs, TAG)
    assert digest == layout.digest(runs)
    asked = ["inspect", "--raw", f"{NAME}:{TAG}"]
    sent = ["copy", "--all", "--preserve-digests", "oci:runs", f"{NAME}:{TAG}"]
    assert told(skopeo) == [asked, sent, asked]
    assert Registry(NAME).push(runs, TAG) == digest


def test_an_image_comes_back_from_a_registry_by_digest(
    tmp_path: Path, skopeo: Path, runs: Path
) -> None:
    digest = Registry(NAME).push(runs, TAG)
    assert layout.digest(Registry(NAME).fetch(digest, tmp_path / "back")) == digest
    source = f"{NAME}@{digest}"
    assert told(skopeo)[-1] == [
        "copy",
        "--all",
        "--preserve-digests",
        source,
        "oci:.back.partial",
    ]


def test_a_registry_that_gives_another_image_is_told(
    tmp_path: Path, skopeo: Path, runs: Path
) -> None:
    Registry(NAME).push(runs, TAG)
    (skopeo / "changes").touch()
    with pytest.raises(
        Problem, match=f"tag {TAG}: found sha256:.*; expected {layout.digest(runs)}"
    ):
        Registry(NAME).push(runs, TAG)
    wanted = "sha256:" + "0" * 64
    with pytest.raises(Problem, match=f"found {layout.digest(runs)}; expected {wanted}"):
        Registry(NAME).fetch(wanted, tmp_path / "back")
    assert not (tmp_path / "back").exists()


def test_what_a_registry_has_after_a_push_is_read_again(skopeo: Path, runs: Path) -> None:
    (skopeo / "changes").touch()  # it knows no tag yet, and alters what it takes
    with pytest.raises(Problem, match="The store keeps something else"):
        Registry(NAME).push(runs, TAG)


def test_a_registrys_tag_is_never_moved(tmp_path: Path, skopeo: Path, runs: Path) -> None:
    Registry(NAME).push(runs, TAG)
    other = image_at(tmp_path / "another", [{"app/a": "b"}])
    with pytest.raises(Problem, match=f"found {layout.digest(runs)}"):
        Registry(NAME).push(other, TAG)
    assert [words[0] for words in told(skopeo)].count("copy") == 1


@pytest.mark.parametrize(
    "said",
    ["unauthorized", "no such host", "credential helper: executable file not found in $PATH"],
)
def test_a_registry_that_cannot_be_asked_has_no_free_tag(
    skopeo: Path, runs: Path, said: str
) -> None:
    (skopeo / "fails").write_text(said)
    with pytest.raises(Problem, match="skopeo inspect"):
        Registry(NAME).push(runs, TAG)
    assert [words[0] for words in told(skopeo)] == ["inspect"]


def test_a_bento_alone_is_for_folders_only(skopeo: Path, held: Path) -> None:
    with pytest.raises(Problem, match="expected an image that runs"):
        Registry(NAME).push(held, TAG)
    assert [words[0] for words in told(skopeo)] == ["inspect"]


def test_a_registry_needs_skopeo(
    tmp_path: Path, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda *_: None)
    with pytest.raises(Problem, match="skopeo: found no such program"):
        Registry(NAME).push(runs, TAG)


@pytest.mark.parametrize(
    "place",
    ["docker://", "docker://h", f"{NAME}:v1", f"{NAME}@sha256:{'0' * 64}", "docker://-/a b"],
)
def test_an_address_that_is_no_repository_is_refused(place: str) -> None:
    with pytest.raises(Problem, match=r"registry\.images"):
        Registry(place)
