"""The symptom of changed input: guards that fire more often, and columns that moved."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from preflight.contract import Column, Contract
from preflight.gates.statistics import kolmogorov_smirnov, total_variation
from preflight.watch.recent import FEW, LABELS, Recent, Side, Values, distinct
from preflight.watch.shares import least_growth
from preflight.watch.symptoms import SERIOUS, Symptom, verdict

ALL_HOURS = "no earlier day has these hours: beside all before"
COUNTS = (
    "preflight log query \"SELECT input ->> '{column}' AS x, count(*) FROM predictions "
    'WHERE \\"at\\" >= \'{since:%Y-%m-%d %H:%M}\' GROUP BY x ORDER BY 2 DESC LIMIT 20"'
)
USUAL = 1.5  # times what the days before showed of themselves


@dataclass(frozen=True)
class Shift:
    """How far a column moved beyond chance, and the farthest that a day before had."""

    column: str
    found: float
    usual: float

    def is_more(self, limit: float) -> bool:
        """Whether it went further than the limit, and than days do."""
        return self.found > max(limit, USUAL * self.usual)


def changed(recent: Recent, sides: tuple[Side, Side], contract: Contract, limit: float) -> Symptom:
    """Whether requests look otherwise than at the same hours of the days before.

    `limit` is of a column's shift: the Kolmogorov-Smirnov distance, or the total variation of
    codes and texts.
    """
    late, before = sides
    if min(late.rows, before.rows) < FEW:
        few = f"{late.rows:,} answers, {before.rows:,} before; fewer than {FEW}"
        return Symptom("changed input", "no data", (few,), "a longer --last or --before")
    flags = [
        (flag, now, then, least_growth(now, then) > SERIOUS)
        for flag, (now, then) in recent.flags().items()
    ]
    flags.sort(key=lambda each: (-each[3], each[2].value - each[1].value))
    shifts = sorted(_shifts(recent, contract), key=lambda each: -each.found)
    told = [] if recent.same_hours() else [ALL_HOURS]
    told += [f"{flag}: {now}, before {then}" for flag, now, then, _ in flags[:3]]
    told += ["no flag of a guard"] if not flags else []
    told.append(f"columns moved by: {', '.join(map(_told, shifts[:4]))}; {limit:g} may be")
    signs: list[bool | None] = [each[3] for each in flags]
    signs += [each.is_more(limit) for each in shifts]
    moved = [each.column for each in shifts if each.is_more(limit)]
    advice = _next(recent, [flag for flag, _, _, more in flags if more], moved)
    return Symptom("changed input", verdict(signs or [None]), tuple(told), advice)


def _told(shift: Shift) -> str:
    usual = f" (a day: {shift.usual:.2f})" if shift.usual else ""
    return f"{shift.column} {shift.found:.2f}{usual}"


def _shifts(recent: Recent, contract: Contract) -> Iterator[Shift]:
    for column in contract.known:
        late, before, turns = recent.column(column)
        if min(len(late), len(before)) < FEW:
            continue
        if column.sensitive and distinct(np.concatenate([late, before])) > LABELS:
            continue  # hashes of whoever asked: always others
        usual = max(
            (
                _distance(column, before[turns == turn], before[turns != turn])
                for turn in np.unique(turns)
                if FEW <= (turns == turn).sum() <= len(turns) - FEW
            ),
            default=0.0,
        )
        yield Shift(column.name, _distance(column, late, before), usual)


def _distance(column: Column, one: Values, other: Values) -> float:
    """Of codes the larger of both: of many, a few hundred rows tell by their order alone."""
    if column.sensitive or column.kind == "text":
        return _by_label(one, other)
    moved = _distance_of_ranks(one, other)
    if column.kind == "integer" and distinct(np.concatenate([one, other])) <= LABELS:
        return max(moved, _by_label(one, other))
    return moved


def _distance_of_ranks(one: Values, other: Values) -> float:
    """The whole distance, where chance alone does not make as much; else 0."""
    beyond_chance = kolmogorov_smirnov(one, other) > 0
    return kolmogorov_smirnov(one, other, chance=False) if beyond_chance else 0.0


def _by_label(one: Values, other: Values) -> float:
    return total_variation(one.astype(str), other.astype(str))


def _next(recent: Recent, flags: list[str], columns: list[str]) -> str:
    where = f"list_contains(flags, '{flags[0]}')" if flags else "true"
    example = recent.example(where)
    if columns:
        return COUNTS.format(column=columns[0], since=recent.span.since)
    return f"preflight explain {example}" if example else "a longer --last"
