"""Answer a stretch of the log again, and tell what differs: by slice, to the last bit."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from preflight.errors import NoData, Problem
from preflight.explanation import Arrays
from preflight.log.inputs import Inputs
from preflight.project import Columns
from preflight.watch.models import Exact

ENDS = ("value", "lower", "upper")
LOGGED = ("model_version", "arm")  # fields that rows are sliced by, beside the contract's slices
SHOWN = 10  # predictions that are named


@dataclass
class Slice:
    """How far answers in one slice moved, in the target's unit; `moved` ones went beyond."""

    name: str
    rows: int
    differ: int
    moved: int
    mean: float
    largest: float


@dataclass
class Replay:
    """Rows that were answered again, how many differ in any bit, and how far by slice.

    `same` counts those that the very model had answered, of which none may differ; `refused`
    those whose input does not keep the model's contract, which count as differing. The first
    that differ are named, those of the very model in `same_examples`.
    """

    model_hash: str
    beyond: float
    rows: int = 0
    differ: int = 0
    same: int = 0
    same_differ: int = 0
    refused: int = 0
    slices: list[Slice] = field(default_factory=list)
    same_examples: list[dict[str, Any]] = field(default_factory=list)
    examples: list[dict[str, Any]] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON data."""
        return asdict(self)


def replay(model: Exact, frames: Iterable[pl.DataFrame], beyond: float) -> Replay:
    """Answer each frame of predictions again; raises NoData where there are none.

    A row has moved when its value went further than `beyond`, in the target's unit. Memory is
    that of one frame.
    """
    found, sums = Replay(model.model_hash, beyond), list[pl.DataFrame]()
    inputs = Inputs(model.contract)
    for frame in frames:
        kept, columns = _read(found, inputs, frame)
        if columns is None:
            continue
        with inputs.needed():
            answers = model.answers(columns)
            labels = model.labels(columns)
        compared = _compared(found, kept, answers)
        sums += _by_slice(compared, labels, beyond)
    if not found.rows:
        raise NoData(
            "the log", "no prediction in this stretch", "some", "Name another, or another folder."
        )
    found.slices = _slices(sums)
    return found


def _read(
    found: Replay, inputs: Inputs, frame: pl.DataFrame
) -> tuple[pl.DataFrame, Columns | None]:
    """The rows that keep the model's contract, with their columns; others are counted."""
    columns, refused = inputs.columns(frame["input"].to_list())
    found.rows += len(frame)
    found.same += int(frame["model_hash"].eq_missing(found.model_hash).sum())
    if not refused:
        return frame, columns
    odd = pl.Series(np.isin(np.arange(len(frame)), list(refused)))
    found.refused += len(refused)
    found.differ += len(refused)
    found.same_differ += int((odd & frame["model_hash"].eq_missing(found.model_hash)).sum())
    for row, invalid in zip(frame.filter(odd).iter_rows(named=True), refused.values(), strict=True):
        _example(found, row, f"{invalid.field}: {invalid.found}")
    return frame.filter(~odd), columns


def _compared(found: Replay, frame: pl.DataFrame, answers: Arrays) -> pl.DataFrame:
    """The rows' logged fields to slice by, with `differs` and `by` in the target's unit."""
    by_mode = frame["mode"].eq_missing("fallback").to_numpy()
    again = {"value": np.where(by_mode, answers["baseline"], answers["given"])}
    without = by_mode | answers["invalid"]
    for end in ENDS[1:]:
        ends = answers[end] if len(answers[end]) else np.full(len(frame), np.nan)
        again[end] = np.where(without, np.nan, ends)
    logged = {end: frame[end].cast(pl.Float64).fill_null(np.nan).to_numpy() for end in ENDS}
    differs = ~np.all([_equal(logged[end], again[end]) for end in ENDS], axis=0)
    same = frame["model_hash"].eq_missing(found.model_hash).to_numpy()
    found.differ += int(differs.sum())
    found.same_differ += int((differs & same).sum())
    for place in (
        *np.flatnonzero(differs & same)[:SHOWN],
        *np.flatnonzero(differs & ~same)[:SHOWN],
    ):
        now = {end: float(again[end][place]) for end in ENDS}
        _example(found, frame.row(int(place), named=True), _plain(now))
    moved = again["value"] - logged["value"]
    return frame.select(LOGGED).with_columns(differs=pl.Series(differs), by=pl.Series(moved))


def _equal(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which are the same to the last bit; NaN stands for an end that is not there."""
    found: NDArray[np.bool_] = (one == other) | (np.isnan(one) & np.isnan(other))
    return found


def _plain(ends: Mapping[str, float]) -> dict[str, float | None]:
    return {name: None if np.isnan(value) else value for name, value in ends.items()}


def _example(found: Replay, row: Mapping[str, Any], again: object) -> None:
    same = row["model_hash"] == found.model_hash
    kept = found.same_examples if same else found.examples
    if len(kept) < SHOWN:
        logged = {end: row[end] for end in ENDS}
        kept.append({"id": row["id"], "logged": logged, "replayed": again})


def _by_slice(rows: pl.DataFrame, labels: Arrays, beyond: float) -> Iterator[pl.DataFrame]:
    """Sums over each slice of one frame."""
    told = rows.with_columns(
        pl.lit("all").alias("all"),
        *(pl.Series(name, values) for name, values in labels.items()),
    )
    for name in ("all", *labels, *LOGGED):
        yield (
            told.group_by(pl.col(name).cast(pl.String).fill_null("none").alias("label"))
            .agg(
                pl.len().alias("rows"),
                pl.col("differs").sum().alias("differ"),
                (pl.col("by").abs() > beyond).sum().alias("moved"),
                pl.col("by").sum().alias("total"),
                pl.col("by").abs().max().alias("largest"),
            )
            .with_columns(pl.lit(name).alias("name"))
        )


def _slices(sums: list[pl.DataFrame]) -> list[Slice]:
    if not sums:
        return []
    whole = (
        pl.concat(sums)
        .group_by("name", "label", maintain_order=True)
        .agg(pl.col("rows", "differ", "moved", "total").sum(), pl.col("largest").max())
        .with_columns((pl.col("total") / pl.col("rows")).alias("mean"))
        .sort(pl.col("name") != "all", "name", "label")
    )
    return [
        Slice(
            "all" if row["name"] == "all" else f"{row['name']}={row['label']}",
            *(row[key] for key in ("rows", "differ", "moved", "mean", "largest")),
        )
        for row in whole.iter_rows(named=True)
    ]


def require_same(found: Replay) -> None:
    """Raise Problem when the very model that answered gives other answers now."""
    if found.same_differ:
        first = found.same_examples[0]
        raise Problem(
            f"model {found.model_hash[:12]}",
            f"{found.same_differ} of {found.same} of its own answers given otherwise, "
            f"first prediction {first['id']}",
            "each again, to the last bit",
            "The records, the model's code or the machine changed; see reports/replay.json.",
        )


def shown(found: Replay, unit: str) -> str:
    """The table of slices for a terminal."""
    lines = [
        f"{found.rows} predictions again by model {found.model_hash[:12]}: {found.differ} differ; "
        f"{found.same} were its own, of which {found.same_differ} differ"
        + (f"; {found.refused} do not keep its contract" if found.refused else "")
    ]
    widest = max((len(each.name) for each in found.slices), default=0)
    lines.append(
        f"{'slice':{widest}}  {'rows':>9}  {'differ':>7}  {f'mean {unit}s':>13}  "
        f"{'largest':>8}  {f'> {found.beyond:g}':>7}"
    )
    for each in found.slices:
        lines.append(
            f"{each.name:{widest}}  {each.rows:>9}  {each.differ / each.rows:>7.1%}  "
            f"{each.mean:>+13.3f}  {each.largest:>8.3f}  {each.moved / each.rows:>7.1%}"
        )
    return "\n".join(lines)
