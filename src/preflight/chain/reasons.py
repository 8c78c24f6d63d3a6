"""Why a prediction was what it was, as far as it can be said here and now: a trace never fails."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from preflight.errors import Problem

BASE = "base"  # among the shares that a service stores


@dataclass(frozen=True)
class Reasons:
    """Contributions by feature in the target's unit, from where, and what is to be said of them.

    `source` is None where there are none. Values of features are known of recomputed ones alone.
    """

    source: Literal["recomputed", "stored"] | None
    said: str
    contributions: Mapping[str, float]
    values: Mapping[str, float]
    base: float | None
    odd: tuple[str, ...]


def explained(root: Path, record: Mapping[str, Any]) -> Reasons:
    """The exact model's reasons if it is here, else those that the service stored, else how to."""
    if not _here(root, record):
        remedy = f"the model is not here; bring it: preflight explain {record['id']}"
        return _stored(record, remedy)
    from preflight.watch import explain

    try:
        found = explain.one(root, record)
    except Problem as problem:
        return _stored(record, f"{problem.where}: {problem.found}. {problem.remedy}")
    return Reasons(
        None if found.fallback else "recomputed",
        found.fallback or f"recomputed: {found.recomputed}",
        {each.feature: each.contribution for each in found.contributions},
        {each.feature: each.value for each in found.contributions},
        found.base,
        () if found.agrees else (f"recomputed answer {found.recomputed}",),
    )


def _here(root: Path, record: Mapping[str, Any]) -> bool:
    """Whether the model is this tree's, or was brought before: bringing one may take minutes."""
    from preflight.champion import MARK
    from preflight.files import sha256
    from preflight.layout import PACKAGED, STATE
    from preflight.predictor import MANIFEST

    manifest = root / PACKAGED / MANIFEST
    if manifest.is_file() and sha256(manifest) == record["model_hash"]:
        return True
    place = root / STATE / "champions" / str(record["commit"])[:12]
    return (place / MARK).is_file()


def _stored(record: Mapping[str, Any], why: str) -> Reasons:
    stored = record["explanation"]
    if not stored:
        return Reasons(None, why, {}, {}, None, ())
    shares = {name: part for name, part in stored.items() if name != BASE}
    return Reasons("stored", f"stored with the answer; {why}", shares, {}, stored.get(BASE), ())
