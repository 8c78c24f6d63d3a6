"""What no answer may be, whatever was asked."""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import jsonschema_rs
import numpy as np

from fuzz.exchange import Answer, Request
from preflight.serving.app import BENTOML
from preflight.serving.compiled import Columns, Refused
from preflight.serving.requests import Decoder, Invalid, parse
from preflight.serving.service import ModelService

JSON, LINES, PROBLEM = "application/json", "application/x-ndjson", "application/problem+json"
TRACE = re.compile(rb'Traceback|File \\?"')
REQUEST_ID = re.compile(rb"[!-~]{1,128}")
ELSEWHERE = 299  # what the application behind the front answers in these tests
Decode = Callable[[bytes], Columns]


class Oracle:
    """Judges answers by the service's own document and by its slower decoder."""

    def __init__(self, service: ModelService, document: dict[str, Any]) -> None:
        self._routes, self._decoder = service.routes, service.decoder
        self._paths = document["paths"] | {"/docs.json": document["paths"]["/openapi.json"]}
        self._most = service.limits.max_line_bytes, service.limits.max_body_bytes
        components = {"components": document["components"]}
        self._valid = {
            name: jsonschema_rs.Draft202012Validator(schema | components, validate_formats=True)
            for name, schema in document["components"]["schemas"].items()
        }

    def faults(self, request: Request, answer: Answer) -> list[str]:
        """Everything that is wrong with an answer, in words."""
        path = request.path.partition("?")[0]
        if path in BENTOML and answer.status == ELSEWHERE:
            return []
        if path not in self._routes or "%" in path:
            return [] if answer.status == 404 else [f"{path} leads nowhere"]
        return [*self._always(request, answer), *self._of_route(path, request, answer)]

    def _always(self, request: Request, answer: Answer) -> Iterator[str]:
        if not answer.whole:
            yield "an answer without an end, or with two"
        if not 200 <= answer.status < 500:
            yield f"status {answer.status}"
        if TRACE.search(answer.body):
            yield "a traceback in the answer"
        names = [name for name, _ in answer.headers]
        headers = dict(answer.headers)
        if names.count(b"x-request-id") != 1 or not headers[b"x-request-id"]:
            yield "no x-request-id, or several"
        sent = request.header(b"x-request-id") or b""
        if REQUEST_ID.fullmatch(sent) and headers.get(b"x-request-id") != sent:
            yield "another x-request-id than the caller's"
        if any(b"\n" in value or b"\r" in value for _, value in answer.headers):
            yield "a header of two lines"
        if int(headers.get(b"content-length", len(answer.body))) != len(answer.body):
            yield "another content-length than the body's"

    def _of_route(self, path: str, request: Request, answer: Answer) -> Iterator[str]:
        operation = self._paths[path].get(request.method.lower())
        if operation is None or request.method != request.method.upper():
            documented = {"405"}
        else:
            documented = set(operation["responses"])
        if str(answer.status) not in documented:
            yield f"status {answer.status}, which is not documented"
            return
        media = dict(answer.headers).get(b"content-type", b"").decode()
        if answer.status >= 300:
            yield from self._problem(media, answer)
        else:
            expected = operation["responses"][str(answer.status)]["content"]
            if media not in expected:
                yield f"media type {media}"
            elif media == LINES:
                yield from self._lines(request, answer)
            else:
                yield from self._document(expected[media]["schema"], answer.body)
        yield from self._decoded(path, request, answer)

    def _problem(self, media: str, answer: Answer) -> Iterator[str]:
        if media != PROBLEM:
            yield f"media type {media} of a problem"
        found = strict(answer.body)
        if not self._valid["Problem"].is_valid(found) or found["status"] != answer.status:
            yield "no problem details"
        elif not (found["found"] and found["expected"]):  # a field may well be named ""
            yield "a problem without what was found or what was expected"

    def _document(self, schema: dict[str, str], body: bytes) -> Iterator[str]:
        found, name = strict(body), schema.get("$ref", "").rpartition("/")[2]
        if found is None or (name and not self._valid[name].is_valid(found)):
            yield f"no {name or 'JSON'} as documented"

    def _lines(self, request: Request, answer: Answer) -> Iterator[str]:
        said = [strict(line) for line in answer.body.splitlines()]
        for found in said:
            if self._valid["Problem"].is_valid(found):
                if found["status"] >= 500:
                    yield "a line with status 5xx"
            elif not self._valid["Prediction"].is_valid(found):
                yield "a line that is neither a prediction nor a problem"
        asked = [line for line in request.body.split(b"\n") if line.strip()]
        if said and "status" in (said[-1] or {}) and "line" not in said[-1]:
            return  # the stream was cut short, and its last line says why
        if len(said) != len(asked):
            yield "more or fewer lines than were asked"
            return
        for line, found in zip(asked, said, strict=True):
            taken = attempt(lambda body: slow_one(self._decoder, body), line) is not None
            if taken != ("prediction_id" in (found or {})):
                yield "a line answered against what the slow decoder says"

    def _decoded(self, path: str, request: Request, answer: Answer) -> Iterator[str]:
        if answer.status not in (200, 422) or path not in ("/v1/predict", "/v1/predict/batch"):
            return
        batch = path.endswith("batch")
        if len(request.body) > self._most[batch]:
            yield "a body over the limit was read"
        quick = self._decoder._compiled.batch if batch else self._decoder._compiled.one
        slowly = slow_batch if batch else slow_one
        fast = attempt(quick, request.body)
        slow = attempt(lambda body: slowly(self._decoder, body), request.body)
        if fast is not None and not equal(fast, slow):
            yield "the compiled decoder took what the slow one reads otherwise"
        at_the_door = answer.status == 422 and b'"X-Entity-Id"' in answer.body
        if (answer.status == 200) != (slow is not None) and not at_the_door:
            yield f"status {answer.status} against what the slow decoder says"


def slow_one(decoder: Decoder, body: bytes) -> Columns:
    """One row, value by value."""
    return decoder._arrays([decoder._row(parse(body), "")])


def slow_batch(decoder: Decoder, body: bytes) -> Columns:
    """Many rows, value by value."""
    return decoder._arrays(decoder._rows(parse(body)))


def attempt(decode: Decode, body: bytes) -> Columns | None:
    """The arrays of a body, or None where it is refused."""
    try:
        return decode(body)
    except (Invalid, Refused):
        return None


def equal(one: Columns, other: Columns | None) -> bool:
    """Whether two decoders read the same, to the last bit and type."""
    return other is not None and all(
        other[name].dtype == array.dtype and np.array_equal(other[name], array)
        for name, array in one.items()
    )


def strict(body: bytes) -> Any:
    """JSON in UTF-8 without NaN and infinities; None where it is none."""
    try:
        return json.loads(body.decode(), parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None


def _refuse(name: str) -> None:
    raise ValueError(name)
