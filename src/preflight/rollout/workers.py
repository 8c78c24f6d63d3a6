"""The canary's processes, as its gauges show them: restarts and memory."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

from preflight.rollout.counting import Turn, gauge
from preflight.rollout.observed import ARMS, CANARY, Health
from preflight.rollout.scrapes import MEMORY, WORKERS, Round


def health(
    rounds: Sequence[Round], processes: Mapping[tuple[str, str], Sequence[Turn]], started: float
) -> Health:
    """The health since `started`; `rounds` are those before and after, ascending."""
    listed = {who: turns for who, turns in processes.items() if who[0] == ARMS[CANARY]}
    memory = [
        value
        for turns in listed.values()
        for at, each in turns
        if at > started
        for value in gauge(each, MEMORY).values()
    ]
    inside = sum(_replaced(turns, started) for turns in listed.values())
    return Health(inside + _succeeded(rounds, started), max(memory, default=None))


def _replaced(turns: Sequence[Turn], started: float) -> int:
    """Workers of an instance that took the place of others; one more than before took none."""
    answered = [(at, gauge(each, WORKERS)) for at, each in turns if each.values is not None]
    before = [shown for at, shown in answered if at <= started][-1:]
    shown = [each for each in before + [each for at, each in answered if at > started] if each]
    count = 0
    for last, now in pairwise(shown):
        fresh = len(now.items() - last.items())
        count += max(0, fresh - max(0, len(now) - len(last)))
    return count


def _succeeded(rounds: Sequence[Round], started: float) -> int:
    """Instances that came after others had vanished."""
    count = vacant = 0
    seen: set[str] = set()
    last: set[str] = set()
    for each in rounds:
        now = {one.instance for one in each.readings if one.arm == ARMS[CANARY]}
        if each.at > started:
            vacant += len(last - now)
            back, fresh = len((now - last) & seen), len(now - seen)
            vacant = max(0, vacant - back)
            taken = min(vacant, fresh)
            vacant -= taken
            count += taken
        seen |= now
        last = now
    return count
