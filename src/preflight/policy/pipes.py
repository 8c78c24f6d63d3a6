"""Pipelines of commands without pipefail: the last one's success hides the others' failures."""

import re
from collections import Counter
from collections.abc import Iterator

from preflight.policy.commits import MAKEFILE, Change
from preflight.policy.jobs import Places, Plain, Workflow, added, mapping
from preflight.policy.loosening import Loosening, loosening
from preflight.policy.recipes import GUARDED, recipes

WORDS = "pipe without pipefail"
PIPE = re.compile(r"(?<![|>])\|(?!\|)")
QUOTED = re.compile(r"'[^']*'|\"(?:\\.|[^\"\\])*\"")
NESTED = re.compile(r"\b(?:ba|da|z)?sh\s(?:.*\s)?-\w*c\b")
OPTION = re.compile(r"-\w*o\s+pipefail\b")
SET = re.compile(r"(?:^|[;&({@])\s*set\b[^|;&#]*-\w*o\s+pipefail\b")
UNSET = re.compile(r"\+\w*o\s+pipefail\b")
SHELLS = re.compile(r"(?:.*/)?(?:ba|z|da|k)?sh\b.*")
FLAGS = re.compile(r"^\.SHELLFLAGS\s*[:?+]?=.*\bpipefail\b", re.MULTILINE)


def weakened(change: Change) -> Iterator[Loosening]:
    """Pipelines whose failure is hidden in the head and was not in the base."""
    for path, place, said in added(change, _places):
        yield loosening(WORDS, f"{path}: {place}", remark=said)
    now, was = (_recipes(side.get(MAKEFILE, "")) for side in (change.head, change.base))
    for target, said in now - was:
        yield loosening(WORDS, f"{MAKEFILE}: {target}", remark=said)


def _places(workflow: Workflow) -> Places:
    found: Places = Counter()
    for place, job, step in workflow.steps():
        shell = _shell(workflow.plain, job, step)
        if "run" in step and SHELLS.fullmatch(shell):
            # Unnamed, GitHub's shell is bash without pipefail; named bash, it is with it.
            guarded = shell == "bash" or bool(OPTION.search(shell))
            found.update((place, line) for line in _hiding(str(step["run"]), guarded))
    return found


def _shell(plain: Plain, job: Plain, step: Plain) -> str:
    defaults = [mapping(mapping(each.get("defaults")).get("run")) for each in (job, plain)]
    named = [each["shell"] for each in (step, *defaults) if each.get("shell")]
    return str(named[0]).strip() if named else "sh"


def _hiding(script: str, guarded: bool) -> Iterator[str]:
    """The lines of a script in which a command's failure is lost."""
    for line in script.replace("\\\n", " ").splitlines():
        if line.lstrip().startswith("#"):
            continue
        guarded = (guarded or bool(SET.search(line))) and not UNSET.search(line)
        if _is_hiding(line, guarded):
            yield line.strip()


def _is_hiding(line: str, guarded: bool) -> bool:
    quoted = " ".join(QUOTED.findall(line)) if NESTED.search(line) else ""
    if PIPE.search(quoted) and not OPTION.search(line):
        return True  # a shell of its own takes over no option
    return not guarded and bool(PIPE.search(QUOTED.sub("''", line)))


def _recipes(text: str) -> Places:
    """Lines of the guarded targets' recipes; each is a shell of its own."""
    guarded = bool(FLAGS.search(text))
    return Counter(
        (target, command)
        for targets, command in recipes(text)
        for target in targets & GUARDED
        if [*_hiding(command, guarded)]
    )
