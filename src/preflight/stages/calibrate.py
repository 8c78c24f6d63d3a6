"""Stage: intervals and the guards' limits from rows of their own; the sealed model folder."""

import shutil

import numpy as np

from preflight import predictor, table
from preflight import project as seam
from preflight.conformal import Array, Interval
from preflight.contract import Column
from preflight.files import read_json, replacing, write_json
from preflight.guards import Guards, flagged
from preflight.joint import Joint
from preflight.layout import FITTED, LOOKUP, PACKAGED, SPLIT
from preflight.params import Params
from preflight.ranges import Ranges
from preflight.stages import log


def calibrate(params: Params) -> None:
    """models/fitted, data/split/calibrate.parquet, data/lookup.csv -> models/packaged.

    Without calibration rows the model has no interval, which no limit lets pass, and its joint
    score no limit.
    """
    contract = seam.contract(params.project)
    features = seam.features(params.project)
    model = seam.model(params.project).load(FITTED)
    rows = table.scan(SPLIT / "calibrate.parquet", contract).collect()
    columns = table.arrays(rows)
    matrix = features.compute(columns, features.read_lookup(LOOKUP), model.features)
    scores = Joint.load(FITTED).score(matrix) if len(rows) else np.empty(0)
    guards = Guards.of(params.guards, scores)
    interval, measured = None, {}
    if len(rows):
        predicted = model.predict(matrix)
        predictor.require_finite(predicted, columns)
        interval = Interval.fit(
            predicted,
            columns[contract.target.name],
            params.calibrate.coverage,
            params.calibrate.groups,
        )
        width = _width(interval, predicted, contract.target)
        outside = Ranges(read_json(FITTED / "ranges.json")).outside(matrix)
        measured = flagged(outside, scores > guards.joint_limit, width > guards.max_width)
    with replacing(PACKAGED) as folder:
        shutil.copytree(FITTED, folder)
        shutil.copy(LOOKUP, folder / predictor.LOOKUP)
        write_json(folder / "interval.json", interval and interval.as_dict())
        guards.save(folder, len(rows), measured)
        predictor.pack(folder, params.project)
    log.info("calibrate: %d rows -> %s", len(rows), PACKAGED)


def _width(interval: Interval, predicted: Array, target: Column) -> Array:
    least, most = float(target.minimum), float(target.maximum)  # type: ignore[arg-type]
    lower, upper = interval.bounds(predicted, least, most)
    return upper - lower
