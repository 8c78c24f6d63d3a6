"""Stage: intervals from rows of their own; the whole model folder, sealed by a manifest."""

import shutil

from preflight import predictor, table
from preflight import project as seam
from preflight.conformal import Interval
from preflight.files import replacing, write_json
from preflight.layout import FITTED, LOOKUP, PACKAGED, SPLIT
from preflight.params import Params
from preflight.stages import log


def calibrate(params: Params) -> None:
    """models/fitted, data/split/calibrate.parquet, data/lookup.csv -> models/packaged.

    Without calibration rows the model has no interval, which no limit lets pass.
    """
    contract = seam.contract(params.project)
    features = seam.features(params.project)
    model = seam.model(params.project).load(FITTED)
    rows = table.scan(SPLIT / "calibrate.parquet", contract).collect()
    interval = None
    if len(rows):
        columns = table.arrays(rows)
        matrix = features.compute(columns, features.read_lookup(LOOKUP), model.features)
        predicted = model.predict(matrix)
        predictor.require_finite(predicted, columns)
        interval = Interval.fit(
            predicted,
            columns[contract.target.name],
            params.calibrate.coverage,
            params.calibrate.groups,
        )
    with replacing(PACKAGED) as folder:
        shutil.copytree(FITTED, folder)
        shutil.copy(LOOKUP, folder / predictor.LOOKUP)
        write_json(folder / "interval.json", interval and interval.as_dict())
        predictor.pack(folder, params.project)
    log.info("calibrate: %d rows -> %s", len(rows), PACKAGED)
