"""Run in a Bento's src/ by the service's own Python: seconds of its start, microseconds of a call.

Words: a key and a file of requests. Prints a JSON object. A start is imported here once, so this
is a process of its own.
"""

import json
import statistics
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

CALLS = 2_000  # of each part
START: dict[str, float] = {}


def spent(part: str, call: Callable[..., Any]) -> Callable[..., Any]:
    """The same call, its seconds kept under a part's name."""

    def run(*words: Any) -> Any:
        start = time.perf_counter()
        try:
            return call(*words)
        finally:
            START[part] = time.perf_counter() - start

    return run


def loaded() -> Any:
    """A service that has started in this process."""

    def server() -> None:
        for name in ("bentoml", "_bentoml_impl.worker.service", "_bentoml_impl.server", "uvicorn"):
            import_module(name)

    spent("import BentoML and its server", server)()
    found: Any = spent("import the service", import_module)("taxi.service").service
    spent("import LightGBM", import_module("preflight.boosting").lightgbm)()
    module: Any = import_module("preflight.serving.service")
    module.Predictor = spent("verify and load the model", module.Predictor)
    found._warm = spent("warm up", found._warm)
    spent("load", found.load)()
    START["the rest of loading"] = (
        START.pop("load") - START["verify and load the model"] - START["warm up"]
    )
    return found


def calls(service: Any, key: str, bodies: list[bytes]) -> dict[str, Callable[[int], Any]]:
    """Each part of an answer as a call that takes a request's number."""
    echoed: Any = import_module("preflight.serving.door").echoed
    encode: Any = import_module("preflight.serving.service").encode
    asked: Any = import_module("preflight.serving.recorder").Asked
    model, metrics, ids = service._model, service.metrics, service.ids
    given = {b"authorization": f"Bearer {key}".encode(), b"content-type": b"application/json"}
    headers = [given | {b"x-entity-id": b"entity-%d" % place} for place in range(len(bodies))]
    columns = [service.decoder.one(body) for body in bodies]
    rows = [model.matrix(each) for each in columns]
    found = [service.answerer.one(each, 0, "normal") for each in columns]
    buckets = [service.door.bucket(each[b"x-entity-id"]) for each in headers]

    def count(place: int) -> None:
        value, bucket = found[place].value, buckets[place]
        metrics.prediction(bucket, value, 10.0, None)
        metrics.answered("predict", bucket, 0.0002)
        metrics.request("predict", "v1", "bench", "200")

    def around(place: int) -> None:
        if model.interval:
            model.interval.one(found[place].value, *model.ends)
        model.ranges.one(rows[place][0].tolist())

    caller = service.door.admit(headers[0], "predict")
    exchange = SimpleNamespace(caller=caller, request_id=ids.one(), given={}, route="predict")

    def remember(place: int) -> None:
        answered = asked(exchange, "normal", 0.0)
        service._remember(answered, columns[place], [found[place]])

    return {
        "ids": lambda place: (echoed(headers[place], ids), ids.one()),
        "key and bucket": lambda place: service.door.admit(headers[place], "predict"),
        "decode and check": lambda place: service.decoder.one(bodies[place]),
        "features": lambda place: model.matrix(columns[place]),
        "model": lambda place: model.model.predict(rows[place]),
        "interval and ranges": around,
        "joint score": lambda place: model.joint.one(rows[place][0].tolist()),
        "log": remember,
        "metrics": count,
        "encode": lambda place: encode(found[place]),
    }


def main(key: str, requests: Path) -> None:
    """Start, then time the parts; medians of their calls."""
    service = loaded()
    bodies = [json.dumps(each).encode() for each in json.loads(requests.read_text())]
    parts = calls(service, key, bodies)
    times: dict[str, list[float]] = {name: [] for name in parts}
    for number in range(CALLS):
        # One after another, as in an answer: a part alone in a loop finds all it needs at hand.
        for name, call in parts.items():
            start = time.perf_counter()
            call(number % len(bodies))
            times[name].append(1e6 * (time.perf_counter() - start))
    found = {name: statistics.median(each) for name, each in times.items()}
    sys.stdout.write(json.dumps({"start": START, "parts": found}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
