"""The records of the log: one table of their fields, for what writes, what reads and the docs."""

from dataclasses import dataclass
from typing import Literal

Stream = Literal["predictions", "outcomes"]


@dataclass(frozen=True)
class Field:
    """One field of a record: its type as DuckDB names it, and what it says."""

    name: str
    type: str
    what: str


# Of each stream: where and when, by whom.
ORIGIN = (
    Field("id", "VARCHAR", "The record's own id, a UUID of version 7"),
    Field("at", "TIMESTAMP", "When it was made, UTC"),
    Field("client", "VARCHAR", "Whose key was used"),
    Field("request_id", "VARCHAR", "The caller's `X-Request-Id`, or the one made for it"),
)
PREDICTIONS = (
    *ORIGIN,
    Field("pair_id", "VARCHAR", "The proxy's `X-Pair-Id`: one for both arms of a mirrored request"),
    Field("entity", "VARCHAR", "Whose request it is; a keyed hash where that is sensitive"),
    Field("route", "VARCHAR", "predict, batch or lines"),
    Field("input", "JSON", "The input as the model got it; sensitive columns as keyed hashes"),
    Field("value", "DOUBLE", "The answer, in the target's unit"),
    Field("lower", "DOUBLE", "Lower end of its interval; null where it has none"),
    Field("upper", "DOUBLE", "Upper end"),
    Field("flags", "VARCHAR[]", "Guards that fired, and why a fallback answered"),
    Field("latency_ms", "DOUBLE", "From the request's last byte to this record"),
    Field("arm", "VARCHAR", "The proxy's `X-Arm`: stable, canary, shadow; null without a proxy"),
    Field("mode", "VARCHAR", "normal or fallback"),
    Field("explanation", "JSON", "Contributions, where `log.explain` asks for them"),
    Field("model_version", "VARCHAR", "The registry's version"),
    Field("model_hash", "VARCHAR", "SHA-256 of the packaged model's manifest"),
    Field("commit", "VARCHAR", "The commit that was built"),
    Field("bento", "VARCHAR", "The Bento's tag"),
    Field("contract", "VARCHAR", "Name and version of the contract"),
)
OUTCOMES = (
    *ORIGIN,
    Field("prediction_id", "VARCHAR", "The prediction that it is the outcome of"),
    Field("value", "DOUBLE", "What really happened, in the target's unit"),
)
FIELDS: dict[Stream, tuple[Field, ...]] = {"predictions": PREDICTIONS, "outcomes": OUTCOMES}
