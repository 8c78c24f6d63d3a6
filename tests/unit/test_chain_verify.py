"""The chain of a release holds, and a mismatch planted at any link is caught by its name."""

import hashlib
import json
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import ModuleType
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from conftest import ROOT, change_params, commit, git
from fake_github import green
from images import MODEL
from preflight import lineage, release
from preflight.chain import ends
from preflight.chain.claim import of
from preflight.chain.links import Link, lines, looked, verdict, worst
from preflight.chain.verify import steps, verify
from preflight.chain.verify_commands import verify as command
from preflight.chain.walk import Service
from preflight.errors import NoData, Problem
from preflight.evidence import digest, packed
from preflight.files import sha256, write_json
from preflight.gates import REQUIRED
from preflight.images import layout, store, written
from preflight.images.labels import Labels
from preflight.release import EVIDENCE, PLACE, RENDERED, Release
from released import release as released
from released import release_of, started

NUMPY = "numpy==2.0.0 \\\n    --hash=sha256:00\n"
LOCK = f"{NUMPY}pyyaml[c]==6.0.2 \\\n    --hash=sha256:11\n"
OTHER = "f" * 40
NOBODY = "http://127.0.0.1:9"
ALL = (
    "dvc.lock -> commit",
    "commit -> registry",
    "registry -> Bento",
    "Bento -> image",
    "tag -> digest",
    "evidence -> record",
    "record -> manifest",
)
Plant = Callable[["Chain"], object]


@dataclass
class Version:
    """A version as MLflow's client gives it."""

    version: str
    tags: dict[str, str]


@dataclass
class Chain:
    """A repository whose release 3 is in staging and production, and its registry's versions."""

    root: Path
    commit: str
    versions: list[Version] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    @property
    def bento(self) -> Path:
        return self.root / ".preflight/bentoml/bentos/taxi" / f"v3-{self.commit[:12]}"

    @property
    def tag(self) -> str:
        return f"v3-{self.commit[:12]}"

    def links(self, asked: str = "production", service: Service | None = None) -> dict[str, Link]:
        """What is said of each link, by name."""
        return {link.name: link for link in verify(self.root, asked, service)}

    def link(self, asked: str, name: str) -> Link:
        """What is said of one link."""
        (step,) = (each for each in steps(self.root, of(self.root, asked)) if each.name == name)
        return looked(step)

    def record(self, environment: str = "production", **fields: Any) -> None:
        """Commit a record with other fields, and the file that is rendered of it."""
        now = release.current(self.root, environment)
        assert now is not None
        released(self.root, Release.model_validate(now.model_dump(mode="json") | fields))

    def publish(self, bento: Path, /, **labels: Any) -> str:
        """Put an image of a Bento with some other labels under the tag; returns its digest."""
        shutil.rmtree(self.root / ".preflight/images", ignore_errors=True)
        place = self.root / ".preflight/image"
        shutil.rmtree(place, ignore_errors=True)
        known = release.current(self.root, "staging")
        written.write(place, bento, labels_of(self, known, **labels).oci())
        return store.of(self.root).push(place, self.tag)


def labels_of(chain: Chain, known: Release | None, **others: Any) -> Labels:
    """The labels that belong to a chain's release, some of them others."""
    plain = {
        "name": "taxi-duration",
        "version": "3",
        "model_hash": sha256(chain.bento / MODEL / "manifest.json"),
        "commit": chain.commit,
        "data": lineage.data_digest(lineage.data_at(chain.root, chain.commit)),
        "evidence": known.evidence if known else evidence_of(chain),
        "bento": f"taxi:{chain.tag}",
    }
    return Labels(**(plain | others))


def evidence_of(chain: Chain) -> str:
    return digest(green(chain.commit, gate) for gate in REQUIRED)


def md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def model_at(folder: Path, booster: str) -> None:
    """A packaged model with its manifest."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "booster.txt").write_text(booster)
    write_json(folder / "manifest.json", {"files": {"booster.txt": sha256(folder / "booster.txt")}})


def recipe_at(root: Path) -> None:
    """Code, parameters, service lock, and the dvc.lock that belongs to them."""
    texts = {
        "src/train.py": "print('train')\n",
        "requirements/serve.txt": LOCK,
        ".gitignore": ".preflight/\nmodels/\n",
    }
    for name, text in texts.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    shutil.copy(ROOT / "params.yaml", root / "params.yaml")
    change_params(root, split={"test_months": 1})
    known = yaml.safe_load((root / "params.yaml").read_text())
    stage = {
        "deps": [
            {"path": "src/train.py", "md5": md5(texts["src/train.py"])},
            {"path": "data/raw", "md5": "3" * 32 + ".dir"},  # outputs lie below it
            {"path": "models/packaged/booster.txt", "md5": "4" * 32},  # and it below an output
        ],
        "params": {"params.yaml": {"model": known["model"], "split.test_months": 1}},
        "outs": [
            {"path": "data/raw/2021-01.parquet", "md5": "1" * 32},
            {"path": "models/packaged", "md5": "2" * 32 + ".dir"},
        ],
    }
    gone = {
        "deps": [{"path": "src/train.py", "md5": "5" * 32}],
        "outs": [{"path": "data/raw/1999-01.parquet", "md5": "6" * 32}],
    }
    stages = {"train": stage, "ingest@1999-01": gone}  # a month that was taken out
    (root / "dvc.lock").write_text(yaml.safe_dump({"stages": stages}))


def bento_at(chain: Chain) -> None:
    """The Bento of the chain's commit, and the model in the tree."""
    build = {"model_version": "3", "commit": chain.commit, "bento": f"taxi:{chain.tag}"}
    texts = {
        "bento.yaml": "name: taxi\n",
        "src/build.json": json.dumps(build),
        "src/requirements/serve.txt": LOCK,
        "env/python/requirements.txt": LOCK,
    }
    for name, text in texts.items():
        (chain.bento / name).parent.mkdir(parents=True, exist_ok=True)
        (chain.bento / name).write_text(text)
    model_at(chain.bento / MODEL, "tree")
    model_at(chain.root / "models/packaged", "tree")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    """A chain that holds; tests copy it."""
    root = started(tmp_path_factory.mktemp("chain") / "whole")
    recipe_at(root)
    commit(root, "The model")
    chain = Chain(root, git(root, "rev-parse", "HEAD").strip())
    bento_at(chain)
    image = chain.publish(chain.bento)
    (root / ".preflight/mlflow").mkdir()
    (root / ".preflight/mlflow/mlflow.db").touch()
    model = {
        "name": "taxi-duration",
        "version": "3",
        "hash": sha256(chain.bento / MODEL / "manifest.json"),
    }
    for environment in ("staging", "production"):
        found = release_of(
            "3",
            environment=environment,
            model=model,
            commit=chain.commit,
            manifests=chain.commit,
            data=lineage.data_digest(lineage.data_at(root, chain.commit)),
            evidence=evidence_of(chain),
            bento=f"taxi:{chain.tag}",
            image=image,
        )
        released(root, found, parts=[green(chain.commit, gate) for gate in REQUIRED])
    return chain


@pytest.fixture
def chain(whole: Chain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Chain:
    """A copy of the chain that a test may break, with a registry of one version."""
    root = tmp_path / "chain"
    shutil.copytree(whole.root, root, symlinks=True)
    copied = Chain(root, whole.commit)
    tags = {
        "commit": whole.commit,
        "model_hash": sha256(whole.bento / MODEL / "manifest.json"),
        "data": json.dumps(lineage.data_at(root, whole.commit)),
        "serve_lock": hashlib.sha256(LOCK.encode()).hexdigest(),
    }
    copied.versions.append(Version("3", tags))
    _registry(copied, monkeypatch)
    return copied


def _registry(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    """In place of MLflow, which takes seconds to start and has tests of its own."""
    mlflow, exceptions = ModuleType("mlflow"), ModuleType("mlflow.exceptions")

    class Failure(Exception):
        error_code = "INTERNAL_ERROR"

    class Client:
        def __init__(self, tracking: str, registry: str) -> None:
            chain.asked.append(registry)
            if registry == NOBODY:
                raise Failure

        def search_model_versions(self, asked: str) -> list[Version]:
            assert asked == "name = 'taxi-duration'"
            return chain.versions

    vars(mlflow)["MlflowClient"] = Client
    vars(exceptions)["MlflowException"] = Failure
    monkeypatch.setitem(sys.modules, "mlflow", mlflow)
    monkeypatch.setitem(sys.modules, "mlflow.exceptions", exceptions)


@contextmanager
def answering(status: int = 200, **fields: Any) -> Iterator[str]:
    """The address of a service that says so of itself at /version, to one key."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = self.headers.get("Authorization") == "Bearer secret-key"
            self.send_response(status if known else 401)
            self.end_headers()
            self.wfile.write(json.dumps(fields).encode() if self.path == "/version" else b"")

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def says(chain: Chain, **others: Any) -> dict[str, Any]:
    """What a service of the chain's release answers, some of it otherwise."""
    plain = {
        "model_version": "3",
        "commit": chain.commit,
        "bento": f"taxi:{chain.tag}",
        "model_hash": chain.versions[0].tags["model_hash"],
        "contract": "taxi/1",
        "mode": "normal",
    }
    return plain | others


def test_a_whole_chain_holds_from_dvc_lock_to_what_runs(chain: Chain) -> None:
    with answering(**says(chain)) as address:
        found = chain.links("production", Service(address, "secret-key"))
    asked = {name: link.status for name, link in found.items() if link.status != "not asked"}
    assert asked == dict.fromkeys((*ALL, "staging -> release", "manifest -> /version"), "holds")
    assert found["tree -> model"].why == f"the tree here is not of {chain.commit[:12]}"


@pytest.mark.parametrize(
    ("asked", "count"),
    [
        ("staging", 7),
        ("{digest}", 5),
        ("{tag}", 5),
        (".preflight/image", 4),
        ("taxi:{tag}", 3),
        (".preflight/bentoml/bentos/taxi/{tag}", 3),
        ("{commit}", 2),
    ],
)
def test_each_kind_of_end_asks_for_the_links_before_it(
    chain: Chain, asked: str, count: int
) -> None:
    image = layout.digest(chain.root / ".preflight/image")
    word = asked.format(digest=image, tag=chain.tag, commit=chain.commit)
    found = [link for link in chain.links(word).values() if link.status != "not asked"]
    assert [link.name for link in found] == list(ALL[:count])
    assert worst(found) == "holds"


def test_a_tree_of_the_commit_is_compared_with_its_version(chain: Chain) -> None:
    git(chain.root, "checkout", "--quiet", chain.commit)
    assert chain.link("HEAD", "tree -> model").status == "holds"
    model_at(chain.root / "models/packaged", "another tree")
    assert chain.link("HEAD", "tree -> model").status == "differs"


def test_a_file_that_the_models_manifest_does_not_know_breaks_its_link(chain: Chain) -> None:
    git(chain.root, "checkout", "--quiet", chain.commit)
    (chain.root / "models/packaged/booster.txt").write_text("poisoned")
    found = chain.link("HEAD", "tree -> model")
    assert (found.status, "booster.txt" in found.why) == ("differs", True)


def code_without_lock(chain: Chain) -> str:
    (chain.root / "src/train.py").write_text("print('other')\n")
    commit(chain.root)
    return "HEAD"


def code_removed(chain: Chain) -> str:
    git(chain.root, "rm", "--quiet", "src/train.py")
    commit(chain.root)
    return "HEAD"


def seed_without_lock(chain: Chain) -> str:
    change_params(chain.root, model={"seed": 99})
    commit(chain.root)
    return "HEAD"


def code_that_git_never_held(chain: Chain) -> str:
    place = chain.root / "dvc.lock"
    lock = yaml.safe_load(place.read_text())
    lock["stages"]["train"]["deps"] = []
    place.write_text(yaml.safe_dump(lock))
    commit(chain.root)
    return "HEAD"


def months_edited(chain: Chain) -> str:
    chain.record(data="9" * 64)
    return "production"


def record_of_another_model(chain: Chain) -> str:
    record = release.current(chain.root, "production")
    assert record is not None
    chain.record(model=record.model.model_dump() | {"name": "fares"})
    return "production"


def saying_another(bento: Path) -> Path:
    """Make a Bento's build.json that of version 4; returns the Bento."""
    place = bento / "src/build.json"
    place.write_text(place.read_text().replace("v3-", "v4-").replace('"3"', '"4"'))
    return bento


def bento_under_another_name(chain: Chain) -> str:
    place = chain.bento / "src/build.json"
    place.write_text(place.read_text().replace("taxi:", "fares:"))
    return "production"


def bento_that_says_it_is_another(chain: Chain) -> str:
    saying_another(chain.bento)
    return f"taxi:{chain.tag}"


def folder_that_says_it_is_another(chain: Chain) -> str:
    saying_another(chain.bento)
    return f".preflight/bentoml/bentos/taxi/{chain.tag}"


def version_deleted(chain: Chain) -> str:
    chain.versions.clear()
    return "production"


def registry_gone(chain: Chain) -> str:
    (chain.root / ".preflight/mlflow/mlflow.db").unlink()
    return "production"


def version_retagged(chain: Chain) -> str:
    chain.versions[0].tags["model_hash"] = "8" * 64
    return "production"


def version_of_another_commit(chain: Chain) -> str:
    chain.versions[0].tags["commit"] = OTHER
    return "production"


def downgraded(name: str) -> Plant:
    def plant(chain: Chain) -> str:
        (chain.bento / name).write_text(LOCK.replace("numpy==2.0.0", "numpy==1.26.4"))
        return f"taxi:{chain.tag}"

    return plant


def extra_downgraded(chain: Chain) -> str:
    place = chain.bento / "env/python/requirements.txt"
    place.write_text(LOCK.replace("pyyaml[c]==6.0.2", "pyyaml[c]==5.4"))
    return f"taxi:{chain.tag}"


def bento_of_another_model(chain: Chain) -> str:
    model_at(chain.bento / MODEL, "another tree")
    return "production"


def label_of_another_commit(chain: Chain) -> str:
    return chain.publish(chain.bento, commit=OTHER)


def beside(chain: Chain) -> Path:
    """A copy of the Bento, to be made another one."""
    other = chain.root / ".preflight/other" / chain.tag
    shutil.copytree(chain.bento, other)
    return other


def model_under_the_right_label(chain: Chain) -> str:
    """An image of another model, whose labels are those of the release."""
    right = sha256(chain.bento / MODEL / "manifest.json")
    other = beside(chain)
    model_at(other / MODEL, "another tree")
    image = chain.publish(other, model_hash=right)
    chain.record(image=image)
    return "production"


def build_in_the_image(chain: Chain) -> str:
    chain.record(image=chain.publish(saying_another(beside(chain))))
    return "production"


def code_in_the_image(chain: Chain) -> str:
    other = beside(chain)
    (other / "src/service.py").write_text("print('other')\n")
    chain.record(image=chain.publish(other))
    return "production"


def tag_of_another_image(chain: Chain) -> str:
    """Under the tag of version 3 lies the image of version 4."""
    other = {"version": "4", "bento": f"taxi:v4-{chain.commit[:12]}"}
    chain.publish(saying_another(beside(chain)), **other)
    return chain.tag


def lock_in_the_image(chain: Chain) -> str:
    other = beside(chain)
    lock = LOCK.replace("numpy==2.0.0", "numpy==1.26.4")
    (other / "src/requirements/serve.txt").write_text(lock)
    chain.record(image=chain.publish(other))
    return "production"


def tag_moved(chain: Chain) -> str:
    """The image under the tag is another than the record pins, which lies there too."""
    pinned = release.current(chain.root, "production")
    assert pinned is not None
    place = chain.root / ".preflight/images/index.json"
    index = json.loads(place.read_text())
    kept = index["manifests"][0]
    tags = kept.pop("annotations")
    shutil.copytree(chain.root / ".preflight/image", chain.root / ".preflight/pinned")
    chain.publish(chain.bento, run="http://ci/2")
    moved = json.loads(place.read_text())["manifests"]
    assert moved[0]["annotations"] == tags
    for name in (chain.root / ".preflight/pinned/blobs/sha256").iterdir():
        shutil.copy(name, chain.root / ".preflight/images/blobs/sha256" / name.name)
    place.write_text(json.dumps(index | {"manifests": [kept, *moved]}))
    return "production"


def evidence_of_another_commit(chain: Chain) -> str:
    parts = [green(OTHER, gate) for gate in REQUIRED]
    place = chain.root / EVIDENCE.format(environment="production")
    place.write_text(packed(parts))
    chain.record(evidence=digest(parts))
    return "production"


def evidence_edited(chain: Chain) -> str:
    place = chain.root / EVIDENCE.format(environment="production")
    place.write_text(place.read_text().replace("as it should be", "better still"))
    return "production"


def evidence_gone(chain: Chain) -> str:
    (chain.root / EVIDENCE.format(environment="production")).unlink()
    return "production"


def rendered_by_hand(chain: Chain) -> str:
    record = release.current(chain.root, "production")
    assert record is not None
    place = chain.root / RENDERED.format(environment="production")
    place.write_text(place.read_text().replace(record.image, f"sha256:{'7' * 64}"))
    return "production"


def record_by_hand(chain: Chain) -> str:
    place = chain.root / PLACE.format(environment="production")
    record = yaml.safe_load(place.read_text())
    place.write_text(yaml.safe_dump(record | {"image": f"sha256:{'7' * 64}"}))
    return "production"


def ahead_of_staging(chain: Chain) -> str:
    chain.record("production", manifests=OTHER)
    return "production"


@pytest.mark.parametrize(
    ("plant", "name", "what", "status"),
    [
        (code_without_lock, "dvc.lock -> commit", "src/train.py", "differs"),
        (code_removed, "dvc.lock -> commit", "src/train.py", "differs"),
        (seed_without_lock, "dvc.lock -> commit", "params.yaml model.seed", "differs"),
        (code_that_git_never_held, "dvc.lock -> commit", "no file of code", "absent"),
        (months_edited, "dvc.lock -> commit", "data", "differs"),
        (record_of_another_model, "commit -> registry", "name", "differs"),
        (bento_under_another_name, "registry -> Bento", "tag", "differs"),
        (bento_that_says_it_is_another, "registry -> Bento", "tag", "differs"),
        (folder_that_says_it_is_another, "registry -> Bento", "tag", "differs"),
        (version_deleted, "commit -> registry", "no version 3", "absent"),
        (registry_gone, "commit -> registry", "no file mlflow.db here", "absent"),
        (version_retagged, "commit -> registry", "model hash", "differs"),
        (version_of_another_commit, "commit -> registry", "commit", "differs"),
        (downgraded("env/python/requirements.txt"), "registry -> Bento", "numpy", "differs"),
        (extra_downgraded, "registry -> Bento", "pyyaml", "differs"),
        (downgraded("src/requirements/serve.txt"), "registry -> Bento", "service lock", "differs"),
        (bento_of_another_model, "registry -> Bento", "model hash", "differs"),
        (label_of_another_commit, "Bento -> image", "commit", "differs"),
        (model_under_the_right_label, "Bento -> image", "model inside", "differs"),
        (lock_in_the_image, "Bento -> image", "lock inside", "differs"),
        (build_in_the_image, "Bento -> image", "version inside", "differs"),
        (code_in_the_image, "Bento -> image", "src/service.py", "differs"),
        (tag_of_another_image, "tag -> digest", "tag", "differs"),
        (tag_moved, "tag -> digest", "v3-", "differs"),
        (evidence_of_another_commit, "evidence -> record", "commit of gates", "differs"),
        (evidence_edited, "evidence -> record", "digest", "differs"),
        (evidence_gone, "evidence -> record", "no file", "absent"),
        (rendered_by_hand, "record -> manifest", "digest", "differs"),
        (record_by_hand, "record -> manifest", "digest", "differs"),
        (ahead_of_staging, "staging -> release", "release", "differs"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_planted_mismatch_is_caught_by_its_link(
    chain: Chain, plant: Callable[[Chain], str], name: str, what: str, status: str
) -> None:
    found = chain.link(plant(chain), name)
    assert found.status == status
    if status == "differs":
        assert any(not each.same and each.what.startswith(what) for each in found.compared)
    else:
        assert what in found.why


def test_a_bento_that_is_not_here_is_read_from_its_image(chain: Chain) -> None:
    shutil.rmtree(chain.bento)
    found = chain.links()
    assert {found[name].status for name in ALL} == {"holds"}


def test_what_a_server_left_in_a_bentos_folder_is_no_mismatch(chain: Chain) -> None:
    cache = chain.bento / "src/__pycache__"
    cache.mkdir()
    (cache / "service.pyc").write_bytes(b"left")
    assert chain.link("production", "Bento -> image").status == "holds"


@pytest.mark.parametrize(
    ("asked", "name", "absent"),
    [
        ("{commit}", "commit -> registry", {"name", "commit"}),
        ("taxi:{tag}", "commit -> registry", {"name"}),
        ("{tag}", "Bento -> image", {"name"}),
    ],
)
def test_nothing_is_compared_with_itself(
    chain: Chain, asked: str, name: str, absent: set[str]
) -> None:
    found = chain.link(asked.format(tag=chain.tag, commit=chain.commit), name)
    assert found.status == "holds"
    assert not absent & {each.what for each in found.compared}


def test_a_bento_that_is_read_from_its_image_is_not_compared_with_it(chain: Chain) -> None:
    shutil.rmtree(chain.bento)
    found = chain.link("production", "Bento -> image")
    assert (found.status, [each for each in found.compared if "inside" in each.what]) == (
        "holds", []
    )  # fmt: skip


def test_a_registry_without_an_answer_is_absent_and_asked_once(
    chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in ends.PATIENCE.items():
        monkeypatch.setenv(name, value)
    change_params(chain.root, registry={"uri": NOBODY})
    found = chain.links()
    assert "found no answer (INTERNAL_ERROR)" in found["commit -> registry"].why
    assert (found["registry -> Bento"].status, chain.asked) == ("absent", [NOBODY])


def test_the_registry_is_that_of_the_checkout(chain: Chain) -> None:
    chain.link("staging", "commit -> registry")
    assert chain.asked == [f"sqlite:///{chain.root}/.preflight/mlflow/mlflow.db"]


def test_an_image_that_cannot_be_reached_is_absent(chain: Chain) -> None:
    for name in ("image", "images"):
        shutil.rmtree(chain.root / ".preflight" / name)
    found = chain.links()
    assert [found[name].status for name in ALL] == [*["holds"] * 3, *["absent"] * 2, *["holds"] * 2]
    assert worst(found.values()) == "absent"


@pytest.mark.parametrize("text", ["kind: Rollout", "a: [", "", None])
def test_a_rendered_file_of_an_odd_form_holds_nothing(chain: Chain, text: str | None) -> None:
    place = chain.root / RENDERED.format(environment="staging")
    if text is None:
        place.unlink()
    else:
        place.write_text(text)
    found = chain.link("staging", "record -> manifest")
    assert found.status == ("absent" if text is None else "differs")
    assert found.why


def test_a_tag_in_the_registry_that_is_no_json_holds_nothing(chain: Chain) -> None:
    chain.versions[0].tags["data"] = "{"
    found = chain.link("staging", "commit -> registry")
    assert (found.status, "odd form" in found.why) == ("differs", True)


def test_a_commit_that_is_not_in_this_clone_is_absent(chain: Chain) -> None:
    chain.record(commit=OTHER)
    assert "none in this clone" in chain.links()["dvc.lock -> commit"].why


@pytest.mark.parametrize(
    ("field", "what"),
    [("model_version", "version"), ("commit", "commit"), ("model_hash", "model hash")],
)
def test_another_release_that_runs_is_caught(chain: Chain, field: str, what: str) -> None:
    with answering(**says(chain, **{field: "other"})) as address:
        found = chain.links("production", Service(address, "secret-key"))["manifest -> /version"]
    assert [each.what for each in found.compared if not each.same] == [what]


def test_a_service_that_gives_no_answer_is_absent_and_its_key_stays_secret(chain: Chain) -> None:
    with answering(**says(chain)) as address:
        refused = chain.links("production", Service(address, "wrong-key"))["manifest -> /version"]
    silent = chain.links("production", Service(address, "wrong-key"))["manifest -> /version"]
    assert [refused.status, silent.status] == ["absent", "absent"]
    assert "status 401" in refused.why
    assert "wrong-key" not in refused.why + silent.why


@pytest.mark.parametrize("asked", ["nothing", "--output=x", "taxi-duration/3"])
def test_a_word_that_names_nothing_is_refused(chain: Chain, asked: str) -> None:
    with pytest.raises(Problem, match=r"an environment \(production, staging\), a commit, a Bento"):
        verify(chain.root, asked)


@pytest.mark.parametrize("asked", ["v9-aaaaaaaaaaaa", f"sha256:{'0' * 64}", "taxi:v9-aaaaaaaaaaaa"])
def test_an_end_that_is_not_there_is_no_data(chain: Chain, asked: str) -> None:
    with pytest.raises(NoData):
        verify(chain.root, asked)


def test_an_environment_before_its_first_release_is_no_data(chain: Chain) -> None:
    (chain.root / PLACE.format(environment="staging")).unlink()
    with pytest.raises(NoData, match="no release yet"):
        verify(chain.root, "staging")


@pytest.mark.parametrize(("plant", "status"), [(None, 0), (tag_moved, 1), (evidence_gone, 2)])
def test_the_exit_status_says_whether_it_holds(
    chain: Chain, monkeypatch: pytest.MonkeyPatch, plant: Plant | None, status: int
) -> None:
    if plant:
        plant(chain)
    monkeypatch.chdir(chain.root)
    done = CliRunner().invoke(command, ["production", "--json"])
    assert done.exit_code == status, done.output
    said = json.loads(done.output)
    assert said["status"] == ("holds", "differs", "absent")[status]
    assert set(ALL) <= {link["name"] for link in said["links"]}


def test_a_person_sees_each_value_each_difference_in_full_and_one_sentence(chain: Chain) -> None:
    found = tuple(chain.links(rendered_by_hand(chain)).values())
    shown = list(lines(found))
    assert shown[0].split() == ["link", "what", "left", "right"]
    assert any(line.startswith("record -> manifest  digest ") for line in shown)
    (told,) = (line for line in shown if line.startswith("record -> manifest: digest:"))
    assert f"rendered file sha256:{'7' * 64}. Render it again: `preflight render`." in told
    assert any(line.startswith("not asked: manifest -> /version: no --server") for line in shown)
    assert verdict(found, "production") == (
        "production: the chain is broken: record -> manifest differs (8 of 10 links asked)."
    )


def test_the_command_reads_the_key_from_a_file(
    chain: Chain, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "key").write_text("secret-key\n")
    monkeypatch.chdir(chain.root)
    with answering(**says(chain)) as address:
        words = ["staging", "--server", address, "--key-file", str(tmp_path / "key")]
        done = CliRunner().invoke(command, words)
    assert done.exit_code == 0, done.output
    assert "staging: the chain holds (8 of 10 links asked)." in done.output
