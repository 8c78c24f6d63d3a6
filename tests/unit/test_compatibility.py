"""Callers of /v1 keep what they rely on: its schema, frozen in tests/v1.json.

Red here means that the change at hand would break a caller of /v1. Leave /v1 as it was and
answer the change under /v2 beside it, as docs/serving.md describes. A change that breaks nobody,
such as a new optional field, is green; write it down with the command below, so that it is kept
from then on. So does a fork, once, after it has put its own contract into the example's place.
"""

import copy
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from asked import ask, loaded
from conftest import ROOT, run
from preflight import compatibility, params
from preflight.compatibility import breaks
from preflight.serving import openapi
from taxi.contract import CONTRACT

FROZEN = ROOT / "tests/v1.json"
COMMAND = ".venv/bin/python -m preflight.compatibility > tests/v1.json"
REMEDY = (
    "callers of /v1 would break: answer this under /v2, see docs/serving.md. Where nobody calls "
    f"/v1 yet, as in a new fork: {COMMAND}"
)
Plain = dict[str, Any]
Edit = Callable[[Plain], object]
V1: Plain = json.loads(FROZEN.read_text())
# A caller's field that takes some values only: the example contract has none in its requests.
V1["components"]["schemas"]["Instance"]["properties"]["service"] = {"enum": ["day", "night"]}


def changed(edit: Edit) -> Plain:
    """The frozen document after a change."""
    found = copy.deepcopy(V1)
    edit(found)
    return found


def predict(document: Plain) -> Plain:
    """The operation that answers one request."""
    found: Plain = document["paths"]["/v1/predict"]["post"]
    return found


def asked(document: Plain) -> Plain:
    """The schema of a request."""
    found: Plain = document["components"]["schemas"]["Instance"]
    return found


def told(document: Plain) -> Plain:
    """The schema of an answer."""
    found: Plain = document["components"]["schemas"]["Prediction"]
    return found


def field(name: str, **more: Any) -> Edit:
    """Lay keywords over a request's field."""
    return lambda document: asked(document)["properties"].setdefault(name, {}).update(more)


def answer(name: str, **more: Any) -> Edit:
    """Lay keywords over an answer's field."""
    return lambda document: told(document)["properties"].setdefault(name, {}).update(more)


def rows(**more: Any) -> Edit:
    """Lay keywords over the list of a batch."""

    def edit(document: Plain) -> None:
        schemas = document["components"]["schemas"]
        schemas["Instances"]["properties"]["instances"].update(more)

    return edit


def header(**more: Any) -> Edit:
    """Lay keys over the header X-Entity-Id."""
    return lambda document: predict(document)["parameters"][0].update(more)


BREAKING: dict[str, tuple[Edit, str]] = {
    "a route is gone": (lambda d: d["paths"].pop("/v1/predict"), "POST /v1/predict: the route"),
    "a method is gone": (
        lambda d: d["paths"]["/v1/predict"].update(get=d["paths"]["/v1/predict"].pop("post")),
        "POST /v1/predict: the route or its method is gone",
    ),
    "a scope is another": (
        lambda d: predict(d).update(security=[{"key": ["admin"]}]),
        'needs the scopes [{"key": ["admin"]}], needed [{"key": ["predict"]}]',
    ),
    "a header is gone": (lambda d: predict(d)["parameters"].pop(0), "x-entity-id is gone"),
    "a header is required": (header(required=True), "request header x-entity-id is required now"),
    "a header is narrowed": (header(schema={"type": "string", "pattern": "^a"}), "pattern was"),
    "a new header is required": (
        lambda d: predict(d)["parameters"].append(
            {"in": "header", "name": "X-New", "required": True, "schema": {}}
        ),
        "request header x-new is required now",
    ),
    "a media type of requests is gone": (
        lambda d: predict(d)["requestBody"]["content"].clear(),
        "request as application/json is gone",
    ),
    "a field of requests is gone": (
        lambda d: asked(d)["properties"].pop("pickup_zone"),
        "request.pickup_zone is gone",
    ),
    "a field of requests becomes required": (
        lambda d: asked(d)["required"].append("service"),
        "request.service is required now",
    ),
    "a new field of requests is required": (
        lambda d: (field("new")(d), asked(d)["required"].append("new")),
        "request.new is required now",
    ),
    "a type is narrowed": (
        field("trip_distance", type="integer"),
        'type was "number", is "integer"',
    ),
    "a value is taken away": (field("service", enum=["day"]), 'enum was ["day", "night"]'),
    "any value becomes some values": (field("pickup_zone", enum=[1, 2]), "enum was nothing"),
    "a minimum is raised": (
        field("pickup_zone", minimum=2),
        "request.pickup_zone: minimum was 1, is 2: narrower than callers rely on",
    ),
    "a maximum is lowered": (field("pickup_zone", maximum=9), "maximum was 265, is 9"),
    "a pattern is another": (field("pickup_at", pattern="^2"), "request.pickup_at: pattern was"),
    "a batch holds fewer": (rows(maxItems=10), "maxItems was 10000, is 10"),
    "a batch has a least size": (rows(minItems=2), "minItems was 1, is 2"),
    "a keyword that is not known here is new": (
        field("pickup_zone", multipleOf=2),
        "multipleOf was nothing, is 2",
    ),
    "a field of answers is gone": (
        lambda d: (told(d)["properties"].pop("flags"), told(d)["required"].remove("flags")),
        "answer 200.flags is gone",
    ),
    "a field of answers is no longer sure": (
        lambda d: told(d)["required"].remove("unit"),
        "answer 200.unit is no longer sure to be there",
    ),
    "an answer's type is another": (answer("model_version", type="integer"), 'is "integer"'),
    "an answer may be null": (
        answer("value", type=["number", "null"]),
        'answer 200.value: type was "number", is ["number", "null"]: wider',
    ),
    "an answer's unit is another": (answer("unit", const="second"), 'const was "minute"'),
    "an answer's range is wider": (answer("value", maximum=90), "maximum was 60.0, is 90"),
    "an answer's form is another": (answer("prediction_id", format="text"), "format was"),
    "what lies inside of an answer is another": (
        lambda d: told(d)["properties"]["interval"]["required"].remove("lower"),
        "answer 200.interval.lower is no longer sure",
    ),
    "a list of an answer holds others": (
        lambda d: told(d)["properties"]["flags"].update(items={"type": "object"}),
        "answer 200.flags[]: type was",
    ),
    "a success is another": (
        lambda d: predict(d)["responses"].update({"201": predict(d)["responses"].pop("200")}),
        "answer 200 is gone",
    ),
    "a header of answers is gone": (
        lambda d: predict(d)["responses"]["200"]["headers"].clear(),
        "answer 200 header X-Request-Id is gone",
    ),
    "a refusal says less": (
        lambda d: d["components"]["schemas"]["Problem"]["properties"].pop("field"),
        "answer 422.field is gone",
    ),
}


@pytest.mark.parametrize("change", list(BREAKING))
def test_a_change_that_breaks_a_caller_is_named(change: str) -> None:
    edit, said = BREAKING[change]
    found = breaks(V1, changed(edit))
    assert any(said in each for each in found), found


ALLOWED: dict[str, Edit] = {
    "nothing": lambda d: None,
    "a new route": lambda d: d["paths"].update({"/v1/explain": {"post": predict(d)}}),
    "a new optional field of requests": field("luggage", type="integer"),
    "a field of requests that need not come": lambda d: asked(d)["required"].remove("pickup_zone"),
    "another value of requests": field("service", enum=["night", "day", "holiday"]),
    "some values become any": lambda d: asked(d)["properties"]["service"].pop("enum"),
    "a lower minimum": field("pickup_zone", minimum=0),
    "a higher maximum": field("pickup_zone", maximum=300),
    "a wider type of requests": field("pickup_zone", type=["number", "null"]),
    "a pattern that is gone": lambda d: asked(d)["properties"]["pickup_at"].pop("pattern"),
    "a larger batch": rows(maxItems=20_000),
    "a new field of answers": lambda d: (
        answer("explanation", type="string")(d),
        told(d)["required"].append("explanation"),
    ),
    "a narrower range of answers": answer("value", maximum=59),
    "a list instead of any text": answer("model_version", enum=["1", "2"]),
    "a new optional header": lambda d: predict(d)["parameters"].append(
        {"in": "header", "name": "X-New", "schema": {"type": "string"}}
    ),
    "a header with another case": header(name="x-entity-id"),
    "a refusal that is no longer given": lambda d: predict(d)["responses"].pop("415"),
    "a new refusal": lambda d: predict(d)["responses"].update({"402": {"description": "Pay"}}),
    "a scope that is no longer needed": lambda d: predict(d).update(security=[]),
    "other words": field("pickup_zone", description="Where it starts", examples=[3]),
}


@pytest.mark.parametrize("change", list(ALLOWED))
def test_a_change_that_breaks_nobody_passes(change: str) -> None:
    assert breaks(V1, changed(ALLOWED[change])) == []


def test_v1_keeps_what_its_callers_rely_on() -> None:
    frozen = json.loads(FROZEN.read_text())
    present = openapi.document(CONTRACT, params.load(ROOT / "params.yaml").serving)
    assert breaks(frozen, present) == [], REMEDY


def test_the_frozen_schema_holds_v1_whole_and_nothing_else() -> None:
    frozen = json.loads(FROZEN.read_text())
    present = openapi.document(CONTRACT, params.load(ROOT / "params.yaml").serving)
    assert all(path.startswith("/v1/") for path in frozen["paths"])
    assert compatibility.frozen(frozen) == frozen
    assert compatibility.frozen(present)["paths"].keys() == frozen["paths"].keys(), COMMAND
    assert FROZEN.read_text() == json.dumps(frozen, indent=2, sort_keys=True) + "\n"


def test_a_newly_trained_model_answers_under_the_same_schema(built: Path, tmp_path: Path) -> None:
    with loaded(built, tmp_path) as (service, _):
        served = ask(service, "GET", "/openapi.json").json()
    assert breaks(json.loads(FROZEN.read_text()), served) == []


def test_one_command_writes_the_present_schema() -> None:
    (words, _, target) = COMMAND.partition(" > ")
    assert ROOT / target == FROZEN
    done = run(ROOT, sys.executable, *words.split()[1:])
    assert done.returncode == 0, done.stderr
    present = openapi.document(CONTRACT, params.load(ROOT / "params.yaml").serving)
    assert json.loads(done.stdout) == compatibility.frozen(present)
