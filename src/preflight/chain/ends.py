"""Ends of the chain, each as what it says of itself: registry, Bento, running service."""

import json
import os
import re
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

from preflight import lineage
from preflight.chain import source
from preflight.errors import NoData, Problem
from preflight.files import sha256
from preflight.layout import PACKAGED, STATE
from preflight.params import Registry
from preflight.predictor import MANIFEST

# Files of a Bento, by their path in it.
BUILD, LOCK = "src/build.json", "src/requirements/serve.txt"
MODEL = f"src/{PACKAGED.as_posix()}/{MANIFEST}"
BENTOS = STATE / "bentoml/bentos"
SQLITE = "sqlite:///"
SECONDS = 5.0  # until a silent service is given up
ANSWER_BYTES = 65_536
ADDRESS = re.compile(r"https?://([\w.-]+|\[[0-9a-fA-F:.]+\])(:\d{1,5})?/?", re.ASCII)
KEY = re.compile(r"[!-~]{1,500}")
DIRECT = build_opener(ProxyHandler({}))  # past any proxy of the environment
PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "5"}


@dataclass(frozen=True)
class Registered:
    """A version in the registry: of which commit, model, data (a digest) and service lock."""

    version: str
    commit: str
    hash: str
    data: str
    lock: str


@dataclass(frozen=True)
class Packed:
    """A Bento: what its build.json says, the hash of the model in it, and its packages.

    `lock` is the hash of the lock that it is installed from.
    """

    version: str
    commit: str
    tag: str
    hash: str
    lock: str
    pins: frozenset[str]


def registered(root: Path, known: Registry, version: str | None, commit: str) -> Registered:
    """A version of the registry, or without one the newest of a commit; raises NoData."""
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    name, where = known.name, f"registry {known.name}"
    address = _address(root, known.uri, where)
    try:
        client = MlflowClient(address, address)
        held = list(client.search_model_versions(f"name = '{name}'"))
    except MlflowException as error:
        raise absent(where, f"no answer ({error.error_code})", "a registry") from None
    ours = sorted((each for each in held if "commit" in each.tags), key=lambda it: int(it.version))
    found = [
        each
        for each in ours
        if (str(each.version) == version if version else each.tags["commit"] == commit)
    ]
    if not found:
        asked = f"version {version}" if version else f"version of commit {commit[:12]}"
        there = ", ".join(str(each.version) for each in ours) or "none"
        raise absent(where, f"no {asked}", f"it; there are: {there}")
    tags = {key: str(value) for key, value in found[-1].tags.items()}
    hashes = json.loads(tags.get("data", "{}"))
    return Registered(
        str(found[-1].version),
        tags["commit"],
        tags.get("model_hash", ""),
        lineage.data_digest(hashes),
        tags.get("serve_lock", ""),
    )


def _address(root: Path, address: str, where: str) -> str:
    """The registry's address; a file that is not there is not made by a question."""
    if not address.startswith(SQLITE):
        for variable, value in PATIENCE.items():  # MLflow's own take minutes
            os.environ.setdefault(variable, value)
        return address
    file = root / address.removeprefix(SQLITE)  # an absolute path stays one
    if not file.is_file():
        raise absent(where, f"no file {file.name} here", "a registry")
    return f"{SQLITE}{file}"


def bento(root: Path, tag: str) -> Path:
    """The folder of a Bento by its tag NAME:VERSION; raises NoData where it is not here."""
    name, _, version = tag.partition(":")
    folder = root / BENTOS / name / version
    if not version or not (folder / "bento.yaml").is_file():
        raise absent(f"Bento {tag}", "no such folder here", "one that `make bento` built")
    return folder


def stored(root: Path, folder: Path) -> str | None:
    """The tag under which a Bento's folder lies here; None for a folder elsewhere."""
    name, version = (whole := folder.resolve()).parent.name, whole.name
    return f"{name}:{version}" if whole == (root / BENTOS / name / version).resolve() else None


def unpacked(folder: Path) -> Packed:
    """What a Bento holds; raises Problem for one whose model is not what its manifest says."""
    from preflight.predictor import verify

    build, lock = folder / BUILD, folder / LOCK
    installed = folder / "env/python/requirements.txt"
    if missing := [each for each in (build, lock, installed) if not each.is_file()]:
        raise Problem(str(missing[0]), "no file", "a whole Bento", "Run `make bento`.")
    model = folder / MODEL
    verify(model.parent)
    packages = pins(installed.read_text(encoding="utf-8"))
    names = said(build.read_bytes(), str(build))
    return Packed(*names, sha256(model), sha256(lock), packages)


def said(build: bytes, where: str) -> tuple[str, str, str]:
    """Version, commit and tag by the text of a build.json; raises Problem without them."""
    try:
        found = json.loads(build)
        return found["model_version"], found["commit"], found["bento"]
    except (ValueError, LookupError, TypeError):
        expected = "model_version, commit and bento"
        raise Problem(where, "a build.json without them", expected, "Run `make bento`.") from None


def pins(text: str) -> frozenset[str]:
    """A lock's exact versions; BentoML rewrites the rest, and names itself once more."""
    return frozenset(f"{name}=={version}" for name, version in source.PINNED.findall(text))


def pinned(found: frozenset[str], name: str) -> str:
    """The version of a package among pins; "none" where it is not among them."""
    versions = (each.partition("==")[2] for each in found if each.startswith(f"{name}=="))
    return next(versions, "none")


def running(address: str, key: str | None) -> dict[str, Any]:
    """What a service says of itself at /version; raises NoData where it does not answer."""
    if not ADDRESS.fullmatch(address):
        raise Problem("the address", address[:80], "as http://127.0.0.1:3000", "Mend it.")
    if key is not None and not KEY.fullmatch(key):
        raise Problem("the key file", "no key", "one key on a line", "Name the right file.")
    place = f"{address.rstrip('/')}/version"
    request = Request(place)  # noqa: S310 (the address is checked)
    if key:
        request.add_unredirected_header("Authorization", f"Bearer {key}")
    try:
        with DIRECT.open(request, timeout=SECONDS) as answer:
            found = json.loads(answer.read(ANSWER_BYTES))
    except HTTPError as error:
        raise absent(place, f"status {error.code}", "status 200, to a key of scope admin") from None
    except (OSError, HTTPException, ValueError) as error:
        raise absent(place, type(error).__name__, "an answer in JSON") from None
    if not isinstance(found, dict):
        raise absent(place, type(found).__name__, "what is running, as an object")
    return found


def absent(where: str, found: str, expected: str) -> NoData:
    """What is said of an end that is not there."""
    return NoData(where, found, expected, "Without it this link is not shown to hold.")
