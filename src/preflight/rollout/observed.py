"""What both arms of a rollout have done since its start, at each look: what the judge reads."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
ARMS = ("stable", "canary")
STABLE, CANARY = range(2)


@dataclass(frozen=True)
class Counts:
    """`hits` among `total` since the start: arrays of shape (looks, arms, blocks), arms as in ARMS.

    Blocks are entity buckets. Hits may be sums: the width of intervals, in the target's unit.
    """

    hits: Array
    total: Array


@dataclass(frozen=True)
class Proxied:
    """Requests by the proxy's own count, and what the arms counted of them: shape (looks, arms).

    `failed` are answered with a 5xx, by the arm or for it; `unreached` those of them that the proxy
    answered itself, because the arm did not: no healthy host, no connection, a time-out.
    """

    sent: Array
    failed: Array
    unreached: Array
    counted: Array


@dataclass(frozen=True)
class Health:
    """Of the canary's processes, since the rollout's start.

    `restarts` counts processes that took the place of another; `memory` is the most resident
    bytes of one worker, None where it is not shown.
    """

    restarts: int
    memory: float | None


@dataclass(frozen=True)
class Observed:
    """A rollout up to its last look; `times` of shape (looks,), in seconds since 1970, ascending.

    A look is a time at which every process of both arms was read; the first is the start, with
    nothing counted. `shares` holds errors, slow, fallbacks, flags and bad_outputs; `widths` the
    sums of interval widths among predictions that have one; `bins` the predictions by bin of the
    contract, of shape (looks, arms, blocks, bins), bins named by `edges` and empty where the arms'
    edges differ: `edges` of both arms are told. `proxied` is None without a proxy; `seen` is
    the same whenever the proxies were read, a dead arm or not, and None where that is at each
    look. `missing` says in sentences what could not be read or was lost, and `stale` for how
    many seconds there has been no look, below 0 where a clock is wrong.
    """

    times: Array
    shares: Mapping[str, Counts]
    widths: Counts
    bins: Array
    edges: tuple[tuple[str, ...], tuple[str, ...]]
    proxied: Proxied | None
    health: Health
    missing: tuple[str, ...] = ()
    stale: float = 0.0
    seen: Proxied | None = None
