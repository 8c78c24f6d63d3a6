"""A risk tier asks for what its row of the table says, and the tier itself can be refused."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from conftest import ROOT
from declared import MANIFESTS, environment, tree
from preflight import params, risk
from preflight.deploy.rules.risk import LIFECYCLE, asked
from preflight.deploy.tree import load
from preflight.errors import Problem
from preflight.gates import limits

SHIPPED = params.read(ROOT / "params.yaml")
HIGH = {"risk": {"tier": "high"}, "log": {"explain": True}}
PAUSE = "pause: {duration: 5m}"
SIDES: dict[str, dict[str, Any]] = {"low": {}, "high": HIGH}
BLUE_GREEN = """\
    blueGreen:
      activeService: taxi-stable
      previewService: taxi-canary
      autoPromotionEnabled: false
"""


def laid(*overlays: dict[str, Any]) -> dict[str, Any]:
    """The shipped parameters with keys laid over them."""
    found = SHIPPED
    for each in overlays:
        found = params.merge(found, each)
    return found


def refusal(**keys: Any) -> str:
    """What is said about the shipped parameters with keys of `risk` laid over them."""
    with pytest.raises(Problem) as caught:
        risk.parse(laid({"risk": keys}), "params.yaml")
    return str(caught.value)


def tier(name: str) -> risk.Tier:
    """What a tier of the shipped table asks for."""
    return risk.parse(laid(HIGH, {"risk": {"tier": name}}), "params.yaml").asked


def checkout(place: Path, *overlays: dict[str, Any]) -> Path:
    """A folder with the shipped parameters, and keys laid over them."""
    place.mkdir(exist_ok=True)
    (place / "params.yaml").write_text(yaml.safe_dump(laid(*overlays)))
    return place


def test_the_shipped_tier_is_one_of_the_table(tmp_path: Path) -> None:
    found = risk.of(ROOT)
    assert found.name == SHIPPED["risk"]["tier"]
    assert found.approvals == SHIPPED["risk"]["tiers"][found.name]["approvals"]
    assert risk.of(checkout(tmp_path, HIGH)).name == "high"


def test_high_asks_for_an_approval_and_low_for_none() -> None:
    assert (tier("low").approvals, tier("high").approvals) == (0, 1)


def test_in_every_column_of_the_table_high_asks_for_more_than_low() -> None:
    low, high = tier("low"), tier("high")
    for key in risk.Asked.model_fields:
        assert getattr(low, key) != getattr(high, key), key


@pytest.mark.parametrize(("key", "less"), [("approvals", 0), ("retention_days", 89)])
def test_a_table_in_which_high_asks_for_less_than_low_is_refused(key: str, less: int) -> None:
    said = refusal(tiers={"low": {"approvals": 1}, "high": {key: less}})
    assert f"risk.tiers.high.{key}: found {less}; expected tier low's" in said


def test_amplifiers_over_their_most_refuse_tier_low_and_no_other() -> None:
    said = refusal(amplifiers={"broad_use": 2, "interactions": 2})
    assert (
        "params.yaml: risk.tier: found low; expected high: amplifiers add up to 5, over 4" in said
    )
    assert risk.parse(laid({"risk": {"amplifiers": {"broad_use": 2}}}), "").tier == "low"
    much = {"risk": {"amplifiers": {"broad_use": 2, "rapid_change": 2, "interactions": 2}}}
    assert risk.parse(laid(HIGH, much), "").tier == "high"


@pytest.mark.parametrize("explain", [True, False])
def test_the_log_stores_explanations_where_the_tier_asks_for_them(explain: bool) -> None:
    logged = {"log": {"explain": explain}}
    assert risk.parse(laid(logged), "params.yaml").asked.explain is False
    if explain:
        assert risk.parse(laid(HIGH, logged), "params.yaml").asked.explain
        return
    with pytest.raises(Problem, match=r"log\.explain: found false; expected true, as tier high"):
        risk.parse(laid(HIGH, logged), "params.yaml")


@pytest.mark.parametrize(
    ("keys", "named"),
    [
        ({"tier": "middle"}, "risk.tier"),
        ({"amplifiers": {"broad_use": 3}}, "risk.amplifiers.broad_use"),
        ({"amplifier": {}}, "risk.amplifier: found an unknown key"),
        ({"tiers": {"high": {"approval": 2}}}, "risk.tiers.high.approval: found an unknown key"),
        ({"tiers": {"high": {"retention_days": 0}}}, "risk.tiers.high.retention_days"),
        ({"upstream": {"Road Speed": []}}, "risk.upstream.Road Speed"),
    ],
)
def test_a_key_or_a_value_that_cannot_be_is_named(keys: dict[str, Any], named: str) -> None:
    assert named in refusal(**keys)


def test_without_the_section_its_absence_is_named() -> None:
    with pytest.raises(Problem, match="risk: found no such key"):
        risk.parse({}, "params.yaml")


def test_a_model_may_take_the_answers_of_another() -> None:
    two = {"risk": {"upstream": {"taxi-duration": ["road-speed"], "road-speed": []}}}
    assert risk.parse(laid(two), "").upstream["taxi-duration"] == ("road-speed",)


def test_a_model_that_upstream_does_not_name_is_refused() -> None:
    named = {"registry": {"name": "tram-duration"}}
    with pytest.raises(Problem) as caught:
        risk.parse(laid(named), "params.yaml")
    assert "risk.upstream: found taxi-duration; expected registry.name, tram-duration" in str(
        caught.value
    )
    risk.parse(laid(named, {"risk": {"upstream": {"tram-duration": []}}}), "params.yaml")


def test_models_that_feed_themselves_are_refused() -> None:
    said = refusal(upstream={"taxi-duration": ["road-speed"], "road-speed": ["taxi-duration"]})
    assert "a circle, taxi-duration <- road-speed <- taxi-duration" in said
    assert "a circle, taxi-duration <- taxi-duration" in refusal(
        upstream={"taxi-duration": ["taxi-duration"]}
    )


def test_a_chain_of_models_longer_than_its_most_is_refused() -> None:
    said = refusal(upstream={"dispatch": ["taxi-duration"], "taxi-duration": ["road-speed"]})
    assert "found dispatch <- taxi-duration <- road-speed; expected at most 2 models" in said


def test_tier_high_makes_limits_of_the_gates_stricter() -> None:
    low, high = (limits.parse(laid(each), "params.yaml") for each in ({}, HIGH))
    assert low.quality.max_rmse_ratio == SHIPPED["gates"]["quality"]["max_rmse_ratio"]
    assert high.quality.max_rmse_ratio == 1.01 < low.quality.max_rmse_ratio
    assert high.slices.max_bias < low.slices.max_bias
    assert high.slices.min_coverage > low.slices.min_coverage
    assert high.differential == low.differential


@pytest.mark.parametrize(
    ("bounds", "said"),
    [
        ({"quality": {"max_rmse_ratio": 1.2}}, "quality.max_rmse_ratio: found 1.2, which is loose"),
        ({"slices": {"min_coverage": 0.5}}, "slices.min_coverage: found 0.5, which is looser"),
        ({"quality": {"max_rmsee": 1.0}}, "quality.max_rmsee: found no limit of the gates"),
        ({"colour": {"max_red": 1.0}}, "colour.max_red: found no limit of the gates"),
        ({"quality": {"max_rmse_ratio": 0.5}}, "gates.quality.max_rmse_ratio: found 0.5"),
    ],
)
@pytest.mark.parametrize("name", ["low", "high"])
def test_a_limit_of_a_tier_that_is_looser_or_none_is_refused_in_either_tier(
    name: str, bounds: dict[str, Any], said: str
) -> None:
    with pytest.raises(Problem) as caught:
        limits.parse(laid({"risk": {"tiers": {name: {"limits": bounds}}}}), "params.yaml")
    assert f"risk.tiers.{name}.limits" in str(caught.value)
    assert said in str(caught.value)


def test_limits_of_high_lie_over_those_of_low_as_well() -> None:
    low = {"risk": {"tiers": {"low": {"limits": {"quality": {"max_mae_ratio": 1.02}}}}}}
    found = limits.parse(laid(low), "params.yaml")
    assert found.quality.max_mae_ratio == 1.02
    with pytest.raises(Problem, match=r"tiers\.high\.limits\.build\.max_size_ratio: found 1\.3"):
        limits.parse(
            laid(
                {"risk": {"tiers": {"low": {"limits": {"build": {"max_size_ratio": 1.2}}}}}},
                {"risk": {"tiers": {"high": {"limits": {"build": {"max_size_ratio": 1.3}}}}}},
            ),
            "params.yaml",
        )


@pytest.mark.parametrize(("base", "head"), [({}, HIGH), (HIGH, {}), (HIGH, HIGH)])
def test_a_change_is_judged_by_the_higher_tier_of_its_base_and_its_own(
    base: dict[str, Any], head: dict[str, Any]
) -> None:
    found, borrowed = limits.of_base(laid(base), laid(head))
    assert found == limits.parse(laid(HIGH), "params.yaml")
    assert borrowed == []


def test_a_change_cannot_loosen_the_tiers_limits_for_itself() -> None:
    looser = {"risk": {"tiers": {"high": {"limits": {"quality": {"max_rmse_ratio": 1.03}}}}}}
    found, _ = limits.of_base(laid(HIGH), laid(HIGH, looser))
    assert found.quality.max_rmse_ratio == 1.01


def test_limits_of_a_base_from_before_the_tiers_are_its_gates() -> None:
    old = {key: value for key, value in SHIPPED.items() if key != "risk"}
    assert limits.of_base(old, old)[0] == limits.parse(SHIPPED, "params.yaml")


def test_a_canary_as_long_as_the_tier_asks_passes_and_a_shorter_one_is_named(
    tmp_path: Path,
) -> None:
    staging, hour = environment(), environment((PAUSE, "pause: {duration: 1h}"))
    low = checkout(tmp_path)
    assert list(asked(tree(staging, root=low))) == []
    high = checkout(tmp_path, HIGH)
    (found,) = asked(tree(staging, root=high))
    assert "Rollout/taxi: spec.strategy.canary.steps: found pauses of 10 minutes" in str(found)
    assert "expected 120 minutes or more, as risk tier high asks" in str(found)
    assert list(asked(tree(hour, root=high))) == []


def test_the_shipped_manifests_are_as_the_shipped_tier_asks() -> None:
    assert list(asked(load(ROOT))) == []


def test_a_switch_without_a_canary_is_none_to_tier_high(tmp_path: Path) -> None:
    start, end = (MANIFESTS.index(each) for each in ("    canary:\n", "---\napiVersion: argoproj"))
    low, high = (checkout(tmp_path / name, keys) for name, keys in SIDES.items())
    switched = environment((MANIFESTS[start:end], BLUE_GREEN))
    assert list(asked(tree(switched, root=low))) == []
    assert "pauses of 0 minutes" in "".join(map(str, asked(tree(switched, root=high))))


def test_a_pause_until_somebody_resumes_counts_for_nothing(tmp_path: Path) -> None:
    endless = environment((PAUSE, "pause: {}"))
    (found,) = asked(tree(endless, root=checkout(tmp_path, HIGH)))
    assert "pauses of 0 minutes" in str(found)


@pytest.mark.parametrize(
    ("rules", "named"),
    [
        ([{"Status": "Enabled", "Expiration": {"Days": 730}}], ""),
        ([{"Status": "Disabled", "Expiration": {"Days": 1}}], ""),
        ([{"Status": "Enabled", "Transition": {"Days": 30}}], ""),
        ([{"Status": "Enabled", "Expiration": {"Days": 90}}], "Rules.0.Expiration.Days: found 90"),
        ([{"Status": "Enabled", "Expiration": {"Date": "2027-01-01"}}], "Days: found 0"),
    ],
)
def test_the_logs_bucket_keeps_predictions_as_long_as_the_tier_asks(
    tmp_path: Path, rules: list[dict[str, Any]], named: str
) -> None:
    root = checkout(tmp_path, HIGH, {"risk": {"tiers": {"high": {"min_canary_minutes": 0.0}}}})
    path = root / LIFECYCLE
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"Rules": rules}))
    found = "\n".join(map(str, asked(tree(environment(), root=root))))
    assert bool(found) == bool(named)
    assert named in found
    low = checkout(tmp_path)
    assert len(list(asked(tree(environment(), root=low)))) == (named == "Days: found 0")


def test_the_shipped_lifecycle_is_compared_with_what_the_tier_asks(tmp_path: Path) -> None:
    text = (ROOT / LIFECYCLE).read_text()
    days = json.loads(text)["Rules"][0]["Expiration"]["Days"]
    path = tmp_path / LIFECYCLE
    path.parent.mkdir(parents=True)
    path.write_text(text)
    for more, expected in ((0, []), (1, [f"Days: found {days}; expected {days + 1} or more"])):
        tiers = {name: {"retention_days": days + more} for name in ("low", "high")}
        root = checkout(tmp_path, {"risk": {"tiers": tiers}})
        found = list(map(str, asked(tree(environment(), root=root))))
        assert len(found) == len(expected)
        assert all(words in each for words, each in zip(expected, found, strict=True))


def test_a_lifecycle_that_cannot_be_read_is_a_problem(tmp_path: Path) -> None:
    path = checkout(tmp_path) / LIFECYCLE
    path.parent.mkdir(parents=True)
    path.write_text('{"Rules": [{}]}')
    with pytest.raises(Problem, match="found another form"):
        list(asked(tree(environment(), root=tmp_path)))
