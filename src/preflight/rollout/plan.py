"""How long a rollout will take, what it can detect, and whether it can decide at all.

By simulation with the judge's own evidence: no formula of fixed samples holds for a test that may
stop at any look.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from preflight.errors import Problem
from preflight.rollout import simulation
from preflight.rollout.limits import Limits
from preflight.rollout.observed import Array
from preflight.rollout.simulation import NEVER, Decided, Looks

RUNS, HONEST = 250, 4
ENOUGH = 0.8  # share of honest rollouts that a plan must promote
RATIOS = (1.5, 2.0, 3.0, 5.0)
LONGER = 8  # times the plan's own length that is looked at for what it would take
LOOKS = 100  # at most, in a simulated plan: more often changes little


@dataclass(frozen=True)
class Step:
    """The canary's share of the requests, and how long it has it."""

    weight: float
    seconds: float


@dataclass(frozen=True)
class Plan:
    """Requests a second, steps, and the shares expected of a healthy arm, by metric."""

    rate: float
    steps: tuple[Step, ...]
    base: Mapping[str, float]
    clump: float = 1.0

    @property
    def seconds(self) -> float:
        """How long all steps take."""
        return sum(step.seconds for step in self.steps)

    @property
    def requests(self) -> float:
        """Expected of the canary in all steps."""
        return self.rate * sum(step.seconds * step.weight for step in self.steps)


@dataclass(frozen=True)
class Decision:
    """What becomes of simulated rollouts: the share decided so, and when.

    Half of all by `requests` of the canary and `seconds`, ENOUGH of them by `most_requests` and
    `most_seconds`; infinite where fewer were decided so.
    """

    share: float
    requests: float
    seconds: float
    most_requests: float
    most_seconds: float


@dataclass(frozen=True)
class Fault:
    """A canary that is worse in one metric, and what becomes of it within the plan."""

    metric: str
    said: str
    aborted: Decision
    promoted: float


@dataclass(frozen=True)
class Forecast:
    """What comes of a plan: of an honest canary, and of faulty ones.

    `needed` is how many seconds it takes to promote ENOUGH of the honest, with the last step held
    for longer, infinite beyond LONGER times the plan; `slowest` is the metric they wait for.
    """

    plan: Plan
    runs: int
    honest: Decision
    false_aborts: float
    faults: tuple[Fault, ...]
    needed: float
    slowest: str

    @property
    def decides(self) -> bool:
        """Whether enough honest canaries are promoted within the plan."""
        return self.honest.share >= ENOUGH


def forecast(plan: Plan, limits: Limits, seed: int = 1, runs: int = RUNS) -> Forecast:
    """Simulate a plan `runs` times with each fault, and HONEST times as often without."""
    random = np.random.default_rng(seed)
    asked, fine, found = _simulated(plan, plan.seconds, limits, random, runs)
    honest = _decision(found, found.promoted, plan.seconds)
    needed = honest.most_seconds
    if honest.share < ENOUGH:
        needed = _needed(plan, limits, random, runs)
    slowest = min(fine, key=lambda name: float(np.median(fine[name][1][:, -1])))
    faults = tuple(_faults(plan, fine, asked, limits, random)) if honest.share >= ENOUGH else ()
    return Forecast(
        plan, len(found.aborted), honest, found.share(found.aborted), faults, needed, slowest
    )


def _expected(plan: Plan, seconds: float) -> Array:
    """Requests of stable and canary between looks, (LOOKS, arms); the last step lasts the rest."""
    ends = np.cumsum([step.seconds for step in plan.steps])
    ends[-1] = max(ends[-1], seconds)
    weights = np.array([step.weight for step in plan.steps])
    times = np.linspace(0, seconds, 10 * LOOKS, endpoint=False)
    weight = weights[np.searchsorted(ends, times, side="right")].reshape(LOOKS, 10).mean(axis=1)
    return plan.rate * seconds / LOOKS * np.column_stack([1 - weight, weight])


def _honest(
    plan: Plan, asked: Array, limits: Limits, random: np.random.Generator
) -> Iterator[tuple[str, Array, Array]]:
    both = {name: (rate, rate) for name, rate in plan.base.items()}
    yield from simulation.of_shares(asked, both, limits, random, plan.clump)
    yield from simulation.of_bounds(asked, limits, random)


def _simulated(
    plan: Plan, seconds: float, limits: Limits, random: np.random.Generator, runs: int
) -> tuple[Array, dict[str, tuple[Array, Array]], Decided]:
    """What becomes of honest canaries; requests and evidence are of the last part of them."""
    parts = []
    for _ in range(HONEST):  # one by one, for memory
        asked = simulation.requests(_expected(plan, seconds), runs, random)
        fine = {name: (worse, good) for name, worse, good in _honest(plan, asked, limits, random)}
        parts.append(simulation.decided(fine.values(), limits.tests, asked, limits))
    return asked, fine, simulation.pooled(parts)


def _needed(plan: Plan, limits: Limits, random: np.random.Generator, runs: int) -> float:
    longer = 2
    while longer <= LONGER:
        seconds = longer * plan.seconds
        _, _, found = _simulated(plan, seconds, limits, random, runs)
        decision = _decision(found, found.promoted, seconds)
        if decision.share >= ENOUGH:
            return decision.most_seconds
        longer *= 2
    return float("inf")


def _faults(
    plan: Plan,
    fine: Mapping[str, tuple[Array, Array]],
    asked: Array,
    limits: Limits,
    random: np.random.Generator,
) -> Iterator[Fault]:
    for name, said, evidence in _evidence(plan, asked, limits, random):
        others = [each for other, each in fine.items() if other != name]
        found = simulation.decided([*others, evidence], limits.tests, asked, limits)
        aborted = _decision(found, found.aborted, plan.seconds)
        yield Fault(name, said, aborted, found.share(found.promoted))


def _evidence(
    plan: Plan, asked: Array, limits: Limits, random: np.random.Generator
) -> Iterator[tuple[str, str, tuple[Array, Array]]]:
    """Each fault's metric, what it is, and its evidence at each look."""
    for name, rate in plan.base.items():
        # Of next to none a multiple is still next to none.
        unit = max(rate, getattr(limits.max_worse, name).max_amount / 2)
        for times in RATIOS:
            bad = min(unit * times, 1.0)
            ((_, *found),) = simulation.of_shares(
                asked, {name: (rate, bad)}, limits, random, plan.clump
            )
            yield name, f"{rate:.2%} -> {bad:.2%}", (found[0], found[1])
    shift, wider = 2 * limits.max_shift, limits.max_width_ratio**2
    bounds = simulation.of_bounds(asked, limits, random, min(shift, 0.5), wider)
    words = (f"{shift:.0%} in another bin", f"{wider:.2f} times as wide")
    for said, (name, worse, good) in zip(words, bounds, strict=True):
        yield name, said, (worse, good)


def _decision(found: Decided, which: Looks, seconds: float) -> Decision:
    after = found.after(which)
    times = np.where(which == NEVER, np.inf, (which + 1) * seconds / LOOKS)
    half, most = (
        [float(np.quantile(each, share, method="higher")) for each in (after, times)]
        for share in (0.5, ENOUGH)
    )
    return Decision(found.share(which), half[0], half[1], most[0], most[1])


def undecidable(found: Forecast) -> Problem:
    """What is wrong with a plan that cannot decide, and what would make it able to."""
    if np.isinf(found.needed):
        remedy = f"No {LONGER} times as long would do: give it more traffic, or larger margins."
    else:
        longer = found.needed - found.plan.seconds
        times = found.needed / found.plan.seconds
        remedy = (
            f"Hold the last step {duration(longer)} longer, or give it some {times:.1f} times the "
            "traffic, or larger weights."
        )
    return Problem(
        "the plan",
        f"{found.honest.share:.0%} of {found.runs} simulated canaries that are no worse are "
        f"promoted in {duration(found.plan.seconds)}; they wait for {found.slowest}",
        f"{ENOUGH:.0%} of them",
        remedy,
    )


def duration(seconds: float) -> str:
    """Seconds as people say them."""
    if np.isinf(seconds):
        return "never"
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5_400 else f"{seconds / 3600:.1f} h"
