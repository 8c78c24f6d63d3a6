"""Problem details (RFC 9457): the one form of every refusal and error."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import msgspec

MEDIA = b"application/problem+json"
Headers = list[tuple[bytes, bytes]]
# Python 3.12 and before know these by older names.
TITLES = {413: "Content Too Large", 422: "Unprocessable Content"}
CLOSE = (b"connection", b"close")


class Refusal(Exception):
    """An answer that is none of the model's: what was found, where, and what was expected."""

    def __init__(
        self,
        status: int,
        field: str,
        found: str,
        expected: str,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.status, self.field, self.found, self.expected = status, field, found, expected
        self.headers = [(name.encode(), text.encode()) for name, text in (headers or {}).items()]
        super().__init__(f"{field}: found {found}; expected {expected}")


def details(refusal: Refusal) -> dict[str, Any]:
    """The problem as JSON data."""
    status = refusal.status
    return {
        "type": "about:blank",
        "title": TITLES.get(status) or HTTPStatus(status).phrase,
        "status": status,
        "detail": str(refusal),
        "field": refusal.field,
        "found": refusal.found,
        "expected": refusal.expected,
    }


def body(refusal: Refusal) -> bytes:
    """The problem as a body."""
    return msgspec.json.encode(details(refusal))


def internal() -> Refusal:
    """An error of ours, of which a caller learns nothing more."""
    return Refusal(500, "request", "an error here", "an answer")
