"""One request as bytes, its answer through ASGI, and the request as a line for a shell."""

from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_to_bytes

from preflight.serving.exchange import App

Headers = tuple[tuple[bytes, bytes], ...]
Message = MutableMapping[str, Any]
PLAIN = set(range(32, 127)) - set(b"'\\%")


@dataclass(frozen=True)
class Request:
    """What a caller sends; the body comes in its `parts`, one after another."""

    method: str
    path: str
    headers: Headers
    parts: tuple[bytes, ...] = (b"",)

    @property
    def body(self) -> bytes:
        """The whole body."""
        return b"".join(self.parts)

    @property
    def size(self) -> int:
        """How much a reader has to look at, in bytes."""
        return len(self.path) + len(self.body) + sum(map(len, sum(self.headers, ())))

    def header(self, name: bytes) -> bytes | None:
        """The last header of a name, which is the one that counts."""
        return dict(self.headers).get(name)


@dataclass(frozen=True)
class Answer:
    """What came back; `whole` is False where the answer had no end."""

    status: int
    headers: Headers
    body: bytes
    whole: bool


class Said:
    """Collects the messages of one answer."""

    def __init__(self) -> None:
        self._starts: list[Message] = []
        self._parts: list[bytes] = []
        self._ended = 0

    async def send(self, message: Message) -> None:
        """Keep a message of the application's."""
        if message["type"] == "http.response.start":
            self._starts.append(message)
            return
        self._parts.append(message.get("body", b""))
        self._ended += not message.get("more_body", False)

    def answer(self) -> Answer:
        """What was said, as one answer."""
        status = self._starts[0]["status"] if self._starts else 0
        headers = self._starts[0].get("headers", []) if self._starts else []
        whole = len(self._starts) == 1 and self._ended == 1
        return Answer(status, tuple(map(tuple, headers)), b"".join(self._parts), whole)


async def asked(app: App, request: Request) -> Answer:
    """Send a request to an application."""
    waiting = [
        {"type": "http.request", "body": part, "more_body": place < len(request.parts)}
        for place, part in enumerate(request.parts, 1)
    ]
    waiting.append({"type": "http.disconnect"})

    async def receive() -> Message:
        return waiting.pop(0) if len(waiting) > 1 else waiting[0]

    said = Said()
    path, _, query = request.path.partition("?")
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": request.method,
        "path": unquote_to_bytes(path).decode(errors="replace"),
        "query_string": query.encode(),
        "headers": list(request.headers),
    }
    await app(scope, receive, said.send)
    return said.answer()


def curl(request: Request) -> str:
    """The request as a line for bash; its key is a variable there."""
    words = ["curl -i -X", quoted(request.method.encode())]
    for name, value in request.headers:
        if value.startswith(b"Bearer pf_"):
            words.append('-H "authorization: Bearer $KEY"')
        else:
            words.append(f"-H {quoted(name + b': ' + value)}")
    words += ["--data-binary @-"] if request.body else []
    words.append(quoted(b"http://127.0.0.1:3000" + request.path.encode()))
    words = [f"printf -- '{escaped(request.body)}' |", *words] if request.body else words
    if len(request.parts) > 1:
        words.append(f"# in parts of {', '.join(str(len(part)) for part in request.parts)} bytes")
    return " ".join(words)


def quoted(text: bytes) -> str:
    """Bytes as a word of bash."""
    plain = escaped(text)
    return f"'{plain}'" if plain.encode() == text else f"$'{plain}'"


def escaped(text: bytes) -> str:
    """Bytes as printf and bash read them."""
    return "".join(chr(each) if each in PLAIN else f"\\{each:03o}" for each in text)
