"""The commands of a Makefile, line by line, under the targets that run them."""

import re
from collections.abc import Iterator

# Those whose failure keeps a change out.
GUARDED = {"test", "lint", "gates", "bench-compare", "load", "report", "verdict", "audit", "faults"}
TARGETS = re.compile(r"([^\s#:=][^#:=]*):(?!=)")


def recipes(text: str) -> Iterator[tuple[set[str], str]]:
    """The targets of each recipe's line, and the line; continued lines are joined."""
    targets: set[str] = set()
    for line in text.replace("\\\n", " ").splitlines():
        if line.startswith("\t"):
            yield targets, line.strip()
        elif header := TARGETS.match(line):
            targets = set(header[1].split())
