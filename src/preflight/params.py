"""params.yaml, typed: every knob of the machinery, unknown keys refused."""

from datetime import date
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    create_model,
    field_validator,
)
from pydantic_core import to_json

from preflight import project as seam
from preflight.errors import Problem

Month = Annotated[str, Field(pattern=r"^\d{4}-(0[1-9]|1[0-2])$")]
Share = Annotated[float, Field(ge=0, le=1)]


class Section(BaseModel):
    """A part of params.yaml."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Data(Section):
    """Where rows and their lookup come from, and which months and share of them are used."""

    source: str
    lookup: str | None
    months: Annotated[tuple[Month, ...], Field(min_length=2)]
    sample: Annotated[float, Field(gt=0, le=1)]

    @field_validator("months")
    @classmethod
    def _once(cls, months: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(months)) < len(months):
            raise ValueError("each month once")
        return months


class Validate(Section):
    """Which row rules hold, and the table rules' limits."""

    row_rules: tuple[str, ...] | None
    min_rows: Annotated[int, Field(ge=1)]
    max_volume_ratio: Annotated[float, Field(gt=1)]
    max_quarantined: Share
    max_outside_month: Share
    max_duplicates: Share
    max_label_bin: Share


class Split(Section):
    """The newest months are for testing; the last days before them for calibration."""

    test_months: Annotated[int, Field(ge=1)]
    calibrate_days: Annotated[int, Field(ge=0)]


class Calibrate(Section):
    """Conformal intervals: nominal coverage, and groups of equal size by predicted value."""

    coverage: Annotated[float, Field(gt=0, lt=1)]
    groups: Annotated[int, Field(ge=1)]


class Guards(Section):
    """What is flagged beside an answer, or refused.

    `joint_flags` is the share of honest rows that the joint score may flag, `refuse` names
    features whose unseen values are refused, `max_width` is an interval's in the target's unit.
    """

    joint_flags: Annotated[float, Field(gt=0, lt=1)]
    refuse: tuple[str, ...]
    max_width: Annotated[float, Field(gt=0)]


class Evaluate(Section):
    """Resamples of the bootstrap, rows of the reference set, and the smallest slice."""

    resamples: Annotated[int, Field(ge=20)]
    reference_rows: Annotated[int, Field(ge=1)]
    min_slice_rows: Annotated[int, Field(ge=1)]


Mode = Literal["normal", "fallback", "off"]
Auth = Literal["keys", "off"]
Positive = Annotated[float, Field(gt=0)]


class Switches(Section):
    """How the service answers; a file of these keys, named at start, is laid over params.yaml.

    `mode` and `reason` are read again while it runs, the others are not. Behind a proxy that
    overwrites X-Arm and X-Pair-Id they are logged; else a caller could have written them. A shadow
    says by `arm` what it is: a copy of a request may carry the X-Arm of its original.
    """

    mode: Mode = "normal"
    auth: Auth = "keys"
    reason: str = ""
    behind_proxy: bool = False
    arm: Literal["shadow"] | None = None

    @field_validator("mode", "auth", mode="before")
    @classmethod
    def _off(cls, found: object) -> object:
        return "off" if found is False else found  # as YAML reads the word


class Serving(Switches):
    """How a service answers, and its limits; sizes in bytes, times in seconds."""

    mode: Mode
    auth: Auth
    max_body_bytes: Annotated[int, Field(ge=1)]
    max_line_bytes: Annotated[int, Field(ge=1)]
    max_batch: Annotated[int, Field(ge=1)]
    max_batches: Annotated[int, Field(ge=1)]
    max_rate: Annotated[float, Field(ge=1)]
    body_seconds: Positive
    batch_seconds: Positive
    stream_seconds: Positive
    drain_seconds: Annotated[float, Field(ge=0)]
    entity_salt: Annotated[str, Field(min_length=1, max_length=64)]
    deprecated: date | None


class Log(Section):
    """How predictions are remembered; sizes in bytes, times in seconds."""

    on_failure: Literal["refuse", "serve"]
    max_segment_bytes: Annotated[int, Field(ge=1_000)]
    max_segment_seconds: Positive
    fsync_seconds: Positive | None
    explain: bool


class Outcomes(Section):
    """How long each prediction waits for its outcome; a later one judges nothing."""

    maturity_hours: Positive


class Registry(Section):
    """The MLflow registry, the model's name in it, and where images of its service lie.

    `images` is a folder, or docker://HOST/NAME of a registry.
    """

    uri: str
    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$")]
    images: Annotated[str, Field(min_length=1)]


class Params(Section):
    """All of params.yaml; the sections of a project's own are typed by the project.

    `gates`, `rollout` and `risk` are typed where they are used, in preflight.gates.limits,
    preflight.rollout.limits and preflight.risk: no stage depends on them.
    """

    project: str
    data: Data
    validate_: Annotated[Validate, Field(alias="validate")]
    split: Split
    calibrate: Calibrate
    guards: Guards
    evaluate: Evaluate
    registry: Registry
    serving: Serving
    log: Log
    outcomes: Outcomes
    risk: dict[str, Any]
    rollout: dict[str, Any]
    gates: dict[str, Any]
    model: Any
    generator: Any


def load(path: Path = Path("params.yaml"), overlay: Path | None = None) -> Params:
    """Read and check params.yaml, with an overlay file's keys laid over it.

    Raises Problem that names the first offending key.
    """
    return parse(merged(path, overlay), str(overlay or path))


def read(path: Path) -> dict[str, Any]:
    """A YAML file of parameters as plain data; raises Problem when it is not one."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise Problem(
            str(path), "no file", "a YAML file of parameters", "Run this at the repository's root."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise Problem(
            str(path), type(error).__name__, "a YAML file in UTF-8", "Mend the file."
        ) from None
    return plain(text, str(path))


def plain(text: str, where: str) -> dict[str, Any]:
    """YAML text of parameters as plain data; `where` names it in errors."""
    try:
        raw = yaml.safe_load(text)
    except yaml.YAMLError as error:
        found = " ".join(str(error).split())
        raise Problem(where, found, "valid YAML", "Mend the line it names.") from None
    if not isinstance(raw, dict):
        raise Problem(where, type(raw).__name__, "keys and values", "See params.yaml in Git.")
    return raw


def merged(path: Path, overlay: Path | None) -> dict[str, Any]:
    """params.yaml as plain data, with the overlay's keys, if any, laid over its own."""
    return merge(read(path), read(overlay)) if overlay else read(path)


def parse(raw: dict[str, Any], where: str) -> Params:
    """Plain data to Params; `where` names the file in errors."""
    if not (isinstance(raw.get("project"), str) and raw["project"].isidentifier()):
        raise Problem(
            f"{where}: project",
            repr(raw.get("project")),
            "the name of a package under src/",
            "Add the line `project: taxi`.",
        )
    own = {name: (kind, ...) for name, kind in seam.sections(raw["project"]).items()}
    whole: type[Params] = create_model("Params", __base__=Params, **own)  # type: ignore[call-overload]
    try:
        return whole.model_validate_json(to_json(raw))
    except ValidationError as error:
        raise problem(where, error, whole) from None


def merge(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Nested keys of `above` laid over those of `below`."""
    both = dict(below)
    for key, value in above.items():
        old = both.get(key)
        nested = isinstance(value, dict) and isinstance(old, dict)
        both[key] = merge(old, value) if nested else value  # type: ignore[arg-type]
    return both


def flat(nested: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested keys joined by dots."""
    found: dict[str, Any] = {}
    for key, value in nested.items():
        if isinstance(value, dict):
            found |= flat(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = value
    return found


def problem(where: str, error: ValidationError, whole: type[BaseModel]) -> Problem:
    """What is wrong with the first offending key, in the words of params.yaml."""
    # A misspelt key is both unknown and missing; the first says more.
    found_errors = error.errors(include_url=False)
    first = min(found_errors, key=lambda each: each["type"] != "extra_forbidden")
    place = first["loc"]
    key = ".".join(str(part) for part in place)
    if first["type"] == "extra_forbidden":
        siblings = _keys(whole, place[:-1])
        near = get_close_matches(str(place[-1]), siblings, n=1)
        remedy = f"Did you mean `{near[0]}`?" if near else "Remove it or mend its name."
        known = f"one of {', '.join(siblings)}" if siblings else "a key of docs/params.md"
        return Problem(f"{where}: {key}", "an unknown key", known, remedy)
    if first["type"] == "missing":
        return Problem(f"{where}: {key}", "no such key", "a value", "Add it; see docs/params.md.")
    found = repr(first["input"])
    expected = first["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
    return Problem(f"{where}: {key}", found, expected, "Mend the value; see docs/params.md.")


def _keys(model: type[BaseModel], place: tuple[int | str, ...]) -> list[str]:
    fields = {field.alias or name: field for name, field in model.model_fields.items()}
    if not place:
        return list(fields)
    kind = fields[str(place[0])].annotation
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return _keys(kind, place[1:])
    return []
