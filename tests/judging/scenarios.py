"""Rollouts of two arms by share metrics: identical ones, under whatever goes on in production.

Every scenario is a function of how many runs and a random generator. Shapes are those of
`preflight.rollout.simulation`: (runs, looks, arms, blocks), of what came between two looks.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.random import Generator

from preflight.rollout import simulation
from preflight.rollout.observed import CANARY, STABLE, Array
from preflight.serving.metrics import ENTITY_BUCKETS

LOOKS, REQUESTS, NOMINAL = 200, 300, 0.1  # requests between two looks, the canary's share of them
METRICS, RATE = 6, 0.01
Rates = tuple[float, float]  # of stable and canary


@dataclass(frozen=True)
class Rollouts:
    """Requests between looks, and failures of each metric among them."""

    asked: Array
    failed: tuple[Array, ...]


Scenario = Callable[[int, Generator], Rollouts]


def load(share: float | Array = NOMINAL, looks: int = LOOKS) -> Array:
    """Requests expected between looks, (looks, arms); `share` of them, at each look, the canary's.

    `looks` is how many there are, where `share` is the same at all of them.
    """
    each = np.full(looks, share) if isinstance(share, float) else share
    return REQUESTS * np.stack([1 - each, each], axis=-1)


def plain(
    runs: int,
    random: Generator,
    *,
    rates: Sequence[Rates] = ((RATE, RATE),) * METRICS,
    clump: float = 1.0,
    expected: Array | None = None,
) -> Rollouts:
    """Constant rates, failures one by one or in clumps of one entity with that mean size."""
    asked = simulation.requests(load() if expected is None else expected, runs, random)
    failed = tuple(simulation.failures(asked, each, random, clump) for each in rates)
    return Rollouts(asked, failed)


def regressed(ratio: float) -> Sequence[Rates]:
    """The first metric's rate is higher in the canary, the others are equal."""
    return ((RATE, ratio * RATE), *((RATE, RATE),) * (METRICS - 1))


def _common(asked: Array, rates: Array, random: Generator) -> Rollouts:
    """One rate for both arms at each look, of shape (runs, looks), of all metrics at once."""
    chance = np.broadcast_to(np.clip(rates, 0, 1)[:, :, np.newaxis, np.newaxis], asked.shape)
    whole = asked.astype(int)
    return Rollouts(
        asked, tuple(random.binomial(whole, chance).astype(float) for _ in range(METRICS))
    )


def incidents(runs: int, random: Generator) -> Rollouts:
    """Now and then 30% of all requests fail for some looks, whoever answers them."""
    starts = random.random((runs, LOOKS)) < 0.01
    lasts = random.geometric(0.2, starts.shape)
    age = np.full(runs, 0)
    hit = np.zeros(starts.shape, bool)
    for look in range(LOOKS):
        age = np.maximum(age - 1, np.where(starts[:, look], lasts[:, look], 0))
        hit[:, look] = age > 0
    asked = simulation.requests(load(), runs, random)
    return _common(asked, np.where(hit, 0.3, RATE), random)


def autocorrelated(runs: int, random: Generator) -> Rollouts:
    """Both arms' rate wanders: its logarithm is autoregressive, 0.95 a look, sd 0.8."""
    noise = random.normal(size=(runs, LOOKS)) * 0.8
    state = noise.copy()
    for look in range(1, LOOKS):
        state[:, look] = 0.95 * state[:, look - 1] + (1 - 0.95**2) ** 0.5 * noise[:, look]
    asked = simulation.requests(load(), runs, random)
    return _common(asked, RATE * np.exp(state - 0.8**2 / 2), random)


def diurnal(runs: int, random: Generator) -> Rollouts:
    """Four days: nine times as much traffic at noon as at night, and rates that follow it."""
    curve = 1 + 0.8 * np.sin(2 * np.pi * np.arange(LOOKS) / 50)
    asked = simulation.requests(load() * curve[:, np.newaxis], runs, random)
    return _common(asked, np.broadcast_to(RATE * curve, (runs, LOOKS)), random)


def weights(runs: int, random: Generator) -> Rollouts:
    """The canary's weight goes from 5 to 25 to 50%, while the rate of both arms triples."""
    share = np.repeat([0.05, 0.25, 0.5], [66, 67, 67])
    asked = simulation.requests(load(share), runs, random)
    curve = RATE * np.linspace(1, 3, LOOKS)
    return _common(asked, np.broadcast_to(curve, (runs, LOOKS)), random)


def bursts(runs: int, random: Generator) -> Rollouts:
    """One entity in twenty looks sends 200 requests at once, of which its own share fails."""
    asked = simulation.requests(load(), runs, random)
    failed = [simulation.failures(asked, (RATE, RATE), random) for _ in range(METRICS)]
    run, look = np.nonzero(random.random((runs, LOOKS)) < 0.05)
    arm = np.where(random.random(len(run)) < NOMINAL, CANARY, STABLE)
    place = run, look, arm, random.integers(0, ENTITY_BUCKETS, len(run))
    sent = random.poisson(200, len(run))
    for each in failed:
        own = np.minimum(random.gamma(0.3, RATE / 0.3, len(run)), 1)
        np.add.at(each, place, random.binomial(sent, own))
    np.add.at(asked, place, sent)
    return Rollouts(asked, tuple(failed))


def missed(runs: int, random: Generator, *, clump: float = 3.0) -> Rollouts:
    """A fifth of the looks fail, their counts come with the next; 2% of an arm's are lost."""
    whole = plain(runs, random, clump=clump)
    kept = random.random((runs, LOOKS, 2, 1)) >= 0.02
    read = random.random((runs, LOOKS)) >= 0.2
    read[:, -1] = True
    last = np.maximum.accumulate(np.where(read, np.arange(LOOKS), -1), axis=1)
    place = np.broadcast_to(last[:, :, np.newaxis, np.newaxis], whole.asked.shape)

    def seen(counts: Array) -> Array:
        some = (counts * kept).cumsum(axis=1)
        held = np.take_along_axis(some, np.maximum(place, 0), axis=1) * (place >= 0)
        return np.diff(held, axis=1, prepend=np.zeros_like(held[:, :1]))

    return Rollouts(seen(whole.asked), tuple(seen(each) for each in whole.failed))


def heavy(runs: int, random: Generator, *, zipf: float, entities: int, shape: float) -> Rollouts:
    """Each entity has a rate of its own for good, gamma distributed, and few make most traffic."""
    traffic = REQUESTS / np.arange(1, entities + 1) ** zipf
    traffic *= REQUESTS / traffic.sum()
    fine = np.zeros((METRICS, runs, 2, ENTITY_BUCKETS))
    bad = np.zeros_like(fine)
    for run in range(runs):
        place = (
            (random.random(entities) < NOMINAL).astype(int),
            random.integers(0, ENTITY_BUCKETS, entities),
        )
        for metric in range(METRICS):
            own = np.minimum(random.gamma(shape, RATE / shape, entities), 1)
            np.add.at(bad[metric, run], place, traffic * own)
            np.add.at(fine[metric, run], place, traffic * (1 - own))
    size = (runs, LOOKS, 2, ENTITY_BUCKETS)
    asked = random.poisson((fine + bad)[0][:, np.newaxis], size).astype(float)
    share = bad / np.maximum(fine + bad, 1e-300)
    whole = asked.astype(int)
    failed = (random.binomial(whole, each[:, np.newaxis]).astype(float) for each in share)
    return Rollouts(asked, tuple(failed))


IDENTICAL: dict[str, Scenario] = {
    "independent failures": plain,
    "failures in clumps of mean 3": partial(plain, clump=3.0),
    "failures in clumps of mean 5": partial(plain, clump=5.0),
    "failures in clumps of mean 10": partial(plain, clump=10.0),
    "incidents common to both arms": incidents,
    "autocorrelated rates common to both": autocorrelated,
    "diurnal load, rates that follow it": diurnal,
    "20% nominal, 25% of the traffic": partial(plain, expected=load(0.25)),
    "weight 5, 25, 50%, common rate triples": weights,
    "bursts of single entities": bursts,
    "clumps of 3, scrapes missed, counts lost": missed,
}
HEAVY: dict[str, Scenario] = {
    f"Zipf {zipf}, {entities:,} entities, gamma shape {shape}": partial(
        heavy, zipf=zipf, entities=entities, shape=shape
    )
    for zipf, entities, shape in (
        (1.0, 5000, 0.3),
        (1.0, 2000, 1.0),
        (1.1, 2000, 0.3),
        (1.2, 2000, 0.1),
    )
}
