"""Bring a commit's data and model: pull them, else reproduce them."""

import logging
import shutil
from pathlib import Path
from typing import Literal

from preflight import lineage
from preflight.errors import Problem
from preflight.files import read_json, replacing, sha256, write_json
from preflight.layout import STATE
from preflight.workspace import clone, failed, run

ARTIFACTS = STATE / "artifacts.json"
log = logging.getLogger("preflight")


def restore(root: Path) -> None:
    """Make the tree current with its committed dvc.lock, without rewriting that file.

    Raises Problem when neither the remote nor a rebuild gives what dvc.lock names.
    """
    # Files of Git that were deleted come back, and what DVC's cache has.
    run(root, "git", "checkout-index", "--all", "--quiet", check=False)
    run(root, "dvc", "checkout", "--quiet", check=False)
    if _is_current(root):
        log.info("data and model are current")
        return
    _require_same_recipe(root)
    log.info("pulling data and model from the DVC remote")
    pulled = run(root, "dvc", "pull", "--quiet", check=False)
    if pulled.returncode == 0 and _is_current(root):
        _remember(root, "pulled")
        log.info("pulled; current with dvc.lock")
        return
    log.info("the remote does not have them all; reproducing in a scratch clone")
    _reproduce(root)
    _remember(root, "rebuilt")


def artifacts(root: Path) -> Literal["pulled", "rebuilt"]:
    """How the tree's data and model came here: by hash from the remote, or made here.

    "rebuilt" is what is said where `restore` did not pull what dvc.lock names now.
    """
    if not (root / ARTIFACTS).is_file():
        return "rebuilt"
    known = read_json(root / ARTIFACTS) == _artifacts(root, "pulled")
    return "pulled" if known else "rebuilt"


def _remember(root: Path, how: str) -> None:
    write_json(root / ARTIFACTS, _artifacts(root, how))


def _artifacts(root: Path, how: str) -> dict[str, str]:
    return {"artifacts": how, "lock": sha256(root / "dvc.lock")}


def _is_current(root: Path) -> bool:
    try:
        return not lineage.differences(root)
    except Problem:  # no model, or a damaged one
        return False


def _require_same_recipe(root: Path) -> None:
    """Refuse a tree whose code or parameters are not those of dvc.lock: no rebuild would fit."""
    for found in lineage.status(root):
        if "params.yaml" in found or "src/" in found or "frozen" in found:
            raise Problem(
                "dvc.lock",
                found,
                "the code and parameters that it was written for",
                "Run `make repro` and commit dvc.lock.",
            )


def _reproduce(root: Path) -> None:
    """Rebuild in a scratch clone that shares the cache, and take over what dvc.lock names.

    The committed dvc.lock stays: on another processor a model's bytes may differ, and then
    its predictions decide.
    """
    scratch = root / STATE / "restore"
    clone(root, scratch, share_cache=True)
    try:
        done = run(scratch, "dvc", "repro", check=False)
        if done.returncode:
            raise failed(("dvc", "repro"), done.stdout + done.stderr)
        run(scratch, "git", "checkout", "--quiet", "--", ".")
        lineage.require_current(scratch)
        _take_over(root, scratch)
    finally:
        shutil.rmtree(scratch)
    log.info("reproduced; current with dvc.lock")


def _take_over(root: Path, scratch: Path) -> None:
    """Data comes from the shared cache; so does the model where its bytes are the same."""
    run(root, "dvc", "checkout", "--quiet", "--force", check=False)
    if not _is_current(root):
        for name in lineage.MODEL_OUTPUTS:
            with replacing(root / name) as partial:
                shutil.copytree(scratch / name, partial)
    lineage.require_current(root)
