"""Explanations of predictions that this replica still has in its log, for operators."""

import asyncio
import re
from typing import Any

import msgspec

from preflight.errors import Problem
from preflight.explanation import explained
from preflight.log.search import in_segments
from preflight.log.segments import ENDING
from preflight.predictor import Predictor
from preflight.serving.exchange import Exchange
from preflight.serving.outcomes import ID
from preflight.serving.problems import Refusal
from preflight.serving.sinks import place

ELSEWHERE = "one of this replica's log; `preflight explain ID` looks through all of it"
encode = msgspec.json.Encoder().encode


class Explanations:
    """Answers why the model said what it said."""

    def __init__(self, model: Predictor, max_bytes: int) -> None:
        """`max_bytes` bounds a request."""
        self._model, self._most = model, max_bytes
        self._folder = place() / "predictions"

    async def __call__(self, exchange: Exchange) -> None:
        """{"prediction_id": ...} -> its explanation."""
        number = _asked(await exchange.body(self._most))
        await exchange.answer(await asyncio.to_thread(self._explained, number))

    def _explained(self, number: str) -> bytes:
        newest_first = sorted(self._folder.glob(f"*{ENDING}"), reverse=True)
        record = in_segments(newest_first, number)
        if record is None:
            raise Refusal(404, "prediction_id", "no record of it here", ELSEWHERE)
        if record["model_hash"] != self._model.model_hash:
            found = f"an answer of model {record['model_hash'][:12]}"
            raise Refusal(409, "prediction_id", found, f"one of {self._model.model_hash[:12]}")
        try:
            return encode(explained(self._model, record))
        except Problem as problem:
            raise Refusal(422, problem.where, problem.found, problem.expected) from None


def _asked(content: bytes) -> str:
    try:
        found: Any = msgspec.json.decode(content)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        found = None
    number = found.get("prediction_id") if isinstance(found, dict) and len(found) == 1 else None
    if not (isinstance(number, str) and re.match(ID, number)):
        raise Refusal(422, "prediction_id", "none", "a prediction's id")
    return number
