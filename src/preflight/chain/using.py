"""Which models were made with some data: by every dvc.lock in Git, within its own months."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from preflight import lineage
from preflight.chain import blobs, history, source
from preflight.chain.history import Stint
from preflight.chain.source import Commit
from preflight.errors import Problem
from preflight.lineage import RECIPE
from preflight.release import Release
from preflight.report.escape import visible
from preflight.workspace import run

DATA = "data/"
HASH = re.compile(r"[0-9a-f]{7,32}(\.dir)?")
SHOWN = 20  # commits
ALL = ("--all", "HEAD", "--full-history")


class Hit(NamedTuple):
    """Data that a commit's pipeline read or made; `tested` says that it was only tested on."""

    path: str
    md5: str
    tested: bool


@dataclass(frozen=True)
class Version:
    """A released model that was made with the data, and where it is or was."""

    release: Release
    hits: tuple[Hit, ...]
    stints: tuple[Stint, ...]

    @property
    def live(self) -> tuple[str, ...]:
        """The environments in which it may answer now."""
        return tuple(sorted({each.environment for each in self.stints if each.until is None}))


@dataclass(frozen=True)
class Using:
    """Commits whose pipeline names the data, newest first, and the released versions that do.

    A commit is listed where it changed dvc.lock or params.yaml; `data` are paths and MD5s found.
    """

    asked: str
    data: tuple[tuple[str, str], ...]
    commits: tuple[Commit, ...]
    versions: tuple[Version, ...]


def using(root: Path, asked: str) -> Using:
    """Models made with the data of an MD5, its first 7 digits or more, or a path under data/.

    Every branch known here is looked at. Raises Problem for a shallow clone or another word.
    """
    known = history.stints(root)
    if not (HASH.fullmatch(asked.lower()) or asked.startswith(DATA)):
        expected = "an MD5 as in dvc.lock, 7 of its digits or more, or a path under data/"
        raise Problem("DATA_HASH", repr(asked[:60]), expected, "Copy it from dvc.lock.")
    words = (*history.LOG, f"--format={source.SUBJECT}", *ALL, "--", *RECIPE)
    commits = source.commits(run(root, *words).stdout)
    recipes = _recipes(root, [each.commit for each in commits])
    found = [
        (each, hits)
        for each, recipe in zip(commits, recipes, strict=True)
        if (hits := _hits(recipe, asked))
    ]
    versions = tuple(_versions(root, known, asked))
    every = [hits for _, hits in found] + [each.hits for each in versions]
    data = sorted({(each.path, each.md5) for hits in every for each in hits})
    return Using(asked, tuple(data), tuple(each for each, _ in found), versions)


def _versions(root: Path, known: Sequence[Stint], asked: str) -> Iterator[Version]:
    by_id: dict[str, list[Stint]] = {}
    for each in known:
        by_id.setdefault(each.release.id, []).append(each)
    recipes = _recipes(root, [own[0].release.commit for own in by_id.values()])
    for own, recipe in zip(by_id.values(), recipes, strict=True):
        if hits := _hits(recipe, asked):
            yield Version(own[0].release, hits, tuple(own))


def _recipes(root: Path, commits: Sequence[str]) -> Iterator[list[str]]:
    """The texts of RECIPE of each commit."""
    texts = blobs.texts(root, (f"{commit}:{name}" for commit in commits for name in RECIPE))
    return ([text or "" for text in each] for each in zip(*[texts] * len(RECIPE), strict=True))


def _hits(recipe: Sequence[str], asked: str) -> tuple[Hit, ...]:
    """What of the data a pipeline names; months that were taken out do not count."""
    lock, params = recipe
    wanted = asked if asked.startswith(DATA) else asked.lower()
    if wanted not in lock:  # most commits end here, unparsed
        return ()
    chosen = source.mapping(params)
    months = sorted(chosen.get("data", {}).get("months", ()))
    count = chosen.get("split", {}).get("test_months", 0)
    tested = months[-count:] if count else []
    found = {
        Hit(path, md5, month in tested)
        for month, stage in lineage.stages(source.mapping(lock), chosen)
        for path, md5 in _data(stage)
        if path == wanted or md5.startswith(wanted)
    }
    return tuple(sorted(found))


def _data(stage: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Path and MD5 of the data that a stage reads or makes."""
    for each in (*stage.get("deps", ()), *stage.get("outs", ())):
        if each["path"].startswith(DATA):
            yield each["path"], each.get("md5", "")


def plain(found: Using) -> dict[str, Any]:
    """As plain data for JSON."""
    return {
        "asked": found.asked,
        "data": [{"path": path, "md5": md5} for path, md5 in found.data],
        "commits": [asdict(each) for each in found.commits],
        "versions": [_plain_version(each) for each in found.versions],
    }


def _plain_version(each: Version) -> dict[str, Any]:
    """A version; `tested` where it was only tested on all that was found."""
    return {
        "id": each.release.id,
        "model": each.release.model.model_dump(),
        "commit": each.release.commit,
        "tested": all(hit.tested for hit in each.hits),
        "live": list(each.live),
        "environments": [
            {
                "environment": one.environment,
                "since": one.since,
                "until": one.until,
                "verdict": one.release.rollout.verdict,
                "record_at": one.held,
            }
            for one in each.stints
        ],
    }


def shown(found: Using) -> str:
    """For a terminal: the data, then released versions and where they answer, then commits."""
    if not found.data:
        return f"no commit of this history names {visible(found.asked)}"
    lines = ["data", *(f"  {md5}  {visible(path)}" for path, md5 in found.data)]
    lines += ["released versions", *(_line(each) for each in found.versions)]
    lines += [] if found.versions else ["  none"]
    lines.append(f"commits of {' or '.join(RECIPE)} whose pipeline names it: {len(found.commits)}")
    for each in found.commits[:SHOWN]:
        lines.append(f"  {each.commit[:12]}  {each.at:%Y-%m-%d}  {visible(each.subject)}")
    if len(found.commits) > SHOWN:
        lines.append(f"  … {len(found.commits) - SHOWN} more: --json")
    return "\n".join(lines)


def _line(each: Version) -> str:
    model, places = each.release.model, sorted({one.environment for one in each.stints})
    role = ", only tested on it" if all(hit.tested for hit in each.hits) else ""
    live = f"answers now in {', '.join(each.live)}" if each.live else "answers nowhere now"
    return (
        f"  {model.name} {model.version}, id {each.release.id}{role}: {live}; was in "
        + ", ".join(places)
    )
