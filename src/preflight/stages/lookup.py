"""Stage: the table that enriches requests."""

from preflight import project as seam
from preflight.params import Params
from preflight.stages import LOOKUP, log, run


def lookup(params: Params) -> None:
    """The source's lookup -> data/lookup.csv."""
    seam.data(params.project).lookup(params, LOOKUP)
    log.info("lookup -> %s", LOOKUP)


if __name__ == "__main__":
    run(lookup)
