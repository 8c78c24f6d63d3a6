"""A checkout's rehearsal: this commit's Bento beside the champion's, as its manifests say."""

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from preflight import champion, lineage, unregistered
from preflight.champion import Champion
from preflight.contract import Contract
from preflight.deploy import manifests
from preflight.deploy.declared import declared
from preflight.errors import Problem
from preflight.files import read_json, replacing
from preflight.layout import PACKAGED, STATE
from preflight.rehearsal import picture, record, traffic
from preflight.rehearsal.faults import FAULTS
from preflight.rehearsal.plan import Plan, Release, Side
from preflight.rehearsal.record import PLACE, Rehearsal
from preflight.rehearsal.rehearse import rehearse
from preflight.rehearsal.stage import LABELS_FASTER
from preflight.rehearsal.told import Tell
from preflight.release import RENDERED
from preflight.restore import restore

TRIPS = 40_000  # that callers ask for in turn
LETTERS = 12  # of a commit


@dataclass(frozen=True)
class Wanted:
    """What somebody asked for; the fields are those of a Plan."""

    environment: str = "staging"
    fault: str | None = None
    faulty: Side = "canary"
    faster: float = 30.0
    rate: float = 300.0
    seed: int = 1
    shadow: float = 0.0


def of_checkout(root: Path, wanted: Wanted, tell: Tell) -> tuple[Rehearsal, Path]:
    """Rehearse HEAD, after what is missing for it; returns the record and where it is kept.

    Beside it lies the picture. Raises Problem, also on a tree with changes: a release has none.
    """
    lineage.require_committed(root)
    _require_declared(root, wanted.environment)
    _require_arm(wanted)
    restore(root)
    commit = lineage.head(root)
    rival = champion.bring(root, champion.resolve(root, commit))
    return against(root, commit, rival, wanted, tell)


def _require_declared(root: Path, environment: str) -> None:
    if not (root / RENDERED.format(environment=environment)).is_file():
        known = sorted(each.stem for each in (root / RENDERED).parent.glob("*.yaml"))
        raise Problem(
            "the environment", environment, f"one of {', '.join(known)}", "Name one of these."
        )


def _require_arm(wanted: Wanted) -> None:
    if wanted.faulty == "stable" and wanted.fault and FAULTS[wanted.fault].plant is None:
        found = f"stable for {wanted.fault}, which comes from outside"
        planted = ", ".join(name for name, each in FAULTS.items() if each.plant is not None)
        expected = f"canary, or one that is planted in an arm: {planted}"
        raise Problem("--arm", found, expected, "Leave --arm out, or name another fault.")


def against(
    root: Path, commit: str, rival: Champion, wanted: Wanted, tell: Tell
) -> tuple[Rehearsal, Path]:
    """Rehearse a checkout's commit beside its champion, which was brought.

    Raises Problem.
    """
    stable, candidate = releases(root, commit, rival)
    return between(root, stable, candidate, wanted, tell)


def releases(root: Path, commit: str, rival: Champion) -> tuple[Release, Release]:
    """Both releases: the champion, or before the first one the candidate itself; the candidate."""
    candidate = Release(commit[:LETTERS], root, unregistered.candidate(root))
    built = unregistered.rival(root, rival)
    if built is None or rival.root is None:
        return replace(candidate, name=f"{candidate.name}-itself"), candidate
    return Release(str(rival.commit)[:LETTERS], rival.root, built), candidate


def between(
    root: Path, stable: Release, candidate: Release, wanted: Wanted, tell: Tell
) -> tuple[Rehearsal, Path]:
    """Rehearse a candidate beside a stable release with the manifests and data of a checkout."""
    with _alone(root) as folder:
        return _between(root, folder, (stable, candidate), wanted, tell)


@contextmanager
def _alone(root: Path) -> Iterator[Path]:
    """An empty folder; raises Problem while another rehearsal of this checkout has it."""
    folder = root / STATE / "rehearsal"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Problem(
                str(folder), "another rehearsal that runs", "one at a time", "Wait for it."
            ) from None
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        yield folder


def _between(
    root: Path, folder: Path, releases: tuple[Release, Release], wanted: Wanted, tell: Tell
) -> tuple[Rehearsal, Path]:
    stable, candidate = releases
    place = RENDERED.format(environment=wanted.environment)
    asked = folder / "requests.jsonl"
    contracts = [_contract(each.bento) for each in (candidate, stable)]
    traffic.requests(root, contracts, asked, TRIPS, wanted.seed, LABELS_FASTER)
    plan = Plan(
        environment=wanted.environment,
        declared=declared(manifests.read(root / place)),
        stable=stable,
        candidate=candidate,
        requests=asked,
        fault=FAULTS[wanted.fault] if wanted.fault else None,
        faulty=wanted.faulty,
        faster=wanted.faster,
        rate=wanted.rate,
        shadow=wanted.shadow,
    )
    found = rehearse(root, plan, folder, tell)
    return found, kept(root, found)


def _contract(folder: Path) -> Contract:
    """A Bento's contract, as it was packaged with the model: no code of the release runs here."""
    return Contract.from_dict(read_json(folder / "src" / PACKAGED / "contract.json"))


def kept(root: Path, found: Rehearsal) -> Path:
    """Write the record and its picture, named by the fault; returns the record's path."""
    path = root / PLACE / f"{found.name}.json"
    record.write(path, found)
    with replacing(path.with_suffix(".svg")) as partial:
        partial.write_text(picture.svg(found), encoding="utf-8")
    return path
