"""Probes of a service's readiness, a record each, and the uptime that follows from them."""

import json
import re
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, build_opener

from preflight.errors import NoData, Problem

ANSWER_SECONDS = 5.0
DIRECT = build_opener(ProxyHandler({}))  # past any proxy of the environment
LINE = 1_000  # bytes, more than a record has
MISSED = 2.0  # intervals without a probe: then nobody knows


@dataclass(frozen=True)
class Probe:
    """One look at a service: when (UTC, ISO), whether it was ready, how long it took, what came."""

    at: str
    ready: bool
    seconds: float
    found: str


@dataclass(frozen=True)
class Uptime:
    """What a log of probes says: shares of time, in which `unknown` counts neither way."""

    up: float
    unknown: float
    probes: int
    longest_down: timedelta


def probe(address: str) -> Probe:
    """Ask a service once whether it is ready."""
    if not re.fullmatch(r"https?://([\w.-]+|\[[0-9a-fA-F:.]+\])(:\d{1,5})?/?", address):
        raise Problem("the address", address[:80], "as http://127.0.0.1:3000", "Mend it.")
    at, start = datetime.now(UTC).isoformat(timespec="seconds"), time.perf_counter()
    try:
        place = f"{address.rstrip('/')}/readyz"
        with DIRECT.open(place, timeout=ANSWER_SECONDS) as answer:
            found = str(answer.status)
    except HTTPError as error:
        found = str(error.code)
    except (URLError, OSError, HTTPException) as error:
        reason = getattr(error, "reason", error)
        found = type(reason).__name__
    return Probe(at, found == "200", round(time.perf_counter() - start, 4), found)


def record(found: Probe, log: Path) -> None:
    """Append a probe to a log of JSON lines."""
    log.parent.mkdir(parents=True, exist_ok=True)
    line = json.dumps(asdict(found)).encode() + b"\n"
    with log.open("ab+") as file:
        file.seek(max(0, file.tell() - LINE))
        start, end = file.tell(), file.read()
        file.truncate(start + end.rfind(b"\n") + 1)  # without what was cut while it was written
        file.write(line)


def read(log: Path) -> list[Probe]:
    """The probes of a log; raises Problem when there is none or a line is no probe."""
    try:
        lines = log.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise NoData(str(log), "no file", "a log of probes", "Run `preflight probe`.") from None
    found = []
    for place, line in enumerate(lines, 1):
        try:
            found.append(Probe(**json.loads(line)))
            datetime.fromisoformat(found[-1].at)
        except (ValueError, TypeError):
            if place == len(lines):  # cut while it was written
                return found[: place - 1]
            raise Problem(
                f"{log}, line {place}", line[:60], "a probe", "Remove the line."
            ) from None
    return found


def uptime(probes: Iterable[Probe], every: float) -> Uptime:
    """Uptime by a log's probes, each of which stands for the time until the next.

    `every` is the interval in seconds; a gap of more than two is unknown. Raises NoData when
    there are fewer than two probes.
    """
    listed = sorted(probes, key=lambda each: each.at)
    times = [datetime.fromisoformat(each.at).timestamp() for each in listed]
    if len(listed) < 2 or times[-1] == times[0]:
        raise NoData(
            "the log of probes", f"{len(listed)}", "two at different times", "Let it run on."
        )
    up = unknown = down = longest = 0.0
    for each, start, end in zip(listed, times, times[1:], strict=False):
        known = min(end - start, MISSED * every)
        unknown += end - start - known
        up += known if each.ready else 0.0
        down = 0.0 if each.ready else down + known
        longest = max(longest, down)
    whole = times[-1] - times[0]
    share = up / (whole - unknown)
    return Uptime(share, unknown / whole, len(listed), timedelta(seconds=longest))
