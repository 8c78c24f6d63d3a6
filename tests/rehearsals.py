"""The record of a rehearsal that never was."""

from preflight.rehearsal.record import Event, Look, MetricSeen, Rehearsal, Served

SERVED = Served(
    requests=24_000,
    rate=299.5,
    failed=0,
    unreached=0,
    canary=5_000,
    entities=700,
    left=0,
    p50_ms=3,
    p99_ms=20,
)


def rehearsal(**changes: object) -> Rehearsal:
    """A canary that was promoted, with what is changed."""
    looks = tuple(
        Look(
            at=float(at),
            weight=50 if at > 20 else 5,
            result="promote" if at == 59 else "continue",
            reason="All is well." if at == 59 else "More requests are needed.",
            requests=(300 * at, 30 * at),
            metrics=(
                MetricSeen(name="errors", state="open", worse=0.1, fine=at / 59),
                MetricSeen(name="wrong", state="open", worse=0.0, fine=None),
            ),
        )
        for at in range(1, 60)
    )
    plain = {
        "environment": "staging",
        "rollout": "taxi",
        "stable": "aaaaaaaaaaaa",
        "candidate": "bbbbbbbbbbbb",
        "fault": None,
        "faulty": "canary",
        "state": "promoted",
        "reason": "All is well.",
        "seconds": 60.0,
        "whole": 80.0,
        "moved": 0.05,
        "faster": 30.0,
        "rate": 300.0,
        "served": SERVED,
        "looks": looks,
        "events": (
            Event(at=0.0, kind="weight", said="5%"),
            Event(at=20.0, kind="weight", said="50%"),
            Event(at=30.0, kind="fault", said="errors of <the candidate> begin"),
            Event(at=60.0, kind="end", said="promoted"),
        ),
    }
    return Rehearsal.model_validate(plain | changes)
