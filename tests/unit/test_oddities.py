"""Odd requests follow from a contract, and an answer that departs from its definition is seen."""

import json
import shutil
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from conftest import ROOT, git, run
from preflight import evidence, oddities, params
from preflight.contract import Column, Contract
from preflight.evidence import Part
from preflight.oddities import Oddity
from preflight.serving.requests import Decoder, Invalid
from taxi.contract import CONTRACT as TRIPS

LIMITS = params.load(ROOT / "params.yaml").serving.model_copy(
    update={"max_body_bytes": 5_000, "max_batch": 4}
)
# Every kind of column, with and without a unit that is mistaken for another.
PARCELS = Contract(
    name="parcels",
    version=1,
    columns=(
        Column(
            "sent_at",
            "time",
            "",
            minimum=datetime(2020, 1, 1),
            maximum=datetime(2030, 1, 1),
            known=True,
            role="time",
            example="2023-06-01T10:00:00",
        ),
        Column("size", "text", "", allowed=("small", "large"), known=True, example="small"),
        Column("tariff", "integer", "", allowed=(1, 2, 5), known=True, example=2),
        Column("depot", "integer", "", minimum=0, maximum=90, known=True, example=3),
        Column("weight", "number", "", minimum=0.0, maximum=30.0, known=True, example=1.5),
        Column(
            "way", "number", "", unit="mile", minimum=0.0, maximum=50.0, known=True, example=4.0
        ),
        Column("lasting", "number", "", minimum=0.0, maximum=100.0, role="target"),
        Column("sender", "integer", "", minimum=0, maximum=9, role="entity"),
    ),
    identity=("sent_at", "depot"),
    slices=("size",),
    target_bins=(10.0, 50.0),
)
BY_NAME = {
    contract.name: {each.name: each for each in oddities.requests(contract, LIMITS)}
    for contract in (PARCELS, TRIPS)
}
PARCEL = BY_NAME["parcels"]


@pytest.mark.parametrize("contract", [PARCELS, TRIPS], ids=["parcels", "trips"])
def test_names_are_telling_and_none_repeats(contract: Contract) -> None:
    found = oddities.requests(contract, LIMITS)
    assert len({each.name for each in found}) == len(found) > 80
    for column in contract.known:
        assert {f"{column.name}-missing", f"{column.name}-null"} <= {each.name for each in found}


@pytest.mark.parametrize(
    ("contract", "oddity"),
    [
        pytest.param(contract, each, id=f"{contract.name}-{each.name}")
        for contract in (PARCELS, TRIPS)
        for each in oddities.requests(contract, LIMITS)
        if not each.too_large
    ],
)
def test_a_service_of_the_contract_does_what_is_defined(contract: Contract, oddity: Oddity) -> None:
    decoder = Decoder(contract, LIMITS.max_batch)
    decode = decoder.one if oddity.route == oddities.ONE else decoder.batch
    if oddity.expected == "answered":
        assert len(decode(oddity.body)[contract.time.name]) == oddity.rows
        return
    with pytest.raises(Invalid) as caught:
        decode(oddity.body)
    assert caught.value.field == oddity.field


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("way-below_minimum", -5e-324, "refused"),
        ("way-at_minimum", 0.0, "answered"),
        ("way-just_below_maximum", 49.99999999999999, "answered"),
        ("way-above_maximum", 50.00000000000001, "refused"),
        ("way-in_metres", 4 * 1609.344, "refused"),
        ("way-in_kilometres", 4 * 1.609344, "answered"),
        ("depot-above_maximum", 91, "refused"),
        ("depot-float_for_integer", 3.0, "refused"),
        ("depot-huge_integer", 10**30, "refused"),
        ("tariff-unknown_category", 6, "refused"),
        ("size-unknown_category", "no such category", "refused"),
        ("size-empty_text", "", "refused"),
        ("sent_at-below_minimum", "2019-12-31T23:59:59", "refused"),
        ("sent_at-at_maximum", "2030-01-01T00:00:00", "answered"),
        ("sent_at-with_offset", "2023-06-01T10:00:00+01:00", "refused"),
        ("sent_at-without_seconds", "2023-06-01T10:00", "answered"),
        ("sent_at-impossible_date", "2023-02-30T08:15:00", "refused"),
        ("sent_at-leap_day", "2024-02-29T08:15:00", "answered"),
        ("sent_at-no_leap_day", "2025-02-29T08:15:00", "refused"),
    ],
)
def test_an_oddity_has_its_value_and_its_definition(name: str, value: Any, expected: str) -> None:
    oddity = PARCEL[name]
    assert json.loads(oddity.body)[name.partition("-")[0]] == value
    assert (oddity.expected, oddity.field) == (
        expected,
        name.partition("-")[0] if expected == "refused" else None,
    )


def test_swapped_columns_are_refused_where_the_contract_can_tell() -> None:
    assert PARCEL["weight-way-swapped_one_kind"].expected == "answered"
    assert PARCEL["sent_at-size-swapped_kinds"].field == "sent_at"
    assert PARCEL["tariff-depot-swapped_one_kind"].field == "tariff"


def test_a_body_over_the_limit_has_a_status_of_its_own() -> None:
    large = PARCEL["body_over_limit"]
    assert len(large.body) > LIMITS.max_body_bytes
    assert (large.status, large.field) == (413, "body")


def answered(**fields: Any) -> str:
    """A sound answer to one parcel with fields laid over it."""
    sound = {"value": 20.0, "interval": {"lower": 10.0, "upper": 30.0}}
    return json.dumps(sound | fields)


def breaches(name: str, status: int, text: str, media: str = "") -> str:
    """What is wrong with an answer to a parcel's oddity, in one text."""
    kind = "application/json" if status == 200 else "application/problem+json"
    return "; ".join(oddities.breaches(PARCEL[name], PARCELS, status, media or kind, text))


def test_a_defined_answer_has_no_breach() -> None:
    assert breaches("way-at_minimum", 200, answered()) == ""
    assert breaches("way-at_minimum", 200, answered(interval=None)) == ""
    assert breaches("way-null", 422, '{"field": "way"}') == ""
    three = json.dumps({"predictions": [json.loads(answered())] * 3})
    assert breaches("duplicate_rows", 200, three) == ""


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"value": 100.1}, "value 100.1; expected 0.0 to 100.0"),
        ({"value": float("nan")}, "value nan"),
        ({"value": None}, "no answer of the documented form (TypeError"),
        ({"value": 31.0}, "value 31.0 outside its interval 10.0 to 30.0"),
        ({"interval": {"lower": 10.0, "upper": 130.0}}, "leaves the target's range"),
        ({"interval": {"lower": 10.0}}, "no answer of the documented form (KeyError"),
        ({"value": "20"}, "no answer of the documented form (TypeError"),
    ],
)
def test_an_implausible_answer_is_a_breach(fields: dict[str, Any], said: str) -> None:
    assert said in breaches("way-at_minimum", 200, answered(**fields))


def test_an_answer_to_what_must_be_refused_is_a_breach() -> None:
    assert "status 200; expected 422" in breaches("way-null", 200, answered())


def test_a_refusal_of_what_must_be_answered_is_a_breach() -> None:
    assert "status 422; expected 200" in breaches("way-at_maximum", 422, '{"field": "way"}')


def test_a_refusal_that_names_another_field_is_a_breach() -> None:
    said = breaches("way-null", 422, '{"field": "depot"}')
    assert said == "it names 'depot'; expected 'way'"


def test_an_error_of_the_service_and_its_traceback_are_breaches() -> None:
    said = breaches("way-null", 500, 'Traceback (most recent call last): File "app.py"')
    assert "shows 'Traceback'" in said
    assert "status 500; expected 422" in said


def test_another_media_type_text_or_count_is_a_breach() -> None:
    assert "media type 'text/html'" in breaches("way-null", 422, '{"field": "way"}', "text/html")
    assert "no answer of the documented form" in breaches("way-null", 422, "no")
    assert "no answer of the documented form" in breaches("way-at_minimum", 200, "[]")
    one = json.dumps({"predictions": [json.loads(answered())]})
    assert "1 predictions; expected 3" in breaches("duplicate_rows", 200, one)


def suites(root: Path, *names: str) -> tuple[int, list[Part]]:
    """Run suites in a checkout; their exit status and their evidence, in this order."""
    commit = git(root, "rev-parse", "HEAD").strip()
    where = root / "reports" / "evidence"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "preflight.suites"]
    command += ["--evidence", str(where), "--evidence-commit", commit]
    done = run(root, *command, *(f"tests/{name.replace('-', '_')}" for name in names))
    return done.returncode, [evidence.read(where / f"{name}.json") for name in names]


def test_the_suites_hold_for_a_small_model_and_fail_without_one(checkout: Path) -> None:
    status, found = suites(checkout, "base-case", "oddities")
    assert (status, [part.status for part in found]) == (0, ["pass", "pass"])
    assert ("above maximum" in str(found[1].tables)) and found[1].tables[0].title == "Kinds"
    shutil.rmtree(checkout / "models/packaged")
    status, found = suites(checkout, "base-case")
    assert (status, [part.status for part in found]) == (1, ["fail"])
    assert "models/packaged: found no model" in found[0].evidence[1].found


def test_a_model_that_answers_in_seconds_fails_the_base_case(checkout: Path) -> None:
    """Fitted on equally mistaken data, it would have fine metrics."""
    code = checkout / "src/taxi/model.py"
    text = code.read_text()
    sound = "found: Matrix = self._output(matrix)"
    assert sound in text
    code.write_text(text.replace(sound, f"{sound} * 60"))
    status, (base,) = suites(checkout, "base-case")
    assert (status, base.status) == (1, "fail")
    assert any(kind == "speed" and failed for kind, _, failed in base.tables[0].rows)
