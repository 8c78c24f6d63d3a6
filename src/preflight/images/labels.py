"""What an image says of itself: labels that name its commit, model, data and evidence."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from preflight.errors import Problem

OCI = "org.opencontainers.image"
HASH, WORD = r"[0-9a-f]{64}", r"\S.{0,199}"
KNOWN = {  # by field of Labels: the label, and what its value must be
    "name": (f"{OCI}.title", WORD),
    "version": (f"{OCI}.version", WORD),
    "model_hash": ("preflight.model-hash", HASH),
    "commit": (f"{OCI}.revision", r"[0-9a-f]{40}"),
    "data": ("preflight.data", HASH),
    "evidence": ("preflight.evidence", HASH),
    "bento": ("preflight.bento", r"[^\s:]+:[^\s:]+"),
    "source": (f"{OCI}.source", WORD),
    "run": ("preflight.run", WORD),
}
OPTIONAL = ("source", "run")


@dataclass(frozen=True)
class Labels:
    """A registered model's name, version and hash, and what it was released from.

    `model_hash`, `data` and `evidence` are hexadecimal SHA-256, `commit` is a whole Git hash,
    `bento` a tag NAME:VERSION; `source` and `run` are addresses of repository and build log.
    """

    name: str
    version: str
    model_hash: str
    commit: str
    data: str
    evidence: str
    bento: str
    source: str | None = None
    run: str | None = None

    def oci(self) -> dict[str, str]:
        """As an image bears them, by label; what is None is left out."""
        found = {label: getattr(self, field) for field, (label, _) in KNOWN.items()}
        return {label: value for label, value in found.items() if value is not None}


def read(found: Mapping[str, str], where: str) -> Labels:
    """Labels from an image's; raises Problem that names the first that is missing or no such."""
    values: dict[str, Any] = {name: _one(found, name, where) for name in KNOWN}
    return Labels(**values)


def _one(found: Mapping[str, str], field: str, where: str) -> str | None:
    label, pattern = KNOWN[field]
    value = found.get(label)
    if value is None and field in OPTIONAL:
        return None
    if value is None or not re.fullmatch(pattern, value):
        said = "no such label" if value is None else repr(value[:80])
        raise Problem(
            f"{where}: label {label}",
            said,
            "what `preflight package` writes there",
            "Build the image by `preflight package`.",
        )
    return value
