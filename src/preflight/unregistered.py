"""Bentos of commits that are not registered: a candidate's and its champion's, to be judged."""

from pathlib import Path

from preflight import bento, champion
from preflight.champion import Champion
from preflight.layout import STATE

PLACE = STATE / "services"


def candidate(root: Path) -> Path:
    """The Bento of a checkout's HEAD, built once a commit."""
    return bento.build_unregistered(root, root / PLACE)


def rival(root: Path, found: Champion) -> Path | None:
    """The Bento of a champion that was brought, in the environment of its own lock.

    None where there is no earlier model. Raises Problem.
    """
    if found.root is None:
        return None
    champion.service_environment(root, found.root)
    return bento.build_unregistered(found.root, found.root / PLACE)
