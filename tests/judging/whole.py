"""Whole rollouts, read by scrapes with restarts and gaps; and what one verdict costs."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from statistics import median

import numpy as np
from numpy.random import Generator

from judging.rivals import Flags
from judging.scenarios import RATE, load
from preflight.rollout import scrapes, simulation
from preflight.rollout.history import observed
from preflight.rollout.judge import judge
from preflight.rollout.limits import Limits
from preflight.rollout.observed import ARMS, CANARY, Array, Counts, Health, Observed, Proxied
from preflight.rollout.scrapes import Reading, Round, Series
from preflight.rollout.verdict import Result
from preflight.serving.metrics import BUCKETS

EVERY, START = 15.0, 1_000_000.0  # seconds
FROZEN = 5  # the look since which the canary's page is an old one: before it can be promoted
SPREAD = np.array([0.1, 0.15, 0.2, 0.2, 0.15, 0.1, 0.1])  # of predictions over bins
EDGES = ("2", "4", "6", "8", "12", "20", "+Inf")
Results = dict[Result, int]
Rounds = Callable[[Generator], list[Round]]


@dataclass(frozen=True)
class Made:
    """What both arms counted between looks, (looks, arms, blocks), bins in a last axis."""

    asked: Array
    errors: Array
    slow: Array
    flags: Array
    widths: Array
    bins: Array


def made(looks: int, random: Generator, clump: float = 1.0) -> Made:
    """An honest canary, with 1% of errors, of slow answers and of flags."""
    asked = simulation.requests(load(looks=looks), 1, random)
    errors, slow, flags = (
        simulation.failures(asked, (RATE, RATE), random, clump)[0] for _ in range(3)
    )
    # A clump's failures are requests too.
    asked = np.max([asked[0], errors, slow, flags], axis=0)
    widths = asked * 10 + 3 * np.sqrt(asked) * random.normal(size=asked.shape)
    bins = random.multinomial(asked.astype(int), SPREAD).astype(float)
    return Made(asked, errors, slow, flags, np.maximum(widths, 0), bins)


def seen(found: Made) -> Observed:
    """What a faultless history makes of it."""
    looks = len(found.asked)
    total = found.asked.cumsum(axis=0)
    none = np.zeros_like(total)
    hits = {"errors": found.errors, "slow": found.slow, "flags": found.flags}
    shares = {name: Counts(each.cumsum(axis=0), total) for name, each in hits.items()}
    sent = total.sum(axis=-1)
    return Observed(
        START + EVERY * np.arange(looks, dtype=float),
        shares | {name: Counts(none, total) for name in ("fallbacks", "bad_outputs")},
        Counts(found.widths.cumsum(axis=0), total),
        found.bins.cumsum(axis=0),
        (EDGES, EDGES),
        Proxied(sent, hits["errors"].cumsum(axis=0).sum(axis=-1), np.zeros_like(sent), sent),
        Health(0, 1e8),
    )


def seconds(limits: Limits, random: Generator, looks: int = 200, times: int = 21) -> float:
    """The median time of one verdict, of all metrics with labels too."""
    found = seen(made(looks, random))
    labelled = found.shares["errors"]
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        judge(found, limits, labelled)
        taken.append(time.perf_counter() - start)
    return median(taken)


def results(runs: int, random: Generator, limits: Limits, rounds: Rounds) -> Results:
    """Verdicts at the end of rollouts read by scrapes; an abort at any look stands at the end."""
    counted: Results = {"promote": 0, "abort": 0, "continue": 0}
    for _ in range(runs):
        read = rounds(random)
        found = observed(read, START, limits.max_seconds, read[-1].at)
        counted[judge(found, limits).result] += 1
    return counted


def restarting(random: Generator, looks: int = 200) -> list[Round]:
    """Failures in clumps of mean 3; two restarts of each arm, and a tenth of all pages missed."""
    found = made(looks, random, clump=3.0)
    pages = _pages(found)
    began = np.full((looks, 2), START - 60)
    for arm in range(2):
        for look in sorted(random.choice(np.arange(10, looks - 10), 2, replace=False)):
            # What came between the last page and the end is in neither.
            pages[look:, arm] -= pages[look, arm]
            began[look:, arm] = START + EVERY * look - 5
    silent = random.random((looks, 2)) < 0.1
    silent[[0, -1]] = False
    return list(_rounds(found, pages, began, silent))


def frozen(random: Generator, looks: int = 200) -> list[Round]:
    """From FROZEN on the canary shows one and the same page, while the proxy sends it more."""
    found = made(looks, random)
    pages = _pages(found)
    pages[FROZEN:, CANARY] = pages[FROZEN, CANARY]
    began, answered = np.full((looks, 2), START - 60), np.zeros((looks, 2), bool)
    return list(_rounds(found, pages, began, answered))


def without_proxy(rounds: Rounds) -> Rounds:
    """The same where there is no proxy to ask."""
    return lambda random: [replace(each, proxies=()) for each in rounds(random)]


def _series() -> Iterator[tuple[Series, str, int]]:
    """Each series of a page, of which array it is, and the place in it."""
    for place, bucket in enumerate(BUCKETS):
        key, route = ("entity_bucket", bucket), ("route", "/v1/predict")
        yield Series(scrapes.LATENCY, (key, route)), "asked", place
        yield Series(scrapes.BUCKETS, (key, ("le", "0.1"), route)), "fast", place
        yield Series(scrapes.BUCKETS, (key, ("le", "+Inf"), route)), "asked", place
        yield Series(scrapes.ERRORS, (key, route)), "errors", place
        yield Series(scrapes.WIDTH, (key,)), "widths", place
        yield Series(scrapes.FLAGGED, (key,)), "flags", place
        yield Series(scrapes.FALLBACKS, (key, ("reason", "output"))), "none", place
        for column, edge in enumerate(EDGES):
            labels = (("bin", edge), key)
            yield Series(scrapes.PREDICTIONS, labels), "bins", place * len(EDGES) + column
    every = (("client", "-"), ("route", "/v1/predict"), ("status", "200"), ("version", "v1"))
    yield Series(scrapes.REQUESTS, every), "all", 0


SERIES = tuple(_series())


def _pages(found: Made) -> Array:
    """What each arm shows at each look, (looks, arms, series)."""
    looks = len(found.asked)
    arrays = {
        "asked": found.asked,
        "fast": found.asked - found.slow,
        "errors": found.errors,
        "widths": found.widths,
        "flags": found.flags,
        "none": np.zeros_like(found.asked),
        "bins": found.bins.reshape(looks, 2, -1),
        "all": found.asked.sum(axis=-1, keepdims=True),
    }
    shown: Array = np.stack([arrays[name][..., place] for _, name, place in SERIES], axis=-1)
    return shown.cumsum(axis=0)


def _rounds(found: Made, pages: Array, began: Array, silent: Flags) -> Iterator[Round]:
    names = tuple(series for series, _, _ in SERIES)
    sent = found.asked.sum(axis=-1).cumsum(axis=0)
    failed = found.errors.sum(axis=-1).cumsum(axis=0)
    for look in range(len(pages)):
        readings = []
        for arm, name in enumerate(ARMS):
            gauges = ((Series(scrapes.BEGAN), float(began[look, arm])),)
            shown = Reading(name, f"{name}-0", names, pages[look, arm], gauges)
            gone = Reading(name, f"{name}-0", reason="timed out")
            readings.append(gone if silent[look, arm] else shown)
        proxies = tuple(
            Reading(
                name,
                "envoy",
                scrapes.PROXY,
                np.array([sent[look, arm], 0, failed[look, arm], 0, EVERY * (look + 1)]),
            )
            for arm, name in enumerate(ARMS)
        )
        yield Round(START + EVERY * look, tuple(readings), proxies)


KINDS: dict[str, Rounds] = {
    "clumps of 3, four restarts, a fifth of the rounds missed": restarting,
    f"the canary's metrics frozen after {FROZEN} looks": frozen,
    "the same, frozen, without a proxy": without_proxy(frozen),
}
