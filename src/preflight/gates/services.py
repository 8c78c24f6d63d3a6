"""Both sides as services: their Bentos, each in the environment of its own lock."""

from pathlib import Path

from preflight import bento, champion
from preflight.gates.case import Case
from preflight.layout import STATE

SERVICES = STATE / "services"


def candidate(case: Case) -> Path:
    """The candidate's Bento, built once a commit."""
    return bento.build_unregistered(case.root, case.root / SERVICES)


def rival(case: Case) -> Path | None:
    """The champion's Bento; None where there is no earlier model. Raises Problem."""
    if case.champion.root is None:
        return None
    champion.service_environment(case.root, case.champion.root)
    return bento.build_unregistered(case.champion.root, case.champion.root / SERVICES)
