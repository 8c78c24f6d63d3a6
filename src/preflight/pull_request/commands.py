"""Commands that a report bids a reviewer run: a run's own, where they do what they seem to."""

import re
import shlex

from preflight.evidence import Part, told

MAKE = re.compile(r"make [a-z-]+(?: ONLY=[a-z-]+)?")
PYTEST = ".venv/bin/pytest"


def made_safe(part: Part) -> Part:
    """A part in which every command that is no known one is the gate's own."""
    own = told(part.gate, "command", "", None, "").reproduce
    lines = [
        line if known(line.reproduce) else line.model_copy(update={"reproduce": own})
        for line in part.evidence
    ]
    return part.model_copy(update={"evidence": tuple(lines)})


def known(command: str) -> bool:
    """Whether a command is one make target, or one test's run, and hides nothing more."""
    if MAKE.fullmatch(command):
        return True
    try:
        words = shlex.split(command)
    except ValueError:
        return False
    plain = command.isprintable() and shlex.join(words) == command
    return plain and len(words) == 2 and words[0] == PYTEST and words[1].startswith("tests/")
