"""A scratch repository with three models, their releases in two environments, and times of them."""

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from conftest import ROOT, change_params, commit, git
from preflight import evidence, lineage
from preflight.deploy.rendering import released
from preflight.evidence import Part, told
from preflight.files import write_json
from preflight.release import EVIDENCE, PLACE, RENDERED, Release
from records import record

START = datetime(2026, 3, 1, 8, tzinfo=UTC)  # of the history; each event is some hours later
JANUARY, FEBRUARY, MARCH = (f"{month}" * 32 for month in "abc")
HASH = "5" * 64  # of a model's manifest


@dataclass(frozen=True)
class Traced:
    """The repository, and the commits of its three models."""

    root: Path
    models: tuple[str, str, str]


def after(hours: float) -> datetime:
    """A time of the history."""
    return START + timedelta(hours=hours)


@contextmanager
def clock(hours: float) -> Iterator[None]:
    """Commits inside are made so many hours after START."""
    names = ("GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE")
    os.environ.update(dict.fromkeys(names, after(hours).isoformat()))
    try:
        yield
    finally:
        for name in names:
            del os.environ[name]


def lock(months: Mapping[str, str]) -> dict[str, Any]:
    """A dvc.lock over months of raw data by MD5; code is a dependency, and no data."""
    stages: dict[str, Any] = {
        f"ingest@{month}": {
            "deps": [{"path": "src/taxi/data.py", "md5": "9" * 32}],
            "outs": [{"path": f"data/raw/{month}.parquet", "md5": md5}],
        }
        for month, md5 in months.items()
    }
    split = f"{len(months)}" * 32 + ".dir"
    stages["split"] = {"deps": [], "outs": [{"path": "data/split", "md5": split}]}
    stages["train"] = {
        "deps": [{"path": "data/split/train.parquet", "md5": f"{len(months)}" * 31 + "e"}],
        "params": {"params.yaml": {"model": {}, "split.test_months": 1}},
        "outs": [{"path": "models/fitted", "md5": "8" * 32 + ".dir"}],
    }
    return {"schema": "2.0", "stages": stages}


def made(root: Path, hours: float, subject: str, locked: Mapping[str, str], **keys: Any) -> str:
    """Commit a model's data and parameters; returns the commit."""
    change_params(root, **keys)
    (root / "dvc.lock").write_text(yaml.safe_dump(lock(locked)))
    rmse = 6.0 - len(locked) / 10
    write_json(root / "models/evaluation/metrics.json", {"test": {"rmse": rmse, "rows": 100}})
    with clock(hours):
        commit(root, subject)
    return git(root, "rev-parse", "HEAD").strip()


def proof(commit: str, failing: str | None = None) -> str:
    """The text of evidence.json: three gates, green but for one that is named."""
    parts = []
    for gate in ("quality", "slices", "load"):
        claim = f"The {gate} is good | enough."
        line = told(gate, "first", claim, gate != failing, "5.4 of 6.0", limit="6.0")
        parts.append(Part(gate=gate, commit=commit, seconds=1.0, evidence=(line,)))
    return evidence.packed(parts)


def of(root: Path, environment: str, version: str, model: str, **fields: Any) -> Release:
    """The record of a model's release, pending unless a rollout is given."""
    text = proof(model)
    parts = {
        "model": {"name": "taxi-duration", "version": version, "hash": HASH},
        "commit": model,
        "environment": environment,
        "data": lineage.data_digest(lineage.data_at(root, model)),
        "evidence": evidence.digest(evidence.unpacked(text, "evidence.json")),
        "image": f"sha256:{version * 64}",
        "bento": f"taxi:v{version}-{model[:12]}",
        "run": "https://builds.example/runs/5",
        **fields,
    }
    return Release.model_validate(record("pending", **parts))


def release(root: Path, hours: float, found: Release) -> None:
    """Commit a record with its evidence and rendered file, as staging or landing does."""
    place, rendered, beside = (
        root / each.format(environment=found.environment) for each in (PLACE, RENDERED, EVIDENCE)
    )
    for path in (place, rendered):
        path.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(yaml.safe_dump(found.model_dump(mode="json")))
    template = (ROOT / RENDERED.format(environment="staging")).read_text()
    rendered.write_text(released(template, found))
    beside.write_text(proof(found.commit))
    with clock(hours):
        commit(root, f"Release {found.id}, {found.rollout.verdict}")


def rolled_out(root: Path, hours: float, found: Release, verdict: str = "promoted") -> None:
    """Release at a time, and settle its rollout an hour later."""
    release(root, hours, found.model_copy(update={"when": after(hours)}))
    rollout = {"verdict": verdict, "at": after(hours + 1), "reason": "no worse by each metric"}
    plain = found.model_dump() | {"when": after(hours), "rollout": rollout}
    release(root, hours + 1, Release.model_validate(plain))


def rolled_back(root: Path, hours: float, environment: str, to: str) -> None:
    """Bring an environment's files back as a commit had them, with who did it and why."""
    places = [each.format(environment=environment) for each in (PLACE, RENDERED, EVIDENCE)]
    git(root, "checkout", "--quiet", to, "--", *places)
    with clock(hours):
        commit(root, f"Roll {environment} back\n\nReason: slow answers\nBy: mia")


def history(root: Path) -> Traced:
    """Three models, released like this, by hours after START.

    Version 1: staging 1 to 2, production 3 to 4. Version 2: staging 11 to 12, production 13 to 14,
    approved; production goes back to 1 at 20. Version 3, without February: aborted in staging, 31
    to 32. A commit at 40 has a model that nobody released.
    """
    root.mkdir()
    git(root, "init", "--quiet", "--initial-branch=main")
    shutil.copy(ROOT / "params.yaml", root / "params.yaml")
    (root / "requirements").mkdir()
    (root / "requirements/serve.txt").write_text("numpy==1.26.0 \\\n    --hash=sha256:00\n")
    two = {"2021-01": JANUARY, "2021-02": FEBRUARY}
    split = {"test_months": 1}
    first = made(root, 0, "Take two months", two, data={"months": [*two]}, split=split)
    rolled_out(root, 1, of(root, "staging", "1", first))
    rolled_out(root, 3, of(root, "production", "1", first))
    kept = git(root, "rev-parse", "HEAD").strip()
    three = two | {"2021-03": MARCH}
    (root / "requirements/serve.txt").write_text("numpy==1.26.4 \\\n    --hash=sha256:01\n")
    model = {"learning_rate": 0.05}
    keys = {"data": {"months": [*three]}, "model": model}
    second = made(root, 10, "Take `March` in", three, **keys)
    rolled_out(root, 11, of(root, "staging", "2", second, previous=first))
    approval = {"who": "bob", "commit": second, "review": "review 77", "at": after(12.5)}
    fields = {"previous": first, "approval": approval, "pull_request": 9}
    rolled_out(root, 13, of(root, "production", "2", second, **fields))
    rolled_back(root, 20, "production", kept)
    third = made(root, 30, "Take February out", three, data={"months": ["2021-01", "2021-03"]})
    rolled_out(root, 31, of(root, "staging", "3", third, previous=second), "aborted")
    made(root, 40, "Try a seed", three, model={"seed": 2})
    return Traced(root, (first, second, third))
