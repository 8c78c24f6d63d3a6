"""What of a run's own words a report shows: commands that do what they seem to, no warnings."""

import re
import shlex

from preflight.evidence import Part, told

MAKE = re.compile(r"make (?:gates(?: ONLY=[a-z-]+)?|test|lint|load|bench-compare|report)")
OWN = ("champion", "declaration")  # kinds of notices that only the run can know
PYTEST = ".venv/bin/pytest"


def made_safe(part: Part) -> Part:
    """A part in which every command that is no known one is the gate's own.

    Notices of guards, waivers and machinery are main's to give: a run's could crowd them out.
    """
    own = told(part.gate, "command", "", None, "").reproduce
    lines = [
        line if known(line.reproduce) else line.model_copy(update={"reproduce": own})
        for line in part.evidence
    ]
    notices = tuple(each for each in part.notices if each.kind in OWN)
    return part.model_copy(update={"evidence": tuple(lines), "notices": notices})


def known(command: str) -> bool:
    """Whether a command is one make target, or one test's run, and hides nothing more."""
    if MAKE.fullmatch(command):
        return True
    try:
        words = shlex.split(command)
    except ValueError:
        return False
    plain = command.isprintable() and shlex.join(words) == command
    return (
        plain
        and len(words) == 2
        and words[0] == PYTEST
        and words[1].startswith("tests/")
        and ".." not in words[1]
    )
