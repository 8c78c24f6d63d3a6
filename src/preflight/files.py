"""Files that are whole or absent: written beside their place, then renamed."""

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from preflight.errors import Problem

NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a path beside `path` for a file or a folder, and put it in `path`'s place at the end.

    Whatever interrupts the block, Ctrl-C included, `path` keeps what it had, and nothing
    half-written stays. Raises Problem when the disk is full.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    _remove(partial)
    try:
        yield partial
        if path.is_dir():
            _remove(path)
        partial.replace(path)
    except OSError as error:
        raise full_disk(error, path) or error from error
    finally:
        _remove(partial)


def full_disk(error: OSError, path: Path) -> Problem | None:
    """A Problem when `error` says that there is no room for `path`, else None."""
    # Engines written in Rust pass the operating system's words, but no number.
    if error.errno in NO_SPACE or any(os.strerror(number) in str(error) for number in NO_SPACE):
        return Problem(
            str(path),
            "no space left while writing",
            "room for the whole file",
            "Nothing was changed; free some space and run the same command again.",
        )
    return None


def write_json(path: Path, value: Any) -> None:
    """Write `value` with sorted keys, so that equal values are equal bytes."""
    with replacing(path) as partial:
        partial.write_text(
            json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n",
            encoding="utf-8",
        )


def read_json(path: Path) -> Any:
    """Parse a JSON file; raises Problem when it is absent or not JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise Problem(
            str(path), "no file", "a JSON file", "Bring it back with `make restore`."
        ) from None
    except ValueError as error:
        raise Problem(
            str(path), f"no JSON ({error})", "a JSON file", "Bring it back with `make restore`."
        ) from None


def sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
