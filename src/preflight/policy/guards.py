"""Limits in params.yaml before and after a change: which are looser.

A key named max_… is looser when larger, any other number when smaller: min_…, and sizes such
as `resamples`. Everything else (a name, a switch, an entry of a list or a mapping) is looser
when it changes or goes. A new limit and a new entry are none the looser for it. A seed is no
size: `seeds` looks at it.
"""

import json
import math
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

import yaml

from preflight.policy.commits import PARAMS, Change
from preflight.policy.loosening import Loosening, loosening

SECTIONS = ("gates", "rollout", "validate", "evaluate", "risk")
DECLARED = "gates.differential.expected"
ROW_RULES = "validate.row_rules"  # null: all of them
LISTED = "listed"
Flat = Mapping[str, Any]


def limits(change: Change) -> Iterator[Loosening]:
    """Limits that are looser in the head's params.yaml than in the base's."""
    base, head = parameters(change.base), parameters(change.head)
    if head is None and (PARAMS in change.base or PARAMS in change.head):
        yield loosening("limits removed", PARAMS, "parameters", "absent, or no YAML mapping")
    else:
        was, now = (
            {key: side[key] for key in SECTIONS if key in side} for side in (base or {}, head or {})
        )
        yield from looser(flat(was), flat(now))


def unseeded(change: Change) -> Iterator[Loosening]:
    """Seeds that the head's params.yaml no longer states."""
    was, now = (flat(parameters(side) or {}) for side in (change.base, change.head))
    for path, value in was.items():
        if _is_seed(path) and value is not None and now.get(path) is None:
            yield loosening("seed removed", f"{PARAMS}: {path}", value, now.get(path, "absent"))


def parameters(texts: Mapping[str, str]) -> dict[str, Any] | None:
    """params.yaml as plain data; None where it is absent or no mapping."""
    return _parsed(texts.get(PARAMS, ""))


@lru_cache(maxsize=8)
def _parsed(text: str) -> dict[str, Any] | None:
    try:
        found = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def looser(base: Flat, head: Flat) -> Iterator[Loosening]:
    """Flat limits that are looser in `head`, or that it lacks."""
    for path, was in base.items():
        if path == DECLARED or path.startswith((f"{DECLARED}.", f"{DECLARED}[")) or _is_seed(path):
            continue
        if path not in head:
            yield from _gone(path, was, head)
        elif _is_looser(path, was, head[path]):
            yield _changed(path, was, head[path])


def _gone(path: str, was: Any, head: Flat) -> Iterator[Loosening]:
    entries = sum(key.startswith(f"{path}[") for key in head)
    if was == LISTED:
        if not (path.startswith(f"{ROW_RULES}[") and head.get(ROW_RULES, "") is None):
            yield loosening("entry removed", path, was, "absent")
    elif entries and was is None:
        yield _changed(path, was, f"a list of {entries}")
    elif was not in ([], {}) and not (was is None and _limit(path)):
        yield _removed(path, was, "absent")


def _changed(path: str, was: Any, now: Any) -> Loosening:
    return (
        loosening("limit looser", path, was, now) if now is not None else _removed(path, was, now)
    )


def _removed(path: str, was: Any, now: Any) -> Loosening:
    rule = "it must stand in params.yaml, not in a default"
    return loosening("limit removed", path, was, now, rule)


def _is_looser(path: str, was: Any, now: Any) -> bool:
    if type(was) is type(now) and was == now:
        return False
    if path.startswith("risk.") and (now == "high" or now is True):
        return False  # a higher tier, an explanation at once: no less is asked
    if was is None:
        return not (_limit(path) and _number(now))
    if not (_number(was) and _number(now)):
        return was not in ([], {})
    return bool(now > was if _limit(path) == "max" else now < was)


def _limit(path: str) -> str:
    """max or min, by the nearest name that says so."""
    names = [name[:3] for name in path.split(".") if name.startswith(("max_", "min_"))]
    return names[-1] if names else ""


def _is_seed(path: str) -> bool:
    name = path.rpartition(".")[2]
    return name == "seed" or name.endswith("_seed")


def _number(value: object) -> bool:
    return type(value) in (int, float) and not math.isnan(value)  # type: ignore[arg-type]


def flat(value: Any, path: str = "") -> dict[str, Any]:
    """Nested keys as dotted paths; an entry of a list by what it says, not by its place."""
    if isinstance(value, dict) and value:
        parts = [flat(each, f"{path}.{key}".lstrip(".")) for key, each in value.items()]
    elif isinstance(value, list) and value:
        parts = [_entry(each, path) for each in value]
    else:
        return {path: value}
    return {key: each for part in parts for key, each in part.items()}


def _entry(entry: Any, path: str) -> dict[str, Any]:
    """One entry of a list; its own max_… and min_… are limits under it."""
    own = entry if isinstance(entry, dict) else {}
    bounds = {key: each for key, each in own.items() if str(key).startswith(("max_", "min_"))}
    fixed = {key: each for key, each in own.items() if key not in bounds} if own else entry
    said = fixed if isinstance(fixed, str) else json.dumps(fixed, default=str, sort_keys=True)
    place = f"{path}[{said}]"
    return {place: LISTED} | (flat(bounds, place) if bounds else {})
