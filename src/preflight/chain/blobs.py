"""Many files of many commits by one Git process: history has more than one could start for each."""

import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

from preflight.workspace import environment, failed

BATCH = ("git", "cat-file", "--batch")


def read(root: Path, names: Iterable[str]) -> Iterator[str | None]:
    """The texts of files named COMMIT:PATH, in order; None for what is not there.

    Raises Problem where Git fails.
    """
    asked = "".join(f"{name}\n" for name in names).encode()
    variables = environment(root)
    done = subprocess.run(
        BATCH, cwd=root, env=variables, input=asked, capture_output=True, check=False
    )
    if done.returncode:
        raise failed(BATCH, done.stderr.decode(errors="replace"))
    at, said = 0, done.stdout
    while at < len(said):
        head, at = said[at : (end := said.index(b"\n", at))], end + 1
        if head.endswith(b" missing"):
            yield None
        else:
            size = int(head.rpartition(b" ")[2])
            yield said[at : at + size].decode(errors="replace")
            at += size + 1
