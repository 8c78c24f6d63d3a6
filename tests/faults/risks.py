"""Planted faults of the risk tier: a release of which less would be asked than before."""

from faults.changes import lay
from faults.fault import Fault

HIGH = lay(risk={"tier": "high"}, log={"explain": True})

RISKS = (
    Fault(
        "risk tier lowered",
        "release",
        "policy",
        "risk.tier high -> low",
        lay(risk={"tier": "low"}),
        lazy=True,
        before=HIGH,
    ),
    Fault(
        "a tier's approval taken away",
        "release",
        "policy",
        "risk.tiers.high.approvals 1 -> 0",
        lay(risk={"tiers": {"high": {"approvals": 0}}}),
        lazy=True,
    ),
    Fault(
        "a tier's limit looser",
        "release",
        "policy",
        "risk.tiers.high.limits.slices.max_bias 1.0 -> 1.4",
        lay(risk={"tiers": {"high": {"limits": {"slices": {"max_bias": 1.4}}}}}),
        lazy=True,
    ),
    Fault(
        "amplifiers over their sum at tier low",
        "release",
        "deploy",
        "amplifiers add up to 5, over 4",
        lay(risk={"amplifiers": {"broad_use": 2, "rapid_change": 2}}),
        lazy=True,
    ),
)
