"""What the verdict service may be asked: a query's parameters, strictly read."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from preflight.serving.problems import Refusal

# They go into a selector of Prometheus: names of Kubernetes, RFC 1123, hold nothing to break it.
NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
NEEDED, KNOWN = ("rollout", "stable", "canary"), ("rollout", "stable", "canary", "started")
NAMED = "a name of a-z, 0-9 and -, up to 63 characters"


@dataclass(frozen=True)
class Question:
    """A rollout, the hashes of its two releases, and when it started, in seconds since 1970."""

    rollout: str
    stable: str
    canary: str
    started: float | None = None


def question(pairs: Iterable[tuple[str, str]], now: float) -> Question:
    """A query's parameters; raises Refusal with 400 that names the first that is wrong."""
    given: dict[str, str] = {}
    for name, value in pairs:
        if name not in KNOWN:
            raise _wrong("query", f"the parameter {name[:40]}", f"only {', '.join(KNOWN)}")
        if name in given:
            raise _wrong(name, "more than one", "one")
        given[name] = value
    for name in NEEDED:
        if not NAME.fullmatch(given.get(name, "")):
            raise _wrong(name, given[name][:40] if name in given else "nothing", NAMED)
    if given["stable"] == given["canary"]:
        raise _wrong("canary", "stable's hash", "another release's")
    started = given.pop("started", None)
    return Question(**given, started=None if started is None else _time(started, now))


def _time(text: str, now: float) -> float:
    expected = "a time that is over, as 2026-11-21T22:00:00Z"
    try:
        if not TIME.fullmatch(text):
            raise ValueError
        found = datetime.fromisoformat(text).timestamp()
    except ValueError:
        raise _wrong("started", text[:40], expected) from None
    if found > now + 60:
        raise _wrong("started", text, expected)
    return found


def _wrong(field: str, found: str, expected: str) -> Refusal:
    return Refusal(400, field, found, expected)
