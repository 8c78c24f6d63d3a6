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
    if unknown := sorted(set(only) - set(HERE)):
        raise Problem("ONLY", unknown[0], f"some of {', '.join(HERE)}", "Mend the name.")
    lineage.require_committed(root)
    params.load(root / "params.yaml")
    commit = lineage.head(root)
    base, _ = champion.base_of(root, commit)
    wanted = list(only or HERE)
    if base is None:
        _judge(root, root / "src", "this commit's own: it is the first", wanted)
        return _verdict(root, commit, wanted)
    same = (
        run(root, "git", "diff", "--quiet", base, commit, "--", CODE, check=False).returncode == 0
    )
    known = wanted if same else _gates_of(root, base)
    theirs = [name for name in wanted if name in known]
    ours = [name for name in wanted if name not in known]
    if theirs:
        code = root / "src" if same else _machinery(root, base)
        _judge(root, code, f"gate code and limits of the merge base {base[:12]}", theirs)
    if ours:
        words = (
            f"the merge base {base[:12]} has no gate code for {', '.join(ours)}: this change's own"
        )
        _judge(root, root / "src", words, ours)
    return _verdict(root, commit, wanted)


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
