"""Release records for tests."""

from typing import Any

PLACE = "deploy/overlays/production/release.yaml"


def record(verdict: str = "promoted", **fields: Any) -> dict[str, Any]:
    """A whole record as plain data."""
    return {
        "environment": "production",
        "model": {"name": "taxi-duration", "version": "3", "hash": "1" * 64},
        "commit": "a" * 40,
        "manifests": "b" * 40,
        "data": "2" * 64,
        "evidence": "3" * 64,
        "bento": "taxi:abc",
        "image": f"sha256:{'4' * 64}",
        "who": "ada",
        "when": "2026-01-02T03:04:05+00:00",
        "previous": None,
        "artifacts": "pulled",
        "run": None,
        "pull_request": 7,
        "approval": None,
        "rollout": {"verdict": verdict, "at": None},
        **fields,
    }
