"""Where a verdict's scrapes come from, a watcher's file or a Prometheus server; and the verdict."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from preflight.errors import NoData, Problem
from preflight.rollout import prometheus, scrapes
from preflight.rollout.counting import gauge
from preflight.rollout.history import observed
from preflight.rollout.judge import judge
from preflight.rollout.limits import Limits
from preflight.rollout.observed import ARMS, CANARY, Counts
from preflight.rollout.prometheus import Server
from preflight.rollout.scrapes import BEGAN, Round
from preflight.rollout.verdict import Verdict

WITHIN = 6 * 3600  # seconds in which a rollout has started, where nobody says when
APART = 600  # seconds without it, after which the same release is another rollout
# Seconds that stable is read before the canary is first seen: workers are up before that.
EARLIER = 120.0


@dataclass(frozen=True)
class Found:
    """Rounds of scrapes, when the rollout started (seconds since 1970), what was not read.

    `labelled` counts wrong answers as the judge takes them.
    """

    rounds: Sequence[Round]
    started: float
    missing: tuple[str, ...] = ()
    labelled: Counts | None = None


def of_file(path: Path, started: float | None = None) -> Found:
    """From a watcher's file; unless told, the rollout began with the canary's first reading.

    Raises NoData where there is no file, no round or no canary, Problem on a damaged line.
    """
    rounds, missing = scrapes.read(path)
    rounds = sorted(rounds, key=lambda each: each.at)
    if not rounds:
        raise NoData(str(path), "no round of scrapes", "some", "Let a watcher write it.")
    return Found(rounds, _began(path, rounds) if started is None else started, missing)


def _began(path: Path, rounds: Sequence[Round]) -> float:
    """The round before the first with a canary: a canary that vanishes later began all the same.

    A file may hold several rollouts: after APART without one, a canary whose processes all began
    since is another release's.
    """
    began, last = None, 0.0
    for before, each in zip((rounds[0], *rounds), rounds, strict=False):
        mine = [one for one in each.readings if one.arm == ARMS[CANARY]]
        if not mine:
            continue
        starts = [min(gauge(one, BEGAN).values(), default=0.0) for one in mine]
        if began is None:
            began = before.at
        elif each.at - last > APART and min(starts) > last:
            began = each.at
        last = each.at
    if began is not None:
        return began
    raise NoData(str(path), f"no canary in {len(rounds):,} rounds", "one", "Watch its instances.")


def of_prometheus(server: Server, now: float, started: float | None = None) -> Found:
    """From Prometheus; unless told, the rollout began when the canary was first seen in WITHIN.

    Raises NoData where it knows no process of an arm, Problem where it does not answer.
    """
    if started is None:
        started = _first_seen(server, now) - EARLIER
    return Found(prometheus.rounds(server, started, now), started)


def _first_seen(server: Server, now: float) -> float:
    """When the canary was first seen since it was away for APART: it may have been stable before.

    One that crashes is not away: as long as there is a pod, `up` tells of it.
    """
    selector = server.arms[ARMS[CANARY]]
    query = f"count(up{{{selector}}})[{WITHIN}s:{max(1, round(server.every))}s]"
    found = prometheus.answer(server.address, {"query": query, "time": f"{now:.3f}"})
    if not found:
        sought = f"one that was scraped in the last {WITHIN / 3600:g} hours"
        raise NoData(server.address, f"no canary with {selector}", sought, "Is it that release?")
    times = np.array(found[0]["values"], dtype=float)[:, 0]
    if times[0] <= now - WITHIN + 2 * server.every and not (np.diff(times) > APART).any():
        told = f"a canary that is older than {WITHIN / 3600:g} hours"
        raise NoData(server.address, told, "the rollout's start", "Say when it started.")
    returned = np.flatnonzero(np.diff(times) > APART) + 1
    return float(times[returned[-1] if returned.size else 0])


def verdict(found: Found, limits: Limits, now: float) -> Verdict:
    """The verdict at `now`, in seconds since 1970."""
    seen = observed(found.rounds, found.started, limits.max_seconds, now)
    seen = replace(seen, missing=(*found.missing, *seen.missing))
    return judge(seen, limits, found.labelled)


def unseen(problem: Problem) -> Verdict:
    """The verdict of a judge that cannot see: never to promote, and nothing to abort for."""
    return Verdict("continue", f"The judge cannot see: {problem}", missing=(str(problem),))
