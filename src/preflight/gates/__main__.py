"""Judge a checkout: python -m preflight.gates ROOT GUARDS [GATE ...]; --list names the gates."""

import logging
import os
import sys
from pathlib import Path

from preflight.gates.run import HERE, Run
from preflight.workspace import QUIET


def main(words: list[str]) -> None:
    """Run the gates, or print the names of those that this code has."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    os.environ.update(QUIET)
    if words == ["--list"]:
        sys.stdout.write("\n".join(HERE) + "\n")
        return
    root, guards, *only = words
    Run(Path(root), guards).all(only)


if __name__ == "__main__":
    main(sys.argv[1:])
