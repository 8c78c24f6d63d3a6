"""The service's OpenAPI document, derived from the contract."""

from typing import Any

from preflight.contract import Column, Contract
from preflight.serving.requests import TIME, expectation

TYPES = {"integer": "integer", "number": "number", "text": "string", "time": "string"}


def document(contract: Contract, max_batch: int) -> dict[str, Any]:
    """OpenAPI 3.1 of the routes under /v1 and of /version."""
    instance = {
        "type": "object",
        "additionalProperties": False,
        "required": [column.name for column in contract.known],
        "properties": {column.name: _property(column) for column in contract.known},
    }
    instances = {
        "type": "object",
        "additionalProperties": False,
        "required": ["instances"],
        "properties": {
            "instances": {
                "type": "array",
                "minItems": 1,
                "maxItems": max_batch,
                "items": _ref("Instance"),
            }
        },
    }
    predictions = {
        "type": "object",
        "required": ["predictions"],
        "properties": {"predictions": {"type": "array", "items": _ref("Prediction")}},
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": contract.name, "version": f"{contract.version}"},
        "paths": {
            "/v1/predict": {"post": _operation("Answer one request", "Instance", "Prediction")},
            "/v1/predict/batch": {
                "post": _operation("Answer many requests", "Instances", "Predictions")
            },
            "/version": {
                "get": {
                    "summary": "What is running",
                    "responses": {"200": _content("What is running", {"type": "object"})},
                }
            },
        },
        "components": {
            "schemas": {
                "Instance": instance,
                "Instances": instances,
                "Prediction": _prediction(contract),
                "Predictions": predictions,
                "Problem": _problem(),
            }
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
        "required": ["prediction_id", "model_version", "value", "unit", "interval", "flags"],
        "properties": {
            "prediction_id": {"type": "string", "format": "uuid"},
            "model_version": {"type": "string"},
            "value": {"type": "number", "description": target.description},
            "unit": {"const": target.unit},
            "interval": {
                "type": ["object", "null"],
                "properties": {
                    "lower": number,
                    "upper": number,
                    "coverage": {"type": "number", "description": "Nominal"},
                },
            },
            "flags": {
                "type": "array",
                "items": {"type": "string"},
                "description": "Features whose values training did not see, as NAME.unseen",
            },
        },
    }


def _problem() -> dict[str, Any]:
    text = {"type": "string"}
    return {
        "type": "object",
        "description": "Problem details, RFC 9457",
        "properties": {
            "type": text,
            "title": text,
            "status": {"type": "integer"},
            "field": text,
            "found": text,
            "expected": text,
        },
    }


def _operation(summary: str, body: str, answer: str) -> dict[str, Any]:
    refusals = {"405": "Another method", "413": "Too large", "422": "Breaks the contract"}
    return {
        "summary": summary,
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": _ref(body)}},
        },
        "responses": {
            "200": _content("Answered", _ref(answer)),
            **{
                status: _content(reason, _ref("Problem"), "application/problem+json")
                for status, reason in refusals.items()
            },
        },
    }


def _content(
    description: str, schema: dict[str, Any], media: str = "application/json"
) -> dict[str, Any]:
    return {"description": description, "content": {media: {"schema": schema}}}


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}
