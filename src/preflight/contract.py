"""The types of a data contract: what a project states once about its columns."""

import hashlib
import json
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, Literal

Kind = Literal["integer", "number", "text", "time"]
Role = Literal["attribute", "target", "time", "entity"]


@dataclass(frozen=True)
class Column:
    """One column: its type and unit, the values it may hold, and what it is for.

    `known` says whether a caller knows the value when asking for a prediction; only such
    columns stand in a request and feed features. `minimum` and `maximum` are inclusive.
    """

    name: str
    kind: Kind
    description: str
    unit: str | None = None
    minimum: float | datetime | None = None
    maximum: float | datetime | None = None
    allowed: tuple[int | str, ...] | None = None
    nullable: bool = False
    sensitive: bool = False
    known: bool = False
    role: Role = "attribute"
    example: Any = None


@dataclass(frozen=True)
class Contract:
    """A table's columns, with the names by which results are sliced.

    Rows that agree in all `identity` columns are one event; `slices` names columns or
    features; `target_bins` are the inner edges, in the target's
    unit, in which targets and predictions are counted everywhere.
    """

    name: str
    version: int
    columns: tuple[Column, ...]
    identity: tuple[str, ...]
    slices: tuple[str, ...]
    target_bins: tuple[float, ...]

    def __getitem__(self, name: str) -> Column:
        return self._by_name[name]

    @cached_property
    def _by_name(self) -> dict[str, Column]:
        return {column.name: column for column in self.columns}

    @cached_property
    def names(self) -> tuple[str, ...]:
        """All column names, in order."""
        return tuple(self._by_name)

    @cached_property
    def known(self) -> tuple[Column, ...]:
        """The columns of a request, in order."""
        return tuple(column for column in self.columns if column.known)

    def _only(self, role: Role) -> Column:
        (column,) = (column for column in self.columns if column.role == role)
        return column

    @cached_property
    def target(self) -> Column:
        """The column to predict."""
        return self._only("target")

    @cached_property
    def time(self) -> Column:
        """The column that orders rows in time."""
        return self._only("time")

    @cached_property
    def entity(self) -> Column:
        """The column that says whose row it is; never a feature."""
        return self._only("entity")

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON data that states the whole contract."""
        plain: dict[str, Any] = json.loads(json.dumps(asdict(self), default=_iso))
        return plain

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> "Contract":
        """The contract that `as_dict` gave."""
        columns = tuple(_column(found) for found in plain["columns"])
        lists = {name: tuple(plain[name]) for name in ("identity", "slices", "target_bins")}
        return cls(plain["name"], plain["version"], columns, **lists)

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the contract's canonical JSON."""
        text = json.dumps(self.as_dict(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


def _column(plain: dict[str, Any]) -> Column:
    found = dict(plain)
    for end in ("minimum", "maximum"):
        if isinstance(found[end], str):
            found[end] = datetime.fromisoformat(found[end])
    found["allowed"] = found["allowed"] and tuple(found["allowed"])
    return Column(**found)


def _iso(value: datetime) -> str:
    return value.isoformat()
