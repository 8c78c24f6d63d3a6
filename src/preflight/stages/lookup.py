"""Stage: the table that enriches requests."""

from preflight import project as seam
from preflight.layout import LOOKUP
from preflight.params import Params
from preflight.stages import log


def lookup(params: Params) -> None:
    """The source's lookup -> data/lookup.csv."""
    seam.data(params.project).lookup(params, LOOKUP)
    log.info("lookup -> %s", LOOKUP)
