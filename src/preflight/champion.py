"""The champion: the commit that the candidate is judged against, and its artifacts."""

import json
import logging
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from preflight import release
from preflight.errors import Problem
from preflight.files import read_json, sha256, write_json
from preflight.layout import STATE
from preflight.scope import MAIN
from preflight.workspace import clone, failed, run

Kind = Literal["production", "merge base", "first parent", "named", "baseline"]
MARK = STATE / "champion.json"
CURRENT = """
import json, pathlib
from preflight import lineage
print(json.dumps(lineage.differences(pathlib.Path("."))))
"""
log = logging.getLogger("preflight")


@dataclass(frozen=True)
class Champion:
    """Which commit, why that one, and where its checkout lies.

    `root` is None for the trivial baseline; `origin` says where the artifacts came from.
    """

    kind: Kind
    commit: str | None = None
    root: Path | None = None
    python: str = sys.executable
    origin: str = ""

    def __str__(self) -> str:
        if self.commit is None:
            return "the trivial baseline: no earlier model is known"
        why = {
            "production": "promoted in production",
            "merge base": "the merge base with main; nothing is in production",
            "first parent": "the first parent on main; nothing is in production",
            "named": "named on the command line",
        }[self.kind]
        return f"{self.commit[:12]}, {why}; artifacts: {self.origin or 'not brought yet'}"


def base_of(root: Path, commit: str) -> tuple[str | None, Kind]:
    """The commit whose limits and gate code hold: the merge base with main, on main the parent."""
    for name in MAIN:
        told = run(root, "git", "merge-base", commit, name, check=False)
        if told.returncode == 0 and (found := told.stdout.strip()) != commit:
            return found, "merge base"
        if told.returncode == 0:
            break
    else:
        raise Problem(
            "the Git history",
            "no branch main, here or at origin",
            "main, from which a change starts",
            "Run `git fetch origin main:refs/remotes/origin/main`.",
        )
    parent = run(root, "git", "rev-parse", "--verify", "--quiet", f"{commit}^1", check=False)
    if parent.returncode == 0:
        return parent.stdout.strip(), "first parent"
    if run(root, "git", "rev-parse", "--is-shallow-repository").stdout.strip() == "true":
        raise Problem(
            "the Git history", "a shallow clone", "the merge base", "Run `git fetch --unshallow`."
        )
    return None, "baseline"


def resolve(root: Path, commit: str) -> Champion:
    """Who the champion of `commit` is; records are read as the merge base has them.

    Raises Problem when it would be `commit` itself.
    """
    base, kind = base_of(root, commit)
    if base is None:
        return Champion("baseline")
    record = release.promoted(root, "production", base)
    found = Champion("production", record.commit) if record else Champion(kind, base)
    if found.commit == commit:
        raise Problem(
            "the champion",
            f"the candidate's own commit, {commit[:12]}",
            "another commit",
            "Compare a change with what it changes; see the newest release record.",
        )
    if not _has(root, f"{found.commit}^{{commit}}"):
        raise Problem(
            "the champion",
            f"commit {str(found.commit)[:12]}, which is not in this clone",
            "the whole history",
            "Run `git fetch --unshallow`, or fetch the branch that holds it.",
        )
    return found if _has(root, f"{found.commit}:dvc.lock") else Champion("baseline")


def _has(root: Path, thing: str) -> bool:
    return run(root, "git", "cat-file", "-e", thing, check=False).returncode == 0


def bring(root: Path, champion: Champion) -> Champion:
    """The champion with its artifacts in a checkout: from DVC's cache or remote, else rebuilt.

    Raises Problem when neither works.
    """
    if champion.commit is None:
        return champion
    place = root / STATE / "champions" / champion.commit[:12]
    if not (place / MARK).is_file():
        log.info("champion: bringing %s", champion.commit[:12])
        clone(root, place, share_cache=True)
        run(place, "git", "checkout", "--quiet", "--detach", champion.commit)
        python = _environment(root, place)
        write_json(place / MARK, {"origin": _artifacts(root, place, python), "python": python})
    known = read_json(place / MARK)
    return Champion(champion.kind, champion.commit, place, known["python"], known["origin"])


def _environment(root: Path, place: Path) -> str:
    """The Python of the champion's own lock; this one where the locks agree."""
    own, ours = (each / "requirements/dev.txt" for each in (place, root))
    if sha256(own) == sha256(ours):
        return sys.executable
    log.info("champion: its lock differs; installing its own environment")
    install = ("sh", "requirements/install", sys.executable, ".venv", "requirements/dev.txt")
    run(place, *install)
    return str(place / ".venv/bin/python")


def service_environment(root: Path, place: Path) -> Path:
    """The service's environment in a champion's checkout: this one where the locks agree."""
    folder, lock = place / ".venv-serve", "requirements/serve.txt"
    if folder.exists():
        return folder
    if sha256(place / lock) == sha256(root / lock):
        folder.symlink_to(root / ".venv-serve")
        return folder
    log.info("champion: its service's lock differs; installing its own environment")
    run(place, "sh", "-c", f'mkdir -p .venv/bin && ln -sf "{root}/.venv/bin/uv" .venv/bin/uv')
    run(place, "sh", "requirements/install", sys.executable, ".venv-serve", lock)
    return folder


def _artifacts(root: Path, place: Path, python: str) -> str:
    run(place, "dvc", "checkout", "--quiet", check=False)
    if _is_current(place, python):
        return "from the DVC cache"
    for line in run(root, "dvc", "remote", "list").stdout.splitlines():
        name, address = line.split()[:2]  # relative ones are relative to that checkout
        run(place, "dvc", "remote", "modify", "--local", name, "url", address)
    run(place, "dvc", "pull", "--quiet", check=False)
    if _is_current(place, python):
        return "from the DVC remote"
    log.info("champion: neither cache nor remote has it; rebuilding")
    done = run(place, "dvc", "repro", check=False, python=python)
    if done.returncode:
        raise failed(("dvc", "repro"), done.stdout + done.stderr)
    run(place, "git", "checkout", "--quiet", "--", ".")
    if not _is_current(place, python):
        raise Problem(
            f"the champion {place.name}",
            "a rebuilt model that answers otherwise",
            "its committed reference answers",
            "Bring its artifacts with `make pull`.",
        )
    return "rebuilt"


def _is_current(place: Path, python: str) -> bool:
    told = run(place, python, "-c", CURRENT, check=False, python=python)
    return told.returncode == 0 and json.loads(told.stdout.splitlines()[-1]) == []
