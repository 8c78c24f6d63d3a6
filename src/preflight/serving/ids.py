"""Ids that sort by time, of one prediction and of many."""

import os
import time
from collections.abc import Iterator
from itertools import islice

POOL = 256  # ids whose randomness is drawn at once: a system call each would cost as much again
VARIANT = {f"{digit:x}": f"{8 | digit & 3:x}" for digit in range(16)}


def _parts() -> Iterator[str]:
    """The second half of an id, without end: 3 random digits, the variant's, 15 random ones."""
    while True:
        digits = os.urandom(10 * POOL).hex()
        for start in range(0, 20 * POOL, 20):
            part = digits[start : start + 20]
            yield f"{part[:3]}-{VARIANT[part[3]]}{part[4:7]}-{part[7:19]}"


class Ids:
    """UUIDs of version 7: milliseconds since 1970, then 74 random bits (RFC 9562, section 5.7).

    A clock that goes back does not take the ids with it (section 6.1).
    """

    def __init__(self) -> None:
        self._parts = _parts()
        self._last, self._stamp = 0, ""

    def one(self) -> str:
        """An id of the present millisecond."""
        return self._head() + next(self._parts)

    def many(self, count: int) -> list[str]:
        """`count` ids of the present millisecond."""
        head = self._head()
        return [head + part for part in islice(_parts(), count)]  # its own: threads may ask at once

    def _head(self) -> str:
        now = time.time_ns() // 1_000_000
        if now > self._last:
            self._last, stamp = now, f"{now:012x}"
            self._stamp = f"{stamp[:8]}-{stamp[8:]}-7"
        return self._stamp
