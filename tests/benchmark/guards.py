"""Guards on honest later months and on twenty kinds of oddities: how often each fires."""

import os
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import yaml

from benchmark.servers import ROOT, say
from benchmark.tables import Line
from oddities import joint
from preflight import workspace
from preflight.files import read_json
from preflight.layout import LOOKUP, METRICS, PACKAGED, VALID
from preflight.predictor import Predictor

MONTHS = ("2021-01", "2021-02", "2021-03")
LATER = MONTHS[-1]
MOST = 0.01  # of honest rows


def guards(place: Path) -> Iterator[Line]:
    """False flags by guard and kinds that are flagged: of this tree's months, and of real ones."""
    yield from _judged("generated", ROOT)
    if folder := os.environ.get("TLC_DIR"):
        yield from _judged("real", _fitted(place, Path(folder).resolve()))
    else:
        yield Line("real months", f"<= {MOST:.0%}", "no data: TLC_DIR is not set", False)


def _fitted(place: Path, months: Path) -> Path:
    """A clone with its pipeline run on real months."""
    say("bench-log: the pipeline on real months …")
    overlay = place / "real.yaml"
    overlay.write_text(yaml.safe_dump({"data": {"source": str(months), "months": list(MONTHS)}}))
    workspace.clone(ROOT, place / "real", overlay)
    workspace.run(place / "real", "dvc", "repro", "--quiet")
    return place / "real"


def _judged(which: str, root: Path) -> Iterator[Line]:
    for month, shares in read_json(root / METRICS)["guards"].items():
        if month == "test":
            continue
        others = f"unseen {shares['unseen']:.2%}, interval too wide {shares['wide']:.2%}"
        told = f"{shares['joint']:.2%} ({others})"
        what = f"honest {which} {month}: rows flagged as odd together"
        yield Line(what, f"<= {MOST:.0%}", told, shares["joint"] <= MOST)
    honest = pl.read_parquet(root / VALID / f"{LATER}.parquet")
    model = Predictor(root / PACKAGED)
    described = joint.described(honest, root / LOOKUP)
    found = joint.shares(lambda columns: model.answer(columns).odd, described)
    say(joint.shown(found))
    kinds, missed = joint.reached(found), [each for each in found if found[each] < joint.ENOUGH]
    told = f"{kinds}{': not ' if missed else ''}{', '.join(missed)}"
    what = f"{which} months, {len(found)} kinds of oddities: {joint.ENOUGH:.0%} of rows flagged in"
    yield Line(what, f">= {joint.ENOUGH_KINDS}", told, kinds >= joint.ENOUGH_KINDS)
