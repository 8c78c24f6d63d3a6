"""Fields of Argo Rollouts' objects, typed and strict: an unknown one is refused by its name."""

from collections.abc import Mapping
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import to_json

from preflight.deploy.manifests import Object, label
from preflight.errors import Problem

Time = Annotated[str, Field(pattern=r"^(\d+(\.\d+)?(ms|s|m|h))+$")]
Count = Annotated[int, Field(ge=0)]
Weight = Annotated[int, Field(ge=0, le=100)]


class Known(BaseModel):
    """Fields as Kubernetes writes them, and no other."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, alias_generator=to_camel)


Model = TypeVar("Model", bound=Known)


class Metadata(Known):
    """What an object is called and marked with."""

    name: str
    namespace: str | None = None
    labels: Mapping[str, str] = {}
    annotations: Mapping[str, str] = {}


class Origin(Known):
    """Where an argument comes from."""

    pod_template_hash_value: Literal["Stable", "Latest"] | None = None
    field_ref: Mapping[Literal["fieldPath"], str] | None = None


class Argument(Known):
    """One argument of a run, or of a template."""

    name: str
    value: str | None = None
    value_from: Origin | None = None


def typed(model: type[Model], each: Object, where: str) -> Model:
    """An object as a model; raises Problem that names the first field that is wrong."""
    try:
        return model.model_validate_json(to_json(each))
    except ValidationError as error:
        source = f"src/{model.__module__.replace('.', '/')}.py"
        raise _wrong(error, f"{where}: {label(each)}", source) from None


def _wrong(error: ValidationError, where: str, source: str) -> Problem:
    # A misspelt field is both unknown and missing; the first says more.
    found = error.errors(include_url=False)
    first = min(found, key=lambda each: each["type"] != "extra_forbidden")
    key = ".".join(map(str, first["loc"]))
    if first["type"] == "extra_forbidden":
        expected = f"a field that {source} knows"
        remedy = "Mend its name, or teach the models what it means."
        return Problem(where, f"the unknown field {key}", expected, remedy)
    if first["type"] == "missing":
        return Problem(where, f"no {key}", "a value", "Add it.")
    expected = first["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
    return Problem(where, f"{key}: {str(first['input'])[:80]!r}", expected, "Mend the value.")
