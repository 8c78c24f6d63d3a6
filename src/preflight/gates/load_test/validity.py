"""Whether a load run can be judged: nothing refused at the door, a generator that keeps up."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from preflight.gates.load_test.generator import Window, of_side

BUSY = 0.9  # of a core: more than this, and the generator measures itself
MET = 0.9  # of the rate that was asked for


def at_the_door(windows: Sequence[Window]) -> str:
    """In words, which requests a guard turned away; empty when none."""
    counts = Counter[str]()
    for each in windows:
        counts.update({f"{each.side} {name}": count for name, count in each.refused.items()})
    listed = ", ".join(f"{name} x {count}" for name, count in counts.most_common(6))
    return f"refused at the door: {listed}; nothing is judged" if listed else ""


def generator(windows: Sequence[Window]) -> str:
    """In words, why the load generator and not a service was measured; empty when it was not.

    A rate that was missed is the generator's fault only where neither side can explain it:
    callers that wait for answers are the service's doing, even if its processor is idle.
    """
    for side in sorted({each.side for each in windows}):
        own = of_side(windows, side)
        used, served, waiting = (
            float(np.mean([getattr(each, name) for each in own]))
            for name in ("generator", "server", "waiting")
        )
        met = float(np.mean([each.requests / each.seconds / (each.asked or 1) for each in own]))
        if used > BUSY or (met < MET and max(served, waiting) < BUSY / 2):
            return (
                f"the load generator was the limit, against the {side}: {used:.0%} of a core, "
                f"{met:.0%} of the asked rate, callers waited {waiting:.0%} of their time"
            )
    return ""


def pace(windows: Sequence[Window]) -> str:
    """In words, what the generator did and what it took."""
    used = max((each.generator for each in windows), default=0.0)
    asked = next((each.asked for each in windows), None) or 0.0
    users = max((each.users for each in windows), default=0)
    return f"{asked:g} requests a second by {users} callers; at most {used:.0%} of a core"
