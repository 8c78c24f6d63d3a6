"""Waivers: typed exceptions to the policy gate, each with a reason, an owner and an end."""

from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import PydanticSerializationError, to_json

Check = Literal["limits", "gates", "tests", "seeds", "workflows", "contract"]


class Waiver(BaseModel):
    """One exception: `subject` is a guard as the policy gate names it, `expires` the last day."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, str_strip_whitespace=True)

    check: Check
    subject: Annotated[str, Field(min_length=1, max_length=240)]
    reason: Annotated[str, Field(min_length=20, max_length=200)]
    owner: Annotated[str, Field(pattern=r"^@[A-Za-z0-9][A-Za-z0-9_/-]{0,60}$")]
    expires: date


@dataclass(frozen=True)
class Flaw:
    """What is wrong with one entry of the file, or with the file."""

    entry: str
    words: str


def parse(text: str, today: date, most_days: int) -> tuple[tuple[Waiver, ...], tuple[Flaw, ...]]:
    """The waivers in force on `today`, at most `most_days` ahead; what is wrong with the others."""
    try:
        raw = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        return (), (Flaw("the file", f"no YAML: {' '.join(str(error).split())}"),)
    if raw is None:
        return (), ()
    if not (isinstance(raw, dict) and set(raw) == {"waivers"} and isinstance(raw["waivers"], list)):
        return (), (Flaw("the file", "expected the one key `waivers` and a list under it"),)
    read = [_one(place, entry, today, most_days) for place, entry in enumerate(raw["waivers"], 1)]
    held = tuple(each for each in read if isinstance(each, Waiver))
    return held, tuple(each for each in read if isinstance(each, Flaw))


def _one(place: int, entry: Any, today: date, most_days: int) -> Waiver | Flaw:
    subject = entry.get("subject") if isinstance(entry, dict) else None
    name = f"entry {place}" + (f" ({subject})" if isinstance(subject, str) else "")
    try:
        waiver = Waiver.model_validate_json(to_json(entry))
    except (ValidationError, PydanticSerializationError) as error:
        return Flaw(name, _said(error))
    if waiver.expires < today:
        return Flaw(name, f"expired on {waiver.expires}: remove it, and what it excused")
    if (waiver.expires - today).days > most_days:
        return Flaw(name, f"expires {waiver.expires}, more than {most_days} days ahead")
    return waiver


def _said(error: ValidationError | PydanticSerializationError) -> str:
    if not isinstance(error, ValidationError):
        return "no plain data"
    found = error.errors(include_url=False, include_input=False, include_context=False)
    # A misspelt field is both unknown and missing; the first says more.
    first = min(found, key=lambda each: each["type"] != "extra_forbidden")
    key = ".".join(str(step) for step in first["loc"])
    if first["type"] == "extra_forbidden":
        return f"{key}: an unknown field; expected {', '.join(Waiver.model_fields)}"
    return f"{key}: {first['msg']}" if key else first["msg"]
