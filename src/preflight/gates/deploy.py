"""Gate: what is declared for the environments keeps every rule of lint-deploy."""

from preflight.deploy import lint, tree
from preflight.evidence import Findings
from preflight.gates.case import Case


def judge(case: Case) -> Findings:
    """Lint the candidate's manifests, by the rules of this code."""
    return lint.judged(lint.lint(tree.load(case.root)))
