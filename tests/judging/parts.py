"""What the study runs: every scenario and regression, with its name, its runs and its judges."""

from functools import partial

from scipy.stats import norm

from judging import rivals, scenarios
from judging.labels import Labels
from judging.rivals import RIVALS
from judging.scenarios import METRICS, RATE, Rates, regressed
from judging.shadows import Shadow
from judging.shifts import Entities, Predictions, Widths
from judging.study import Made, Part, Shares
from preflight.rollout.limits import Limits
from preflight.rollout.plan import Plan, Step, forecast

RUNS, FEWER = 1000, 400
RATIOS = (1.5, 2.0, 3.0, 5.0, 10.0)
PLANNED = ("errors", "slow", "unreached", "lost", "fallbacks", "flags")
SPREADS = (0.5, 1.0)  # standard deviations of the logarithm of a latency
EQUAL = scenarios.regressed(1.0)
# Names by which the tables and the reaches find a part.
INDEPENDENT, ZERO, SIX = "independent failures", "no failures at all", "all six at the margin"
STEPS = "weight 5, 25, 50%, common rate triples"
GAPS = "clumps of 3, scrapes missed, counts lost"
LONGER = "failures in clumps of mean 3, five times the traffic"
SHADOW_SAME = "paired shadow, same models"
SHADOWS_ALIKE = (SHADOW_SAME, "paired shadow, each model off by entity, sd 1 minute")
SHADOW_LATE = "paired shadow, errors +2 minutes in 10% of trips"
SHADOW_LATER = "paired shadow, answers +2 minutes in 10% of trips"
TWICE = "predictions shifted by twice the bound"
AT_BOUND = ("predictions shifted by the bound", "intervals 20% wider, the bound")
ALIKE = (
    "predictions alike, 10% by entity",
    "predictions alike, 30% by entity, few entities",
    "intervals alike",
)
WIDER, FALLBACKS = "intervals 40% wider", "fallbacks 0 to 2%"
CLUMPS = tuple(f"failures in clumps of mean {size}" for size in (3, 5, 10))
# How much more often the canary is wrong, and its weights.
LABELS = {
    "identical, weight lowered 50, 25, 5%": (1.0, (0.5, 0.25, 0.05)),
    "identical, weight raised 5, 25, 50%": (1.0, (0.05, 0.25, 0.5)),
    "wrong x1.3, weight raised 5, 25, 50%": (1.3, (0.05, 0.25, 0.5)),
}


def ratio(times: float) -> str:
    """The name of a part whose first metric's rate is higher."""
    return f"errors x{times:g}"


def slower(spread: float) -> str:
    """The name of a part whose latencies are doubled."""
    return f"p99 doubled (lognormal, sd {spread:g})"


def doubled(spread: float) -> Rates:
    """Shares slower than stable's p99, where all latencies are doubled: lognormal ones."""
    return RATE, float(norm.sf(norm.isf(RATE) - 0.6931471805599453 / spread))


def identical(limits: Limits) -> list[Part]:
    """Identical arms, by share metrics."""
    heavy = {rivals.JUDGE: rivals.judge, "no cap": rivals.uncapped} | {
        name: each for name, each in RIVALS.items() if name != rivals.JUDGE
    }
    return [
        *(Part(n, RUNS, Shares(each, RIVALS, limits)) for n, each in scenarios.IDENTICAL.items()),
        *(Part(n, RUNS, Shares(each, heavy, limits)) for n, each in scenarios.HEAVY.items()),
    ]


def worse(limits: Limits) -> list[Part]:
    """Canaries with something wrong in share metrics, and those where nothing fails."""
    rates = {ratio(each): regressed(each) for each in RATIOS}
    rates |= {slower(each): (doubled(each), *EQUAL[1:]) for each in SPREADS}
    rates[FALLBACKS] = ((0.0, 0.02), *EQUAL[1:])
    rates[SIX] = ((RATE, 2 * RATE),) * METRICS
    rates[ZERO] = ((0.0, 0.0),) * METRICS
    longer = partial(scenarios.plain, clump=3.0, expected=5 * scenarios.load())
    return [
        *(
            Part(name, RUNS, Shares(partial(scenarios.plain, rates=each), RIVALS, limits))
            for name, each in rates.items()
        ),
        Part(LONGER, RUNS, Shares(longer, RIVALS, limits)),
    ]


def planned(limits: Limits) -> float:
    """The planner's estimate for the study's six metrics: requests of the canary to promote."""
    margins = limits.max_worse.model_copy(update=dict.fromkeys(PLANNED, rivals.MARGIN))
    seconds = float(scenarios.LOOKS)
    asked = Plan(
        scenarios.REQUESTS, (Step(scenarios.NOMINAL, seconds),), dict.fromkeys(PLANNED, RATE)
    )
    found = forecast(asked, limits.model_copy(update={"max_worse": margins}))
    return found.honest.most_requests


def others(limits: Limits) -> list[Part]:
    """Predictions, widths, late labels, and paired shadows."""
    bound, wide = limits.max_shift, limits.max_width_ratio
    few = Entities(start=2, own=0.3)
    shifts: dict[str, Made] = {
        ALIKE[0]: Predictions(0.0, limits),
        ALIKE[1]: Predictions(0.0, limits, few),
        ALIKE[2]: Widths(1.0, limits),
        AT_BOUND[0]: Predictions(bound, limits),
        AT_BOUND[1]: Widths(wide, limits),
        TWICE: Predictions(2 * bound, limits),
        WIDER: Widths(2 * wide - 1, limits),
    }
    shadows = {
        SHADOW_SAME: Shadow(limits),
        SHADOWS_ALIKE[1]: Shadow(limits, taste=1.0),
        SHADOW_LATE: Shadow(limits, late=2.0),
        SHADOW_LATER: Shadow(limits, late=2.0, later=True),
    }
    return [
        *(Part(name, FEWER, each, chunk=25) for name, each in shifts.items()),
        *(Part(name, RUNS, Labels(*each, limits)) for name, each in LABELS.items()),
        *(Part(name, FEWER, each) for name, each in shadows.items()),
    ]
