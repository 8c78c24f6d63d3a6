"""Application logs: JSON lines on standard output, through the logging module."""

import logging
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from preflight.errors import Problem
from preflight.log.segments import write_whole
from preflight.serving.clock import now

ACCESS = "preflight.access"
OTHERS = ("bentoml", "uvicorn", "uvicorn.error", "circus")  # whose handlers would write text
FIELDS = {
    "stream": "`log`, or `access` for the record of a request; the others are `predictions` and "
    "`outcomes`",
    "at": "When, UTC",
    "level": "`error`, `warning`, `info` or `debug`",
    "logger": "Who says it",
    "message": "What, in words",
    "request_id": "Of which request, as the answer's `X-Request-Id`",
    "error": "An exception: its type, its words where they are ours, and the places it passed",
    "route": "access: `predict`, `batch`, `lines`, `outcomes`, ...; `none` for no such route",
    "status": "access: the HTTP status",
    "client": "access: whose key was used; `-` where none was accepted",
    "latency_ms": "access: from the request's head to the end of its answer",
}
LEVELS = {
    "error": "Somebody must look: an answer or a record was lost. `preflight_messages_total` "
    "counts them, and an alert is due",
    "warning": "It went on, and should not go on like this for days",
    "info": "What is read later: starts, ends, changes, and one record a request",
    "debug": "Nothing in production",
}
AT_ONCE = 100  # records of requests
encode = msgspec.json.Encoder().encode


class Request(msgspec.Struct, gc=False, tag_field="stream", tag="access"):
    """The record of a request, in the fields of FIELDS."""

    at: str
    request_id: str
    route: str
    status: int
    client: str
    latency_ms: float
    level: str = "info"
    logger: str = ACCESS


class Lines(logging.Handler):
    """Writes each record as one JSON line, or a line for each request that it brings."""

    def __init__(self, count: Callable[[str], object], file: int = 1) -> None:
        """`count` is told the level of each message that is no request's record."""
        super().__init__()
        self._count, self._file = count, file

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record; a failure to write is nobody's to hear."""
        try:
            if record.name == ACCESS:
                found = record.__dict__["requests"]
                write_whole(self._file, b"".join(encode(each) + b"\n" for each in found))
                return
            self._count(record.levelname.lower())
            write_whole(self._file, encode(plain(record)) + b"\n")
        except Exception:
            self.handleError(record)

    def handleError(self, record: logging.LogRecord) -> None:
        """Nothing: a service whose log is gone still answers."""


def plain(record: logging.LogRecord) -> dict[str, Any]:
    """A record as plain data, in the fields of FIELDS."""
    at = datetime.fromtimestamp(record.created, UTC).replace(tzinfo=None)
    found: dict[str, Any] = {
        "stream": "log",
        "at": f"{at.isoformat(timespec='microseconds')}Z",
        "level": record.levelname.lower(),
        "logger": record.name,
        "message": record.getMessage(),
    }
    if "request_id" in record.__dict__:
        found["request_id"] = record.__dict__["request_id"]
    if record.exc_info and record.exc_info[1]:
        found["error"] = told(record.exc_info[1])
    return found


def told(error: BaseException) -> dict[str, Any]:
    """An exception's type and places. Its words only where they are ours: others quote values."""
    places = [
        f"{'/'.join(Path(frame.filename).parts[-2:])}:{frame.lineno} {frame.name}"
        for frame in traceback.extract_tb(error.__traceback__)
    ]
    kind = type(error)
    found: dict[str, Any] = {"type": f"{kind.__module__}.{kind.__qualname__}"}
    if isinstance(error, Problem):
        found["words"] = str(error)
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return found | {"places": places} | ({"cause": told(cause)} if cause else {})


@contextmanager
def written(count: Callable[[str], object]) -> Iterator[Lines]:
    """Let every logger of this process write through one handler until the block ends."""
    handler, root = Lines(count), logging.getLogger()
    before, hook, level = root.handlers[:], sys.excepthook, root.level
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    sys.excepthook = _last
    for name in OTHERS:
        each = logging.getLogger(name)
        each.handlers.clear()
        each.propagate = True
        # What they say below a warning is about each request, or for whoever sits at a terminal.
        each.setLevel(logging.WARNING)
    logging.getLogger("preflight").setLevel(logging.INFO)
    try:
        yield handler
    finally:
        root.handlers[:], sys.excepthook = before, hook
        root.setLevel(level)


def _last(kind: type[BaseException], error: BaseException, _: Any) -> None:
    logging.getLogger("preflight").error("the worker ends", exc_info=(kind, error, None))


class Access:
    """Keeps a record of each request, and hands some at once to the logging module.

    One by one they would cost as much as the predictions' records. Those that wait, for a second
    at most, are lost when the process is killed; predictions are not.
    """

    def __init__(self) -> None:
        self._log = logging.getLogger(ACCESS)
        self._waiting: list[Request] = []

    def __call__(
        self, route: str, status: int, client: str, request_id: str, seconds: float
    ) -> None:
        """One request that was answered."""
        latency = round(1e3 * seconds, 3)
        self._waiting.append(Request(now(), request_id, route, status, client, latency))
        if len(self._waiting) >= AT_ONCE:
            self.flush()

    def flush(self) -> None:
        """Hand over what waits."""
        waiting, self._waiting = self._waiting, []
        if waiting and self._log.isEnabledFor(logging.INFO):
            made = {"name": ACCESS, "levelno": logging.INFO, "levelname": "INFO"}
            self._log.handle(logging.makeLogRecord(made | {"requests": waiting}))
