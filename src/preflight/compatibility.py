"""What would break a caller: two OpenAPI documents of the same major version, compared."""

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from preflight import params, project
from preflight.serving import openapi

VERSION = "/v1/"
LOWER = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
UPPER = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
APART = {"type", "enum", "const", "required", "properties", "items", *LOWER, *UPPER}
PROSE = {"title", "description", "example", "examples", "default", "deprecated", "$comment"}
KINDS = {
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
    type(None): "null",
    dict: "object",
    list: "array",
}
EVERY = frozenset(KINDS.values())
Plain = dict[str, Any]


def breaks(old: Plain, new: Plain) -> list[str]:
    """Each change from `old` to `new` that would break a caller of `old`, in words.

    A request must still be accepted, and an answer must still keep the schema that callers
    read it by. A keyword that is not known here counts as a break when it changes.
    """
    return [
        f"{method.upper()} {path}: {said}"
        for path, methods in old["paths"].items()
        for method, operation in methods.items()
        for said in _operation(
            _Sides(old, operation), _Sides(new, new["paths"].get(path, {}).get(method))
        )
    ]


def frozen(document: Plain) -> Plain:
    """The part of a document that callers of this version rely on."""
    paths = {path: found for path, found in document["paths"].items() if path.startswith(VERSION)}
    schemas: Plain = {}
    waiting: list[Any] = [paths]
    while waiting:
        found = waiting.pop()
        if isinstance(found, dict):
            name = found.get("$ref", "").rpartition("/")[2]
            if name and name not in schemas:
                schemas[name] = document["components"]["schemas"][name]
                waiting.append(schemas[name])
            waiting += found.values()
        elif isinstance(found, list):
            waiting += found
    return {"openapi": document["openapi"], "paths": paths, "components": {"schemas": schemas}}


@dataclass(frozen=True)
class _Sides:
    """An operation with its document; None where the document has no such operation."""

    document: Plain
    operation: Plain | None

    def __getitem__(self, name: str) -> Any:
        return (self.operation or {}).get(name, {})

    def plain(self, schema: Plain) -> Plain:
        """The schema itself where there is a reference to it."""
        while "$ref" in schema:
            schema = self.document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        return schema


def _operation(old: _Sides, new: _Sides) -> Iterator[str]:
    if new.operation is None:
        yield "the route or its method is gone"
        return
    if new["security"] and new["security"] != old["security"]:
        yield f"needs the scopes {_said(new['security'])}, needed {_said(old['security'])}"
    yield from _parameters(old, new)
    before, after = old["requestBody"], new["requestBody"]
    if after.get("required") and not before.get("required"):
        yield "a request needs a body now"
    asked = _Request(old, new)
    yield from asked.contents(before.get("content", {}), after.get("content", {}), "request")
    for status, answer in old["responses"].items():
        found = new["responses"].get(status)
        if found is not None:
            yield from _answer(old, new, answer, found, f"answer {status}")
        elif status.startswith("2"):
            yield f"answer {status} is gone"


def _parameters(old: _Sides, new: _Sides) -> Iterator[str]:
    before, after = (
        {(each["in"], each["name"].lower()): each for each in side["parameters"]}
        for side in (old, new)
    )
    for place, found in after.items():
        where = f"request {' '.join(place)}"
        if found.get("required") and not before.get(place, {}).get("required"):
            yield f"{where} is required now"
        if place in before:
            schemas = before[place].get("schema", {}), found.get("schema", {})
            yield from _Request(old, new).schemas(*schemas, where)
    for place in before.keys() - after.keys():
        yield f"request {' '.join(place)} is gone"


def _answer(old: _Sides, new: _Sides, before: Plain, after: Plain, where: str) -> Iterator[str]:
    told = _Answer(old, new)
    for name in before.get("headers", {}).keys() - after.get("headers", {}).keys():
        yield f"{where} header {name} is gone"
    yield from told.contents(before.get("content", {}), after.get("content", {}), where)


class _Request:
    """What was sent must still be accepted: the old schema's values are among the new one's."""

    said = "narrower than callers rely on"
    needed = "is required now"

    def __init__(self, old: _Sides, new: _Sides) -> None:
        self._old, self._new = old, new

    def contents(self, old: Plain, new: Plain, where: str) -> Iterator[str]:
        """Schemas by media type."""
        for media, found in old.items():
            if media in new:
                schemas = found.get("schema", {}), new[media].get("schema", {})
                yield from self.schemas(*schemas, where)
            else:
                yield f"{where} as {media} is gone"

    def schemas(self, old: Plain, new: Plain, where: str) -> Iterator[str]:
        """One schema and all that it holds."""
        old, new = self._old.plain(old), self._new.plain(new)
        few, many = self.order(old, new)
        for keyword in _refusing(few, many):
            change = f"{keyword} was {_said(old.get(keyword))}, is {_said(new.get(keyword))}"
            yield f"{where}: {change}: {self.said}"
        for name in sorted(set(many.get("required", ())) - set(few.get("required", ()))):
            yield f"{where}.{name} {self.needed}"
        fields = new.get("properties", {})
        for name, field in old.get("properties", {}).items():
            if name in fields:
                yield from self.schemas(field, fields[name], f"{where}.{name}")
            else:
                yield f"{where}.{name} is gone"
        if "items" in many:
            yield from self.schemas(old.get("items", {}), new.get("items", {}), f"{where}[]")

    def order(self, old: Plain, new: Plain) -> tuple[Plain, Plain]:
        """First the schema whose every value the second must take."""
        return old, new


class _Answer(_Request):
    """What is answered now must be what callers read: the new values are among the old ones."""

    said = "wider than callers rely on"
    needed = "is no longer sure to be there"

    def order(self, old: Plain, new: Plain) -> tuple[Plain, Plain]:
        return new, old


def _refusing(few: Plain, many: Plain) -> Iterator[str]:
    """The keywords by which `many` refuses a value that `few` takes."""
    values = _values(many)
    if values is not None:
        inside = _values(few)
        if inside is None or any(each not in values for each in inside):
            yield "const" if "const" in many else "enum"
    elif not _types(few) <= _types(many):
        yield "type"
    for keyword in sorted(many.keys() - PROSE - {"type", "enum", "const", "required"}):
        end, other = many[keyword], few.get(keyword)
        if keyword in LOWER or keyword in UPPER:
            refused = other is None or (other < end if keyword in LOWER else other > end)
        else:
            refused = keyword not in APART and end is not True and other != end
        if refused and _values(few) is None:
            yield keyword


def _values(schema: Plain) -> list[Any] | None:
    """All values that a schema takes, where it lists them."""
    found: list[Any] | None = [schema["const"]] if "const" in schema else schema.get("enum")
    return found


def _types(schema: Plain) -> frozenset[str]:
    listed = _values(schema)
    if listed is not None:
        found = {KINDS[type(each)] for each in listed}
    else:
        named = schema.get("type", EVERY)
        found = {named} if isinstance(named, str) else set(named)
    return frozenset(found | ({"integer"} if "number" in found else set()))


def _said(value: Any) -> str:
    return "nothing" if value is None else json.dumps(value)


def main() -> None:
    """Print what callers of the present version rely on, as tests/v1.json keeps it."""
    found = params.load()
    document = openapi.document(project.contract(found.project), found.serving)
    sys.stdout.write(json.dumps(frozen(document), indent=2, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
