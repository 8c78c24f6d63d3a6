"""The answers that the callers of a rehearsal got: who answered, what failed, who changed arms."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import inf, sqrt
from pathlib import Path
from typing import NamedTuple

import msgspec

from preflight.errors import Problem
from preflight.rollout.observed import ARMS, CANARY

NOBODY = "none"  # the arm of a request that not even the proxy answered


class Answer(NamedTuple):
    """One request: when it was sent, in seconds since 1970, who answered, and what came of it.

    `arm` is the proxy's x-arm, or NOBODY; `status` is 0 without an answer, and `said` then the
    error's name; `ms` are from sending to the answer's last byte. A batch of outcomes has no
    entity and no prediction's id.
    """

    at: float
    entity: str
    arm: str
    status: int
    ms: float
    prediction_id: str = ""
    said: str = ""

    @property
    def failed(self) -> bool:
        """Whether it was not answered as it should be."""
        return not 200 <= self.status < 300

    @property
    def ended(self) -> float:
        """When its answer was there."""
        return self.at + self.ms / 1e3


@dataclass(frozen=True)
class Overlap:
    """Entities in both cohorts, and how many chance would put there, with standard deviation."""

    shared: int
    expected: float
    deviation: float


DECODER = msgspec.json.Decoder(Answer)
ENCODER = msgspec.json.Encoder()


def read(file: Path) -> list[Answer]:
    """All whole lines of a file of answers; raises Problem on a damaged one."""
    found = file.read_bytes()
    try:
        return DECODER.decode_lines(found[: found.rfind(b"\n") + 1])
    except msgspec.MsgspecError as error:
        raise Problem(
            str(file), f"a damaged line ({error})", "answers", "Rehearse again."
        ) from None


def flips(
    found: Iterable[Answer], arm: str = ARMS[CANARY], since: float = -inf, until: float = inf
) -> frozenset[str]:
    """Entities that an arm had answered before they asked again and got another.

    Of requests sent between two times, in seconds since 1970: while the arm's weight only rises
    there should be none. Two requests that were under way at once are no change.
    """
    sent = sorted(
        each for each in found if each.entity and each.arm != NOBODY and since <= each.at < until
    )
    first: dict[str, float] = {}
    for each in sent:
        if each.arm == arm:
            first[each.entity] = min(first.get(each.entity, inf), each.ended)
    return frozenset(
        each.entity for each in sent if each.arm != arm and each.at > first.get(each.entity, inf)
    )


def cohort(
    found: Iterable[Answer], arm: str = ARMS[CANARY], since: float = -inf, until: float = inf
) -> frozenset[str]:
    """Entities that an arm answered, of requests sent between two times."""
    return frozenset(
        each.entity
        for each in found
        if each.entity and each.arm == arm and since <= each.at < until
    )


def last_sent(found: Iterable[Answer], arm: str, since: float) -> float | None:
    """When the last request was sent that an arm answered, of those sent from `since` on.

    Both are seconds since 1970; None where there is no such request.
    """
    sent = (each.at for each in found if each.arm == arm and each.at >= since)
    return max(sent, default=None)


def overlap(one: Sequence[Answer], other: Sequence[Answer], arm: str = ARMS[CANARY]) -> Overlap:
    """The cohorts of two releases, each at one weight, among the entities that asked of both.

    Who asks often is seen in both, so entities that were seen once say nothing. By chance the
    shared ones are hypergeometric: n entities, of which a and b are in the cohorts, share a b / n.
    """
    both = _entities(one) & _entities(other)
    first, second = cohort(one, arm) & both, cohort(other, arm) & both
    count, drawn, marked = len(both), len(first), len(second)
    if count < 2:
        return Overlap(len(first & second), 0.0, 0.0)
    expected = drawn * marked / count
    variance = expected * (1 - drawn / count) * (count - marked) / (count - 1)
    return Overlap(len(first & second), expected, sqrt(variance))


def _entities(found: Iterable[Answer]) -> frozenset[str]:
    return frozenset(each.entity for each in found if each.entity and each.arm != NOBODY)
