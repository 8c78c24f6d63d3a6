"""A risk tier's limits over those of `gates`: stricter, never looser."""

from collections.abc import Iterator
from typing import Any

from preflight.errors import Problem
from preflight.risk import Bounds


def laid(sections: dict[str, Any], bounds: Bounds, where: str) -> dict[str, Any]:
    """Plain limits with a tier's on top; `where` names the tier's in errors.

    Raises Problem for one that is looser than what it is laid over, or that is no limit.
    """
    for gate, key, value in _each(bounds):
        was: Any = sections.get(gate, {}).get(key)
        place = f"{where}.{gate}.{key}"
        if was is None or not _is_limit(key):
            expected = f"a number max_… or min_… of gates.{gate}"
            raise Problem(place, "no limit of the gates", expected, "See docs/params.md.")
        if _is_looser(key, was, value):
            found, expected = f"{value}, which is looser", f"{was} or stricter"
            raise Problem(place, found, expected, "A tier only makes limits stricter.")
    return tightened(sections, bounds)


def tightened(sections: dict[str, Any], bounds: Bounds) -> dict[str, Any]:
    """Plain limits with those of a tier laid over them that are known and stricter."""
    both = {gate: dict(keys) for gate, keys in sections.items()}
    for gate, key, value in _each(bounds):
        was: Any = both.get(gate, {}).get(key)
        if not (_is_number(was) and _is_number(value) and _is_limit(key)):
            continue
        if not _is_looser(key, was, value):
            both[gate][key] = value
    return both


def _each(bounds: Bounds) -> Iterator[tuple[str, str, int | float]]:
    return ((gate, key, value) for gate, keys in bounds.items() for key, value in keys.items())


def _is_number(value: Any) -> bool:
    return type(value) in (int, float)


def _is_limit(key: str) -> bool:
    return key.startswith(("max_", "min_"))


def _is_looser(key: str, was: float, now: float) -> bool:
    return now > was if key.startswith("max_") else now < was
