"""A release's evidence against its record: for the lint of deploy/, and for the chain."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from preflight import evidence, release
from preflight.errors import NoData
from preflight.gates import REQUIRED
from preflight.release import Release

Said = tuple[str, str, str]  # what, as the evidence has it, as the record and the gates ask


def compared(root: Path, record: Release) -> Iterator[Said]:
    """A record's evidence as it is, and as it must be; each gate that did not pass by its name.

    Raises NoData where there is none, Problem for what is no evidence.
    """
    place = release.EVIDENCE.format(environment=record.environment)
    try:
        raw = (root / place).read_bytes()
    except OSError:
        raise NoData(
            place, "no file", f"the evidence of {record.id}", "Restore it: git checkout."
        ) from None
    yield "digest", hashlib.sha256(raw).hexdigest(), record.evidence
    parts = evidence.unpacked(raw.decode(errors="replace"), place)
    by_commit: dict[str, list[str]] = {}
    for part in parts:
        by_commit.setdefault(part.commit, []).append(part.gate)
    for commit, gates in by_commit.items():
        yield f"commit of {gates[0] if len(gates) == 1 else 'gates'}", commit, record.commit
    found = {part.gate: part.status for part in parts}
    missed = [gate for gate in REQUIRED if found.get(gate) != "pass"]
    for gate in missed:
        yield f"gate {gate}", found.get(gate, "no evidence"), "pass"
    passed = f"{len(REQUIRED) - len(missed)} of {len(REQUIRED)}"
    yield "gates that pass", passed, f"{len(REQUIRED)} of {len(REQUIRED)}"
