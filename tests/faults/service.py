"""A service that says at /version which release it runs."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from preflight.delivery.draft import Draft


@contextmanager
def running(made: Draft, **others: str) -> Iterator[str]:
    """The address of a service of a release, some of whose words are others."""
    plain = {
        "model_version": made.model.version,
        "commit": made.commit,
        "bento": made.bento,
        "model_hash": made.model.hash,
    }

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/version" else 404)
            self.end_headers()
            self.wfile.write(json.dumps(plain | others).encode())

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
