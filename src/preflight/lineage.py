"""The way back: from a tree to the commit, data, parameters and model that it stands for."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from preflight import reference
from preflight.errors import Problem
from preflight.files import sha256
from preflight.layout import FITTED, LOOKUP, PACKAGED, PLOTS, REFERENCE
from preflight.predictor import LOOKUP as BUNDLED
from preflight.predictor import MANIFEST, Predictor
from preflight.release import FAST
from preflight.workspace import run

RECIPE = ("dvc.lock", "params.yaml")
# Outputs whose bytes may differ between processors; those of data and those in Git may not.
MODEL_OUTPUTS = tuple(str(path) for path in (FITTED, PACKAGED, PLOTS))


@dataclass(frozen=True)
class Origin:
    """Where a model comes from; hashes are hexadecimal, `data` is by DVC output path."""

    commit: str
    data: dict[str, str]
    model_hash: str
    contract: str
    serve_lock: str
    dev_lock: str


def head(root: Path) -> str:
    """The commit of a checkout."""
    return run(root, "git", "rev-parse", "HEAD").stdout.strip()


def require_committed(root: Path) -> None:
    """Refuse a tree with changes that no commit holds."""
    changed = run(root, "git", "status", "--porcelain").stdout.splitlines()
    if changed:
        names = ", ".join(line[3:] for line in changed[:3]) + (", …" if changed[3:] else "")
        raise Problem(
            "the working tree",
            f"uncommitted changes ({names})",
            "a committed tree, so that the model has a way back",
            "Commit or stash them.",
        )


def differences(root: Path) -> list[str]:
    """Why the tree is not what its committed dvc.lock says; empty when it is current.

    Current: equal dependencies, parameters and data hashes, and reference answers (values,
    intervals, flags, baseline) within 1e-6 of the committed ones. A model's bytes may differ,
    as between processors.
    """
    return status(root) or moved(root, lambda rows: reference.answers(_model(root), rows))


def status(root: Path) -> list[str]:
    """What DVC says of a tree against its dvc.lock, but for a model's bytes; frozen stages too."""
    found = []
    told = json.loads(run(root, "dvc", "status", "--json").stdout)
    for stage, changes in sorted(told.items()):
        found += [
            f"{stage}: {kind}: {name} {how}"
            for change in changes
            for kind, what in (change.items() if isinstance(change, dict) else [(change, {})])
            for name, how in (what.items() if what else [("dvc.yaml", "modified")])
            if not (name in MODEL_OUTPUTS and how == "modified")
        ]
    return _frozen(root) + found


def _frozen(root: Path) -> list[str]:
    """Frozen stages: DVC looks away from what they depend on, so nothing can be said of them."""
    stages = yaml.safe_load((root / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    bodies = {name: stage.get("do", stage) for name, stage in stages.items()}
    return [f"{name}: frozen in dvc.yaml" for name, body in bodies.items() if body.get("frozen")]


def _model(root: Path) -> Predictor:
    return Predictor(root / PACKAGED)


def moved(root: Path, answers: Callable[[int], dict[str, list[Any]]]) -> list[str]:
    """How the model's answers to so many reference requests differ from the committed ones."""
    if not (root / PACKAGED / BUNDLED).is_file() or sha256(root / PACKAGED / BUNDLED) != sha256(
        root / LOOKUP
    ):
        return [f"{PACKAGED / BUNDLED}: another lookup than {LOOKUP}"]
    committed = json.loads(run(root, "git", "show", f"HEAD:{REFERENCE}").stdout)
    name, worst = reference.furthest(answers(committed.pop("rows")), committed)
    if worst <= reference.TOLERANCE:
        return []
    return [f"reference answers: {name} moved by up to {worst:.3g} from {REFERENCE}"]


def require_current(root: Path) -> None:
    """Refuse a tree whose outputs are not those of its committed dvc.lock."""
    if found := differences(root):
        raise Problem(
            "dvc.lock",
            "; ".join(found[:3]),
            "data and model as the committed dvc.lock says",
            "Run `make restore`; or `make repro` and commit dvc.lock.",
        )


def origin(root: Path) -> Origin:
    """Where the model in a committed, current tree comes from."""
    manifest = json.loads((root / PACKAGED / MANIFEST).read_text(encoding="utf-8"))
    return Origin(
        head(root),
        data_hashes(root),
        sha256(root / PACKAGED / MANIFEST),
        manifest["contract"],
        sha256(root / "requirements/serve.txt"),
        sha256(root / "requirements/dev.txt"),
    )


def data_hashes(root: Path) -> dict[str, str]:
    """MD5 by path of the data outputs that dvc.lock names."""
    return _data(*((root / name).read_text(encoding="utf-8") for name in RECIPE))


def data_at(root: Path, commit: str) -> dict[str, str]:
    """`data_hashes` of a commit, by Git alone; raises Problem where it has no such files."""
    shown = (run(root, "git", "show", f"{commit}:{name}").stdout for name in RECIPE)
    return _data(*shown)


def data_digest(hashes: Mapping[str, str]) -> str:
    """SHA-256 over data hashes by path: as a release record names its data."""
    text = json.dumps(hashes, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def stages(
    lock: Mapping[str, Any], params: Mapping[str, Any]
) -> Iterator[tuple[str | None, Mapping[str, Any]]]:
    """Stages of a dvc.lock, each with its month, None for one of all months.

    Those of months that were taken out stay in the file, and do not count.
    """
    months = params.get("data", {}).get("months", ())
    for name, stage in lock.get("stages", {}).items():
        month = name.partition("@")[2] or None
        if month in (None, *months):
            yield month, stage


def _data(lock: str, params: str) -> dict[str, str]:
    held = (yaml.load(each, FAST) for each in (lock, params))  # noqa: S506 (it is the safe one)
    return {
        out["path"]: out["md5"]
        for _, stage in stages(*held)
        for out in stage["outs"]
        if not out["path"].startswith("models/")
    }
