"""What the judge of a rollout answers, asked once more where its verdict goes into Git."""

import time
from datetime import UTC, datetime
from http.client import HTTPException
from pathlib import Path
from urllib.parse import parse_qs, parse_qsl, urlsplit
from urllib.request import urlopen

from pydantic import BaseModel, ConfigDict, ValidationError

from preflight.deploy import analyses, manifests
from preflight.errors import NoData, Problem
from preflight.release import RENDERED, Release
from preflight.rollout import limits
from preflight.rollout.judge import NEEDED
from preflight.rollout.questions import NAME
from preflight.rollout.verdict import Result

SECONDS = 15.0  # the judge answers within 8
MOST = 1_000_000  # bytes of an answer
LONGEST = 600  # characters of a reason
# What was stable is gone 30 s after a promotion, and a minute later the judge calls it old.
ASKED, EVERY = 13, 15.0  # times, and seconds between them
REMEDY = "Nothing was written; ask again when it can see."


class Named(BaseModel):
    """A metric of a verdict."""

    name: str


class Said(BaseModel):
    """What is used of a verdict; `at` is the last look at both, None where it could not see.

    `requests` are those of stable and of the canary.
    """

    model_config = ConfigDict(frozen=True)

    result: Result
    reason: str
    at: float | None
    requests: tuple[int, int] = (0, 0)
    metrics: tuple[Named, ...] = ()


def ask(tree: Path, environment: str, address: str) -> Said:
    """The verdict at an address; raises Problem for one that the analyses do not ask.

    NoData where nobody answers with a verdict.
    """
    _require_known(tree, environment, address)
    try:
        with urlopen(address, timeout=SECONDS) as answer:  # noqa: S310 (the scheme is checked)
            return Said.model_validate_json(answer.read(MOST))
    except (OSError, HTTPException) as error:
        found = f"no answer ({type(error).__name__})"
    except ValidationError:
        found = "an answer that is no verdict"
    raise NoData("the judge", found, "its verdict", REMEDY)


def promoting(tree: Path, record: Release, address: str) -> str:
    """The sentence that bears a release's promotion; the address is asked until that is known.

    It is `promote`; or, once what was stable is gone and the judge can say no more than
    `continue`, what it saw last, if that is enough to judge by and nothing was worse. A rollout
    in flight is never that: both of its arms are read. Raises Problem for an abort and a verdict
    on an earlier rollout, NoData where it cannot see, saw too little, or the rollout goes on.
    """
    for asked in range(ASKED):
        if asked:
            time.sleep(EVERY)
        said = ask(tree, record.environment, address)
        last = _seen(record, said)
        if said.result == "promote":
            return said.reason
        known = limits.load(tree / "params.yaml")
        if time.time() - last > known.max_stale_seconds:
            return _last(record, said, known)
    found = f"continue: {line(said.reason)}"
    raise NoData(_where(record), found, "promote, or a rollout that is over", REMEDY)


def _seen(record: Release, said: Said) -> float:
    """When the judge last saw both releases; raises as `promoting` does."""
    where, remedy = _where(record), "Nothing was written; look at the rollout before anything else."
    if said.at is None:
        raise NoData(where, f"no data: {line(said.reason)}", "a look at both releases", REMEDY)
    if said.at < record.when.timestamp():
        at = datetime.fromtimestamp(said.at, UTC).isoformat(timespec="seconds")
        expected = f"one since {record.when.isoformat()}, when it was released"
        raise Problem(where, f"a last look at {at}", expected, remedy)
    if said.result == "abort":
        expected = "a verdict that bears a promotion"
        raise Problem(where, f"abort: {line(said.reason)}", expected, remedy)
    return said.at


def _last(record: Release, said: Said, known: limits.Limits) -> str:
    """What the judge saw last of a rollout that is over; raises NoData for too little."""
    requests = said.requests[1]
    missing = [each for each in NEEDED if each not in {one.name for one in said.metrics}]
    if missing or requests < known.min_requests:
        without = f", without {', '.join(missing)}" if missing else ""
        found = f"a last look after {requests} requests{without}"
        expected = f"{known.min_requests} requests of its own, and {', '.join(NEEDED)}"
        raise NoData(_where(record), found, expected, REMEDY)
    return (
        f"Asked once stable was gone: after {requests:,} requests of its own the release was worse "
        f"in none of {len(said.metrics)} metrics."
    )


def _where(record: Release) -> str:
    return f"the judge of {record.id}"


def _require_known(tree: Path, environment: str, address: str) -> None:
    """An address asks what an analysis of the rendered file does, of two different hashes."""
    where = RENDERED.format(environment=environment)
    found = analyses.templates(manifests.read(tree / where)).values()
    urls = {measure.provider.web.url for each in found for measure in each.spec.metrics}
    known = {_asked(url) for url in urls}
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or _asked(address) not in known:
        shown = " or ".join(sorted(f"{path}?rollout={name}&…" for path, name in known)) or "none"
        raise Problem("--judge", "another address", f"{shown}, as in {where}", "Mend it.")
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    arms = [each for name, each in sorted(pairs) if name != "rollout"]
    named = sorted(name for name, _ in pairs) == ["canary", "rollout", "stable"]
    if not named or len(set(arms)) != 2 or not all(NAME.fullmatch(each) for each in arms):
        expected = "rollout, stable and canary once each, the hashes of two releases"
        raise Problem("--judge", "another question", expected, "Ask what the analyses do.")


def _asked(url: str) -> tuple[str, str]:
    """Path and rollout of a question."""
    parts = urlsplit(url)
    return parts.path, ",".join(parse_qs(parts.query).get("rollout", []))


def line(text: str | None) -> str | None:
    """One printable line of at most 600 characters; None for nothing."""
    if not text:
        return None
    found = "".join(each if each.isprintable() else " " for each in text)
    return " ".join(found.split())[:LONGEST] or None
