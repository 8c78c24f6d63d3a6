"""A plan as people write it and read it: steps and shares from words, a forecast as text."""

import re
from collections.abc import Sequence
from math import isfinite

from preflight.errors import Problem
from preflight.rollout.limits import Shares
from preflight.rollout.plan import ENOUGH, Forecast, Plan, Step, duration

UNITS = {"s": 1, "m": 60, "h": 3600}
STEP = re.compile(r"(\d+(?:\.\d+)?)%?:(\d+(?:\.\d+)?)([smh])")
BASE = re.compile(r"([a-z]+)=(\d+(?:\.\d+)?)%")
# What a healthy service shows where nobody says otherwise; `wrong` need not hold to promote.
USUAL = {
    "errors": 0.001,
    "slow": 0.01,
    "unreached": 0.0,
    "lost": 0.0,
    "fallbacks": 0.0,
    "flags": 0.01,
}


def read(rate: float, steps: Sequence[str], base: Sequence[str], clump: float) -> Plan:
    """A plan from `5%:10m` and `errors=0.2%`; raises Problem for what is neither."""
    for where, value, least, most in (("--rate", rate, 0, 1e6), ("--clump", clump, 1, 1e3)):
        if not least <= value <= most or not value:
            raise Problem(where, f"{value:g}", f"{least:g} to {most:g}", "Give one of these.")
    return Plan(rate, tuple(map(_step, steps)), USUAL | dict(map(_base, base)), clump)


def _step(word: str) -> Step:
    found = STEP.fullmatch(word)
    if found is None or not 0 < float(found[1]) < 100 or not float(found[2]):
        raise Problem(
            "--step", repr(word), "a weight under 100% and a time, 5%:10m", "Write it so."
        )
    return Step(float(found[1]) / 100, float(found[2]) * UNITS[found[3]])


def _base(word: str) -> tuple[str, float]:
    found = BASE.fullmatch(word)
    if found is None or found[1] not in USUAL or not float(found[2]) < 100:
        names = ", ".join(name for name in Shares.model_fields if name in USUAL)
        raise Problem("--base", repr(word), f"errors=0.2%, or another of {names}", "Write it so.")
    return found[1], float(found[2]) / 100


def text(found: Forecast) -> str:
    """A forecast for a terminal."""
    return "\n".join([*_head(found), "", *_honest(found), *_faults(found)])


def _head(found: Forecast) -> list[str]:
    plan = found.plan
    steps = ", ".join(f"{100 * step.weight:g}% for {duration(step.seconds)}" for step in plan.steps)
    every = plan.rate * plan.seconds
    return [
        f"plan: {plan.rate:g} requests a second; {steps}",
        f"      the canary gets {plan.requests:,.0f} of {every:,.0f} requests in "
        f"{duration(plan.seconds)}",
    ]


def _honest(found: Forecast) -> list[str]:
    honest = found.honest
    return [
        f"A canary that is no worse: promoted in {honest.share:.0%} of {found.runs} simulations,",
        f"  half {_within(honest.seconds, honest.requests)}, "
        f"{ENOUGH:.0%} {_within(honest.most_seconds, honest.most_requests)},",
        f"  held up most by {found.slowest}; aborted in {found.false_aborts:.1%}",
    ]


def _within(seconds: float, requests: float) -> str:
    if not isfinite(seconds):
        return "not at all"
    return f"within {duration(seconds)} and {requests:,.0f} of its requests"


def _faults(found: Forecast) -> list[str]:
    if not found.faults:
        return []
    lines = [
        "",
        "A canary that is worse in one metric, within the plan:",
        f"  {'metric':12} {'fault':20} {'aborted':>8} {'half within':>12} {'requests':>9} "
        f"{'promoted':>9}",
    ]
    for each in found.faults:
        aborted = each.aborted
        half = [duration(aborted.seconds), f"{aborted.requests:,.0f}"]
        if aborted.share < 0.5:
            half = ["-", "-"]
        lines.append(
            f"  {each.metric:12} {each.said:20} {aborted.share:8.0%} {half[0]:>12} {half[1]:>9} "
            f"{each.promoted:9.0%}"
        )
    missed = [each for each in found.faults if each.aborted.share < ENOUGH]
    if missed:
        listed = ", ".join(f"{each.metric} {each.said}" for each in missed)
        lines += ["", f"What it mostly cannot see: {listed}."]
    return lines
