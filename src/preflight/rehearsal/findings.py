"""A rehearsal as evidence: how it ended, what callers met, how fast traffic moved."""

from preflight.evidence import Chart, Evidence, Findings, Table, told
from preflight.rehearsal.record import Rehearsal

GATE = "rehearsal"
LEAST_RATE = 0.9  # of the rate that was asked for, or nothing is said of what callers met
MOST_MOVED = 1.0  # seconds from a verdict until the proxy has all traffic where it belongs
POINTS = 40  # of a chart


def findings(found: Rehearsal) -> Findings:
    """The evidence of an honest rehearsal: promoted, nobody noticed."""
    return Findings(
        evidence=(_ended(found), _failed(found), _left(found), _moved(found)),
        tables=(_rows(found),),
        charts=_charts(found),
    )


def _ended(found: Rehearsal) -> Evidence:
    holds = {"promoted": True, "aborted": False}.get(found.state)
    beside = f"{found.state} after {found.seconds:.0f} s beside {found.stable}"
    if found.alone:
        beside += ", for want of an earlier model"
    said = f"{beside}: {found.reason}"
    claim = "The rollout that the manifests declare ends in promotion, by the judge's verdict."
    return told(GATE, "end", claim, holds, said[:600], n=found.served.canary)


def _failed(found: Rehearsal) -> Evidence:
    served = found.served
    said = f"{served.failed} of {served.requests:,} requests failed, at {served.rate:.0f} a second"
    claim = "No request fails while weights change, and while releases are swapped."
    holds: bool | None = served.failed == 0
    if holds and served.rate < LEAST_RATE * found.rate:
        holds, said = None, f"{said}; at least {LEAST_RATE * found.rate:g} a second are wanted"
    return told(
        GATE, "failed", claim, holds, said, measured=served.failed, limit="0", n=served.requests
    )


def _left(found: Rehearsal) -> Evidence:
    served = found.served
    said = f"{served.left} of {served.entities:,} entities left the canary while its weight rose"
    claim = "Who met the canary keeps meeting it while its weight rises."
    holds = served.left == 0 if served.entities else None
    return told(
        GATE, "sticky", claim, holds, said, measured=served.left, limit="0", n=served.entities
    )


def _moved(found: Rehearsal) -> Evidence:
    said = "no traffic moved" if found.moved is None else f"{found.moved:.2f} s"
    claim = "After the verdict all traffic is where it belongs within a second."
    holds = None if found.moved is None else found.moved <= MOST_MOVED
    limit = f"<= {MOST_MOVED:g} s"
    return told(GATE, "moved", claim, holds, said, measured=found.moved, limit=limit)


def _rows(found: Rehearsal) -> Table:
    rows = tuple((f"{each.at:.1f} s", each.kind, each.said[:120]) for each in found.events[:40])
    return Table(title="What happened", columns=("at", "what", "said"), rows=rows)


def _charts(found: Rehearsal) -> tuple[Chart, ...]:
    """The canary's weight, and the evidence of the metrics that hold it up or speak against it."""
    if not found.looks:
        return ()
    looks = found.looks[:: max(1, len(found.looks) // POINTS)]
    fine = [[each.fine or 0.0 for each in look.metrics if each.fine is not None] for look in looks]
    worse = [[each.worse for each in look.metrics] for look in looks]
    series: dict[str, tuple[float | None, ...]] = {
        "weight": tuple(float(each.weight) for each in looks),
        "least fine": tuple(_share(min(each, default=0.0)) for each in fine),
        "most worse": tuple(_share(max(each, default=0.0)) for each in worse),
    }
    labels = tuple(f"{each.at:.0f} s" for each in looks)
    title = "Weight, and evidence by metric: 100 of least fine promotes, of most worse aborts"
    return (Chart(title=title, unit="%", kind="lines", labels=labels, series=series),)


def _share(value: float) -> float:
    return round(100 * min(value, 1.0), 1)
