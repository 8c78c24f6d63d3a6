"""The published actions that our workflows use, as far as a local run needs them."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from urllib.parse import quote


@dataclass
class Place:
    """Where one job works: its checkout, what it shares with others, what it does at the end.

    `source` is the repository that is checked out, `commit` what is taken by default;
    `environment` is the checkout whose installed environments are lent; `outputs` are of the step
    that runs.
    """

    workspace: Path
    source: Path
    commit: str
    artifacts: Path
    caches: Path
    environment: Path
    variables: dict[str, str]
    after: list[Callable[[], None]] = field(default_factory=list)
    outputs: dict[str, str] = field(default_factory=dict)


Inputs = Mapping[str, str]
Action = Callable[[Place, Inputs], bool]


def checkout(place: Place, inputs: Inputs) -> bool:
    """The whole history, at `ref`; credentials that would stay behind are refused."""
    if inputs.get("fetch-depth") != "0" or inputs.get("persist-credentials") != "false":
        raise ValueError("a checkout here has fetch-depth 0 and persist-credentials false")
    _git(place.workspace.parent, "clone", "--quiet", str(place.source), str(place.workspace))
    wanted = inputs.get("ref") or place.commit
    if wanted != "main":  # which the clone has checked out already
        _git(place.workspace, "checkout", "--quiet", "--detach", wanted)
    return True


def lend(place: Place, inputs: Inputs) -> bool:
    """Lend the installed environments, fresh enough that make does not install them again."""
    names = [".venv", ".venv-serve"]
    if (place.environment / ".mypy_cache").is_dir():
        names.append(".mypy_cache")  # the types of the same files, by their hashes
    for name in names:
        (place.workspace / name).symlink_to(place.environment / name)
    exclude = place.workspace / ".git/info/exclude"
    exclude.parent.mkdir(exist_ok=True)
    exclude.write_text("".join(f"{name}\n" for name in names))
    for path in ("requirements/dev.txt", "requirements/serve.txt", "pyproject.toml"):
        if (place.workspace / path).exists():
            os.utime(place.workspace / path, (0, 0))
    # The lent environment knows another checkout's code: this one's comes first.
    place.variables["PYTHONPATH"] = str(place.workspace / "src")
    return True


def cache(place: Place, inputs: Inputs) -> bool:
    """Restore a folder by key or the newest of a prefix, and keep it after a job that succeeded."""
    restore(place, inputs)
    kept, folder = place.caches / quote(inputs["key"], safe=""), place.workspace / inputs["path"]

    def keep() -> None:
        if folder.exists() and not kept.exists():
            shutil.copytree(folder, kept, symlinks=True)

    place.after.append(keep)
    return True


def restore(place: Place, inputs: Inputs) -> bool:
    """Restore a folder by key, else the newest whose key begins as `restore-keys` says."""
    prefixes = [inputs["key"], *inputs.get("restore-keys", "").split()]
    kept = sorted(place.caches.glob("*"), key=lambda path: -path.stat().st_mtime)
    for prefix in prefixes:
        for path in kept:
            if path.name.startswith(quote(prefix, safe="")):
                shutil.copytree(path, place.workspace / inputs["path"], symlinks=True)
                return True
    return True


def upload(place: Place, inputs: Inputs) -> bool:
    """Keep a folder's visible files under a name that is not taken."""
    folder, target = place.workspace / inputs["path"], place.artifacts / inputs["name"]
    pattern = "**/*"
    if "*" in folder.name:
        folder, pattern = folder.parent, folder.name
    found = [path for path in folder.glob(pattern) if path.is_file() and not _hidden(path, folder)]
    if target.exists():
        return False
    for path in found:
        copy = target / path.relative_to(folder)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    return bool(found) or inputs.get("if-no-files-found", "warn") != "error"


def _hidden(path: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(folder).parts)


def download(place: Place, inputs: Inputs) -> bool:
    """Bring the artifacts of a pattern into one folder, or each into its own."""
    target = place.workspace / inputs["path"]
    for artifact in sorted(place.artifacts.glob("*")):
        if fnmatch(artifact.name, inputs["pattern"]):
            merged = inputs.get("merge-multiple") == "true"
            into = target if merged else target / artifact.name
            shutil.copytree(artifact, into, dirs_exist_ok=True)
    return True


def alls_green(place: Place, inputs: Inputs) -> bool:
    """Whether every job succeeded, or was skipped where that is allowed."""
    may_skip = {name.strip() for name in inputs.get("allowed-skips", "").split(",")}
    return all(
        job["result"] == "success" or (job["result"] == "skipped" and name in may_skip)
        for name, job in json.loads(inputs["jobs"]).items()
    )


ACTIONS: Mapping[str, Action] = {
    "actions/checkout": checkout,
    "actions/setup-python": lend,
    "actions/cache": cache,
    "actions/cache/restore": restore,
    "actions/upload-artifact": upload,
    "actions/download-artifact": download,
    "re-actors/alls-green": alls_green,
}


def _git(folder: Path, *words: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["git", *words], cwd=folder, check=True)
