"""The limits are typed, and those of the merge base hold."""

from typing import Any

import pytest

from cases import known
from conftest import ROOT
from preflight import params
from preflight.errors import Problem
from preflight.gates import limits
from preflight.params import merge

SHIPPED = params.read(ROOT / "params.yaml")


def over(**sections: dict[str, Any]) -> dict[str, Any]:
    """The shipped parameters with keys of gates laid over them."""
    return merge(SHIPPED, {"gates": sections})


def without(gate: str, key: str) -> dict[str, Any]:
    """The shipped parameters without one key of a gate."""
    found = over()
    found["gates"] = {name: dict(section) for name, section in found["gates"].items()}
    del found["gates"][gate][key]
    return found


def declared(reason: str) -> dict[str, Any]:
    """The shipped parameters with one declared change."""
    one = {"champion": "a" * 12, "reason": reason, "scope": ["all"], "size": 1.0}
    return over(differential={"expected": [one]})


def test_the_shipped_limits_load() -> None:
    found = limits.load(ROOT / "params.yaml")
    assert found.quality.max_rmse == SHIPPED["gates"]["quality"]["max_rmse"]


def test_every_number_is_a_least_or_a_most() -> None:
    for name, section in known():
        for key, value in section:
            is_number = isinstance(value, int | float)
            assert is_number == key.startswith(("max_", "min_")), f"gates.{name}.{key}"


def test_a_misspelt_key_is_named_with_its_place_and_its_neighbour() -> None:
    with pytest.raises(Problem, match=r"gates\.quality\.max_rmsee: .*Did you mean `max_rmse`"):
        limits.parse(over(quality={"max_rmsee": 6.0}), "params.yaml")


@pytest.mark.parametrize(
    ("section", "named"),
    [
        ({"quality": {"max_rmse": "6"}}, "quality.max_rmse"),
        ({"quality": {"max_rmse_ratio": 0.9}}, "quality.max_rmse_ratio"),
        ({"slices": {"min_coverage": 1.1}}, "slices.min_coverage"),
        ({"slices": {"max_bias": 0.0}}, "slices.max_bias"),
        ({"differential": {"min_refits": 2}}, "differential.min_refits"),
        ({"differential": {"max_noise": None}}, "differential.max_noise"),
        ({"stability": {"monotone": {"trip_distance": "up"}}}, "stability.monotone.trip_distance"),
        ({"coverage": {"min_changed_lines": True}}, "coverage.min_changed_lines"),
    ],
)
def test_a_value_that_cannot_be_is_named(section: dict[str, Any], named: str) -> None:
    with pytest.raises(Problem, match=rf"params\.yaml: gates\.{named}"):
        limits.parse(over(**section), "params.yaml")


@pytest.mark.parametrize(
    "fields",
    [{"champion": "main"}, {"reason": "short"}, {"scope": []}, {"size": 0.0}, {"until": "x"}],
)
def test_a_declaration_names_champion_reason_scope_and_size(fields: dict[str, Any]) -> None:
    whole = declared("A new feature, as agreed.")
    limits.parse(whole, "params.yaml")
    one = whole["gates"]["differential"]["expected"][0] | fields
    with pytest.raises(Problem, match=r"gates\.differential\.expected\.0"):
        limits.parse(over(differential={"expected": [one]}), "params.yaml")


def test_without_a_section_every_key_is_missing() -> None:
    with pytest.raises(Problem, match=r"gates\.data: found no such key"):
        limits.parse({}, "params.yaml")


def test_the_bases_value_wins_over_a_looser_or_a_tighter_one() -> None:
    for value in (60.0, 0.6):
        found, borrowed = limits.of_base(SHIPPED, over(quality={"max_rmse": value}))
        assert found.quality.max_rmse == SHIPPED["gates"]["quality"]["max_rmse"]
        assert borrowed == []


def test_a_key_that_the_head_took_out_stands_as_the_base_has_it() -> None:
    found, borrowed = limits.of_base(SHIPPED, without("slices", "max_bias"))
    assert found.slices.max_bias == SHIPPED["gates"]["slices"]["max_bias"]
    assert borrowed == []
    assert limits.of_base(SHIPPED, {})[0] == known()


def test_a_list_and_a_mapping_stand_as_the_base_has_them() -> None:
    head = over(slices={"fairness": []}, stability={"monotone": {}})
    found, _ = limits.of_base(SHIPPED, head)
    assert found.slices.fairness == ("pickup_borough",)
    assert found.stability.monotone == {"trip_distance": "increasing"}


def test_a_key_that_the_base_lacks_is_borrowed_and_named() -> None:
    found, borrowed = limits.of_base(without("slices", "max_bias"), over(slices={"max_bias": 9.0}))
    assert found.slices.max_bias == 9.0
    assert borrowed == ["gates.slices.max_bias"]


def test_a_base_without_gates_lends_nothing() -> None:
    found, borrowed = limits.of_base({}, SHIPPED)
    assert found == known()
    assert "gates.quality.max_rmse" in borrowed


def test_a_key_that_neither_has_is_named() -> None:
    lacking = without("slices", "max_bias")
    with pytest.raises(Problem, match=r"gates\.slices\.max_bias"):
        limits.of_base(lacking, lacking)


@pytest.mark.parametrize("section", [{"quality": {"max_odd": 1.0}}, {"odd": {"max_odd": 1.0}}])
def test_a_key_that_these_gates_do_not_know_is_left_out(section: dict[str, Any]) -> None:
    assert limits.of_base(over(**section), SHIPPED) == (known(), [])
    assert limits.of_base(SHIPPED, over(**section)) == (known(), [])


def test_declarations_come_from_the_head_alone() -> None:
    then, now = declared("The base's own, from long ago."), declared("The head's own, of today.")
    found, borrowed = limits.of_base(then, now)
    assert [each.reason for each in found.differential.expected] == ["The head's own, of today."]
    assert limits.of_base(then, SHIPPED)[0].differential.expected == ()
    assert borrowed == []


@pytest.mark.parametrize("gates", [None, {"data": None}, {"data": 3}])
def test_a_section_that_holds_no_keys_is_a_problem(gates: Any) -> None:
    with pytest.raises(Problem, match="gates"):
        limits.of_base({}, {**SHIPPED, "gates": gates})
