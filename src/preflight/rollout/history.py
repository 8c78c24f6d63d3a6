"""From rounds of scrapes to what a judge reads: exact counts at each look, and what is missing."""

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from preflight.rollout import absences, workers
from preflight.rollout.counting import Track, Turn, clock, track, turns
from preflight.rollout.figures import edges, figures, judged, total
from preflight.rollout.observed import ARMS, Array, Observed, Proxied
from preflight.rollout.scrapes import (
    ATTEMPTS,
    FAILED,
    REQUESTS,
    RETRIED,
    UNANSWERED,
    Reading,
    Round,
    Series,
)


def observed(rounds: Sequence[Round], started: float, slow_seconds: float, now: float) -> Observed:
    """What both arms did since `started`, with times in seconds since 1970.

    Slow is what took longer than `slow_seconds`. Rounds up to the start are what counting begins
    from. Raises Problem where `slow_seconds` is no edge of an arm's histogram, or where an arm
    has buckets of entities that are not known here.
    """
    rounds = sorted(rounds, key=lambda each: each.at)
    later = [each for each in rounds if each.at > started]
    arms = _tracks(turns(rounds), later, started, judged(rounds, slow_seconds))
    proxies = _tracks(turns(rounds, proxies=True), later, started, lambda _: True, "the proxy of ")
    found = figures(arms, len(later))
    every, retried = _proxied(proxies, found.at(REQUESTS, range(len(later) + 1)).sum(axis=2))
    reached = every.sent - every.unreached
    looks, frozen = _looks(later, total(arms, len(later)), reached)
    # A dead canary shows no metrics, and only the proxy what became of its requests.
    seen = [0, *(place for place, each in enumerate(later, 1) if _whole(each.proxies))]
    both = sorted(set(looks) & set(seen))
    (stable, same), (canary, alike) = (edges(later or rounds, arm) for arm in ARMS)
    ends = np.array([started, *(each.at for each in later)])
    times = ends[looks]
    missing = [
        *absences.sentences(rounds, started),
        *_frozen(frozen, reached[-1] - reached[looks[-1]], times[-1]),
        *_hidden(retried[looks[-1]]),
        *(sentence for each in (*arms, *proxies) for sentence in each.told),
        *_unlike({"stable": same, "canary": alike}),
    ]
    return Observed(
        times,
        found.shares(looks),
        found.widths(looks),
        found.bins(looks, stable if stable == canary and same and alike else ()),
        (stable, canary),
        _at(every, both) if proxies else None,
        workers.health(rounds, turns(rounds), started),
        tuple(missing),
        now - float(ends[both[-1]] if proxies else times[-1]),
        _at(every, seen) if proxies else None,
    )


def _proxied(proxies: Sequence[Track], counted: Array) -> tuple[Proxied, Array]:
    """The proxy's figures at all rounds, and its retries, of shape (rounds + 1, arms)."""
    attempts, retried, failed, unanswered = (
        total(proxies, len(counted) - 1, name) for name in (ATTEMPTS, RETRIED, FAILED, UNANSWERED)
    )
    # A retry is counted just before its attempt; an answer that broke off was no failure.
    sent = np.maximum.accumulate(attempts - retried, axis=0)
    return Proxied(sent, failed, np.minimum(unanswered, failed), counted), retried


def _at(found: Proxied, looks: Sequence[int]) -> Proxied:
    parts = (found.sent, found.failed, found.unreached, found.counted)
    return Proxied(*(each[list(looks)] for each in parts))


def _tracks(
    processes: Mapping[tuple[str, str], Sequence[Turn]],
    later: Sequence[Round],
    started: float,
    judged: Callable[[Series], bool],
    prefix: str = "",
) -> list[Track]:
    times = [each.at for each in later]
    return [
        track(listed, times, started, prefix + " ".join(who), judged)
        for who, listed in processes.items()
    ]


def _looks(later: Sequence[Round], moved: Array, reached: Array) -> tuple[list[int], list[str]]:
    """The rounds that are looks, 0 for the start, and the arms that were frozen at the end.

    `moved` and `reached`, of shape (rounds + 1, arms), are all that an arm counted, and the
    requests that a proxy brought to it: an arm that counts none of them shows an old page.
    """
    looks, frozen = [0], []
    for place, each in enumerate(later, 1):
        if not _whole(each.readings):
            continue
        still = moved[place] == moved[looks[-1]]
        stuck = still & (reached[place] > reached[looks[-1]])
        frozen = [arm for arm, one in zip(ARMS, stuck, strict=True) if one]
        if not frozen:
            looks.append(place)
    return looks, frozen


def _whole(found: Sequence[Reading]) -> bool:
    """Whether every process of both arms, or every proxy, was read."""
    return {each.arm for each in found} == set(ARMS) and all(
        each.values is not None for each in found
    )


def _frozen(frozen: Sequence[str], sent: Array, since: float) -> Iterator[str]:
    for arm in frozen:
        count = int(sent[ARMS.index(arm)])
        yield f"{arm} counted nothing while the proxy sent it {count} requests since {clock(since)}"


def _hidden(retried: Array) -> Iterator[str]:
    for arm, count in zip(ARMS, retried, strict=True):
        if count:
            yield (
                f"the proxy retried {count:g} requests to {arm}: what failed at first and not "
                "again is in none of its figures"
            )


def _unlike(alike: Mapping[str, bool]) -> Iterator[str]:
    for arm, one in alike.items():
        if not one:
            yield f"instances of {arm} differ in their bins"
