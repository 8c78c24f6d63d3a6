"""Symptoms of a service: what a symptom is, and how offline and slow are told."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from preflight.gates.limits import Load
from preflight.watch.recent import FEW, Recent, Side
from preflight.watch.scrape import Look
from preflight.watch.shares import Share, least_growth

Verdict = Literal["yes", "no", "no data"]
ROUTES = ("predict", "batch", "lines")
SERIOUS = 0.01  # share of requests that fail
STRETCHES = 20  # below which nobody knows how usual silence is
RARE = 0.05
LIVELY = timedelta(minutes=1)
BUSY = 0.9  # of a processor
SLOWEST = (
    'preflight log query "SELECT arm, model_version, route, count(*), '
    "quantile_cont(latency_ms, 0.95) FROM predictions "
    'WHERE \\"at\\" >= \'{since:%Y-%m-%d %H:%M}\' GROUP BY ALL"'
)
DOUBLED, NOTICED = 2.0, 0.1  # p95 to what it was; of the limit on slow answers


@dataclass(frozen=True)
class Symptom:
    """One symptom: whether it is there, what says so, and what to run next."""

    name: str
    verdict: Verdict
    evidence: tuple[str, ...]
    next: str


def verdict(signs: list[bool | None]) -> Verdict:
    """Yes by any sign; no where at least one was looked for; a sign without data is None."""
    if any(signs):
        return "yes"
    return "no" if False in signs else "no data"


def offline(first: Look, then: Look, recent: Recent, late: Side) -> Symptom:
    """Whether callers get no answer: by two looks at the service, and by silence in the log."""
    told: list[str] = []
    silent = _silence(recent, late, told)
    signs = [silent, *(_reached(first, then, recent.span.now, told))]
    if not then.reached and late.newest is None and silent is None:
        signs = [None]  # an address and a log where nothing ever was
    advice = "docs/runbook.md, offline: is its process there, and what does its own log say?"
    if not then.reached and late.newest and recent.span.now - late.newest < LIVELY:
        advice = "something answered just now: is the address right? preflight triage ADDRESS"
    if then.mode == "off":
        advice = "mode: normal in the switches file, once its reason is gone"
    elif _gained(first, then, "preflight_log_failures_total"):
        advice = f"df {_folder(recent.folder)}; docs/runbook.md, the log cannot be written"
    return Symptom("offline", verdict(signs), tuple(told), advice)


def _folder(folder: Path) -> Path:
    return next((each for each in (folder, *folder.parents) if each.is_dir()), Path("/"))


def _silence(recent: Recent, late: Side, told: list[str]) -> bool | None:
    """Whether the last stretch is emptier than stretches before it usually were."""
    empty = recent.silences()
    if late.rows or not empty.whole:
        ago = recent.span.now - late.newest if late.newest else None
        newest = f", the newest {_ago(ago)} ago" if ago is not None else ""
        told.append(f"log: {late.rows:,} answers{newest}" if late.rows else "log: no answer in it")
        return False if late.rows else None
    told.append(
        f"log: no answer; of the {empty.whole:,} stretches as long before it, "
        f"{empty.count:,} had none"
    )
    if empty.whole < STRETCHES:
        return None
    return (empty.count + 1) / (empty.whole + 1) <= RARE


def _ago(time: timedelta) -> str:
    seconds = max(0.0, time.total_seconds())
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _reached(first: Look, then: Look, now: datetime, told: list[str]) -> Iterator[bool | None]:
    """Signs from the service itself."""
    if not then.reached:
        told.append(f"no connection: {then.found}")
        yield True
        return
    told.append(f"/readyz {then.found}, mode {then.mode or 'not shown'}{_workers(then, now)}")
    yield not then.ready
    yield then.mode == "off"
    gained, whole = _failed(first, then), _failed(None, then)
    told.append(f"5xx: {gained} between two looks, {whole} since its start")
    yield _is_serious(gained)
    yield _is_serious(whole)
    failures = then.total("preflight_log_failures_total")
    gained_failures = _gained(first, then, "preflight_log_failures_total")
    if failures:
        unlogged = then.total("preflight_unlogged_total")
        told.append(
            f"log: {failures:,.0f} failures to write, {gained_failures:,.0f} of them just now; "
            f"{unlogged:,.0f} answers unrecorded"
        )
    yield gained_failures > 0


def _is_serious(failed: Share) -> bool | None:
    """None where that cannot be told."""
    if not failed.whole:
        return None
    return failed.ends[0] > SERIOUS


def _workers(then: Look, now: datetime) -> str:
    started = then.values("preflight_worker_started_seconds")
    if not started:
        return ""
    age = now.replace(tzinfo=UTC) - datetime.fromtimestamp(max(started), UTC)
    return f", {len(started)} workers, the newest since {_ago(age)}"


def _failed(first: Look | None, then: Look) -> Share:
    """Requests for predictions that were answered with a 5xx, of those in all."""

    def counts(look: Look) -> tuple[float, float]:
        found = look.samples.get("preflight_requests_total", [])
        asked = [(labels, value) for labels, value in found if labels.get("route") in ROUTES]
        failed = sum(value for labels, value in asked if labels["status"].startswith("5"))
        return failed, sum(value for _, value in asked)

    start = counts(first) if first else (0.0, 0.0)
    failed, whole = (int(max(0.0, end - one)) for end, one in zip(counts(then), start, strict=True))
    return Share(min(failed, whole), whole)


def _gained(first: Look, then: Look, name: str) -> float:
    return max(0.0, then.total(name) - first.total(name)) if first.samples else 0.0


def slow(
    first: Look, then: Look, recent: Recent, sides: tuple[Side, Side], limits: Load
) -> Symptom:
    """Whether answers take longer than the load gate allows, or twice as long as before."""
    late, before = sides
    if late.singles < FEW or late.p95 is None or late.p95_ends is None:
        few = f"{late.singles:,} single answers, fewer than {FEW}"
        return Symptom("slow", "no data", (few,), "a longer --last")
    told = [
        f"over {limits.max_slow_ms:g} ms: {late.slow}, before {before.slow}; "
        f"{limits.max_slow:.0%} may be",
        f"p95 {_times(late)}, before {_times(before)}",
    ]
    signs: list[bool | None] = [late.slow.ends[0] > limits.max_slow]
    if before.singles >= FEW and before.p95_ends is not None:
        signs.append(least_growth(late.slow, before.slow) > SERIOUS)
        clearly = late.p95_ends[0] > DOUBLED * before.p95_ends[1]
        signs.append(clearly and late.p95 > NOTICED * limits.max_slow_ms)
    told += [_load(recent, sides), *_worst(recent), *_processor(first, then)]
    return Symptom("slow", verdict(signs), tuple(told), SLOWEST.format(since=recent.span.since))


def _times(side: Side) -> str:
    if side.p95 is None or side.p95_ends is None:
        return "no data"
    return f"{side.p95:.1f} ms ({side.p95_ends[0]:.1f} to {side.p95_ends[1]:.1f})"


def _load(recent: Recent, sides: tuple[Side, Side]) -> str:
    """How many were asked for, and how many of them in batches."""
    late, before = (
        f"{3600 * side.rows / span.total_seconds():,.0f} answers an hour, "
        f"{Share(side.rows - side.singles, side.rows).value:.0%} in batches"
        for side, span in zip(sides, (recent.span.last, recent.covered()), strict=True)
    )
    return f"{late}; before {before}"


def _worst(recent: Recent) -> Iterator[str]:
    groups = recent.groups()
    if len(groups) > 1:
        worst, best = groups[0], groups[-1]
        yield (
            f"slowest: {_named(worst.version, worst.arm)}, p95 {worst.p95:.1f} ms; fastest: "
            f"{_named(best.version, best.arm)}, {best.p95:.1f} ms"
        )


def _named(version: str | None, arm: str | None) -> str:
    return f"model {version}" + (f", arm {arm}" if arm else "")


def _processor(first: Look, then: Look) -> Iterator[str]:
    """How busy the busiest worker is between the looks: then requests wait for it."""
    name = "preflight_worker_processor_seconds"
    start = {labels.get("pid"): value for labels, value in first.samples.get(name, [])}
    used = [
        (value - start[labels["pid"]]) / max(then.at - first.at, 1e-3)
        for labels, value in then.samples.get(name, [])
        if labels.get("pid") in start
    ]
    if used:
        waits = ": requests wait for it" if max(used) > BUSY else ""
        yield f"the busiest worker uses {max(used):.0%} of a processor now{waits}"
