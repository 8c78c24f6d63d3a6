"""Gate: a change that makes a guard weaker is named, and passes only with a waiver."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from preflight.evidence import Evidence, Findings, Notice, Table
from preflight.policy import (
    commits,
    guards,
    machinery,
    seeds,
    settings,
    tests,
    waivers,
    widening,
    workflows,
)
from preflight.policy.commits import PROJECT, WAIVERS, Change
from preflight.policy.loosening import SUBJECT, Loosening, counted, line, listed, loosening
from preflight.policy.waivers import Waiver

GATE, REPRODUCE = "policy", "make gates ONLY=policy"
TABLE = "What this change does to the guards"
COLUMNS = ("check", "subject", "was", "is", "waived")
ROWS, NOTICES, DAYS = 80, 50, 90
CLAIMS = {
    "limits": "No limit is looser than in the merge base.",
    "gates": "No gate was removed.",
    "tests": "No test was removed, emptied or skipped.",
    "seeds": "No code draws from a generator without a seed.",
    "workflows": "No workflow or make target asks for less, may do more, or hides a failure.",
    "contract": "The contract admits nothing that it did not admit.",
}


@dataclass(frozen=True)
class Named:
    """One weaker guard under the check that found it, and the waivers that let it pass."""

    check: str
    guard: Loosening
    waived: tuple[Waiver, ...]


def judge(
    root: Path,
    base: str,
    head: str,
    contracts: tuple[dict[str, Any], dict[str, Any]] | None,
    today: date,
) -> Findings:
    """What the change from `base` to `head`, full commit hashes of a checkout, does to the guards.

    `contracts` are the base's and the head's as plain data, or None where the base has none.
    Everything else is read from Git's objects. Raises Problem when both are one commit.
    """
    change = commits.read(root, base, head)
    most = waiver_days(change)
    held, flaws = waivers.parse(change.head.get(WAIVERS, ""), today, most)
    named = [
        Named(check, guard, tuple(each for each in held if _covers(each, check, guard)))
        for check, found in _found(change, contracts).items()
        for guard in found
    ]
    return Findings(
        evidence=(*(_evidence(check, named) for check in CLAIMS), _waivers(held, flaws, most)),
        notices=(*_waiver_notices(held, named), *_machinery(change)),
        tables=(_table(named),) if named else (),
    )


def waiver_days(change: Change) -> int:
    """How far ahead a waiver may end: the base's limit, else the head's, else 90 days."""
    for side in (change.base, change.head):
        days = guards.flat(guards.parameters(side) or {}).get("gates.policy.max_waiver_days")
        if type(days) is int:
            return days
    return DAYS


def _found(
    change: Change, pair: tuple[dict[str, Any], dict[str, Any]] | None
) -> dict[str, list[Loosening]]:
    limits = [*guards.limits(change), *settings.coverage(change)]
    if settings.broken(change):
        limits.append(loosening("limits removed", PROJECT, "settings", "absent, or no TOML"))
    return {
        "limits": limits,
        "gates": [*machinery.removed(change)],
        "tests": [*tests.weakened(change)],
        "seeds": [*seeds.seeds(change)],
        "workflows": [*workflows.weakened(change)],
        "contract": [*widening.widened(pair)],
    }


def _covers(waiver: Waiver, check: str, guard: Loosening) -> bool:
    return (waiver.check, line(waiver.subject, SUBJECT)) == (check, guard.subject)


def _evidence(check: str, named: list[Named]) -> Evidence:
    """One check's line: what no waiver covers first."""
    own = [each for each in named if each.check == check]
    left = [each for each in own if not each.waived]
    texts = [str(each.guard) for each in left]
    texts += [f"{each.guard} (waived)" for each in own if each.waived]
    return Evidence(
        gate=GATE,
        check=check,
        status="fail" if left else "pass",
        claim=CLAIMS[check],
        found=listed(texts) or "none",
        measured=float(len(left)),
        limit="0",
        details=TABLE if own else None,
        reproduce=REPRODUCE,
    )


def _waivers(held: tuple[Waiver, ...], flaws: tuple[waivers.Flaw, ...], most: int) -> Evidence:
    count = f"{len(held)} in force" if held else "none"
    return Evidence(
        gate=GATE,
        check="waivers",
        status="fail" if flaws else "pass",
        claim="Every waiver is whole and in force.",
        found=listed(f"{WAIVERS}: {each.entry}: {each.words}" for each in flaws) or count,
        measured=float(len(flaws)),
        limit=f"0; at most {most} days ahead",
        reproduce=REPRODUCE,
    )


def _waiver_notices(held: tuple[Waiver, ...], named: list[Named]) -> list[Notice]:
    used = {waiver for each in named for waiver in each.waived}
    texts = [
        f"{'waived' if each in used else 'unused waiver'}: {each.check}: {each.subject}; "
        f"{each.reason}; {each.owner}; until {each.expires}"
        for each in sorted(held, key=lambda each: each not in used)
    ]
    if len(texts) > NOTICES:
        texts[NOTICES:] = [f"and {len(texts) - NOTICES} waivers more"]
    return [Notice(kind="waiver", text=line(text, 600)) for text in texts]


def _machinery(change: Change) -> list[Notice]:
    touched = change.paths(machinery.MACHINERY)
    if not touched:
        return []
    count, names = counted(len(touched), "file"), listed(touched, most=550, between=", ")
    text = f"{count}: {names}"
    return [Notice(kind="machinery", text=text)]


def _table(named: Iterable[Named]) -> Table:
    rows = [
        (
            each.check,
            line(each.guard.subject, 120),
            line(each.guard.was or each.guard.words, 120),
            line(each.guard.now or each.guard.remark, 120),
            f"until {each.waived[0].expires}" if each.waived else "no",
        )
        for each in sorted(named, key=lambda each: bool(each.waived))
    ]
    if len(rows) > ROWS:
        rows[ROWS - 1 :] = [("", f"and {len(rows) - ROWS + 1} more", "", "", "")]
    return Table(title=TABLE, columns=COLUMNS, rows=tuple(rows))
