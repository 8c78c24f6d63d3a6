"""The file of waivers: typed, and every mistake named by its entry."""

from datetime import date

import pytest
import yaml

from conftest import ROOT
from preflight.policy import waivers

TODAY = date(2026, 1, 15)
WHOLE = {
    "check": "tests",
    "subject": "tests/unit/test_x.py::test_y",
    "reason": "The rule it held is gone, see docs.",
    "owner": "@maintainer",
    "expires": "2026-02-01",
}


def flaw(entry: object) -> str:
    """What is said about a file with one entry."""
    held, flaws = waivers.parse(yaml.safe_dump({"waivers": [entry]}), TODAY, 90)
    assert held == ()
    (only,) = flaws
    return f"{only.entry}: {only.words}"


def test_a_whole_waiver_is_in_force() -> None:
    ((held,), flaws) = waivers.parse(yaml.safe_dump({"waivers": [WHOLE]}), TODAY, 90)
    assert flaws == ()
    assert held.expires == date(2026, 2, 1)


def test_the_form_that_the_shipped_file_shows_is_whole() -> None:
    text = (ROOT / ".github/waivers.yaml").read_text()
    shown = [line.removeprefix("#") for line in text.splitlines() if line.startswith("#   ")]
    held, flaws = waivers.parse("waivers:\n" + "\n".join(shown), TODAY, 90)
    assert (len(held), flaws) == (1, ())


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "waivers: []\n"])
def test_an_empty_file_holds_none(text: str) -> None:
    assert waivers.parse(text, TODAY, 90) == ((), ())


@pytest.mark.parametrize(("expires", "held"), [("2026-01-15", 1), ("2026-01-14", 0)])
def test_a_waiver_holds_on_its_last_day_and_not_after(expires: str, held: int) -> None:
    text = yaml.safe_dump({"waivers": [WHOLE | {"expires": expires}]})
    assert len(waivers.parse(text, TODAY, 90)[0]) == held


@pytest.mark.parametrize(("days", "held"), [(17, 1), (16, 0)])
def test_a_waiver_may_end_no_further_ahead_than_the_limit(days: int, held: int) -> None:
    text = yaml.safe_dump({"waivers": [WHOLE]})
    assert len(waivers.parse(text, TODAY, days)[0]) == held


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"check": "waivers"}, "check: "),
        ({"subject": ""}, "subject: "),
        ({"reason": "Because.            "}, "reason: "),
        ({"reason": "x" * 201}, "reason: "),
        ({"owner": "maintainer"}, "owner: "),
        ({"owner": "@a b"}, "owner: "),
        ({"expires": "soon"}, "expires: "),
        ({"expires": 20260201}, "expires: "),
        ({"expires": None}, "expires: "),
        ({"experies": "2026-02-01"}, "experies: an unknown field; expected check, subject"),
    ],
)
def test_a_mistake_is_named_by_entry_and_field(fields: dict[str, object], said: str) -> None:
    assert f": {said}" in flaw(WHOLE | fields)


def test_a_missing_field_is_named() -> None:
    whole = {key: value for key, value in WHOLE.items() if key != "owner"}
    assert flaw(whole) == "entry 1 (tests/unit/test_x.py::test_y): owner: Field required"


@pytest.mark.parametrize("entry", ["a text", None, 3, ["a", "list"]])
def test_an_entry_that_is_no_mapping_is_named(entry: object) -> None:
    assert flaw(entry).startswith("entry 1: ")


@pytest.mark.parametrize("text", ["waivers:\n", "- a\n", "waiver: []\n", "waivers: {}\n"])
def test_a_file_of_another_shape_is_refused(text: str) -> None:
    (_, (only,)) = waivers.parse(text, TODAY, 90)
    assert only.words == "expected the one key `waivers` and a list under it"


def test_text_that_is_no_yaml_is_refused() -> None:
    (_, (only,)) = waivers.parse("waivers: [", TODAY, 90)
    assert only.words.startswith("no YAML")


def test_one_bad_entry_leaves_the_others_in_force() -> None:
    text = yaml.safe_dump({"waivers": [WHOLE, {}, WHOLE]})
    held, flaws = waivers.parse(text, TODAY, 90)
    assert (len(held), [each.entry for each in flaws]) == (2, ["entry 2"])
