"""The canary's weight at a time: what Git's steps leave open, since no record keeps it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from preflight.chain.history import Stint
from preflight.chain.source import text
from preflight.errors import Problem
from preflight.release import RENDERED


@dataclass(frozen=True)
class Weight:
    """The release in its rollout, None without; weights that it may have had, in percent."""

    release: str | None
    percent: tuple[int, ...]
    said: str


def at(root: Path, environment: str, known: Sequence[Stint], moment: datetime) -> Weight:
    """The canary's weight in an environment: one while no rollout is under way, else a few."""
    own = [each for each in known if each.environment == environment]
    rolling = next((each for each in own if each.rolling(moment)), None)
    if rolling is None:
        return Weight(None, (0,), "no rollout was under way: stable had all traffic")
    name = f"{rolling.release.id} was in its rollout"
    if not any(each.served(moment) for each in own if each is not rolling):
        return Weight(rolling.release.id, (100,), f"{name}, the first here: it had all traffic")
    place = RENDERED.format(environment=environment)
    steps = _steps(root, rolling.brought.commit, place)
    if not steps:
        return Weight(rolling.release.id, (), f"{name}; {place} then had no steps of weights")
    percent = tuple(dict.fromkeys((0, *steps)))  # 0 until Argo CD applied it
    *first, last = (f"{each}" for each in percent)
    options = f"{', '.join(first)} or {last}"
    said = f"{options} %, as {name}: the steps of {place} then; no record keeps which"
    return Weight(rolling.release.id, percent, said)


def _steps(root: Path, commit: str, place: str) -> tuple[int, ...]:
    """The weights of a rendered rollout's steps in order; none of blue-green, or unreadable."""
    from preflight.deploy import manifests, rollouts

    try:
        found = rollouts.rollout(manifests.parse(text(root, commit, place) or "", place))
    except Problem:
        return ()
    steps = found.spec.strategy.canary.steps if found.spec.strategy.canary else ()
    return tuple(dict.fromkeys(s.set_weight for s in steps if s.set_weight is not None))
