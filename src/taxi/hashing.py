"""Seeded pseudo-random integers that are the same on every machine and in every version."""

import numpy as np
from numpy.typing import NDArray

RIDERS = 5_000
Words = NDArray[np.uint64]


def integers(words: Words) -> Words:
    """Mix 64-bit words, shape kept: the finalizer of SplitMix64 (Steele, Lea, Flood 2014).

    Only integer operations that wrap, so no processor or library can change a bit.
    """
    words = words + np.uint64(0x9E3779B97F4A7C15)
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))


def draw(seed: int, stream: int, start: int, rows: int) -> Words:
    """Words number `start` to `start + rows` of one of a seed's independent streams."""
    key = integers(np.full(1, (seed * 2**16 + stream) % 2**64, dtype=np.uint64))
    numbers: Words = np.arange(start, start + rows, dtype=np.uint64)
    return integers(key + numbers)


def below(words: Words, bound: int) -> NDArray[np.int64]:
    """Words to integers in [0, bound), for bounds under 2**32: the high half is scaled."""
    return (((words >> np.uint64(32)) * np.uint64(bound)) >> np.uint64(32)).astype(np.int64)


def choose(words: Words, weights: NDArray[np.int64]) -> NDArray[np.int64]:
    """Positions drawn in proportion to whole-number weights that sum to under 2**32."""
    ends = np.cumsum(weights)
    return np.searchsorted(ends, below(words, int(ends[-1])), side="right")


# Unequal use: rider k rides in proportion to 1 / (k + 50).
_RIDER_WEIGHTS = 5_000_000 // (np.arange(RIDERS, dtype=np.int64) + 50)


def riders(words: Words) -> NDArray[np.int64]:
    """Riders of unequal use, by hashed words."""
    return choose(words, _RIDER_WEIGHTS)
