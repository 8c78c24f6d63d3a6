"""Triage: offline, slow, wrong and changed input told apart, from the log and the metrics."""

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from preflight.errors import Problem
from preflight.gates.limits import Gates
from preflight.watch.inputs import changed
from preflight.watch.labelled import wrong
from preflight.watch.recent import DAY, Recent, Side, Span
from preflight.watch.scrape import Look, look
from preflight.watch.symptoms import Symptom, offline, slow

if TYPE_CHECKING:
    from preflight.contract import Contract

APART = 1.0  # seconds at least between two looks at the service
MINUTE = timedelta(minutes=1)
GREW = 1.5  # times the answers an hour


@dataclass(frozen=True)
class Triage:
    """What was found: the sides' answers, new model versions, the symptoms, the likely cause."""

    span: Span
    sides: tuple[Side, Side]
    symptoms: tuple[Symptom, ...]
    cause: str | None

    @property
    def status(self) -> int:
        """0 no symptom, 1 at least one, 2 when there is no data for any."""
        found = {symptom.verdict for symptom in self.symptoms}
        return 1 if "yes" in found else 0 if "no" in found else 2


def triage(
    root: Path, folder: Path, address: str, span: Span, contract: "Contract", limits: Gates
) -> Triage:
    """Look at a service twice, and in between at its log; works without either.

    Raises Problem for what is no address.
    """
    first = look(address)
    recent = Recent(folder, span)
    sides = _sides(recent, limits.load.max_slow_ms)
    found = [
        wrong(recent, sides, contract.target, limits, root),
        changed(recent, sides, contract, limits.data.max_feature_shift),
    ]
    if first.reached:
        time.sleep(max(0.0, APART - (time.time() - first.at)))
    then = look(address)
    found = [
        offline(first, then, recent, sides[0]),
        slow(first, then, recent, sides, limits.load),
        *found,
    ]
    return Triage(span, sides, tuple(found), cause(found, recent, sides, then))


def _sides(recent: Recent, slow_ms: float) -> tuple[Side, Side]:
    """The last stretch, and the time before it."""
    return recent.side(late=True, slow_ms=slow_ms), recent.side(late=False, slow_ms=slow_ms)


def cause(
    symptoms: list[Symptom], recent: Recent, sides: tuple[Side, Side], now: Look
) -> str | None:
    """What likely lies behind the symptoms, the nearest to the root first; None without one."""
    there = {symptom.name for symptom in symptoms if symptom.verdict == "yes"}
    if not there:
        return None
    return next(_causes(there, recent, sides, now), None)


def _causes(there: set[str], recent: Recent, sides: tuple[Side, Side], now: Look) -> Iterator[str]:
    if now.mode == "off":
        yield "somebody switched the service off"
    if "offline" in there:
        yield "the service itself: what is slow or wrong beside it comes later"
    if now.mode == "fallback" and "wrong" in there:
        yield "somebody switched to the baseline (mode fallback)"
    for version, since in recent.versions().items():
        yield (
            f"a release: model {version} answers since {since:%H:%M} UTC, and had not before; "
            "roll back by `git revert` of its release commit"
        )
    if {"changed input", "wrong"} <= there:
        yield "the input: answers are wrong since requests changed; ask who sends them"
    if "changed input" in there:
        yield "whoever asks: the requests changed, the model and the service did not"
    if "slow" in there and _rate(sides[0].rows, recent.span.last) > GREW * _rate(
        sides[1].rows, recent.covered()
    ):
        yield "load: more is asked than before; another replica helps"
    if there == {"wrong"}:
        yield "the world: the same model on like requests misses more than it did; train again"


def _rate(rows: int, span: timedelta) -> float:
    return rows / max(span.total_seconds(), 1.0)


def length(text: str) -> timedelta:
    """A length of time as 30m, 1h or 7d; raises Problem for another."""
    found = re.fullmatch(r"([1-9]\d{0,3})([mhd])", text)
    if not found:
        raise Problem("a length of time", text[:20], "one like 30m, 1h or 7d", "Mend it.")
    return int(found[1]) * {"m": MINUTE, "h": 60 * MINUTE, "d": DAY}[found[2]]


def shown(found: Triage, address: str, folder: Path) -> str:
    """What was found, as one screen."""
    span, (late, before) = found.span, found.sides
    lines = [
        f"triage {span.since:%Y-%m-%d %H:%M} to {span.now:%H:%M} UTC, beside {_plain(span.before)} "
        f"before: {address}, {folder}",
        f"answers in the log: {late.rows:,}, before {before.rows:,}",
        "",
    ]
    for symptom in found.symptoms:
        head = f"{symptom.name:<14}{symptom.verdict.upper():<9}"
        for number, line in enumerate(symptom.evidence):
            lines.append((head if number == 0 else " " * len(head)) + line)
        if symptom.verdict != "no":
            lines.append(" " * len(head) + f"next: {symptom.next}")
    if found.cause:
        lines += ["", f"likely: {found.cause}"]
    return "\n".join(lines)


def _plain(span: timedelta) -> str:
    hours = span.total_seconds() / 3600
    return f"{hours / 24:g} days" if hours >= 48 else f"{hours:g} h"
