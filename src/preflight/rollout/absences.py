"""What of a rollout could not be read, in sentences for who is woken by it."""

from collections.abc import Iterator, Sequence

from preflight.rollout.counting import Turn, clock, turns
from preflight.rollout.observed import ARMS
from preflight.rollout.scrapes import COUNTERS, REQUESTS, Round


def sentences(rounds: Sequence[Round], started: float) -> Iterator[str]:
    """Who is silent or gone by the last of the rounds, which are ascending, and since when."""
    later = [each for each in rounds if each.at > started]
    if not later:
        yield f"nothing was read since the start at {clock(started)}"
        return
    for proxies in (False, True):
        processes = turns(rounds, proxies=proxies)
        for arm in ARMS if processes else ():
            mine = {who[1]: each for who, each in processes.items() if who[0] == arm}
            name = f"the proxy of {arm}" if proxies else arm
            if not any(each[-1][0] == later[-1].at for each in mine.values()):
                yield _nobody(name, [each[-1][0] for each in mine.values()], rounds)
            for instance, each in mine.items():
                yield from _silent(f"{name} {instance}", each, later)
                yield from _gone(f"{name} {instance}", each, rounds, started)
            if not proxies:
                yield from _unshown(arm, [one for each in mine.values() for one in each], started)


def _nobody(name: str, listed: Sequence[float], rounds: Sequence[Round]) -> str:
    if not listed:
        return f"{name} has no instance"
    since = next(each.at for each in rounds if each.at > max(listed))
    return f"{name} has had no instance since {clock(since)}"


def _silent(who: str, found: Sequence[Turn], later: Sequence[Round]) -> Iterator[str]:
    at, last = found[-1]
    if at < later[-1].at or last.values is not None:
        return
    answered = [at for at, each in found if each.values is not None]
    if not answered:
        yield f"{who} never answered ({last.reason})"
        return
    since = next(at for at, _ in found if at > answered[-1])
    yield f"{who} has not answered since {clock(since)} ({last.reason})"


def _gone(
    who: str, found: Sequence[Turn], rounds: Sequence[Round], started: float
) -> Iterator[str]:
    """One that was there at the start or later, and is not in the last round."""
    since = next((each.at for each in rounds if each.at > found[-1][0]), None)
    if since is None or since <= started:
        return
    answered = [at for at, each in found if each.values is not None]
    if answered:
        lost = f"what it counted after {clock(answered[-1])} is lost"
    else:
        lost = "it never answered, and what it counted is lost"
    yield f"{who} has been gone since {clock(since)}: {lost}"


def _unshown(arm: str, found: Sequence[Turn], started: float) -> Iterator[str]:
    answered = [each for at, each in found if at > started and each.values is not None]
    if answered:
        names = {each.name for each in answered[-1].series}
        # Requests have no series before the first.
        unshown = [name for name in COUNTERS if name not in names and name != REQUESTS]
        if unshown:
            yield f"{arm} shows no {', '.join(unshown)}"
