"""Margins under load: what an interval must show on a machine that others use."""

from collections.abc import Sequence
from math import log

from preflight.evidence import Status
from preflight.gates.load_test.generator import Window, of_side
from preflight.gates.ratios import LEAST, Ratio, ratio

HOLDS: dict[Status, bool | None] = {"pass": True, "fail": False, "no-data": None}
Ratios = dict[str, Ratio | None]  # by p50, p95, p99, rate


def paired(windows: Sequence[Window]) -> Ratios | None:
    """Candidate to champion over pairs of windows; None where there is no champion.

    A ratio is None where too few pairs have answers.
    """
    pairs = list(zip(of_side(windows, "candidate"), of_side(windows, "champion"), strict=False))
    if not of_side(windows, "champion"):
        return None
    pairs = [(ours, theirs) for ours, theirs in pairs if ours.latencies and theirs.latencies]
    if len(pairs) < LEAST:
        return dict.fromkeys(("p50", "p95", "p99", "rate"))
    found: dict[str, Ratio | None] = {
        f"p{share}": ratio([log(a.percentile(share) / b.percentile(share)) for a, b in pairs])
        for share in (50, 95, 99)
    }
    return found | {"rate": ratio([log(a.rate / b.rate) for a, b in pairs])}


def slower(found: Ratio, most: float, noise: float) -> Status:
    """Whether a latency ratio is above `most`: fail only when the whole interval is.

    On a machine that others use, the interval is often wider than the margin. The benchmark
    gate tells small differences; what breaks under load (a blocked loop, a queue, a lock) breaks
    by factors. So an interval that holds 1 passes too if it ends below `noise` and the ratio
    itself is within `most`; any other that does not end below `most` is no data.
    """
    if found.low <= 1 <= found.high <= noise and found.value <= most:
        return "pass"
    return found.at_most(most)


def fewer(found: Ratio, least: float, noise: float) -> Status:
    """The same of a ratio of requests a second, which must be at least `least`."""
    if found.high < least:
        return "fail"
    held = 1 / noise <= found.low <= 1 <= found.high and found.value >= least
    return "pass" if held or found.low >= least else "no-data"


def needed(found: Ratio, limit: float, what: str) -> str:
    """In words, how much more would have to be measured."""
    return f"; too noisy to tell: {found.needed(limit) or 'more than 1,000'} {what} are needed"
