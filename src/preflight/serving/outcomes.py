"""Outcomes: what really happened, told by prediction id, one or many at a time."""

import asyncio
import re
import sys
from typing import Annotated, Any

import msgspec

from preflight.params import Serving
from preflight.serving.clock import now
from preflight.serving.exchange import Exchange
from preflight.serving.ids import Ids
from preflight.serving.problems import Refusal
from preflight.serving.recorder import OutcomeEntry, Recorder
from preflight.serving.room import Room

ID = r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\Z"
BODIES = 16_000_000  # bytes that a worker holds at once
FEW = 100  # that are written without a thread
SAID = re.compile(r"Expected `(?P<expected>[^`]+)`, got `(?P<found>[^`]+)`")
PLACE = re.compile(r" - at `\$\.?(?P<place>.*)`$", re.DOTALL)
WIDEST = sys.float_info.max


class Outcome(msgspec.Struct, forbid_unknown_fields=True):
    """What became of one prediction: a value in the target's unit."""

    prediction_id: Annotated[str, msgspec.Meta(pattern=ID)]
    value: Annotated[float, msgspec.Meta(ge=-WIDEST, le=WIDEST)]


class Outcomes:
    """Validates outcomes and appends them.

    Whether one is unknown, a duplicate or contradictory is decided where the records of all
    replicas meet, in the join: so the same request may be sent again.
    """

    def __init__(self, recorder: Recorder, ids: Ids, limits: Serving) -> None:
        self._recorder, self._ids, self._limits = recorder, ids, limits
        self._room = Room(BODIES)
        self._one = msgspec.json.Decoder(Outcome)
        most = msgspec.Meta(min_length=1, max_length=limits.max_batch)
        many = msgspec.defstruct(
            "Outcomes",
            [("outcomes", Annotated[list[Outcome], most])],
            forbid_unknown_fields=True,
        )
        self._many: Any = msgspec.json.Decoder(many)

    async def __call__(self, exchange: Exchange) -> None:
        """One outcome, or {"outcomes": [...]}."""
        with self._room.held() as keep:
            content = await exchange.body(self._limits.max_body_bytes, keep)
        found = self._decoded(content)
        if len(found) <= FEW:
            self._record(exchange, found)
        else:
            await asyncio.to_thread(self._record, exchange, found)
        await exchange.answer(b'{"accepted":%d}' % len(found), 202)

    def _decoded(self, content: bytes) -> list[Outcome]:
        try:
            if b'"outcomes"' in content:
                outcomes: list[Outcome] = self._many.decode(content).outcomes
                return outcomes
            return [self._one.decode(content)]
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise _refusal(error) from None

    def _record(self, exchange: Exchange, found: list[Outcome]) -> None:
        at, client, request = now(), exchange.caller.client, exchange.request_id
        self._recorder.outcomes(
            [
                OutcomeEntry(number, at, client, request, each.prediction_id, each.value)
                for number, each in zip(self._ids.many(len(found)), found, strict=True)
            ]
        )


def _refusal(error: Exception) -> Refusal:
    """What is wrong with a body, without a value of it."""
    text = str(error)
    place = PLACE.search(text)
    field = (place and place["place"][:80]) or "body"
    if said := SAID.search(text):
        return Refusal(422, field, said["found"], said["expected"])
    if field.endswith("prediction_id"):
        return Refusal(422, field, "another form", "a prediction's id, as its answer has it")
    if isinstance(error, msgspec.ValidationError):
        found = PLACE.sub("", text)[:120].encode(errors="backslashreplace").decode()
        return Refusal(422, field, found, "as /openapi.json has it")
    return Refusal(422, "body", "no JSON", "a JSON document in UTF-8")
