"""What a report says in every form: the verdict, why, what is declared, the numbers."""

from collections.abc import Sequence
from dataclasses import dataclass

from preflight.evidence import Evidence, Headline, Notice, Part, SliceFinding, Status, worst
from preflight.report import numbers
from preflight.report.numbers import count

MARKS: dict[Status, str] = {"pass": "🟢", "fail": "🔴", "no-data": "🟡"}
WORDS: dict[Status, str] = {"pass": "green", "fail": "red", "no-data": "no data"}
NOTICES = {
    "guards": "Guards",
    "waiver": "Waiver",
    "declaration": "Declared",
    "machinery": "Machinery touched",
}
NAMED = 6  # gates in the first line
SEVERITY: tuple[Status, ...] = ("fail", "no-data", "pass")


@dataclass(frozen=True)
class Verdict:
    """The first line: `Not ready`, and the reason."""

    status: Status
    word: str
    reason: str


@dataclass(frozen=True)
class Open:
    """A check that is not green, with the gate whose file it stands in."""

    gate: str
    line: Evidence
    slice: SliceFinding | None


@dataclass(frozen=True)
class Change:
    """A headline's difference: an arrow, a word, whether it is good, and its interval."""

    arrow: str
    word: str
    tone: str
    interval: str


def verdict(parts: Sequence[Part]) -> Verdict:
    """What the set says; no part at all is no data."""
    total = len(parts)
    if not parts:
        return Verdict("no-data", "Cannot tell", "no gate left evidence")
    status = worst(part.status for part in parts)
    if status == "pass":
        every = "the only gate is" if total == 1 else f"all {total} gates"
        return Verdict(status, "Ready", f"{every} green")
    red = [part.gate for part in parts if part.status == "fail"]
    silent = [part.gate for part in parts if part.status == "no-data"]
    reasons = [f"{len(red)} of {count(total, 'gate')} red: {_names(red)}"] if red else []
    if silent:
        whole = f"{len(silent)}" if red else f"{len(silent)} of {count(total, 'gate')}"
        reasons.append(f"no data from {whole}: {_names(silent)}")
    return Verdict(status, "Not ready" if red else "Cannot tell", "; ".join(reasons))


def not_green(parts: Sequence[Part]) -> list[Open]:
    """Failing checks, then those without data; in the order of the parts."""
    found = [
        Open(part.gate, line, worst_slice(line))
        for part in parts
        for line in part.evidence
        if line.status != "pass"
    ]
    return sorted(found, key=lambda each: SEVERITY.index(each.line.status))


def by_severity(lines: Sequence[Evidence]) -> list[Evidence]:
    """Checks, the red first."""
    return sorted(lines, key=lambda line: SEVERITY.index(line.status))


def slices(line: Evidence) -> list[SliceFinding]:
    """A check's slices: red first, else as the gate gave them, the worst on top."""
    return sorted(line.slices, key=lambda each: SEVERITY.index(each.status))


def worst_slice(line: Evidence) -> SliceFinding | None:
    """The first of the failing slices."""
    failing = [each for each in slices(line) if each.status == "fail"]
    return failing[0] if failing else None


def champion(parts: Sequence[Part]) -> list[str]:
    """What the gates say of the model that they compared with."""
    return _texts(parts, "champion")


def notices(parts: Sequence[Part]) -> list[Notice]:
    """Everything a reviewer must see first, each once; touched guards on top."""
    return [
        Notice.model_validate({"kind": kind, "text": text})
        for kind in NOTICES
        for text in _texts(parts, kind)
    ]


def headlines(parts: Sequence[Part]) -> list[Headline]:
    """The numbers that matter, in the order of the parts."""
    return [headline for part in parts for headline in part.headlines]


def change(headline: Headline) -> Change:
    """Better, worse or not clear, by the interval of the difference."""
    if headline.champion is None or headline.candidate is None:
        return Change("", "no data", "unknown", "")
    if headline.change is None:
        step = headline.candidate - headline.champion
        word = "higher" if step > 0 else "lower" if step < 0 else "equal"
        return Change(_arrow(step), f"{word}, without an interval", "unknown", "")
    low, high = sorted(headline.change)
    ends = f"{numbers.signed(low)} to {numbers.signed(high)}"
    if low <= 0 <= high:
        return Change("■", "no clear change", "flat", ends)
    if headline.better == "near":
        return Change(_arrow(low), "moved", "flat", ends)
    good = (low > 0) == (headline.better == "higher")
    return Change(_arrow(low), *(("better", "good") if good else ("worse", "bad")), ends)


def measured(line: Evidence | SliceFinding) -> str:
    """A figure with its interval and the rows it rests on."""
    sides = [
        numbers.interval(line.interval),
        "" if line.n is None else f"n = {numbers.number(line.n)}",
    ]
    rest = ", ".join(filter(None, sides))
    figure = "" if line.measured is None else numbers.number(line.measured)
    return f"{figure} ({rest})" if figure and rest else figure or rest


def passed(part: Part) -> str:
    """`3 of 5`: the checks that are green."""
    green = sum(line.status == "pass" for line in part.evidence)
    return f"{green} of {len(part.evidence)}"


def commands(lines: Sequence[Evidence]) -> dict[str, list[str]]:
    """Checks by the command that shows them at home, each command once."""
    found: dict[str, list[str]] = {}
    for line in lines:
        found.setdefault(line.reproduce, []).append(line.check)
    return found


def _texts(parts: Sequence[Part], kind: str) -> list[str]:
    texts = [notice.text for part in parts for notice in part.notices if notice.kind == kind]
    return list(dict.fromkeys(texts))


def _names(gates: Sequence[str]) -> str:
    rest = len(gates) - NAMED
    return ", ".join(gates[:NAMED]) + (f" and {rest} more" if rest > 0 else "")


def _arrow(step: float) -> str:
    return "▲" if step > 0 else "▼" if step < 0 else "■"
