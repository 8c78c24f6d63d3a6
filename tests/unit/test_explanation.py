"""A logged prediction is explained by the model that made it, or refused by name."""

import json
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

import logged
from preflight import reference
from preflight.contract import Contract
from preflight.errors import Problem
from preflight.explanation import EQUAL, Explanation, Share, explained
from preflight.layout import PACKAGED
from preflight.predictor import Predictor
from preflight.workspace import environment
from taxi.contract import CONTRACT

INPUT = {
    "pickup_at": "2021-02-03T08:15:00",
    "pickup_zone": 74,
    "dropoff_zone": 75,
    "trip_distance": 1.9,
}
HASH = "hash:0123456789abcdef"


@pytest.fixture
def model(built: Path) -> Predictor:
    """A packaged model that a test may change."""
    return Predictor(built / PACKAGED)


def record(model: Predictor, row: dict[str, Any] | None = None, **changed: Any) -> dict[str, Any]:
    """What the log would hold of one answer."""
    given = INPUT | (row or {})
    values = {name: np.array([value]) for name, value in given.items()}
    known = values | {"pickup_at": values["pickup_at"].astype("datetime64[us]")}
    found = model.one(known)
    (made,) = logged.predictions(
        1,
        input=given,
        value=found.value,
        lower=found.lower,
        upper=found.upper,
        model_hash=model.model_hash,
    )
    return made | changed


def share(found: Explanation, feature: str) -> Share:
    """One feature's part."""
    (one,) = (each for each in found.contributions if each.feature == feature)
    return one


def secret(*names: str, known: tuple[str, ...] = ()) -> Contract:
    """The contract with more columns called sensitive, and more known to a caller."""
    columns = tuple(
        replace(
            column,
            sensitive=column.sensitive or column.name in names,
            known=column.known or column.name in known,
        )
        for column in CONTRACT.columns
    )
    return replace(CONTRACT, columns=columns)


def test_base_and_contributions_sum_to_the_answer(model: Predictor) -> None:
    for row in reference.instances(reference.columns(CONTRACT, 20)):
        found = explained(model, record(model, row))
        assert found.base is not None
        total = found.base + sum(each.contribution for each in found.contributions)
        assert total == pytest.approx(found.value, abs=1e-9)
        assert tuple(each.feature for each in found.contributions) == model.model.features


def test_an_answer_is_given_with_its_input_interval_unit_and_model(model: Predictor) -> None:
    made = record(model)
    found = explained(model, made)
    assert found.prediction_id == made["id"]
    assert (found.value, found.lower, found.upper) == (made["value"], made["lower"], made["upper"])
    assert (found.unit, found.coverage, found.input) == ("minute", 0.9, INPUT)
    same = ("at", "model_version", "model_hash", "commit", "bento", "contract")
    assert all(getattr(found, name) == made[name] for name in same)


def test_a_number_stands_beside_the_least_and_most_of_training(model: Predictor) -> None:
    seen = {each["feature"]: each for each in model.ranges.seen}["trip_distance"]
    found = share(explained(model, record(model)), "trip_distance")
    assert (found.value, found.seen) == (1.9, True)
    assert (found.least, found.most, found.codes) == (seen["least"], seen["most"], None)


def test_a_code_stands_beside_how_many_training_saw(model: Predictor) -> None:
    seen = {each["feature"]: each for each in model.ranges.seen}["pickup_zone"]
    found = share(explained(model, record(model)), "pickup_zone")
    assert (found.value, found.seen, found.codes) == (74, True, len(seen["values"]))
    seen["values"].remove(74)
    assert not share(explained(model, record(model)), "pickup_zone").seen


def test_the_recomputed_answer_is_equal_to_the_last_bit(model: Predictor) -> None:
    for row in reference.instances(reference.columns(CONTRACT, 20)):
        kept = json.loads(msgspec.json.encode(record(model, row)))
        found = explained(model, kept)
        assert found.recomputed == EQUAL
        assert found.agrees


def test_records_are_taken_as_text_too(model: Predictor) -> None:
    made = record(model)
    found = explained(model, made | {"input": json.dumps(INPUT), "explanation": '{"base": 1.0}'})
    assert (found.input, found.stored, found.recomputed) == (INPUT, {"base": 1.0}, EQUAL)


@pytest.mark.parametrize("end", ["value", "lower", "upper"])
def test_a_last_bit_that_was_tampered_with_is_told(model: Predictor, end: str) -> None:
    made = record(model)
    found = explained(model, made | {end: math.nextafter(made[end], math.inf)})
    assert found.recomputed.startswith(f"differs: {end} by -")
    assert not found.agrees


def test_a_lost_interval_is_told(model: Predictor) -> None:
    found = explained(model, record(model, lower=None))
    assert found.recomputed.startswith("differs: lower ")
    assert found.recomputed.endswith("logged None")


def baseline(model: Predictor, **changed: Any) -> dict[str, Any]:
    """The record of a fallback."""
    value = model.model.baseline({"trip_distance": np.array([1.9])}).item()
    return record(model, **{"value": value, "lower": None, "upper": None, **changed})


def test_a_fallback_says_why_and_has_no_contributions(model: Predictor) -> None:
    found = explained(model, baseline(model, flags=["fallback.mode"], mode="fallback"))
    assert found.fallback == "The service was in fallback mode, so the baseline answered."
    assert (found.base, found.contributions, found.coverage) == (None, (), None)
    assert found.guards == ()
    assert found.recomputed == EQUAL


def test_a_fallback_for_an_odd_output_says_what_the_model_said(
    model: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = baseline(model, flags=["fallback.output"])
    monkeypatch.setattr(model.model, "predict", lambda matrix: np.full(len(matrix), 61.5))
    found = explained(model, made)
    assert found.fallback == (
        "The model's output, 61.5, is no minute from 1 to 60, so the baseline answered."
    )
    assert found.recomputed == EQUAL


def test_a_fallback_that_is_not_the_baselines_answer_is_told(model: Predictor) -> None:
    made = baseline(model, flags=["fallback.mode"])
    found = explained(model, made | {"value": made["value"] + 0.5})
    assert found.recomputed == "differs: value by -0.5"


def test_guards_that_fired_are_told_in_a_sentence_each(model: Predictor) -> None:
    flags = ["trip_distance.unseen", "pickup_zone.unseen", "combination.unseen", "interval.wide"]
    found = explained(model, record(model, {"trip_distance": 99.0}, flags=[*flags, "odd.one"]))
    distance, zone, joint, wide, unknown = found.guards
    assert distance.startswith("trip_distance was 99, outside the 0.")
    assert zone.startswith("pickup_zone was 74, none of the ")
    assert joint.startswith("No training row combines such values")
    assert wide.startswith("The interval is wider than an answer of use has")
    assert unknown == "odd.one, which this version does not know."


def test_scores_and_widths_stand_beside_their_limits(
    model: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = record(model, flags=["combination.unseen", "interval.wide"])
    guards = {"joint_limit": 4.5, "max_width": 2.0, "score": lambda matrix: np.array([7.25])}
    for name, value in guards.items():
        monkeypatch.setattr(model, name, value, raising=False)
    joint, wide = explained(model, made).guards
    assert joint == "No training row combines such values: score 7.25, limit 4.5."
    width = made["upper"] - made["lower"]
    assert wide.endswith(f"answer of use has: {width:.4g}, limit 2.")


def test_a_record_from_before_flags_has_none(model: Predictor) -> None:
    found = explained(model, record(model, flags=None))
    assert (found.guards, found.fallback, found.recomputed) == ((), None, EQUAL)


def test_no_guard_that_fired_is_no_sentence(model: Predictor) -> None:
    assert explained(model, record(model)).guards == ()


def test_another_models_record_is_refused(model: Predictor) -> None:
    with pytest.raises(Problem, match=r"found model 000000000000; expected the model at hand"):
        explained(model, record(model, model_hash="0" * 64))


def test_a_damaged_input_is_refused_by_its_field(model: Predictor) -> None:
    made = record(model)
    with pytest.raises(Problem, match=rf"{made['id']}: found trip_distance: -1"):
        explained(model, made | {"input": INPUT | {"trip_distance": -1}})


def test_contributions_that_do_not_sum_to_the_answer_are_the_models_mistake(
    model: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = model.model.contributions
    monkeypatch.setattr(model.model, "contributions", lambda matrix: honest(matrix) + 0.1)
    with pytest.raises(Problem, match="the model's contributions: found a sum of"):
        explained(model, record(model))


@pytest.mark.parametrize("name", ["trip_distance", "pickup_zone"])
def test_a_sensitive_column_that_the_model_needs_is_refused_by_name(
    model: Predictor, name: str
) -> None:
    made = record(model)
    model.contract = secret(name)
    with pytest.raises(Problem, match=f"column {name}: found a keyed hash"):
        explained(model, made | {"input": INPUT | {name: HASH}})


def test_a_sensitive_column_that_only_the_baseline_needs_is_refused_by_name(
    model: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = record(model)
    matrix = model.matrix({name: np.array([value]) for name, value in _typed().items()})
    monkeypatch.setattr(model, "matrix", lambda columns: matrix)
    model.contract = secret("trip_distance")
    with pytest.raises(Problem, match="column trip_distance: found a keyed hash"):
        explained(model, made | {"input": INPUT | {"trip_distance": HASH}})


def _typed() -> dict[str, Any]:
    return INPUT | {"pickup_at": np.datetime64(str(INPUT["pickup_at"]), "us")}


def test_a_sensitive_column_that_nobody_needs_is_no_hindrance(model: Predictor) -> None:
    made = record(model)
    model.contract = secret(known=("rider_id",))
    found = explained(model, made | {"input": INPUT | {"rider_id": HASH}})
    assert found.recomputed == EQUAL
    assert found.input["rider_id"] == HASH


def test_a_service_can_send_an_explanation_as_it_is(model: Predictor) -> None:
    found = explained(model, record(model))
    sent = json.loads(msgspec.json.encode(found))
    assert sent["base"] == found.base
    assert sent["contributions"][0]["feature"] == model.model.features[0]


def test_explaining_loads_no_table_engine(built: Path) -> None:
    code = (
        "import sys; from preflight import explanation\n"
        "print([name for name in ('polars', 'duckdb', 'pandas') if name in sys.modules])"
    )
    told = subprocess.run(
        (sys.executable, "-c", code),
        env=environment(built),
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.strip() == "[]"
