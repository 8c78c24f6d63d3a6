"""Many files of many commits by one Git process: history has more than one could start for each."""

import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

from preflight.workspace import environment, failed

BATCH = ("git", "cat-file", "--batch")


def read(root: Path, names: Iterable[str]) -> Iterator[bytes | None]:
    """The bytes of files named HASH or COMMIT:PATH, in order; None for what is no file there.

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
            _, kind, size = head.split()
            yield said[at : at + int(size)] if kind == b"blob" else None
            at += int(size) + 1


def texts(root: Path, names: Iterable[str]) -> Iterator[str | None]:
    """As `read`, as text."""
    found = read(root, names)
    return (None if each is None else each.decode(errors="replace") for each in found)
