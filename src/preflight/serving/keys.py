"""Keys of the service's clients: shown once, kept as hashes, found in constant time."""

import fcntl
import hashlib
import hmac
import os
import re
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from math import isfinite
from pathlib import Path
from typing import Annotated, Literal, get_args

import msgspec

from preflight.errors import Problem
from preflight.files import replacing

Scope = Literal["predict", "outcomes", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
CLIENT = r"^[a-z0-9][a-z0-9-]{0,62}$"
NOBODY = bytes(32)
SECRET = 32  # bytes


class Key(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One key of a client; `rate` caps its requests a second in each worker.

    It has 256 random bits, so a plain SHA-256 of it cannot be searched.
    """

    id: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{12}$")]
    client: Annotated[str, msgspec.Meta(pattern=CLIENT)]
    scopes: Annotated[list[Scope], msgspec.Meta(min_length=1)]
    sha256: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
    created: str
    rate: Annotated[float, msgspec.Meta(ge=1)] | None = None

    @property
    def digest(self) -> bytes:
        """The hash as bytes."""
        return bytes.fromhex(self.sha256)


class File(msgspec.Struct, forbid_unknown_fields=True):
    """The file of all keys."""

    keys: list[Key]
    format: Literal[1] = 1


@dataclass(frozen=True)
class Keys:
    """Keys by their hashes."""

    by_hash: dict[bytes, Key]

    def find(self, token: bytes) -> Key | None:
        """The key that a caller sent, or None.

        What is looked up is a hash, of which a caller can choose no part: how long it takes tells
        nothing of a key. It is compared once more, in constant time, found or not.
        """
        sent = hashlib.sha256(token).digest()
        key = self.by_hash.get(sent)
        known = NOBODY if key is None else key.digest
        return key if hmac.compare_digest(sent, known) else None


def read(path: Path) -> Keys:
    """The keys of a file; raises Problem when it is absent or no such file."""
    found = _file(path).keys
    return Keys({key.digest: key for key in found})


def add(path: Path, client: str, scopes: tuple[Scope, ...], rate: float | None) -> str:
    """Make a key for a client; returns it, and keeps only its hash."""
    if not re.fullmatch(CLIENT, client):
        raise Problem("the client", repr(client)[:80], f"a name as {CLIENT}", "Choose another.")
    if rate is not None and not (isfinite(rate) and rate >= 1):
        raise Problem("the rate", f"{rate:g}", "at least 1 a second", "Choose another.")
    number = secrets.token_hex(6)
    token = f"pf_{number}_{secrets.token_urlsafe(SECRET)}"
    key = Key(
        number,
        client,
        sorted(set(scopes)),
        hashlib.sha256(token.encode()).hexdigest(),
        datetime.now(UTC).isoformat(timespec="seconds"),
        rate,
    )
    with _changing(path) as file:
        file.keys.append(key)
    return token


def revoke(path: Path, number: str) -> Key:
    """Remove a key by its id; raises Problem when there is none."""
    with _changing(path) as file:
        gone = [key for key in file.keys if key.id == number]
        if not gone:
            raise Problem(
                str(path), f"no key {number[:80]}", "its id", "See `preflight keys list`."
            )
        file.keys = [key for key in file.keys if key.id != number]
    return gone[0]


def listed(path: Path) -> list[Key]:
    """All keys, without their secrets, which nobody has; none where there is no file."""
    return _file(path).keys if path.exists() else []


def missing(path: Path) -> Problem:
    """There are no keys, so nobody could be answered."""
    remedy = "Run `preflight keys add CLIENT`, or serve with auth: off on the loopback."
    return Problem(str(path), "no keys", "the clients' keys", remedy)


def _file(path: Path) -> File:
    try:
        return msgspec.json.decode(path.read_bytes(), type=File)
    except FileNotFoundError:
        raise missing(path) from None
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        # The message names the place; what it quotes of the file is left out.
        found = str(error) if isinstance(error, msgspec.MsgspecError) else type(error).__name__
        found = re.sub(r"'[^']*'", "...", found)
        raise Problem(str(path), found, "a file of `preflight keys`", "Bring it back.") from None


@contextmanager
def _changing(path: Path) -> Iterator[File]:
    """The file's keys to change; written when the block ends, one process after another."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(f".{path.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        file = _file(path) if path.exists() else File([])
        yield file
        with replacing(path) as partial:
            partial.touch(mode=0o600)
            _owned_as(path, partial)
            partial.write_bytes(msgspec.json.format(msgspec.json.encode(file)) + b"\n")


def _owned_as(path: Path, partial: Path) -> None:
    """A file that another user's service reads must stay readable to it."""
    with suppress(OSError):  # there is none yet, or it is not ours to give away
        found = path.stat()
        partial.chmod(found.st_mode & 0o777)
        os.chown(partial, found.st_uid, found.st_gid)


class Cap:
    """How many requests of each key this worker has let in during the present second."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._second = clock, 0
        self._counts: dict[str, int] = {}

    def takes(self, key: str, rate: float) -> bool:
        """Count a request; False when it is one too many for this second."""
        now = int(self._clock())
        if now != self._second:
            self._second = now
            self._counts.clear()
        count = self._counts.get(key, 0) + 1
        self._counts[key] = count
        return count <= rate


def place() -> Path:
    """Where this service's keys lie: PREFLIGHT_KEYS, else beside the other state."""
    return Path(os.environ.get("PREFLIGHT_KEYS") or ".preflight/serving/keys.json")
