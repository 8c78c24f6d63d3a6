"""What really happened, kept until the day it would have become known."""

import heapq
from collections.abc import Iterable
from typing import NamedTuple

import msgspec

MOST = 1_000  # outcomes that are told at once


class Outcome(NamedTuple):
    """What became of a prediction, and when that is known: in the clock's seconds."""

    known: float
    prediction_id: str
    value: float


class Outcomes:
    """Outcomes in the order in which they become known."""

    def __init__(self) -> None:
        """None is known of yet."""
        self._waiting: list[Outcome] = []

    def __len__(self) -> int:
        """How many wait."""
        return len(self._waiting)

    def add(self, found: Iterable[Outcome]) -> None:
        """Keep some."""
        for each in found:
            heapq.heappush(self._waiting, each)

    def due(self, now: float) -> list[Outcome]:
        """Take those that are known by now, at most MOST of them, the oldest first."""
        found: list[Outcome] = []
        while self._waiting and self._waiting[0].known <= now and len(found) < MOST:
            found.append(heapq.heappop(self._waiting))
        return found


def body(found: Iterable[Outcome]) -> bytes:
    """Outcomes as /v1/outcomes takes them."""
    told = [{"prediction_id": each.prediction_id, "value": each.value} for each in found]
    return msgspec.json.encode({"outcomes": told})
