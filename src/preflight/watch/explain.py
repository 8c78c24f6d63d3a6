"""Explain logged predictions, recomputed by the exact models that made them."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from preflight.errors import NoData, Problem
from preflight.explanation import EQUAL, Explanation, Share, told
from preflight.log.inputs import Inputs
from preflight.watch.models import Exact, exact

if TYPE_CHECKING:
    import polars as pl

ROWS = 1_000  # explained at once
BAR = 24  # characters of the largest share


def one(root: Path, record: Mapping[str, Any]) -> Explanation:
    """A record of the log explained; raises Problem where `exact` or `Inputs` do."""
    with exact(root, record["model_hash"], record["commit"]) as model:
        (found,) = explained(model, [record])
    return found


def many(root: Path, frames: Iterable["pl.DataFrame"]) -> Iterator[Explanation]:
    """Each record of frames of predictions explained, in order."""
    with ExitStack() as opened:
        models: dict[str, Exact] = {}
        for part in (part for frame in frames for part in frame.iter_slices(ROWS)):
            for key, group in groupby(part.iter_rows(named=True), itemgetter("model_hash")):
                records = list(group)
                if key not in models:
                    found = exact(root, key, records[0]["commit"])
                    models[key] = opened.enter_context(found)
                yield from explained(models[key], records)


def explained(model: Exact, records: Sequence[Mapping[str, Any]]) -> Iterator[Explanation]:
    """Records of one model, explained by it."""
    inputs = Inputs(model.contract)
    columns = inputs.of(records)
    with inputs.needed():
        known, found = model.workings(columns)
    for place, record in enumerate(records):
        yield told(known, found, place, record)


def require_rows(rows: int) -> None:
    """Raise NoData where a stretch has no prediction."""
    if not rows:
        raise NoData(
            "the log", "no prediction in this stretch", "some", "Name another, or another folder."
        )


def require_agreement(odd: Sequence[Explanation]) -> None:
    """Raise Problem where recomputed answers are not those that were logged."""
    if odd:
        raise Problem(
            f"prediction {odd[0].prediction_id}" + (f" and {len(odd) - 1} more" * (len(odd) > 1)),
            f"recomputed: {odd[0].recomputed}",
            EQUAL,
            "The record was changed, or the model's code or this machine computes otherwise.",
        )


def line(found: Explanation) -> str:
    """An explanation as one line of JSON."""
    return json.dumps(asdict(found))


def shown(found: Explanation) -> str:
    """An explanation as a person reads it in a terminal."""
    lines = [
        f"prediction   {found.prediction_id}, {found.at}",
        f"model        {found.model_version}, hash {str(found.model_hash)[:12]}, "
        f"commit {str(found.commit)[:12]}, Bento {found.bento}, contract {found.contract}",
        f"input        {', '.join(_given(found.input))}",
        f"answer       {found.value:.6g} {found.unit}s{_interval(found)}",
        f"recomputed   {found.recomputed}",
        *(f"guard        {sentence}" for sentence in found.guards),
    ]
    if found.fallback:
        return "\n".join([*lines, f"fallback     {found.fallback}"])
    return "\n".join([*lines, "", *_table(found)])


def _given(row: Mapping[str, Any]) -> Iterator[str]:
    # In JSON's escapes a caller's text cannot command the terminal.
    return (f"{name} {json.dumps(value)}" for name, value in row.items())


def _interval(found: Explanation) -> str:
    if found.lower is None or found.coverage is None:
        return ", without an interval"
    return f", {found.coverage:.0%} interval {found.lower:.6g} to {found.upper:.6g}"


def _table(found: Explanation) -> Iterator[str]:
    rows = sorted(found.contributions, key=lambda each: -abs(each.contribution))
    widest = max((len(each.feature) for each in rows), default=0)
    largest = max((abs(each.contribution) for each in rows), default=0.0) or 1.0
    yield f"{'feature':{widest}}  {'value':>10}  {'in training':24}  {found.unit + 's':>9}"
    yield f"{'(base)':{widest}}  {'':>10}  {'':24}  {found.base:+9.3f}"
    for each in rows:
        bar = "█" * round(BAR * abs(each.contribution) / largest)
        line = f"{each.feature:{widest}}  {each.value:>10.6g}  {_trained(each):24}  "
        yield f"{line}{each.contribution:+9.3f}  {bar}".rstrip()
    yield f"{'(answer)':{widest}}  {'':>10}  {'':24}  {found.value:9.3f}"


def _trained(share: Share) -> str:
    if share.codes is not None:
        return f"{'one' if share.seen else 'NONE'} of {share.codes} codes"
    outside = "" if share.seen else "OUTSIDE "
    return f"{outside}{share.least:g} to {share.most:g}"
