"""Whose gate code judges: the merge base's, where it has any; the change's own fills the gaps."""

import logging
import subprocess
from collections.abc import Sequence
from pathlib import Path

from preflight import champion, evidence, lineage, params
from preflight.errors import Problem
from preflight.evidence import Status, worst
from preflight.gates.run import HERE, source
from preflight.layout import EVIDENCE
from preflight.workspace import environment, run

log = logging.getLogger("preflight")
CODE = "src/preflight"


def gates(root: Path, only: Sequence[str]) -> Status:
    """Run all gates, or those named, on the committed tree `root`; returns their verdict.

    Evidence goes to reports/evidence. Raises Problem when they cannot be run at all.
    """
    lineage.require_committed(root)
    params.load(root / "params.yaml")
    commit = lineage.head(root)
    base, _ = champion.base_of(root, commit)
    same = base is None or _same(root, base, commit)
    theirs = [] if base is None else list(HERE) if same else _gates_of(root, base)
    # A gate that the change took out is the base's still.
    wanted = _chosen(only, [*theirs, *(name for name in HERE if name not in theirs)])
    for name in wanted:
        (root / EVIDENCE / f"{name}.json").unlink(missing_ok=True)
    if base is not None and (names := [name for name in wanted if name in theirs]):
        code = root / "src" if same else _machinery(root, base)
        _judge(root, code, f"gate code and limits of the merge base {base[:12]}", names)
    if names := [name for name in wanted if name not in theirs]:
        lacking = f"the merge base {str(base)[:12]} has no gate code for {', '.join(names)}"
        words = f"{lacking}: this change's own" if base else "this commit's own: it is the first"
        _judge(root, root / "src", words, names)
    return _verdict(root, commit, wanted)


def _same(root: Path, base: str, commit: str) -> bool:
    command = ("git", "diff", "--quiet", base, commit, "--", CODE)
    return run(root, *command, check=False).returncode == 0


def _chosen(only: Sequence[str], known: list[str]) -> list[str]:
    if unknown := sorted(set(only) - set(known)):
        raise Problem("ONLY", unknown[0], f"some of {', '.join(known)}", "Mend the name.")
    return [name for name in known if not only or name in only]


def _verdict(root: Path, commit: str, wanted: Sequence[str]) -> Status:
    parts = evidence.collect(root / EVIDENCE, commit, wanted)
    return worst(part.status for part in parts if part.gate in wanted)


def _machinery(root: Path, commit: str) -> Path:
    """A folder on the module path that holds a commit's machinery and nothing of its project."""
    place = source(root, commit)
    alone = place / "machinery"
    alone.mkdir(exist_ok=True)
    link = alone / "preflight"
    if not link.exists():
        link.symlink_to(place / CODE)
    return alone


def _gates_of(root: Path, commit: str) -> list[str]:
    """The names of the gates that a commit's code has; none where it has no gates."""
    variables = environment(root) | {"PYTHONPATH": str(_machinery(root, commit))}
    done = subprocess.run(
        ["python", "-m", "preflight.gates", "--list"],
        cwd=root,
        env=variables,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.split() if done.returncode == 0 else []


def _judge(root: Path, code: Path, guards: str, names: list[str]) -> None:
    variables = environment(root) | {"PYTHONPATH": f"{code}:{root / 'src'}"}
    command = ["python", "-m", "preflight.gates", str(root), guards, *names]
    done = subprocess.run(command, cwd=root, env=variables, check=False)
    if done.returncode:
        raise Problem(
            "the gates", f"exit status {done.returncode}", "0", "See what they say above."
        )
