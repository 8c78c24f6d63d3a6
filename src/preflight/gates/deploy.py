"""Gate: what is declared for the environments keeps every rule of lint-deploy."""

from preflight.deploy import lint
from preflight.evidence import Findings
from preflight.gates.case import Case


def judge(case: Case) -> Findings:
    """Lint the candidate's manifests, by the rules and limits of this code."""
    return lint.findings(case.root)
