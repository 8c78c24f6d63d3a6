"""More load than expected: where throughput ends, whether the service recovers, what it keeps."""

from collections.abc import Sequence
from itertools import accumulate
from math import log

from scipy.stats import theilslopes

from preflight.evidence import Evidence, told
from preflight.gates.limits import Load
from preflight.gates.load_test.generator import AFTER, Side, Window
from preflight.gates.load_test.margins import HOLDS, fewer, needed
from preflight.gates.ratios import LEAST, ratio

GATE = "load"
SETTLING = 4  # windows in which a fresh process still fills its pools
READINGS = 8  # fewer, and a line through them says nothing
LEAST_REQUESTS = (
    3_000  # pools that grow by a few hundred KB are a tenth of a leak of 1 KB a request
)


def knee(windows: Sequence[Window], limits: Load, doubt: str) -> Evidence:
    """Requests a second before answers slow down, against the champion's."""
    least = limits.min_knee_ratio
    claim = f"The service carries at least {least:g} times the champion's load before it gives way."
    ours, theirs = (carried(windows, side, limits) for side in ("candidate", "champion"))
    if doubt or not ours:
        return told(GATE, "knee", claim, None, doubt or "the step-up did not run")
    said = f"{max(ours):.0f} requests a second at the knee"
    if not any(each.side == "champion" for each in windows):
        return told(GATE, "knee", claim, True, f"{said}; there is no champion to compare with")
    said += f" against {max(theirs, default=0):.0f}"
    if len(theirs) < LEAST or len(ours) < len(theirs) or min(theirs) <= 0:
        return told(GATE, "knee", claim, None, f"{said}; the step-up was cut short")
    if min(ours) <= 0:
        return told(GATE, "knee", claim, False, f"{said}; it gives way at a single caller")
    found = ratio([log(one / other) for one, other in zip(ours, theirs, strict=True)])
    status = fewer(found, least, limits.max_noise_ratio)
    said += needed(found, least, "steps") if status == "no-data" else ""
    limit = f">= {least:g} x"
    figures = {"measured": found.value, "interval": found.ends, "limit": limit, "n": found.sets}
    return told(GATE, "knee", claim, HOLDS[status], said, **figures)


def carried(windows: Sequence[Window], side: Side, limits: Load) -> list[float]:
    """Requests a second carried at each step; the most of them is the rate at the knee.

    A step with p95 over the bound, or an unexpected answer, is past the knee: it carries what
    fewer callers were given, nothing if none were.
    """
    steps = [each for each in windows if each.side == side and each.phase == "step"]
    held: dict[int, float] = {}
    found = []
    for each in steps:
        if len(each.latencies) == each.requests and each.percentile(95) <= limits.max_slow_ms:
            held[each.users] = max(held.get(each.users, 0.0), each.rate)
            found.append(each.rate)
        else:
            below = (rate for users, rate in held.items() if users < each.users)
            found.append(max(below, default=0.0))
    return found


def recovery(windows: Sequence[Window], limits: Load, doubt: str) -> Evidence:
    """p95 at the expected load after the step-up, against before it."""
    most = limits.max_recovery_ratio
    claim = f"After too much load p95 is back within {most:g} times what it was before."
    own = [each for each in windows if each.side == "candidate" and each.latencies]
    before = [each.percentile(95) for each in own if each.phase == "normal"]
    after = [each.percentile(95) for each in own if each.phase == "after"]
    if doubt or not before or len(after) < AFTER:
        return told(GATE, "recovery", claim, None, doubt or "too few windows after the step-up")
    # One window of either kind may be slow because of the machine.
    now, then = min(after), max(before)
    said = f"p95 {now:.1f} ms after, at most {then:.1f} ms in a window before"
    limit = f"<= {most:g} x"
    return told(GATE, "recovery", claim, now <= most * then, said, measured=now / then, limit=limit)


def memory(windows: Sequence[Window], limits: Load, doubt: str) -> Evidence:
    """Bytes that stay with each request, by the slope through readings after each window.

    The median of all pairs' slopes, with its interval: a pool that grows once moves it little.
    Source: Theil (1950), Sen (1968).
    """
    most = limits.max_growth
    claim = f"Each request leaves at most {most:g} bytes in the service's memory."
    own = [each for each in windows if each.side == "candidate"]
    sent = list(accumulate(each.requests for each in own))[SETTLING:]
    held = [each.memory for each in own][SETTLING:]
    requests = sent[-1] - sent[0] if sent else 0
    if doubt or len(sent) < READINGS or requests < LEAST_REQUESTS:
        few = f"{requests:,} requests in {len(sent)} readings; {LEAST_REQUESTS:,} are needed"
        return told(GATE, "memory", claim, None, doubt or few)
    slope, _, low, high = map(float, theilslopes(held, sent))
    holds = False if low > most else True if high <= most else None
    said = f"{slope:,.0f} bytes a request; {held[-1] / 2**20:.0f} MiB after {requests:,} requests"
    said += "; too noisy to tell" if holds is None else ""
    limit = f"<= {most:g} bytes"
    figures = {"measured": slope, "interval": (low, high), "limit": limit, "n": requests}
    return told(GATE, "memory", claim, holds, said, **figures)
