"""The link from dvc.lock to its commit: the files and parameters that the pipeline read."""

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from preflight import lineage
from preflight.chain import blobs, difference, source
from preflight.chain.links import Compared
from preflight.errors import NoData, Problem
from preflight.layout import PACKAGED
from preflight.workspace import run

Stages = Sequence[Mapping[str, Any]]
Hashes = dict[str, str]
Said = tuple[str, str, str]  # what, as dvc.lock has it, as the commit does
NONE = "none"  # what a commit has not


def require_here(root: Path, commit: str) -> None:
    """Raise NoData for a commit that this clone has not."""
    known = run(root, "git", "cat-file", "-e", f"{commit}^{{commit}}", check=False)
    if known.returncode:
        remedy = "Run `git fetch`, in a shallow clone `git fetch --unshallow`."
        raise NoData(f"commit {commit[:12]}", "none in this clone", "it", remedy)


def compared(root: Path, commit: str) -> Iterator[Compared]:
    """Each file and parameter of dvc.lock that the commit has otherwise, and digests over all.

    Raises NoData without the commit, its dvc.lock, a packaged model or a file of Git's in that, and
    Problem for what is no such lock.
    """
    require_here(root, commit)
    where = f"dvc.lock at {commit[:12]}"
    stages = _stages(root, commit, where)
    try:
        deps, outs = (list(_named(stages, kind)) for kind in ("deps", "outs"))
        params = list(_params(root, commit, stages))
    except (LookupError, TypeError, AttributeError):
        raise _no_lock(where) from None
    made = {path for path, _ in outs}
    if str(PACKAGED) not in made:
        raise NoData(where, f"no {PACKAGED}", "a pipeline that made it", "Run `make repro`.")
    held = _hashes(root, commit, {path for path, _ in (*deps, *outs)})
    files = [
        (path, md5, held.get(path, NONE))
        for path, md5 in (*deps, *outs)
        if path in held or not _made(path, made)
    ]
    if not files:
        raise NoData(where, "no file of code", "files that Git holds", "Run `make repro`.")
    yield from _told(files, f"{len({path for path, _, _ in files})} files of code and figures")
    yield from _told(params, f"{len({name for name, _, _ in params})} parameters")


def read(root: Path, commit: str, name: str) -> str:
    """A text file of a commit; raises NoData without it."""
    found = source.text(root, commit, name)
    if found is None:
        raise NoData(f"{name} at {commit[:12]}", "no file", "one", "Name another commit.")
    return found


def _stages(root: Path, commit: str, where: str) -> Stages:
    lock, params = (source.mapping(read(root, commit, name)) for name in lineage.RECIPE)
    if "stages" not in lock:
        raise _no_lock(where)
    return [stage for _, stage in lineage.stages(lock, params)]


def _no_lock(where: str) -> Problem:
    return Problem(where, "no lock of DVC's", "one", "Run `make repro`.")


def _named(stages: Stages, kind: str) -> Iterator[tuple[str, str]]:
    """Paths with their MD5 as dvc.lock has them."""
    return ((each["path"], each["md5"]) for stage in stages for each in stage.get(kind, ()))


def _made(path: str, outs: Collection[str]) -> bool:
    """Whether it is made by a stage, as an output, below one, or as the folder of some."""
    return any(f"{path}/".startswith(f"{out}/") or out.startswith(f"{path}/") for out in outs)


def _params(root: Path, commit: str, stages: Stages) -> Iterator[Said]:
    """Each parameter that a stage depends on, by its file and dotted name."""
    held: dict[str, dict[str, Any]] = {}
    for stage in stages:
        for name, keys in stage.get("params", {}).items():
            if name not in held:
                text = source.text(root, commit, name) or ""
                held[name] = difference.flat(source.mapping(text))
            now = {
                leaf: value
                for leaf, value in held[name].items()
                if any(f"{leaf}.".startswith(f"{key}.") for key in keys)
            }
            for leaf, locked, value in difference.paired(difference.flat(keys), now):
                yield f"{name} {leaf}", _plain(locked), _plain(value)


def _plain(value: Any) -> str:
    return NONE if value is None else json.dumps(value, default=str)


def _hashes(root: Path, commit: str, paths: Collection[str]) -> Hashes:
    """MD5 of those paths that are files of a commit."""
    wanted = sorted(paths)
    texts = blobs.read(root, (f"{commit}:{path}" for path in wanted))
    return {
        path: hashlib.md5(text, usedforsecurity=False).hexdigest()
        for path, text in zip(wanted, texts, strict=True)
        if text is not None
    }


def _told(said: Sequence[Said], all_of_them: str) -> Iterator[Compared]:
    """Each that differs, once, and a digest over all."""
    for each in dict.fromkeys(said):
        if each[1] != each[2]:
            yield Compared(*each)
    lock, git = (_digest((each[0], each[side]) for each in said) for side in (1, 2))
    yield Compared(all_of_them, lock, git)


def _digest(values: Iterator[tuple[str, str]]) -> str:
    text = "\n".join(sorted(f"{name} {value}" for name, value in values))
    return hashlib.sha256(text.encode()).hexdigest()
