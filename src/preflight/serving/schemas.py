"""JSON schemas of what the service is asked and answers, derived from the contract."""

from typing import Any

from preflight.contract import Column, Contract
from preflight.params import Serving
from preflight.serving.compiled import TIME
from preflight.serving.requests import expectation

Schema = dict[str, Any]
TYPES = {"integer": "integer", "number": "number", "text": "string", "time": "string"}
TEXT = {"type": "string"}
TEXT_OR_NULL = {"type": ["string", "null"]}
NUMBER = {"type": "number"}
NUMBER_OR_NULL = {"type": ["number", "null"]}
ID = "019a7c41-5e10-7b3c-9d52-2f4c8e1a6b70"
FLAGS = (
    "NAME.unseen for a feature whose value training did not see; combination.unseen for values "
    "that training saw, but hardly together; interval.wide for an interval too wide to be of use; "
    "fallback.mode or fallback.output where a simpler model answered"
)


def components(contract: Contract, limits: Serving) -> Schema:
    """All schemas by name."""
    problem = {
        "type": "about:blank",
        "title": "Unprocessable Content",
        "status": 422,
        "detail": "body: found nothing; expected a JSON document in UTF-8",
        "field": "body",
        "found": "nothing",
        "expected": "a JSON document in UTF-8",
    }
    known = {column.name: _property(column) for column in contract.known}
    predictions = {"type": "array", "items": ref("Prediction")}
    return {
        "Instance": _closed(known),
        "Instances": _closed({"instances": _some("Instance", limits)}),
        "Prediction": _prediction(contract),
        "Predictions": _open({"predictions": predictions}),
        "Outcome": _closed(
            {
                "prediction_id": {**TEXT, "format": "uuid", "examples": [ID]},
                "value": {
                    **NUMBER,
                    "description": f"{contract.target.description}, as it really was, in "
                    f"{contract.target.unit}s",
                },
            }
        ),
        "Outcomes": _closed({"outcomes": _some("Outcome", limits)}),
        "Accepted": _open({"accepted": {"type": "integer", "minimum": 1}}),
        "Asked": _closed({"prediction_id": {**TEXT, "format": "uuid", "examples": [ID]}}),
        "Explanation": _explanation(),
        "Version": _version(),
        "Problem": _problem() | {"examples": [problem]},
    }


def _open(properties: Schema) -> Schema:
    """An object of an answer, which may get more fields."""
    return {"type": "object", "required": list(properties), "properties": properties}


def _closed(properties: Schema) -> Schema:
    """An object of a request, which has these fields and no others."""
    return _open(properties) | {"additionalProperties": False}


def _some(name: str, limits: Serving) -> Schema:
    return {"type": "array", "minItems": 1, "maxItems": limits.max_batch, "items": ref(name)}


def _property(column: Column) -> Schema:
    found: Schema = {
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


def _prediction(contract: Contract) -> Schema:
    target = contract.target
    number = {"type": "number", "minimum": target.minimum, "maximum": target.maximum}
    return _open(
        {
            "prediction_id": {
                "type": "string",
                "format": "uuid",
                "description": "Version 7: ids sort by time",
            },
            "model_version": TEXT,
            "value": {**number, "description": target.description},
            "unit": {"const": target.unit},
            "interval": _open(
                {
                    "lower": number,
                    "upper": number,
                    "coverage": {"type": "number", "description": "Nominal"},
                }
            )
            | {"type": ["object", "null"]},
            "flags": {"type": "array", "items": {"type": "string"}, "description": FLAGS},
            "warning": {
                "type": ["string", "null"],
                "description": "Why a simpler model answered, for the reader of the answer",
            },
        }
    )


def _explanation() -> Schema:
    share = _open(
        {
            "feature": TEXT,
            "value": NUMBER,
            "contribution": {**NUMBER, "description": "In the unit of the answer"},
            "seen": {"type": "boolean", "description": "Whether training saw the value"},
        }
    )
    return _open(
        {
            "prediction_id": TEXT,
            "at": TEXT,
            "model_hash": TEXT,
            "input": {"type": "object"},
            "value": NUMBER,
            "base": {
                **NUMBER_OR_NULL,
                "description": "With the contributions it sums to the value; null for a fallback",
            },
            "contributions": {"type": "array", "items": share},
            "guards": {"type": "array", "items": TEXT, "description": "Guards that fired"},
            "fallback": {**TEXT_OR_NULL, "description": "Why a simpler model answered"},
            "recomputed": {**TEXT, "description": "Whether the model still answers the same"},
        }
    )


def example(contract: Contract) -> Schema:
    """An answer as it could be."""
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


def _version() -> Schema:
    known = ("model_version", "commit", "bento", "model_hash", "contract", "mode", "reason")
    return _open(dict.fromkeys(known, TEXT_OR_NULL))


def _problem() -> Schema:
    known = dict.fromkeys(("type", "title", "detail", "field", "found", "expected"), TEXT)
    return _open({"status": {"type": "integer"}, **known}) | {
        "description": "Problem details, RFC 9457"
    }


def ref(name: str) -> dict[str, str]:
    """A reference to a schema."""
    return {"$ref": f"#/components/schemas/{name}"}
