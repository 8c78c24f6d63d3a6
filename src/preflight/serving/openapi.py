"""The service's OpenAPI document, derived from the contract."""

import json
from typing import Any

from preflight.contract import Contract
from preflight.params import Serving
from preflight.serving import schemas
from preflight.serving.door import SHOWN
from preflight.serving.keys import Scope
from preflight.serving.schemas import TEXT

REFUSALS = {
    "401": "No key, or one that is not known",
    "403": "A key without the scope",
    "404": "No record of it in this replica's log",
    "405": "Another method",
    "408": "The request did not come in time",
    "409": "Another model's answer",
    "413": "Too large",
    "415": "A coded body",
    "422": "Breaks the contract",
    "429": "More requests than the key may make",
    "500": "An error of the service",
    "503": "Switched off, no answer in time, or no log to write it to",
}
OPEN = ("405", "500")
ASKING = tuple(status for status in REFUSALS if status not in ("404", "409"))
ADMIN = ("401", "403", "405", "422", "429", "500")


def document(contract: Contract, limits: Serving) -> dict[str, Any]:
    """OpenAPI 3.1 of all routes that the service answers itself."""
    trip = {column.name: column.example for column in contract.known}
    answer = schemas.example(contract)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": contract.name,
            "version": f"{contract.version}",
            "description": f"{contract.target.description}, in {contract.target.unit}s.",
        },
        "paths": {
            "/v1/predict": {
                "post": _asking(
                    "predict",
                    "Answer one request",
                    _json("Instance", trip),
                    _json("Prediction", answer),
                )
            },
            "/v1/predict/batch": {
                "post": _asking(
                    "predictBatch",
                    f"Answer 1 to {limits.max_batch} requests",
                    _json("Instances", {"instances": [trip, trip]}),
                    _json("Predictions", {"predictions": [answer, answer]}),
                )
            },
            "/v1/predict/lines": {
                "post": _asking(
                    "predictLines",
                    "Answer a stream of requests, a JSON object a line, each with a line: a "
                    "prediction, or a problem with the number of its line",
                    _lines(f"At most {limits.max_line_bytes} bytes a line", trip, trip),
                    _lines("A prediction or a problem a line", answer, answer),
                )
            },
            "/v1/outcomes": {
                "post": _operation(
                    "outcomes",
                    "Tell what really happened, of one prediction or of many: "
                    '{"outcomes": [...]}; may be sent again',
                    _json("Accepted", {"accepted": 1}),
                    ASKING,
                    "outcomes",
                    "202",
                )
                | {"requestBody": _outcomes()}
            },
            "/explain": {
                "post": _operation(
                    "explain",
                    "Why a prediction of this replica's log says what it says, for operators",
                    _json("Explanation", None),
                    (*ADMIN, "404", "408", "409", "413"),
                    "admin",
                )
                | {"requestBody": _required(_json("Asked", {"prediction_id": schemas.ID}))}
            },
            "/version": {
                "get": _operation(
                    "version",
                    "What is running, for operators",
                    _json("Version", None),
                    ADMIN,
                    "admin",
                )
            },
            "/openapi.json": {
                "get": _operation(
                    "openapi",
                    "This document",
                    {"application/json": {"schema": {"type": "object"}}},
                    OPEN,
                    None,
                )
            },
        },
        "components": {
            "securitySchemes": {
                "key": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A key of `preflight keys add`",
                }
            },
            "schemas": schemas.components(contract, limits),
        },
    }


def _asking(
    name: str, summary: str, body: dict[str, Any], answer: dict[str, Any]
) -> dict[str, Any]:
    """An operation that asks for predictions."""
    headers = {
        "X-Entity-Id": ("Whose request it is; the client's own id without it", SHOWN, True),
        "X-Request-Id": ("Repeated in the answer; one is made without it", SHOWN, False),
        "traceparent": ("W3C trace context, repeated in the answer", "", False),
    }
    found = _operation(name, summary, answer, ASKING, "predict")
    return found | {
        "parameters": [
            {
                "name": header,
                "in": "header",
                "description": f"{what}. {form}".strip(),
                "schema": TEXT | ({"pattern": "^[!-~]{1,128}$"} if strict else {}),
            }
            for header, (what, form, strict) in headers.items()
        ],
        "requestBody": _required(body),
    }


def _required(body: dict[str, Any]) -> dict[str, Any]:
    return {"required": True, "content": body}


def _outcomes() -> dict[str, Any]:
    either = {"oneOf": [schemas.ref("Outcome"), schemas.ref("Outcomes")]}
    one = {"prediction_id": schemas.ID, "value": 12.5}
    return _required({"application/json": {"schema": either, "example": one}})


def _operation(
    name: str,
    summary: str,
    answer: dict[str, Any],
    refusals: tuple[str, ...],
    scope: Scope | None,
    status: str = "200",
) -> dict[str, Any]:
    problem = {"application/problem+json": {"schema": schemas.ref("Problem")}}
    return {
        "operationId": name,
        "summary": summary,
        "security": [{"key": [scope]}] if scope else [],
        "responses": {
            status: {"description": "Answered", "headers": _headers(), "content": answer},
            **{
                each: {"description": REFUSALS[each], "content": problem}
                for each in sorted(refusals)
            },
        },
    }


def _headers() -> dict[str, Any]:
    return {"X-Request-Id": {"description": "The caller's, or a new one", "schema": TEXT}}


def _json(schema: str, example: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"schema": schemas.ref(schema)}
    if example is not None:
        found["example"] = example
    return {"application/json": found}


def _lines(description: str, *examples: Any) -> dict[str, Any]:
    text = "".join(json.dumps(each) + "\n" for each in examples)
    schema = {"type": "string", "description": description}
    return {"application/x-ndjson": {"schema": schema, "example": text}}
