"""Paired shadows: two models' answers to the same requests, judged as outcomes become known."""

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from judging.rivals import Course
from judging.shifts import RIDERS, Entities, Places
from preflight.rollout import shadow, simulation
from preflight.rollout.limits import Limits
from preflight.rollout.observed import Array
from preflight.rollout.paired import Pairs
from preflight.serving.metrics import ENTITY_BUCKETS

LABELS, STEP = 8000, 500
# A fifth of the errors are beyond 5 minutes, and 6% of pairs are so for one model alone.
SCALE, FREEDOM, OWN = 3.6, 6, 0.7  # minutes; the own error of either model


@dataclass(frozen=True)
class Shadow:
    """The shadow is `late` minutes further from what happened in a `share` of trips, or just later.

    `later` adds the minutes to the answer, which makes some errors smaller. `own` are all errors.
    `taste` is by how much either model is off for one entity for good: its deviation in minutes.
    """

    limits: Limits
    late: float = 0.0
    share: float = 0.1
    taste: float = 0.0
    own: float = OWN
    later: bool = False
    who: Entities = RIDERS

    def __call__(self, runs: int, random: Generator) -> dict[str, Course]:
        """Looks are STEP labels apart; both are counted as requests."""
        ends = np.arange(STEP, LABELS + 1, STEP)
        found = np.array([self._results(random, ends) for _ in range(runs)])
        aborts, promotes = (
            np.where((found == each).any(axis=1), (found == each).argmax(axis=1), simulation.NEVER)
            for each in ("abort", "promote")
        )
        sent: Array = np.broadcast_to(ends.astype(float), found.shape)
        return {"judge": Course(aborts, promotes, sent)}

    def _results(self, random: Generator, ends: Places) -> list[str]:
        traffic, (_, bucket), _ = self.who.drawn(random)
        who = random.choice(len(traffic), LABELS, p=traffic / traffic.sum())
        error = SCALE * random.standard_t(FREEDOM, LABELS)
        stable, other = (
            error
            + self.own * random.normal(size=LABELS)
            + self.taste * random.normal(size=len(traffic))[who]
            for _ in range(2)
        )
        way = 1.0 if self.later else np.sign(other)
        other = other + self.late * way * (random.random(LABELS) < self.share)
        outcome, block = np.zeros(LABELS), (bucket % ENTITY_BUCKETS)[who]
        return [
            shadow.judge(
                Pairs(stable[:end], other[:end], outcome[:end], block[:end]),
                self.limits,
            ).result
            for end in ends
        ]
