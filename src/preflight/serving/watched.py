"""A file that others change while the service runs: read again when it differs."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from preflight.errors import Problem

Value = TypeVar("Value")
Mark = tuple[int, int, int, int]
MISSING = (0, 0, 0, 0)
MOST = 10_000_000
log = logging.getLogger("preflight")


class Watched(Generic[Value]):
    """What a file says; a version that cannot be read is told, and the last good one stays."""

    def __init__(self, path: Path, read: Callable[[Path], Value]) -> None:
        """`read` raises Problem where the file is not what it should be; so does this."""
        self.path, self._read = path, read
        self._mark, self._told = self._now(), ""
        self.value = self._checked()

    def refresh(self) -> bool | None:
        """Read the file if it changed: True if it did, None if it cannot be read, each time."""
        mark = self._now()
        if mark == self._mark:
            return False
        try:
            self.value = self._checked()
        except Exception as error:  # whatever is in the file, the worker goes on, and tries again
            said = str(error) if isinstance(error, Problem) else type(error).__name__
            if said != self._told:
                log.error("%s: kept what was read before: %s", self.path.name, said)
            self._mark, self._told = None, said
            return None
        self._mark, self._told = mark, ""
        return True

    def _checked(self) -> Value:
        # A pipe would hold up the worker, and so would a file without end.
        if self.path.exists() and (not self.path.is_file() or self.path.stat().st_size > MOST):
            raise Problem(
                str(self.path), "no file, or one too large", f"up to {MOST} bytes", "Bring it back."
            )
        return self._read(self.path)

    def _now(self) -> Mark | None:
        # Not the time alone: a clock may be set back, and a copy may keep its time.
        try:
            found = self.path.stat()
        except OSError:
            return MISSING
        return found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_size
