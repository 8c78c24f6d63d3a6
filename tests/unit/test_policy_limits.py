"""Policy, limits: a looser one is named, a tighter one is not."""

from typing import Any

import pytest
import yaml

from changes import change
from conftest import ROOT
from preflight.policy import guards, settings

SHIPPED = yaml.safe_load((ROOT / "params.yaml").read_text())


def named(before: Any, after: Any) -> list[str]:
    """What is said about two contents of params.yaml."""
    texts = ({"params.yaml": yaml.safe_dump(each)} for each in (before, after))
    return [str(each) for each in guards.limits(change(*texts))]


def gate(**keys: Any) -> dict[str, Any]:
    """Parameters with the section of one gate."""
    return {"gates": {"slices": keys}}


def project(before: str, after: str) -> list[str]:
    """What is said about two contents of pyproject.toml."""
    both = change({"pyproject.toml": before}, {"pyproject.toml": after})
    return [str(each) for each in (*settings.coverage(both), *settings.pytest(both))]


@pytest.mark.parametrize(
    ("was", "now"),
    [
        (gate(max_bias=1.5), gate(max_bias=1.6)),
        (gate(max_bias=1.5), gate(max_bias=float("inf"))),
        (gate(max_bias=1.5), gate(max_bias=float("nan"))),
        (gate(max_bias=1.5), gate(max_bias="1.5")),
        (gate(max_bias=1), gate(max_bias=True)),
        (gate(min_coverage=0.8), gate(min_coverage=0.7)),
        (gate(max_bias={"vendor": 1.0}), gate(max_bias={"vendor": 2.0})),
        (gate(resamples=200), gate(resamples=20)),
        (gate(enabled=True), gate(enabled=False)),
        (gate(method="exact"), gate(method="none")),
        (gate(monotone={"distance": "increasing"}), gate(monotone={"distance": "decreasing"})),
        (gate(scope=None), gate(scope="night")),
        ({"validate": {"max_duplicates": 0.1}}, {"validate": {"max_duplicates": 0.2}}),
        ({"evaluate": {"resamples": 200}}, {"evaluate": {"resamples": 100}}),
        ({"risk": {"tier": "high"}}, {"risk": {"tier": "low"}}),
        ({"risk": {"explain": True}}, {"risk": {"explain": False}}),
        ({"risk": {"approvals": 1}}, {"risk": {"approvals": 0}}),
    ],
)
def test_a_looser_value_is_named_with_both_values(was: Any, now: Any) -> None:
    (said,) = named(was, now)
    path, old = next(iter(guards.flat(was).items()))
    new = guards.flat(now)[path]
    assert said == f"limit looser: {path} {'null' if old is None else old} -> {new}"


@pytest.mark.parametrize(
    ("was", "now"),
    [
        (gate(max_bias=1.5), gate(max_bias=1.4)),
        (gate(max_bias=1.0), gate(max_bias=1)),
        (gate(max_bias=None), gate(max_bias=1.0)),
        (gate(max_bias=float("inf")), gate(max_bias=1.0)),
        (gate(min_coverage=0.8), gate(min_coverage=0.9)),
        (gate(resamples=20), gate(resamples=200)),
        (gate(fairness=["vendor"]), gate(fairness=["borough", "vendor"])),
        (gate(fairness=[]), gate(fairness=["vendor"])),
        (gate(monotone={}), gate(monotone={"distance": "increasing"})),
        (gate(seed=1), gate(seed=0)),
        (gate(), gate(max_bias=9.0)),
        ({}, gate(max_bias=9.0)),
        ({"model": {"rounds": 200}}, {"model": {"rounds": 2}}),
        ({"risk": {"tier": "low"}}, {"risk": {"tier": "high"}}),
        ({"risk": {"explain": False}}, {"risk": {"explain": True}}),
    ],
)
def test_what_is_tighter_new_or_no_limit_is_not_named(was: Any, now: Any) -> None:
    assert named(was, now) == []


@pytest.mark.parametrize("now", [gate(), gate(max_bias=None), {"gates": {}}, {"model": 1}])
def test_a_limit_that_goes_is_named(now: Any) -> None:
    (said,) = named(gate(max_bias=1.5), now)
    assert said.startswith("limit removed: gates.slices.max_bias 1.5 -> ")
    assert said.endswith("; it must stand in params.yaml, not in a default")


def test_an_entry_that_goes_from_a_list_or_a_mapping_is_named() -> None:
    was = gate(fairness=["vendor", "borough"], monotone={"distance": "increasing"})
    assert named(was, gate(fairness=["vendor"], monotone={})) == [
        "entry removed: gates.slices.fairness[borough] listed -> absent",
        "limit removed: gates.slices.monotone.distance increasing -> absent; "
        "it must stand in params.yaml, not in a default",
    ]


def test_an_entry_with_limits_of_its_own_is_known_by_the_rest_of_it() -> None:
    was, looser, tighter = (
        gate(fairness=[{"slice": "vendor", "max_gap": value}]) for value in (1.0, 2.0, 0.5)
    )
    (said,) = named(was, looser)
    assert 'fairness[{"slice": "vendor"}].max_gap 1.0 -> 2.0' in said
    assert named(was, tighter) == []


@pytest.mark.parametrize(
    ("was", "now", "said"),
    [
        (None, ["a"], "limit looser: validate.row_rules null -> a list of 1"),
        (None, [], "limit looser: validate.row_rules null -> []"),
        (["a", "b"], ["a"], "entry removed: validate.row_rules[b] listed -> absent"),
        (["a"], None, None),
        (["a"], ["a", "b"], None),
    ],
)
def test_null_means_all_row_rules(was: Any, now: Any, said: str | None) -> None:
    found = named({"validate": {"row_rules": was}}, {"validate": {"row_rules": now}})
    assert found == ([said] if said else [])


def test_declared_changes_come_and_go_freely() -> None:
    declared = {"reason": "A new feature.", "size": 2.0}
    one, none = ({"gates": {"differential": {"expected": each}}} for each in ([declared], []))
    assert named(one, none) == named(none, one) == []


def test_every_shipped_limit_is_named_when_it_goes() -> None:
    gates = guards.flat({"gates": SHIPPED["gates"]})
    expected = [path for path, value in gates.items() if value not in ([], {})]
    assert len(named(SHIPPED, {**SHIPPED, "gates": {}})) == len(expected) > 30


@pytest.mark.parametrize("text", ["gates: [", "- a\n", ""])
def test_parameters_that_cannot_be_read_are_named(text: str) -> None:
    both = change({"params.yaml": "gates: {a: {max_b: 1}}"}, {"params.yaml": text})
    (said,) = guards.limits(both)
    assert str(said) == "limits removed: params.yaml parameters -> absent, or no YAML mapping"


def test_parameters_that_were_never_there_lose_nothing() -> None:
    assert list(guards.limits(change({}, {}))) == []


COVERAGE = "[tool.coverage.report]\nfail_under = 90\n"


@pytest.mark.parametrize(
    ("after", "said"),
    [
        (COVERAGE.replace("90", "80"), "limit looser: pyproject.toml: coverage.report.fail_under"),
        ("[tool.coverage.report]\n", "coverage.report.fail_under 90 -> absent"),
        (COVERAGE + 'omit = ["src/x.py"]\n', "coverage.report.omit; now src/x.py"),
        (COVERAGE + 'exclude_also = ["if x"]\n', "coverage.report.exclude_also; now if x"),
        (COVERAGE + 'include = ["src/x.py"]\n', "coverage measures less"),
        (COVERAGE + '[tool.coverage.run]\nomit = ["a"]\n', "coverage.run.omit; now a"),
    ],
)
def test_weaker_coverage_is_named(after: str, said: str) -> None:
    (found,) = project(COVERAGE, after)
    assert said in found


def test_code_that_coverage_no_longer_looks_at_is_named() -> None:
    was = '[tool.coverage.run]\nbranch = true\nsource_pkgs = ["preflight", "taxi"]\n'
    found = project(was, '[tool.coverage.run]\nbranch = false\nsource_pkgs = ["taxi"]\n')
    assert len(found) == 2
    assert "coverage.run.source_pkgs preflight -> absent" in found[0]
    assert "coverage.run.branch True -> absent" in found[1]


def test_stronger_coverage_is_not_named() -> None:
    assert project(COVERAGE + 'omit = ["a"]\n', COVERAGE.replace("90", "95")) == []


@pytest.mark.parametrize("name", [".coveragerc", "setup.cfg"])
def test_a_file_that_hides_the_settings_of_coverage_is_named(name: str) -> None:
    (said,) = settings.coverage(change({}, {name: ""}))
    assert str(said) == f"settings of coverage hidden by a new file: {name} absent -> present"


PYTEST = '[tool.pytest.ini_options]\ntestpaths = ["tests/unit"]\naddopts = ["-ra"]\n'


@pytest.mark.parametrize(
    ("after", "said"),
    [
        (PYTEST.replace('"-ra"', '"-ra", "--ignore=tests/x"'), "now --ignore=tests/x"),
        (PYTEST.replace('"-ra"', '"--deselect", "a::b"'), "now --deselect a::b"),
        (PYTEST.replace('["-ra"]', '"-ra -k fast"'), "now -k fast"),
        (PYTEST.replace("tests/unit", "tests/few"), "pytest.testpaths tests/unit -> absent"),
        (PYTEST + 'python_files = ["few_*.py"]\n', "tests collected otherwise"),
    ],
)
def test_settings_by_which_fewer_tests_run_are_named(after: str, said: str) -> None:
    (found,) = project(PYTEST, after)
    assert said in found


def test_other_options_of_pytest_are_not_named() -> None:
    assert project(PYTEST, PYTEST.replace('"-ra"', '"-ra", "--color=yes", "-p", "x"')) == []


def test_a_file_that_hides_the_settings_of_pytest_is_named() -> None:
    (said,) = settings.pytest(change({}, {"pytest.ini": ""}))
    assert str(said) == "settings of pytest hidden by a new file: pytest.ini absent -> present"


@pytest.mark.parametrize(("after", "broken"), [("[tool", True), ("[tool]\n", False)])
def test_settings_that_cannot_be_read_are_told(after: str, broken: bool) -> None:
    both = change({"pyproject.toml": PYTEST}, {"pyproject.toml": after})
    assert settings.broken(both) is broken
