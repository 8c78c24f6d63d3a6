"""The service without its duties: no key, no check of the contract, no id, no metric, no log.

The same: all other code of the hot path, model, environment, server and the answer's form.
"""

from types import SimpleNamespace
from typing import Any

import bentoml
import msgspec
import numpy as np

from preflight.serving import app, door, logs
from preflight.serving.app import Front, ModelService
from preflight.serving.compiled import dtype

service: Any = ModelService()
NOBODY = door.Caller("-", "-", 0)


def nothing(*_: Any, **__: Any) -> None:
    """Count nothing."""


@bentoml.service(name="taxi", workers=1, traffic={"timeout": 2})
class WithoutDuties:
    """As taxi.service, with every duty taken out."""

    def __init__(self) -> None:
        service.load()
        types = {column.name: dtype(column) for column in service._model.contract.known}

        def one(body: bytes) -> dict[str, Any]:
            row = msgspec.json.decode(body)
            return {name: np.array([row[name]], dtype=kind) for name, kind in types.items()}

        service._remember = nothing
        service.admit = lambda _, __, exchange: setattr(exchange, "caller", NOBODY)
        service.decoder.one = one
        quiet: Any = SimpleNamespace(
            prediction=nothing, flagged=nothing, answered=nothing, request=nothing
        )
        service.answerer._ids = SimpleNamespace(one=lambda: "")
        service.metrics = service.answerer._metrics = quiet
        same = [(b"x-request-id", b"-")]
        app.echoed = lambda *_: same.copy()  # type: ignore[attr-defined]
        logs.Access.__call__ = nothing  # type: ignore[method-assign]
        service.life._beat = service.deadlines.expire


WithoutDuties.add_asgi_middleware(Front, service=service)  # type: ignore[attr-defined]
