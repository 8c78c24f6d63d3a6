"""Append-only segments of JSON lines: each process writes its own, and nothing else touches it."""

import errno
import fcntl
import logging
import os
import secrets
import select
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock

SLICE = 256_000  # bytes written at once, so that single requests come in between
TAIL = 65_536  # bytes read at a time, from the end, to find the last whole line
ENDING = ".jsonl"
WRITING = Lock()  # of whatever this process writes to standard output
log = logging.getLogger("preflight")


class Segments:
    """Appends lines to a segment, and starts the next by size and age.

    A line that was appended is in the system's page cache: the process may be killed, the machine
    must not. The segment is locked as long as its process lives and writes it.
    """

    def __init__(
        self, folder: Path, max_bytes: int, max_seconds: float, fsync_seconds: float | None
    ) -> None:
        self._folder, self._most, self._age = folder, max_bytes, max_seconds
        self._every = fsync_seconds
        self._lock = Lock()
        self._file, self._path, self._size = -1, folder, 0
        self._opened = self._synced = 0.0
        self._orphaned = False
        self._syncing = ThreadPoolExecutor(1, "fsync")

    def append(self, lines: bytes) -> None:
        """Append whole lines, or raise OSError and leave no part of the last slice."""
        start, size = 0, len(lines)
        while start < size:
            end = size if size - start <= SLICE else lines.find(b"\n", start + SLICE - 1) + 1
            with self._lock:
                if self._orphaned:
                    raise OSError(errno.ENOENT, "the segment was removed")
                if self._file < 0 or self._size + end - start > self._most:
                    self._keep()
                    self._open()
                try:
                    written = os.write(self._file, lines[start:end])
                    if written != end - start:
                        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                except OSError:
                    self._undo()
                    raise
                self._size += written
            start = end

    def _open(self) -> None:
        self._close()
        self._folder.mkdir(parents=True, exist_ok=True)
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
        # Clocks are set back and process ids come again: the random part makes it one of its own.
        path = self._folder / f"{stamp}-{os.getpid()}-{secrets.token_hex(4)}{ENDING}"
        flags = os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_APPEND | os.O_CLOEXEC
        # Locked before it has its name: whoever finds it unlocked may take it for ended.
        unnamed = path.with_name(f".{path.name}")
        file = os.open(unnamed, flags, 0o640)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            unnamed.rename(path)
        except OSError:
            # Each answer tries again: left open, they would soon be all that the process may have.
            os.close(file)
            with suppress(OSError):
                unnamed.unlink()
            raise
        self._file, self._path, self._size = file, path, 0
        self._opened = self._synced = time.monotonic()

    def _undo(self) -> None:
        """Cut what a failed write left; where that fails too, leave the segment to its end."""
        try:
            os.ftruncate(self._file, self._size)
        except OSError:
            self._close()

    def _close(self) -> None:
        if self._file >= 0:
            if self._every is None:
                os.close(self._file)
            else:  # no beat comes by a segment that has ended
                self._syncing.submit(self._sync, self._file)
            self._file = -1

    def beat(self) -> None:
        """Close what is old, bring back what was removed, sync; raises OSError. Called often."""
        with self._lock:
            if self._file < 0:
                return
            if self._is_gone():
                self._bring_back()
            self._orphaned = False  # or it came back as it went: a mount, a right, a folder moved
            if time.monotonic() - self._opened >= self._age:
                self._close()
                return
            if self._every is not None and time.monotonic() - self._synced >= self._every:
                self._synced = time.monotonic()
                self._syncing.submit(self._sync, os.dup(self._file))

    def _keep(self) -> None:
        """Bring back the open segment if it was removed: closed it would be lost."""
        if self._file >= 0 and self._is_gone():
            self._bring_back()

    def _is_gone(self) -> bool:
        try:
            found = self._path.stat()
        except OSError:
            return True
        ours = os.fstat(self._file)
        return (found.st_dev, found.st_ino) != (ours.st_dev, ours.st_ino)

    def _bring_back(self) -> None:
        """Write a removed segment's lines, which the open file still has, to a new one."""
        self._orphaned = True
        old, size, lost = self._file, self._size, self._path
        self._file = -1
        try:
            self._open()
            for start in range(0, size, SLICE):
                part = os.pread(old, min(SLICE, size - start), start)
                if os.write(self._file, part) != len(part):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self._size = size
        except OSError:
            if self._file >= 0:
                with suppress(OSError):
                    self._path.unlink()
                self._close()
            self._file, self._size, self._path = old, size, lost
            raise
        os.close(old)
        self._orphaned = False
        log.error("segment %s was removed: brought back as %s", lost.name, self._path.name)

    @staticmethod
    def _sync(file: int) -> None:
        try:
            os.fsync(file)
        except OSError as error:
            log.error("a segment could not be synced: %s", error.strerror)
        finally:
            os.close(file)

    def close(self) -> None:
        """End the segment; a later append starts another."""
        with self._lock:
            try:
                self._keep()
            except OSError as error:
                log.error("removed segment %s is lost: %s", self._path.name, error.strerror)
            self._close()
            self._every = None  # nothing is synced after the last
        self._syncing.shutdown()


def write_whole(file: int, lines: bytes) -> None:
    """Write whole lines to a pipe that others write too; raises OSError.

    A pipe takes up to PIPE_BUF bytes as one (POSIX, write()); of more, other processes may come in
    between. Within this one streams and messages wait for each other.
    """
    start = 0
    while start < len(lines):
        end = lines.rfind(b"\n", start, start + select.PIPE_BUF) + 1
        end = end or lines.find(b"\n", start) + 1 or len(lines)
        rest = memoryview(lines)[start:end]
        with WRITING:
            while rest:
                rest = rest[os.write(file, rest) :]
        start = end


class Standard:
    """Appends lines to standard output, for a log shipper."""

    def __init__(self, stream: str, file: int = 1) -> None:
        """`stream` is told in each line, since there are several."""
        self._start = b'{"stream":"%s",' % stream.encode()
        self._file = file

    def append(self, lines: bytes) -> None:
        """Write whole lines; raises OSError when nobody reads any more."""
        # No line break stands within a record, so each `{` after one begins the next.
        told = self._start + lines[1:].replace(b"\n{", b"\n" + self._start)
        write_whole(self._file, told)

    def beat(self) -> None:
        """Nothing is due."""

    def close(self) -> None:
        """Standard output stays open."""


@contextmanager
def ended(path: Path) -> Iterator[int | None]:
    """An ended segment, locked and opened; None while a process writes it, or it is gone."""
    try:
        file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        yield None
        return
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
            return
        yield file
    finally:
        os.close(file)


def cut_torn(folder: Path) -> list[tuple[str, int]]:
    """Cut the torn tails of ended segments, and tell: names and bytes.

    A tail is torn when its process died before a line was whole; such a line was never answered.
    """
    found = []
    for path in sorted(folder.glob(f"*{ENDING}")):
        with ended(path) as file:
            if file is None:
                continue
            size = os.fstat(file).st_size
            whole = _whole(file, size)
            if whole < size:
                os.ftruncate(file, whole)
                found.append((path.name, size - whole))
                log.warning("segment %s: cut a torn line of %d bytes", path.name, size - whole)
    return found


def _whole(file: int, size: int) -> int:
    """Bytes up to the end of the last whole line."""
    end = size
    while end > 0:
        start = max(0, end - TAIL)
        place = os.pread(file, end - start, start).rfind(b"\n")
        if place >= 0:
            return start + place + 1
        end = start
    return 0
