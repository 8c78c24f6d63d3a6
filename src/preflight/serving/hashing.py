"""Keyed hashes of what the contract calls sensitive: equal values stay equal, and nothing more."""

import hashlib
import os
import secrets
from contextlib import suppress
from pathlib import Path

from preflight.errors import Problem
from preflight.layout import STATE

NAME = "PREFLIGHT_HASH_KEY"
LEAST = 32  # bytes
MARK = "hash:"


class Hasher:
    """Hashes values with a secret key: nobody without it can try all riders until one fits."""

    def __init__(self, key: bytes) -> None:
        self._key = hashlib.blake2b(key, digest_size=32).digest()

    def __call__(self, value: str) -> str:
        """128 bits of a value's keyed BLAKE2b (RFC 7693), marked as a hash."""
        return MARK + hashlib.blake2b(value.encode(), key=self._key, digest_size=16).hexdigest()


def place() -> Path:
    """The key's file: what PREFLIGHT_HASH_KEY names, or one of this folder's own."""
    return Path(os.environ.get(NAME, STATE / "serving/hash.key"))


def read() -> Hasher:
    """The hasher of the key's file, which is made where no variable names one.

    Raises Problem when a named file is absent, or holds too little to be a secret.
    """
    path = place()
    if NAME not in os.environ:
        make(path)
    try:
        key = path.read_bytes().strip()
    except OSError as error:
        raise _no_key(path, str(error.strerror)) from None
    if len(key) < LEAST:
        raise _no_key(path, f"{len(key)} bytes")
    return Hasher(key)


def make(path: Path) -> Path:
    """A file with a new key, unless it is there."""
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    partial.touch(0o600)
    try:
        partial.write_text(secrets.token_hex(LEAST) + "\n")
        with suppress(FileExistsError):  # another worker was first; its key holds
            os.link(partial, path)
    finally:
        partial.unlink()
    return path


def _no_key(path: Path, found: str) -> Problem:
    return Problem(
        f"{NAME}: {path}",
        found,
        f"a secret of at least {LEAST} bytes, the same for all replicas",
        "Make one: openssl rand -hex 32 > FILE",
    )
