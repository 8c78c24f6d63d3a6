"""Whose gate code judges: the merge base's, where it has any; the change's own fills the gaps."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

from preflight import champion, evidence, lineage, params
from preflight.errors import Problem
from preflight.evidence import Status, worst
from preflight.gates import TIMED, limits
from preflight.gates.run import HERE, source
from preflight.layout import EVIDENCE
from preflight.workspace import environment, run

CODE = "src/preflight"
STATUS: dict[int, Status] = {0: "pass", 1: "fail", 2: "no-data"}


def gates(root: Path, only: Sequence[str]) -> Status:
    """Run all gates but the timed, or those named, on the committed tree; returns their verdict.

    Evidence goes to reports/evidence. Raises Problem when they cannot be run at all.
    """
    lineage.require_committed(root)
    refuse_tracked_state(root)
    commit = lineage.head(root)
    _require_parameters(root, commit, [name for name in HERE if _is_wanted(name, only)])
    base, _ = champion.base_of(root, commit)
    theirs = [] if base is None else _gates_of(root, base)
    # A gate that the change took out is the base's still.
    wanted = _chosen(only, [*theirs, *(name for name in HERE if name not in theirs)])
    for name in wanted:
        (root / EVIDENCE / f"{name}.json").unlink(missing_ok=True)
    verdicts: list[Status] = []
    if base is not None and (names := [name for name in wanted if name in theirs]):
        words = f"gate code and limits of the merge base {base[:12]}"
        verdicts.append(_judge(root, base, words, names))
    if names := [name for name in wanted if name not in theirs]:
        lacking = f"the merge base {str(base)[:12]} has no gate code for {', '.join(names)}"
        words = f"{lacking}: this change's own" if base else "this commit's own: it is the first"
        verdicts.append(_judge(root, commit, words, names))
    return worst(verdicts)


def refuse_tracked_state(root: Path) -> None:
    """Refuse a commit that brings what only this machine may make: caches, evidence, tools."""
    places = (".preflight", "reports", ".venv", ".venv-serve")
    if tracked := run(root, "git", "ls-files", "--", *places).stdout.splitlines():
        raise Problem(
            tracked[0],
            "a file of Git",
            "nothing of Git below .preflight, reports and .venv",
            "Take it out with `git rm --cached`; a champion or a verdict could be forged there.",
        )


def _require_parameters(root: Path, commit: str, names: Sequence[str]) -> None:
    """Refuse parameters that cannot be read, and leave evidence that says why."""
    try:
        params.load(root / "params.yaml")
        limits.load(root / "params.yaml")
    except Problem as problem:
        for name in names:
            evidence.write(root / EVIDENCE, evidence.absent(name, commit, str(problem)))
        raise


def _chosen(only: Sequence[str], known: list[str]) -> list[str]:
    if unknown := sorted(set(only) - set(known)):
        raise Problem("ONLY", unknown[0], f"some of {', '.join(known)}", "Mend the name.")
    return [name for name in known if _is_wanted(name, only)]


def _is_wanted(name: str, only: Sequence[str]) -> bool:
    return name in only if only else name not in TIMED


def _machinery(root: Path, commit: str) -> Path:
    """A folder on the module path that holds a commit's machinery and nothing of its project."""
    place = source(root, commit)
    alone = place / "machinery"
    alone.mkdir(exist_ok=True)
    link = alone / "preflight"
    if not link.exists():
        link.symlink_to(place / CODE)
    return alone


def _python(root: Path, commit: str, *words: str) -> tuple[list[str], dict[str, str]]:
    """A command of a commit's gates, and variables: no module of the checkout can stand in."""
    variables = environment(root) | {"PYTHONPATH": str(_machinery(root, commit))}
    return ["python", "-P", "-m", "preflight.gates", *words], variables


def _gates_of(root: Path, commit: str) -> list[str]:
    """The names of the gates that a commit's code has; none where it has no gates."""
    if run(root, "git", "cat-file", "-e", f"{commit}:{CODE}/gates", check=False).returncode:
        return []
    command, variables = _python(root, commit, "--list")
    done = subprocess.run(
        command, cwd=root, env=variables, capture_output=True, text=True, check=False
    )
    return done.stdout.split() if done.returncode == 0 else []


def _judge(root: Path, commit: str, guards: str, names: list[str]) -> Status:
    command, variables = _python(root, commit, str(root), guards, *names)
    code = subprocess.run(command, cwd=root, env=variables, check=False).returncode
    if code not in STATUS:
        raise Problem("the gates", f"exit status {code}", "0, 1 or 2", "See what they say above.")
    return STATUS[code]
