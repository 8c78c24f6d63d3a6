"""Callers of the drill: predictions at a fixed rate over TLS, until SIGTERM; a line an answer."""

import http.client
import itertools
import json
import signal
import socket
import ssl
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from preflight.rehearsal import traffic

THREADS, TRIPS, SECONDS = 16, 5000, 15.0
host, port, rate, place = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), Path(sys.argv[4])
trusted = ssl.create_default_context(cafile=str(place / "tls.crt"))
key = (place / "key").read_text().strip()
local, ended = threading.local(), threading.Event()


class Door(http.client.HTTPSConnection):
    """To this machine's port, asking for the gateway's name: its certificate is checked."""

    def connect(self) -> None:
        """Connect, and ask for `host`."""
        plain = socket.create_connection(("127.0.0.1", port), SECONDS)
        self.sock = trusted.wrap_socket(plain, server_hostname=host)


def ask(trip: dict[str, str]) -> str:
    """One prediction: a line of JSON with its time, entity and status; 0 without an answer."""
    at, status = time.time(), 0
    headers = {
        "authorization": f"Bearer {key}",
        "content-type": "application/json",
        "x-entity-id": trip["entity"],
    }
    try:
        if not hasattr(local, "door"):
            local.door = Door(host, timeout=SECONDS)
        local.door.request("POST", "/v1/predict", trip["body"], headers)
        answer = local.door.getresponse()
        answer.read()
        status = answer.status
    except (OSError, http.client.HTTPException):
        local.door = Door(host, timeout=SECONDS)
    return json.dumps({"at": at, "entity": trip["entity"], "status": status})


def main() -> None:
    """Ask on time, whether answers come or not."""
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    file = traffic.requests(Path.cwd(), place / "trips.jsonl", TRIPS, 1, 60.0)
    trips = [json.loads(line) for line in file.read_text().splitlines()]
    with (place / "answers.jsonl").open("a") as answers, ThreadPoolExecutor(THREADS) as pool:
        due = time.monotonic()
        for trip in itertools.cycle(trips):
            if ended.wait(max(0.0, due - time.monotonic())):
                return
            pool.submit(ask, trip).add_done_callback(
                lambda done: print(done.result(), file=answers)
            )
            due += 1 / rate


main()
