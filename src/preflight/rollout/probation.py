"""Probation: a promoted release beside the champion before it, on the inputs that it answered.

The log has the new answers and what then happened; the champion before answers the same inputs
again. So the judge of a paired shadow judges it, with the roles as there: what was promoted is the
candidate.
"""

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, cast

import polars as pl

from preflight import params
from preflight import project as seam
from preflight.errors import NoData
from preflight.log import view
from preflight.log.inputs import Inputs
from preflight.rollout import labelled, limits, shadow
from preflight.rollout.paired import Pairs
from preflight.rollout.verdict import Verdict
from preflight.watch import models, outcomes
from preflight.watch.progress import followed

if TYPE_CHECKING:
    from datetime import datetime

    from duckdb import DuckDBPyRelation

    from preflight.contract import Column
    from preflight.release import Release
    from preflight.watch.models import Exact
    from preflight.watch.outcomes import Window

ANSWERS = {"prediction_id": pl.String, "again": pl.Float64}
PAIRED = """
WITH both_answered AS (SELECT * FROM logged JOIN answered USING (prediction_id))
SELECT prediction_id AS pair_id, "at", entity, 'shadow' AS arm, value, outcome FROM both_answered
UNION ALL
SELECT prediction_id, "at", entity, 'stable', again, outcome FROM both_answered
WHERE again IS NOT NULL
"""


def judged(root: Path, log: Path, now: "Release", before: "Release", start: "datetime") -> Verdict:
    """The verdict on `now` by its predictions since `start`, UTC, that had their maturity.

    Raises NoData when it made none, and Problem when the model of `before` cannot be had again.
    """
    chosen = params.load(root / "params.yaml")
    maturity = timedelta(hours=chosen.outcomes.maturity_hours)
    window = outcomes.mature(start, None, maturity)
    target = seam.contract(chosen.project).target
    with models.exact(root, before.model.hash, before.commit) as champion:
        found = pairs(champion, now.model.hash, log, window, target)
    return shadow.judge(found, limits.load(root / "params.yaml"))


def pairs(
    champion: "Exact", model_hash: str, log: Path, window: "Window", target: "Column"
) -> Pairs:
    """Answers of the model with this hash as `shadow`, the champion's on the same as `stable`.

    Inputs that the champion's contract refuses are `single`; answers in fallback mode are no
    model's, and are left out. Raises NoData where that model answered nothing in the window.
    """
    answered = _answered(champion, model_hash, log, window)
    if not len(answered):
        raise NoData(
            f"model {model_hash[:12]}",
            f"no prediction by it between {window.start} and {window.end}",
            f"some that are {window.maturity} old",
            "Wait for the maturity, or ask from the promotion on.",
        )
    connection = view.connect(log)
    connection.register("answered", answered.to_arrow())
    rows = outcomes.joined(connection, window, target)
    return labelled.pairs(cast("DuckDBPyRelation", rows.query("logged", PAIRED)))


def _answered(champion: "Exact", model_hash: str, log: Path, window: "Window") -> pl.DataFrame:
    """Predictions of the window by that model with the champion's value, null where it has none."""
    inputs, found = Inputs(champion.contract), [pl.DataFrame(schema=ANSWERS)]
    frames = view.window(log, window.start, window.end)
    own = (pl.col("model_hash") == model_hash) & pl.col("mode").ne_missing("fallback")
    for frame in followed(frames, "probation", window.start, window.end):
        kept = frame.filter(own & pl.col("arm").ne_missing("shadow"))  # a shadow answers nobody
        columns, refused = inputs.columns(kept["input"].to_list()) if len(kept) else (None, {})
        again: list[float | None] = [None] * len(kept)
        if columns is not None:
            with inputs.needed():
                values = iter(champion.answers(columns)["given"].tolist())
            again = [None if place in refused else next(values) for place in range(len(kept))]
        found.append(pl.DataFrame({"prediction_id": kept["id"], "again": again}, schema=ANSWERS))
    return pl.concat(found)
