"""Evidence: the one result type of every check, its JSON, and the set that a verdict rests on."""

import hashlib
import json
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from preflight.errors import Problem
from preflight.files import write_json

Status = Literal["pass", "fail", "no-data"]
EXIT: dict[Status, int] = {"pass": 0, "fail": 1, "no-data": 2}  # of a command that ends with it
NAME = r"^[a-z][a-z0-9-]{0,40}$"
Name = Annotated[str, Field(pattern=NAME)]
Commit = Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]
Short = Annotated[str, Field(max_length=120)]
Text = Annotated[str, Field(max_length=600)]
Ends = tuple[FiniteFloat, FiniteFloat]
Cell = Short | FiniteFloat | int | None

MAX_BYTES = 1_000_000  # of one part's file
TESTS = ("unit", "integration", "coverage")  # what `make test` leaves
COMMANDS = {
    "benchmark": "make bench-compare",
    "load": "make load",
    "rehearsal": "make rehearse",
    "deploy": "preflight lint-deploy",
    "lint": "make lint",
}


class Plain(BaseModel):
    """Plain frozen data, unknown fields refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class SliceFinding(Plain):
    """What a check measured on one slice of the rows; `interval` is in the unit of `measured`."""

    name: Short
    n: Annotated[int, Field(ge=0)]
    measured: FiniteFloat | None
    limit: Short
    interval: Ends | None = None
    status: Status


class Evidence(Plain):
    """One check: a claim that is true when it passes, and what was measured.

    `found` says in words what was found, `limit` what was allowed; `measured` and `interval`
    are in the unit the claim names; `n` counts the rows (or cases) the figure rests on; `slices`
    stand worst first;
    `details` names a table of the same part; `reproduce` is the command that shows it at home.
    """

    gate: Name
    check: Name
    status: Status
    claim: Text
    found: Text
    measured: FiniteFloat | None = None
    limit: Short = ""
    interval: Ends | None = None
    n: Annotated[int, Field(ge=0)] | None = None
    slices: Annotated[tuple[SliceFinding, ...], Field(max_length=80)] = ()
    details: Short | None = None
    reproduce: Short


class Notice(Plain):
    """What a reviewer must see on the first screen whatever the verdict."""

    kind: Literal["champion", "declaration", "waiver", "machinery", "guards"]
    text: Text


class Headline(Plain):
    """One of the numbers that matter: champion, candidate, and their difference's interval."""

    name: Short
    unit: Short
    champion: FiniteFloat | None
    candidate: FiniteFloat | None
    change: Ends | None
    better: Literal["lower", "higher", "near"]


class Table(Plain):
    """Rows that a report shows under a title."""

    title: Short
    columns: Annotated[tuple[Short, ...], Field(min_length=1, max_length=12)]
    rows: Annotated[tuple[tuple[Cell, ...], ...], Field(max_length=80)]

    @model_validator(mode="after")
    def _rectangular(self) -> "Table":
        if any(len(row) != len(self.columns) for row in self.rows):
            raise ValueError("each row as long as the columns")
        return self


class Chart(Plain):
    """Series over common labels, drawn as bars or as lines."""

    title: Short
    unit: Short
    kind: Literal["bars", "lines"]
    labels: Annotated[tuple[Short, ...], Field(min_length=1, max_length=80)]
    series: Annotated[dict[Short, tuple[FiniteFloat | None, ...]], Field(max_length=4)]

    @model_validator(mode="after")
    def _rectangular(self) -> "Chart":
        if any(len(values) != len(self.labels) for values in self.series.values()):
            raise ValueError("each series as long as the labels")
        return self


class Findings(Plain):
    """What one gate or suite found."""

    evidence: Annotated[tuple[Evidence, ...], Field(min_length=1, max_length=120)]
    notices: Annotated[tuple[Notice, ...], Field(max_length=60)] = ()
    headlines: Annotated[tuple[Headline, ...], Field(max_length=6)] = ()
    tables: Annotated[tuple[Table, ...], Field(max_length=12)] = ()
    charts: Annotated[tuple[Chart, ...], Field(max_length=8)] = ()


class Part(Findings):
    """One gate's findings on one commit: the content of its file."""

    version: Literal[1] = 1
    gate: Name
    commit: Commit
    seconds: Annotated[FiniteFloat, Field(ge=0)]

    @classmethod
    def of(cls, findings: Findings, gate: str, commit: str, seconds: float = 0.0) -> "Part":
        """What a gate found on a commit."""
        plain = {name: getattr(findings, name) for name in Findings.model_fields}
        return cls(gate=gate, commit=commit, seconds=round(seconds, 2), **plain)

    @property
    def status(self) -> Status:
        """fail before no-data before pass."""
        return worst(line.status for line in self.evidence)


def worst(statuses: Iterable[Status]) -> Status:
    """fail before no-data before pass; nothing at all is no-data."""
    found = set(statuses)
    if "fail" in found:
        return "fail"
    return "pass" if found == {"pass"} else "no-data"


def told(
    gate: str, check: str, claim: str, holds: bool | None, found: str, **figures: Any
) -> Evidence:
    """One check of a gate: `holds` None says that there is no data."""
    command = "make test" if gate in TESTS else COMMANDS.get(gate, f"make gates ONLY={gate}")
    status: Status = "no-data" if holds is None else "pass" if holds else "fail"
    return Evidence(
        gate=gate,
        check=check,
        status=status,
        claim=claim,
        found=found[:600],
        reproduce=command,
        **figures,
    )


def write(folder: Path, part: Part) -> Path:
    """Write one part as `folder`/GATE.json: whole or absent."""
    path = folder / f"{part.gate}.json"
    write_json(path, part.model_dump(mode="json"))
    return path


def read(path: Path) -> Part:
    """One validated part; raises Problem for anything that is not one."""
    expected = "evidence as docs/evidence.schema.json describes it"
    remedy = "Delete the file and run the gate again."
    if path.is_symlink() or not path.is_file():
        raise Problem(str(path), "no regular file", expected, remedy)
    if (size := path.stat().st_size) > MAX_BYTES:
        raise Problem(str(path), f"{size} bytes", f"at most {MAX_BYTES}", remedy)
    try:
        part = Part.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(str(step) for step in first["loc"])[:80] or "the document"
        raise Problem(str(path), f"{place}: {first['msg']}", expected, remedy) from None
    if path.stem != part.gate:
        raise Problem(str(path), f"evidence of {part.gate}", f"evidence of {path.stem}", remedy)
    return part


def collect(folder: Path, commit: str, required: Sequence[str]) -> tuple[Part, ...]:
    """The parts of a commit, in the order of `required`, then others by name.

    What is required and absent, unreadable or of another commit is a part of status no-data.
    """
    others = {path.stem for path in folder.glob("*.json")} - set(required)
    return tuple(
        _part(folder / f"{gate}.json", gate, commit) for gate in [*required, *sorted(others)]
    )


def _part(path: Path, gate: str, commit: str) -> Part:
    if not (path.exists() or path.is_symlink()):
        return absent(gate, commit, "no evidence: it did not run")
    try:
        part = read(path)
    except Problem as problem:
        name = gate if re.fullmatch(NAME, gate) else f"unreadable-{_short(gate)}"
        return absent(name, commit, f"unreadable evidence: {problem.found}")
    if part.commit != commit:
        return absent(gate, commit, f"evidence of another commit, {part.commit[:12]}")
    return part


def _short(name: str) -> str:
    return hashlib.sha256(os.fsencode(name)).hexdigest()[:12]


def absent(gate: str, commit: str, found: str) -> Part:
    """A part that says that there is no data, and why."""
    claim = f"The gate {gate} ran on this commit and left its evidence."
    line = told(gate, "evidence", claim, None, found)
    return Part(gate=gate, commit=commit, seconds=0.0, evidence=(line,))


def packed(parts: Iterable[Part]) -> str:
    """A set as one line of canonical JSON, parts by gate: evidence.json beside a release record."""
    plain = {part.gate: part.model_dump(mode="json") for part in parts}
    return json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=True) + "\n"


def unpacked(text: str, where: str) -> tuple[Part, ...]:
    """The parts of a set, by gate; raises Problem, that names `where`, for any other text."""
    try:
        found = TypeAdapter(dict[Name, Part]).validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        said = f"{'.'.join(map(str, first['loc']))[:80] or 'the document'}: {first['msg']}"
    else:
        if all(gate == part.gate for gate, part in found.items()):
            return tuple(found.values())
        said = "a part under another gate's name"
    raise Problem(where, said, "a set of evidence", "Restore it: git checkout.")


def digest(parts: Iterable[Part]) -> str:
    """SHA-256 over the canonical JSON of a set: it names the set and proves nothing."""
    return hashlib.sha256(packed(parts).encode()).hexdigest()


def schema() -> dict[str, Any]:
    """The JSON schema of a part's file."""
    return Part.model_json_schema()
