"""The service's OpenAPI document, derived from the contract."""

import json
from typing import Any

from preflight.contract import Column, Contract
from preflight.params import Serving
from preflight.serving.compiled import TIME
from preflight.serving.door import SHOWN
from preflight.serving.keys import Scope
from preflight.serving.requests import expectation

TYPES = {"integer": "integer", "number": "number", "text": "string", "time": "string"}
TEXT = {"type": "string"}
REFUSALS = {
    "401": "No key, or one that is not known",
    "403": "A key without the scope",
    "405": "Another method",
    "408": "The request did not come in time",
    "413": "Too large",
    "415": "A coded body",
    "422": "Breaks the contract",
    "429": "More requests than the key may make",
    "500": "An error of the service",
    "503": "Switched off, or no answer in time",
}
OPEN = ("405", "500")
ADMIN = ("401", "403", "405", "422", "429", "500")
ID = "019a7c41-5e10-7b3c-9d52-2f4c8e1a6b70"


def document(contract: Contract, limits: Serving) -> dict[str, Any]:
    """OpenAPI 3.1 of all routes that the service answers itself."""
    trip = {column.name: column.example for column in contract.known}
    answer = _example(contract)
    problem = {
        "type": "about:blank",
        "title": "Unprocessable Content",
        "status": 422,
        "detail": "body: found nothing; expected a JSON document in UTF-8",
        "field": "body",
        "found": "nothing",
        "expected": "a JSON document in UTF-8",
    }
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
            "schemas": {
                "Instance": {
                    "type": "object",
                    "additionalProperties": False,
                    "required": [column.name for column in contract.known],
                    "properties": {column.name: _property(column) for column in contract.known},
                },
                "Instances": {
                    "type": "object",
                    "additionalProperties": False,
                    "required": ["instances"],
                    "properties": {
                        "instances": {
                            "type": "array",
                            "minItems": 1,
                            "maxItems": limits.max_batch,
                            "items": _ref("Instance"),
                        }
                    },
                },
                "Prediction": _prediction(contract),
                "Predictions": {
                    "type": "object",
                    "required": ["predictions"],
                    "properties": {"predictions": {"type": "array", "items": _ref("Prediction")}},
                },
                "Version": _version(),
                "Problem": _problem() | {"examples": [problem]},
            },
        },
    }


def _property(column: Column) -> dict[str, Any]:
    found: dict[str, Any] = {
        "type": TYPES[column.kind],
        "description": f"{column.description}; {expectation(column)}",
    }
    if column.kind == "time":
        found["pattern"] = TIME.pattern.replace(r"\Z", "$")
    elif column.allowed is not None:
        found["enum"] = list(column.allowed)
    elif column.minimum is not None:
        found |= {"minimum": column.minimum, "maximum": column.maximum}
    if column.example is not None:
        found["examples"] = [column.example]
    return found


def _prediction(contract: Contract) -> dict[str, Any]:
    target = contract.target
    number = {"type": "number", "minimum": target.minimum, "maximum": target.maximum}
    return {
        "type": "object",
        "required": [
            "prediction_id",
            "model_version",
            "value",
            "unit",
            "interval",
            "flags",
            "warning",
        ],
        "properties": {
            "prediction_id": {
                "type": "string",
                "format": "uuid",
                "description": "Version 7: ids sort by time",
            },
            "model_version": TEXT,
            "value": {**number, "description": target.description},
            "unit": {"const": target.unit},
            "interval": {
                "type": ["object", "null"],
                "required": ["lower", "upper", "coverage"],
                "properties": {
                    "lower": number,
                    "upper": number,
                    "coverage": {"type": "number", "description": "Nominal"},
                },
            },
            "flags": {
                "type": "array",
                "items": {"type": "string"},
                "description": "NAME.unseen for a feature whose value training did not see; "
                "fallback.mode or fallback.output where a simpler model answered",
            },
            "warning": {
                "type": ["string", "null"],
                "description": "Why a simpler model answered, for the reader of the answer",
            },
        },
    }


def _example(contract: Contract) -> dict[str, Any]:
    low, high = contract.target_bins[0], contract.target_bins[-1]
    value = contract.target_bins[len(contract.target_bins) // 2]
    return {
        "prediction_id": ID,
        "model_version": "1",
        "value": value,
        "unit": contract.target.unit,
        "interval": {"lower": low, "upper": high, "coverage": 0.9},
        "flags": [],
        "warning": None,
    }


def _version() -> dict[str, Any]:
    known = ("model_version", "commit", "bento", "model_hash", "contract", "mode", "reason")
    return {
        "type": "object",
        "required": list(known),
        "properties": {name: {"type": ["string", "null"]} for name in known},
    }


def _problem() -> dict[str, Any]:
    known = dict.fromkeys(("type", "title", "detail", "field", "found", "expected"), TEXT)
    return {
        "type": "object",
        "description": "Problem details, RFC 9457",
        "required": ["status", *known],
        "properties": {**known, "status": {"type": "integer"}},
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
    found = _operation(name, summary, answer, tuple(REFUSALS), "predict")
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
        "requestBody": {"required": True, "content": body},
    }


def _operation(
    name: str,
    summary: str,
    answer: dict[str, Any],
    refusals: tuple[str, ...],
    scope: Scope | None,
) -> dict[str, Any]:
    problem = {"application/problem+json": {"schema": _ref("Problem")}}
    return {
        "operationId": name,
        "summary": summary,
        "security": [{"key": [scope]}] if scope else [],
        "responses": {
            "200": {"description": "Answered", "headers": _headers(), "content": answer},
            **{
                status: {"description": REFUSALS[status], "content": problem} for status in refusals
            },
        },
    }


def _headers() -> dict[str, Any]:
    return {"X-Request-Id": {"description": "The caller's, or a new one", "schema": TEXT}}


def _json(schema: str, example: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"schema": _ref(schema)}
    if example is not None:
        found["example"] = example
    return {"application/json": found}


def _lines(description: str, *examples: Any) -> dict[str, Any]:
    text = "".join(json.dumps(each) + "\n" for each in examples)
    schema = {"type": "string", "description": description}
    return {"application/x-ndjson": {"schema": schema, "example": text}}


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}
