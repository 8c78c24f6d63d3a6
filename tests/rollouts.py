"""Rollouts for tests: what both arms would have counted, by Poisson's and the binomial law."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from preflight.rollout import limits, simulation
from preflight.rollout.observed import Array, Counts, Health, Observed, Proxied

LIMITS = limits.load(Path(__file__).parents[1] / "params.yaml")
EVERY = 10.0  # seconds between looks
LABELS = ("2", "5", "10", "15", "20", "30", "+Inf")
PREDICTED = np.array([0.1, 0.15, 0.2, 0.2, 0.15, 0.1, 0.1])
HEALTHY = {"errors": 0.01, "slow": 0.01, "fallbacks": 0.0, "flags": 0.01, "bad_outputs": 0.0}
WIDTH = 10.0


def rollout(
    seed: int,
    looks: int = 150,
    asked: Sequence[float] = (270.0, 30.0),
    moved: float = 0.0,
    wider: float = 1.0,
    clump: float = 1.0,
    **canary: float,
) -> Observed:
    """A rollout of a canary that is healthy but for what is said, at a constant weight.

    `moved` is the share of its predictions that come one bin higher; keywords are its shares.
    """
    random = np.random.default_rng(seed)
    expected = np.tile(np.asarray(asked, float), (looks + 1, 1))
    expected[0] = 0
    sent = simulation.requests(expected, 1, random)[0]
    shares = {}
    for name, rate in HEALTHY.items():
        failed = simulation.failures(sent[None], (rate, canary.get(name, rate)), random, clump)[0]
        shares[name] = Counts(failed.cumsum(axis=0), sent.cumsum(axis=0))
    noise = 3 * np.sqrt(sent) * random.standard_normal(sent.shape)
    widths = np.maximum(sent * WIDTH * np.array([1, wider])[:, None] + noise, 0)
    return Observed(
        times=np.arange(looks + 1.0) * EVERY,
        shares=shares,
        widths=Counts(widths.cumsum(axis=0), sent.cumsum(axis=0)),
        bins=_bins(sent, moved, random),
        edges=(LABELS, LABELS),
        proxied=_proxied(sent),
        health=Health(restarts=0, memory=1.7e8),
    )


def _bins(sent: Array, moved: float, random: np.random.Generator) -> Array:
    higher = np.append(0, PREDICTED[:-1]) + np.append(np.zeros(len(PREDICTED) - 1), PREDICTED[-1])
    arms = (PREDICTED, (1 - moved) * PREDICTED + moved * higher)
    found = [random.multinomial(sent[:, arm].astype(int), share) for arm, share in enumerate(arms)]
    return np.stack(found, axis=1).astype(float).cumsum(axis=0)


def _proxied(sent: Array) -> Proxied:
    every = sent.sum(axis=-1).cumsum(axis=0)
    return Proxied(sent=every, failed=0 * every, unreached=0 * every, counted=every)


def changed(found: Observed, name: str, **arrays: Any) -> Observed:
    """A rollout with other arrays in one of its parts."""
    return replace(found, **{name: replace(getattr(found, name), **arrays)})


def until(found: Observed, looks: int) -> Observed:
    """The same rollout as it stood at an earlier look."""
    proxied = found.proxied
    cut = slice(looks + 1)
    return replace(
        found,
        times=found.times[cut],
        shares={
            name: Counts(each.hits[cut], each.total[cut]) for name, each in found.shares.items()
        },
        widths=Counts(found.widths.hits[cut], found.widths.total[cut]),
        bins=found.bins[cut],
        proxied=proxied
        and Proxied(
            *(
                part[cut]
                for part in (proxied.sent, proxied.failed, proxied.unreached, proxied.counted)
            )
        ),
    )
