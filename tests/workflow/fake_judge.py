"""A fake judge on 127.0.0.1, which says what it is told to and keeps what it was asked."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any


@dataclass
class FakeJudge:
    """`answers` are given one after another, the last one again and again; bytes as they are."""

    answers: list[Any]
    status: int = 200
    asked: list[str] = field(default_factory=list)
    address: str = ""

    def question(self, query: str = "rollout=taxi&stable=a&canary=b") -> str:
        """The address of a question."""
        return f"{self.address}/v1/verdict?{query}"

    def body(self) -> bytes:
        """The next answer."""
        found = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return found if isinstance(found, bytes) else json.dumps(found).encode()


@contextmanager
def judging(*answers: Any, status: int = 200) -> Iterator[FakeJudge]:
    """A judge that answers."""
    fake = FakeJudge(list(answers), status)

    class Judge(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            fake.asked.append(self.path)
            self.send_response(fake.status)
            self.end_headers()
            self.wfile.write(fake.body())

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Judge)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    fake.address = f"http://127.0.0.1:{server.server_port}"
    try:
        yield fake
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
