"""A fault in an arm of a rehearsal: real service code that answers wrongly. No release has it.

`copies.copied` puts this file beside a copy of an arm's code, where the service's module then ends
with `import planted; planted.plant(ModelService)`. What is wrong stands in `planted.json` beside
it and is read again twice a second: `kind`, `after` so many seconds of the process or of the
file's last change, and the kind's own settings.
"""

import hashlib
import json
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

LOOK_SECONDS = 0.5
KEPT = 500  # answers, of which a worse model gives another's
Settings = Mapping[str, Any]
entity: ContextVar[str] = ContextVar("entity", default="")


class Planted:
    """What is wrong with one loaded service, by a file of settings."""

    def __init__(self, service: Any, file: Path) -> None:
        """`service` is a `ModelService` that has loaded; it answers rightly until the file says."""
        self.settings: Settings = {}
        self._file, self._since, self._changed = file, time.monotonic(), 0
        self._random = np.random.default_rng(1)
        self._leaked: list[bytes] = []
        self._answers: deque[float] = deque(maxlen=KEPT)
        self._wrap(service)

    def _wrap(self, service: Any) -> None:
        answerer, model = service.answerer, service.answerer._model.model
        answerer.one = self._answering(answerer.one)
        model.predict = self._predicting(model.predict)
        route = service.routes["/v1/predict"]
        service.routes["/v1/predict"] = replace(route, handler=self._asked(route.handler))

    def _asked(self, handler: Callable[[Any], Awaitable[None]]) -> Callable[[Any], Awaitable[None]]:
        async def asked(exchange: Any) -> None:
            entity.set(exchange.caller.entity)
            await handler(exchange)

        return asked

    def _answering(self, one: Callable[..., Any]) -> Callable[..., Any]:
        def answering(*words: Any) -> Any:
            wrong = self.settings.get("kind")
            if wrong in ("errors", "entity-errors") and self._strikes():
                raise RuntimeError("planted by the rehearsal")
            if wrong == "latency" and self._strikes():
                # In the worker's own thread, as predict is: a slow model keeps others waiting.
                time.sleep(self.settings["seconds"])
            if wrong == "memory-leak" and self._leaks():
                self._leaked.append(b"\1" * self.settings["bytes"])
            return one(*words)

        return answering

    def _strikes(self) -> bool:
        """Whether this request is one of those that go wrong."""
        told = self.settings
        hashed = hashlib.blake2b(entity.get().encode(), digest_size=4, key=b"planted").digest()
        hit = int.from_bytes(hashed) / 2**32 < float(told.get("entities", 1.0))
        return hit and self._random.random() < float(told["share"])

    def _leaks(self) -> bool:
        return len(self._leaked) * int(self.settings["bytes"]) < int(self.settings["most"])

    def _predicting(
        self, predict: Callable[[NDArray[np.float64]], NDArray[np.float64]]
    ) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
        def predicting(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
            found = predict(matrix)
            wrong = self.settings.get("kind")
            if wrong == "shifted":
                return found + float(self.settings["by"])
            return self._others(found) if wrong == "worse-model" else found

        return predicting

    def _others(self, found: NDArray[np.float64]) -> NDArray[np.float64]:
        """Some answers are given to somebody else: their distribution stays, and they are wrong."""
        self._answers.extend(found.tolist())
        swapped = self._random.random(len(found)) < self.settings["share"]
        return np.where(swapped, self._random.choice(self._answers, len(found)), found)

    def look(self) -> None:
        """Read the settings, and die where they say so."""
        self.settings = self._holding()
        if self.settings.get("kind") == "crash-loop":
            # The parent too, which would put another worker in this one's place.
            os.kill(os.getppid(), signal.SIGKILL)
            os.kill(os.getpid(), signal.SIGKILL)

    def _holding(self) -> Settings:
        """The settings that hold by now; none where there is no file, or its time has not come."""
        try:
            changed = self._file.stat().st_mtime_ns
            told: Settings = json.loads(self._file.read_text())
        except (OSError, ValueError):
            return {}
        if changed != self._changed:
            if self._changed:
                self._since = time.monotonic()
            self._changed = changed
        return told if time.monotonic() - self._since >= told.get("after", 0.0) else {}

    def watch(self) -> None:
        """Look from time to time, in a thread."""
        threading.Thread(target=self._forever, name="planted", daemon=True).start()

    def _forever(self) -> None:
        while True:
            self.look()
            time.sleep(LOOK_SECONDS)


def plant(service: Any) -> None:
    """Let each service of this class go wrong, once it has loaded, as the settings say."""
    load = service.load

    def loading(self: Any) -> None:
        load(self)
        Planted(self, Path(__file__).with_name("planted.json")).watch()

    service.load = loading
