"""Gate: the declared rollout ends in promotion, beside the champion behind a real Envoy."""

from preflight.evidence import Findings
from preflight.gates.case import Case
from preflight.rehearsal import rehearsed
from preflight.rehearsal.findings import findings
from preflight.rehearsal.timeline import Timeline


def judge(case: Case) -> Findings:
    """Rehearse the candidate's rollout in staging, as its rendered manifests declare it."""
    found, _ = rehearsed.against(
        case.root, case.commit, case.champion, rehearsed.Wanted(), Timeline()
    )
    return findings(found)
