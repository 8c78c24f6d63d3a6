"""Stage: fit the model, and the guards that know what it saw."""

from collections.abc import Sequence

from preflight import project as seam
from preflight import table
from preflight.errors import Problem
from preflight.files import replacing, write_json
from preflight.joint import Joint
from preflight.layout import FITTED, LOOKUP, SPLIT
from preflight.params import Params
from preflight.ranges import Ranges
from preflight.stages import log


def train(params: Params) -> None:
    """data/split/train.parquet, data/lookup.csv -> models/fitted."""
    contract = seam.contract(params.project)
    features, model = seam.features(params.project), seam.model(params.project)
    names = model.feature_names(params.model)
    _check_refused(params.guards.refuse, names)
    known = [column.name for column in contract.known]
    rows = (
        table.scan(SPLIT / "train.parquet", contract).select(*known, contract.target.name).collect()
    )
    columns = table.arrays(rows, known)
    lookup = features.read_lookup(LOOKUP)
    matrix = features.compute(columns, lookup, names)
    codes = features.categorical(names)
    target = rows[contract.target.name].to_numpy()
    fitted = model.fit(matrix, columns, target, codes, params.model)
    joint = Joint.fit(
        columns, contract.known, lambda each: features.compute(each, lookup, names), codes
    )
    with replacing(FITTED) as folder:
        folder.mkdir()
        fitted.save(folder)
        joint.save(folder)
        write_json(folder / "ranges.json", Ranges.fit(matrix, names, codes).seen)
    log.info("train: %d rows, %d features -> %s", len(rows), len(names), FITTED)


def _check_refused(refuse: Sequence[str], names: Sequence[str]) -> None:
    for name in refuse:
        if name not in names:
            raise Problem(
                "params.yaml: guards.refuse",
                repr(name),
                f"a feature of the model: {', '.join(names)}",
                "Mend the name, or take it out.",
            )
