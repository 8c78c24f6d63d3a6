"""A file that others change while the service runs: read again when it differs."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from preflight.errors import Problem

Value = TypeVar("Value")
Mark = tuple[int, int, int]
log = logging.getLogger("preflight")


class Watched(Generic[Value]):
    """What a file says; a version that cannot be read is told, and the last good one stays."""

    def __init__(self, path: Path, read: Callable[[Path], Value]) -> None:
        """`read` raises Problem where the file is not what it should be; so does this."""
        self.path, self._read = path, read
        self._mark = self._now()
        self.value = read(path)

    def refresh(self) -> bool | None:
        """Read the file if it changed: True if it did, None if it could not be read."""
        mark = self._now()
        if mark == self._mark:
            return False
        self._mark = mark
        try:
            self.value = self._read(self.path)
        except Problem as problem:
            log.error("kept what was read before: %s", problem)
            return None
        return True

    def _now(self) -> Mark | None:
        # Not the time alone: a clock may be set back, and a copy may keep its time.
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_ino, found.st_size
