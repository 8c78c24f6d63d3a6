"""FastAPI and pydantic in front of the same model, with the same duties.

The same: model, key file, ids, metrics in shared files, loop and parser, and every field's range.
"""

import os
import time
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, create_model

from preflight import params
from preflight.contract import Column
from preflight.layout import PACKAGED
from preflight.predictor import Predictor
from preflight.serving import keys
from preflight.serving.answers import Answerer
from preflight.serving.compiled import dtype
from preflight.serving.door import Door, echoed
from preflight.serving.ids import Ids
from preflight.serving.metrics import Metrics
from preflight.serving.problems import Refusal, details
from preflight.serving.watched import Watched

KINDS = {"integer": int, "number": float, "text": str, "time": datetime}
MODEL = Predictor(PACKAGED)
KNOWN = MODEL.contract.known
LIMITS = params.load().serving


def field(column: Column) -> Any:
    """A column as pydantic checks it."""
    ends: Any = {"ge": column.minimum, "le": column.maximum}
    return (Annotated[KINDS[column.kind], Field(**ends)], ...)


Trip = create_model(
    "Trip",
    __config__=ConfigDict(extra="forbid", strict=False),
    **{column.name: field(column) for column in KNOWN},
)


class Interval(BaseModel):
    """As the service's."""

    lower: float
    upper: float
    coverage: float


class Prediction(BaseModel):
    """As the service's."""

    prediction_id: str
    model_version: str
    value: float
    unit: str
    interval: Interval | None
    flags: list[str]
    warning: str | None


metrics = Metrics(MODEL.contract.target_bins)
metrics.judge("predict")
door = Door(
    Watched(Path(os.environ["PREFLIGHT_KEYS"]), keys.read), LIMITS.max_rate, LIMITS.entity_salt
)
ids = Ids()
answerer = Answerer(MODEL, "1", metrics)
app = FastAPI()


@app.exception_handler(Refusal)
async def refuse(_: Request, refusal: Refusal) -> JSONResponse:
    """A problem as the service answers it."""
    return JSONResponse(details(refusal), refusal.status)


@app.post("/v1/predict")
async def predict(trip: Trip, request: Request, response: Response) -> Prediction:  # type: ignore[valid-type]
    """One row, with key, ids and metrics."""
    given = dict(request.scope["headers"])
    for name, value in echoed(given, ids):
        response.headers[name.decode()] = value.decode()
    caller = door.admit(given, "predict")
    start = time.perf_counter()
    columns = {
        column.name: np.array([getattr(trip, column.name)], dtype=dtype(column)) for column in KNOWN
    }
    found = answerer.one(columns, caller.bucket, "normal")
    metrics.answered("predict", caller.bucket, time.perf_counter() - start)
    metrics.request("predict", "v1", caller.client, "200")
    return Prediction(**msgspec.to_builtins(found))
