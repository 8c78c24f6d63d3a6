"""The load generator for real, on a small server in a process of its own."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from preflight.bento import Server, free_port
from preflight.gates.load_test import generator
from preflight.gates.load_test.traffic import BATCH, SINGLE, Request

KEY = "pf_of-this-test"
SERVER = """
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.headers["authorization"] != "Bearer pf_of-this-test":
            body = b"refuse"
        status = 422 if b"refuse" in body else 413 if b"large" in body else 200
        self.send_response(status)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *words):
        pass

server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
print("ready", flush=True)
server.serve_forever()
"""


@pytest.fixture
def server() -> Iterator[Server]:
    """A server that answers 200, or what the body asks for."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(port)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    process.stdout.readline()
    try:
        yield Server(f"http://127.0.0.1:{port}", KEY)
    finally:
        process.terminate()
        process.wait(10)
        process.stdout.close()


def day(*odd: Request) -> list[Request]:
    """A day of 40 requests and some odd ones at its end."""
    plain = [
        Request(each / 50, BATCH if each % 10 == 0 else SINGLE, "{}", 200) for each in range(40)
    ]
    return [*plain, *odd]


def test_windows_hold_every_request_with_what_it_was_answered(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, seconds in (("WARM_SECONDS", 0.2), ("WINDOW_SECONDS", 0.5), ("STEP_SECONDS", 0.2)):
        monkeypatch.setattr(generator, name, seconds)
    monkeypatch.setattr(generator, "STEPS", (1, 4))
    odd = (
        Request(0.9, SINGLE, "refuse", 422),
        Request(0.91, SINGLE, "malformed, and answered", 422),
        Request(0.92, SINGLE, "large", 200),
    )

    windows = generator.run({"candidate": server}, [day(*odd)] * 3, 4)

    phases = [each.phase for each in windows]
    assert phases == ["warm", *["normal"] * 3, *["step"] * 2, *["after"] * 3]
    normal = [each for each in windows if each.phase == "normal"]
    for each in normal:
        assert each.statuses == {"expected": 41, "200": 1, "413": 1}
        assert len(each.latencies) == 41
        assert each.refused == {"413": 1}
        assert each.failed == {"200": 1}
        assert each.memory > 1_000_000
        assert 0.4 < each.seconds < 5
    assert {each.users for each in windows if each.phase == "step"} == {1, 4}
