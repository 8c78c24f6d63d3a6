"""The link from dvc.lock to its commit: the files that the pipeline read, as Git holds them."""

import hashlib
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

from preflight.chain.links import Compared
from preflight.errors import NoData, Problem
from preflight.layout import PACKAGED
from preflight.workspace import run

Hashes = dict[str, str]


def require_here(root: Path, commit: str) -> None:
    """Raise NoData for a commit that this clone has not."""
    known = run(root, "git", "cat-file", "-e", f"{commit}^{{commit}}", check=False)
    if known.returncode:
        remedy = "Run `git fetch`, in a shallow clone `git fetch --unshallow`."
        raise NoData(f"commit {commit[:12]}", "none in this clone", "it", remedy)


def compared(root: Path, commit: str) -> Iterator[Compared]:
    """Each file of dvc.lock that Git holds otherwise, and a digest over all of them.

    Raises NoData without the commit, its dvc.lock or a packaged model in it.
    """
    require_here(root, commit)
    where = f"dvc.lock at {commit[:12]}"
    named = list(_named(read(root, commit, "dvc.lock"), where))
    outs = {path for path, _, made in named if made}
    if str(PACKAGED) not in outs:
        raise NoData(where, f"no {PACKAGED}", "a pipeline that made it", "Run `make repro`.")
    held = _hashes(root, commit, {path for path, _, _ in named})
    files = [(path, md5) for path, md5, _ in named if path in held]
    for path, md5 in dict.fromkeys(files):
        if held[path] != md5:
            yield Compared(path, md5, held[path])
    lock, git = _digest(files), _digest((path, held[path]) for path, _ in files)
    yield Compared(f"{len(dict(files))} files of code and figures", lock, git)


def read(root: Path, commit: str, name: str) -> str:
    """A text file of a commit; raises NoData without it."""
    shown = run(root, "git", "show", f"{commit}:{name}", check=False)
    if shown.returncode:
        raise NoData(f"{name} at {commit[:12]}", "no file", "one", "Name another commit.")
    return shown.stdout


def _named(lock: str, where: str) -> Iterator[tuple[str, str, bool]]:
    """Paths with their MD5 as dvc.lock has them, and whether a stage makes them."""
    try:
        stages: dict[str, dict[str, Any]] = yaml.load(lock, yaml.CSafeLoader)["stages"]
        for stage in stages.values():
            for kind in ("deps", "outs"):
                for each in stage.get(kind, ()):
                    yield each["path"], each["md5"], kind == "outs"
    except (yaml.YAMLError, LookupError, TypeError, AttributeError):
        raise Problem(where, "no lock of DVC's", "one", "Run `make repro`.") from None


def _hashes(root: Path, commit: str, paths: Iterable[str]) -> Hashes:
    """MD5 of those paths that are files of a commit."""
    wanted = sorted(paths)
    asked = "".join(f"{commit}:{path}\n" for path in wanted).encode()
    command = ("git", "cat-file", "--batch")
    said = subprocess.run(command, cwd=root, input=asked, capture_output=True, check=True).stdout
    found, at = {}, 0
    for path in wanted:
        end = said.index(b"\n", at)
        words, at = said[at:end].split(), end + 1
        if words[-1] == b"missing":
            continue
        size = int(words[2])
        if words[1] == b"blob":
            found[path] = hashlib.md5(said[at : at + size], usedforsecurity=False).hexdigest()
        at += size + 1
    return found


def _digest(files: Iterable[tuple[str, str]]) -> str:
    text = "\n".join(sorted(f"{path} {md5}" for path, md5 in files))
    return hashlib.sha256(text.encode()).hexdigest()
