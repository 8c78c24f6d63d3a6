"""Why a model answered as it did: each feature's share, beside what it was trained on."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from preflight.errors import Problem
from preflight.log.inputs import Inputs
from preflight.predictor import Predictor
from preflight.project import Columns

Arrays = dict[str, NDArray[Any]]
EQUAL = "equal, to the last bit"
ENDS = ("value", "lower", "upper")
GAP = 1e-6  # of the answer: shares are sums in another order
NO_ENDS = np.empty(0)


@dataclass(frozen=True)
class Facts:
    """What holds for every answer of a model: its features, what training saw, its guards.

    `seen` has an entry a feature, as `preflight.ranges` keeps them; `least` and `most` are the
    target's range; the limits are None where the model has no such guard.
    """

    seen: Sequence[Mapping[str, Any]]
    unit: str
    least: float
    most: float
    coverage: float | None
    joint_limit: float | None = None
    max_width: float | None = None


@dataclass(frozen=True)
class Share:
    """One feature's part of an answer, in the target's unit, beside what training saw of it.

    A number has the least and most that were seen, a code the count of codes.
    """

    feature: str
    value: float
    contribution: float
    seen: bool
    least: float | None = None
    most: float | None = None
    codes: int | None = None


@dataclass(frozen=True)
class Explanation:
    """One logged prediction: what was asked, answered and by which model, and why.

    `base` and the contributions sum to `value`. A fallback has none: `fallback` says why the
    baseline answered. `recomputed` is EQUAL, or says what the exact model answers otherwise;
    `stored` is what the service kept at once.
    """

    prediction_id: str
    at: str
    model_version: str | None
    model_hash: str | None
    commit: str | None
    bento: str | None
    contract: str | None
    input: dict[str, Any]
    value: float
    lower: float | None
    upper: float | None
    unit: str
    coverage: float | None
    base: float | None
    contributions: tuple[Share, ...]
    guards: tuple[str, ...]
    fallback: str | None
    recomputed: str
    stored: dict[str, float] | None

    @property
    def agrees(self) -> bool:
        """Whether the exact model gives what was logged."""
        return self.recomputed == EQUAL


def facts(model: Predictor) -> Facts:
    """What holds for every answer of a model."""
    coverage = model.interval.coverage if model.interval else None
    limits = (getattr(model, name, None) for name in ("joint_limit", "max_width"))
    return Facts(
        model.ranges.seen, model.contract.target.unit or "", *model.ends, coverage, *limits
    )


def workings(model: Predictor, columns: Columns) -> Arrays:
    """What a model makes of rows, with each step: arrays of shape (rows,) by name.

    `matrix` has shape (rows, features), `contributions` a further column for the base; ends are
    empty for a model without calibration, `score` for one without an anomaly score.
    """
    matrix, found = model.matrix(columns), model.answer(columns)
    score = getattr(model, "score", lambda _: NO_ENDS)
    return {
        "matrix": matrix,
        "contributions": model.model.contributions(matrix),
        "output": model.model.predict(matrix),
        "value": found.value,
        "lower": NO_ENDS if found.lower is None else found.lower,
        "upper": NO_ENDS if found.upper is None else found.upper,
        "baseline": model.model.baseline(columns),
        "score": score(matrix),
    }


def explained(model: Predictor, record: Mapping[str, Any]) -> Explanation:
    """One record of the log, explained by the exact model that made it.

    Raises Problem when the record is another model's, when its input does not keep the contract,
    and when the model needs a column that the log holds as a hash.
    """
    if record["model_hash"] != model.model_hash:
        raise Problem(
            f"prediction {record['id']}",
            f"model {str(record['model_hash'])[:12]}",
            f"the model at hand, {model.model_hash[:12]}",
            "Run `preflight explain` in a checkout: it brings the model of the record's commit.",
        )
    inputs = Inputs(model.contract)
    columns = inputs.of([record])
    with inputs.needed():
        return told(facts(model), workings(model, columns), 0, record)


def told(known: Facts, found: Arrays, place: int, record: Mapping[str, Any]) -> Explanation:
    """What `workings` found in row `place`, beside the record of it."""
    fallback = _fallback(known, found, place, record)
    base, shares = (None, ()) if fallback else _shares(known, found, place)
    at, given = record["at"], record["input"]
    return Explanation(
        prediction_id=record["id"],
        at=f"{at:%Y-%m-%dT%H:%M:%S.%fZ}" if isinstance(at, datetime) else at,
        **{
            name: record[name]
            for name in ("model_version", "model_hash", "commit", "bento", "contract", *ENDS)
        },
        input=json.loads(given) if isinstance(given, str) else given,
        unit=known.unit,
        coverage=known.coverage if record["lower"] is not None else None,
        base=base,
        contributions=shares,
        guards=tuple(_guards(known, found, place, record)),
        fallback=fallback,
        recomputed=_recomputed(found, place, record, baseline=fallback is not None),
        stored=_stored(record["explanation"]),
    )


def _stored(found: Any) -> dict[str, float] | None:
    plain: dict[str, float] | None = json.loads(found) if isinstance(found, str) else found
    return plain


def _shares(known: Facts, found: Arrays, place: int) -> tuple[float, tuple[Share, ...]]:
    *parts, base = found["contributions"][place].tolist()
    output = float(found["output"][place])
    if abs(base + sum(parts) - output) > GAP * max(1.0, abs(output)):
        raise Problem(
            "the model's contributions",
            f"a sum of {base + sum(parts):g}",
            f"its answer, {output:g}",
            "Mend `contributions` of the project's model: they add up to the prediction.",
        )
    values = found["matrix"][place].tolist()
    rows = zip(known.seen, values, parts, strict=True)
    return base, tuple(_share(seen, value, part) for seen, value, part in rows)


def _share(seen: Mapping[str, Any], value: float, part: float) -> Share:
    if "values" in seen:
        codes = seen["values"]
        return Share(seen["feature"], value, part, value in codes, codes=len(codes))
    least, most = seen["least"], seen["most"]
    return Share(seen["feature"], value, part, least <= value <= most, least, most)


def _fallback(known: Facts, found: Arrays, place: int, record: Mapping[str, Any]) -> str | None:
    """Why the baseline answered, in a sentence; None where the model did."""
    if "fallback.mode" in _flags(record):
        return "The service was in fallback mode, so the baseline answered."
    if "fallback.output" in _flags(record):
        return (
            f"The model's output, {found['output'][place]:.6g}, is no {known.unit or 'value'} from "
            f"{known.least:g} to {known.most:g}, so the baseline answered."
        )
    return None


def _flags(record: Mapping[str, Any]) -> list[str]:
    return record["flags"] or []


def _guards(known: Facts, found: Arrays, place: int, record: Mapping[str, Any]) -> Iterator[str]:
    values = found["matrix"][place].tolist()
    shares = {
        seen["feature"]: (seen, value) for seen, value in zip(known.seen, values, strict=True)
    }
    for flag in _flags(record):
        name, _, kind = flag.rpartition(".")
        if kind == "unseen" and name in shares:
            seen, value = shares[name]
            yield f"{name} was {value:g}, {_unseen(seen)}."
        elif flag == "combination.unseen":
            yield f"No training row combines such values{_score(known, found, place)}."
        elif flag == "interval.wide":
            yield f"The interval is wider than an answer of use has{_width(known, record)}."
        elif name != "fallback":
            yield f"{flag}, which this version does not know."


def _unseen(seen: Mapping[str, Any]) -> str:
    if "values" in seen:
        return f"none of the {len(seen['values'])} codes that training saw"
    return f"outside the {seen['least']:g} to {seen['most']:g} that training saw"


def _score(known: Facts, found: Arrays, place: int) -> str:
    if known.joint_limit is None or not len(found["score"]):
        return ""
    return f": score {found['score'][place]:.4g}, limit {known.joint_limit:.4g}"


def _width(known: Facts, record: Mapping[str, Any]) -> str:
    if known.max_width is None or record["lower"] is None:
        return ""
    return f": {record['upper'] - record['lower']:.4g}, limit {known.max_width:.4g}"


def _recomputed(found: Arrays, place: int, record: Mapping[str, Any], *, baseline: bool) -> str:
    if baseline:
        again = [float(found["baseline"][place]), None, None]
    else:
        again = [float(found[end][place]) if len(found[end]) else None for end in ENDS]
    gaps = [
        f"{end} {_gap(record[end], now)}"
        for end, now in zip(ENDS, again, strict=True)
        if record[end] != now
    ]
    return f"differs: {', '.join(gaps)}" if gaps else EQUAL


def _gap(logged: float | None, now: float | None) -> str:
    if logged is None or now is None:
        return f"{now}, logged {logged}"
    return f"by {now - logged:+.6g}"
