"""Checkouts to work in: commands with the right environment, and scratch clones."""

import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import yaml

from preflight import params
from preflight.errors import Problem
from preflight.layout import STATE

log = logging.getLogger("preflight")
QUIET = {
    "BENTOML_DO_NOT_TRACK": "True",
    "DO_NOT_TRACK": "true",
    "DVC_NO_ANALYTICS": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "OMP_WAIT_POLICY": "PASSIVE",
}


def environment(root: Path, python: str = sys.executable) -> dict[str, str]:
    """Variables for a command in the checkout `root`: its own code and state, no telemetry.

    The tools are those beside `python`.
    """
    tools = Path(python).parent
    return (
        os.environ
        | QUIET
        | {
            "PATH": f"{tools}{os.pathsep}{os.environ.get('PATH', '')}",
            "PYTHONPATH": str(root / "src"),
            "BENTOML_HOME": str(root / STATE / "bentoml"),
        }
    )


def run(
    root: Path, *command: str, check: bool = True, python: str = sys.executable
) -> subprocess.CompletedProcess[str]:
    """Run a command in a checkout and keep its output; raises Problem when it fails."""
    variables = environment(root, python)
    done = subprocess.run(
        command, cwd=root, env=variables, capture_output=True, text=True, check=False
    )
    if check and done.returncode:
        raise failed(command, done.stderr or done.stdout)
    return done


def failed(command: Sequence[str], output: str) -> Problem:
    """A Problem for a command that failed, with the last lines of what it said."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    ours = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    said = " / ".join(ours or lines[-5:])
    where = " ".join(command[:4])
    return Problem(where, f"a failure: {said}", "success", "Mend that and run it again.")


def root() -> Path:
    """The checkout that the current folder belongs to."""
    found = run(Path.cwd(), "git", "rev-parse", "--show-toplevel", check=False)
    if found.returncode:
        raise Problem(str(Path.cwd()), "no Git repository", "a checkout", "Change into one.")
    return Path(found.stdout.strip())


def clone(
    source: Path, folder: Path, overlay: Path | None = None, *, share_cache: bool = False
) -> None:
    """Clone HEAD of the checkout `source` into `folder`, replacing what was there.

    The keys of `overlay` are laid over params.yaml and committed in the clone; with
    `share_cache` it uses the DVC cache of `source`.
    """
    if folder.exists():
        shutil.rmtree(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    run(source, "git", "clone", "--quiet", str(source), str(folder))
    if share_cache:
        run(folder, "dvc", "cache", "dir", "--local", str(source / ".dvc" / "cache"))
    if overlay:
        wanted = params.merged(folder / "params.yaml", overlay)
        params.parse(wanted, str(overlay))
        (folder / "params.yaml").write_text(
            yaml.safe_dump(wanted, sort_keys=False, allow_unicode=True), encoding="utf-8"
        )
        commit(folder, f"Lay {overlay.name} over params.yaml")


def commit(root: Path, message: str) -> bool:
    """Commit all changes of a scratch clone; says whether there were any."""
    run(root, "git", "add", "--all")
    if not run(root, "git", "status", "--porcelain").stdout:
        return False
    who = ("-c", "user.name=preflight", "-c", "user.email=preflight@localhost")
    run(root, "git", *who, "commit", "--quiet", "--no-verify", "--message", message)
    return True
