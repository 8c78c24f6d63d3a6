"""A side's stopwatch: run as a script in a checkout, it times that side's own code, block by block.

Questions and answers are JSON lines. It reaches only what every version of the machinery must
keep: the seam, the predictor, the decoder of requests. Rows come as .npz files, so that it runs in
the service's small environment.
"""

import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray[Any]]
Call = Callable[[], object]
PACKAGED = Path("models/packaged")


def main() -> None:
    """Prepare one workload, then run a block of it for each line of standard input."""
    # What the project's code prints must not mix with the answers.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    workload, rows = sys.argv[1:3]
    call: Call | None = None
    busy = 0.0
    for line in sys.stdin:
        try:
            call = call or WORKLOADS[workload](rows)
            answer: dict[str, Any] = {"per_call": _block(call, float(line)), "warmed": busy}
        except Exception as error:  # an exception's text may hold a person's data
            last = traceback.extract_tb(error.__traceback__)[-1]
            place = f"{Path(last.filename).name}, line {last.lineno}"
            answer = {"error": f"{type(error).__name__} at {place}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
        busy += float(line)


def _block(call: Call, seconds: float) -> float:
    """Seconds a call, over as many calls as fit; at least one."""
    calls, clock = 0, time.perf_counter
    start = clock()
    end = start + seconds
    while True:
        call()
        calls += 1
        now = clock()
        if now >= end:
            return (now - start) / calls


def _model() -> Any:
    from preflight.predictor import Predictor

    return Predictor(PACKAGED)


def _decoder(model: Any) -> Any:
    from preflight.serving.requests import Decoder

    return Decoder(model.contract, 100_000)


def _bodies(rows: str) -> list[dict[str, Any]]:
    """Rows as requests' objects; times as ISO texts."""
    found = {name: values.tolist() for name, values in _read(rows).items()}
    plain = {
        name: [each.isoformat() if hasattr(each, "isoformat") else each for each in values]
        for name, values in found.items()
    }
    return [dict(zip(plain, row, strict=True)) for row in zip(*plain.values(), strict=True)]


def _one(rows: str) -> Call:
    """A request of one row: decoded, checked, answered."""
    model = _model()
    decoder = _decoder(model)
    answer = getattr(model, "one", model.answer)  # an older side has no way of its own for one
    bodies = [json.dumps(each).encode() for each in _bodies(rows)[:256]]
    place = 0

    def call() -> object:
        nonlocal place
        place = (place + 1) % len(bodies)
        return answer(decoder.one(bodies[place]))

    return call


def _batch(rows: str) -> Call:
    """A request of many rows."""
    model = _model()
    decoder = _decoder(model)
    body = json.dumps({"instances": _bodies(rows)}).encode()
    return lambda: model.answer(decoder.batch(body))


def _features(rows: str) -> Call:
    """Features of a table."""
    model, columns = _model(), _read(rows)
    return lambda: model.matrix(columns)


def _training(rows: str) -> Call:
    """The recipe, on given rows."""
    from preflight import params as parameters
    from preflight import project as seam

    params, columns, model = parameters.load(), _read(rows), _model()
    module, contract = seam.model(params.project), seam.contract(params.project)
    features = seam.features(params.project)
    names = module.feature_names(params.model)
    target = columns.pop(contract.target.name)
    matrix = features.compute(columns, model.lookup, names)
    codes = features.categorical(names)
    return lambda: module.fit(matrix, columns, target, codes, params.model)


def _read(path: str) -> Arrays:
    with np.load(path, allow_pickle=False) as found:
        return {name: found[name] for name in found.files}


WORKLOADS: dict[str, Callable[[str], Call]] = {
    "predict-one": _one,
    "predict-batch": _batch,
    "features": _features,
    "training": _training,
}

if __name__ == "__main__":
    main()
