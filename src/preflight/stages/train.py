"""Stage: fit the model, and keep the range of each feature it saw."""

from preflight import project as seam
from preflight import table
from preflight.files import replacing, write_json
from preflight.layout import FITTED, LOOKUP, SPLIT
from preflight.params import Params
from preflight.ranges import Ranges
from preflight.stages import log


def train(params: Params) -> None:
    """data/split/train.parquet, data/lookup.csv -> models/fitted."""
    contract = seam.contract(params.project)
    features, model = seam.features(params.project), seam.model(params.project)
    names = model.feature_names(params.model)
    known = [column.name for column in contract.known]
    rows = (
        table.scan(SPLIT / "train.parquet", contract).select(*known, contract.target.name).collect()
    )
    columns = table.arrays(rows, known)
    matrix = features.compute(columns, features.read_lookup(LOOKUP), names)
    codes = features.categorical(names)
    target = rows[contract.target.name].to_numpy()
    fitted = model.fit(matrix, columns, target, codes, params.model)
    with replacing(FITTED) as folder:
        folder.mkdir()
        fitted.save(folder)
        write_json(folder / "ranges.json", Ranges.fit(matrix, names, codes).seen)
    log.info("train: %d rows, %d features -> %s", len(rows), len(names), FITTED)
