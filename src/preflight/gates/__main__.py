"""Judge a checkout: python -m preflight.gates ROOT GUARDS [GATE ...]; --list names the gates.

Exit status: 0 pass, 1 fail, 2 no data.
"""

import logging
import os
import sys
from pathlib import Path

from preflight.errors import Problem
from preflight.evidence import worst
from preflight.gates.run import HERE, Run
from preflight.workspace import QUIET

log = logging.getLogger("preflight")


def main(words: list[str]) -> int:
    """Run the gates, or print the names of those that this code has."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    os.environ.update(QUIET)
    if words == ["--list"]:
        sys.stdout.write("\n".join(HERE) + "\n")
        return 0
    root, guards, *only = words
    try:
        parts = Run(Path(root), guards).all(only)
    except Problem as problem:
        log.error("error: %s", problem)
        return 1
    except KeyboardInterrupt:
        log.error("interrupted: run the same command to go on")
        return 130
    return {"pass": 0, "fail": 1, "no-data": 2}[worst(part.status for part in parts)]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
