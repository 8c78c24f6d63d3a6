"""The model card: people's words and the files' figures, and nothing that a release changes."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from conftest import ROOT, change_params, commit, git
from preflight import docs
from preflight.errors import NoData, Problem
from preflight.evidence import Evidence, Part, SliceFinding, packed
from preflight.layout import METRICS
from preflight.model_card import page as card
from preflight.model_card import released as cards
from preflight.model_card import words as people
from preflight.model_card.commands import card as command
from preflight.model_card.words import QUESTIONS, WORDS
from preflight.release import EVIDENCE, PLACE
from released import release_of, started

SOURCES = ("params.yaml", "dvc.lock", str(WORDS), str(METRICS), str(card.PLACE))
HIGH = {"risk": {"tier": "high"}, "log": {"explain": True}}
ALL = [each for group in QUESTIONS.values() for each in group]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What the card is made of, and the card, made anew."""
    for name in SOURCES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    card.write(tmp_path)
    return tmp_path


def answer(root: Path, question: str, words: str) -> None:
    """Put other words under a question."""
    text = (root / WORDS).read_text()
    new = re.sub(
        rf"(### {re.escape(question)}\n\n).*?(?=\n##|\Z)", rf"\g<1>{words}\n", text, flags=re.S
    )
    assert new != text
    (root / WORDS).write_text(new)


def test_each_question_that_the_shipped_words_answer_is_in_its_order() -> None:
    words = people.read(ROOT)
    assert list(words) == [each for each in ALL if each in words]


def test_the_shipped_words_are_whole_where_the_shipped_tier_asks_for_it() -> None:
    card.require_whole(ROOT)


def test_there_are_five_kinds_of_risk_and_nine_origins_of_harm() -> None:
    assert len([each for each in QUESTIONS["Risks"] if each.endswith(" risk")]) == 5
    assert len(QUESTIONS[people.ORIGINS]) == 9


def test_the_card_says_what_people_said(checkout: Path) -> None:
    answer(checkout, "For whom?", "Couriers | of\nparcels.")
    assert card.write(checkout)
    assert "| For whom? | Couriers \\| of parcels. |\n" in card.text(checkout)


def test_a_card_that_is_of_other_words_is_red_until_it_is_made_anew(checkout: Path) -> None:
    card.check(checkout)
    answer(checkout, "For whom?", "Couriers.")
    with pytest.raises(Problem, match="found another text; expected what its sources give"):
        card.check(checkout)
    assert card.write(checkout)
    assert not card.write(checkout)
    card.check(checkout)


def test_preflight_docs_brings_the_card_up_to_date_too(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(docs, "PARTS", {})
    docs.write(checkout)
    assert docs.write(checkout) == []
    answer(checkout, "For whom?", "Couriers.")
    assert docs.write(checkout) == [checkout / card.PLACE]


@pytest.mark.parametrize(
    ("section", "keys", "row"),
    [
        ("data", {"months": ["2021-01", "2021-02", "2021-03", "2021-04"]}, "2021-03, 2021-04 |"),
        ("model", {"rounds": 201}, "`rounds: 201`"),
        ("risk", {"amplifiers": {"broad_use": 2}}, "broad use 2, rapid change 1"),
        ("risk", {"upstream": {"taxi-duration": ["road-speed"]}}, "answers it takes: road-speed;"),
        ("risk", {"upstream": {"dispatch": ["taxi-duration"]}}, "that take its own: dispatch."),
        ("gates", {"load": {"max_mean_ms": 99.0}}, "may take 99 ms in the mean"),
    ],
)
def test_the_card_says_what_params_say(
    checkout: Path, section: str, keys: dict[str, Any], row: str
) -> None:
    assert row not in card.text(checkout)
    change_params(checkout, **{section: keys})
    assert row in card.text(checkout)


def test_the_card_has_each_column_of_a_request_with_its_range_and_the_answers() -> None:
    text = card.text(ROOT)
    assert "| `trip_distance` | " in text
    assert "a finite number from 0.01 to 100 (mile) |" in text
    assert (
        "| answer: `duration_minutes` | From pick-up to drop-off | a finite number from 1 to 60"
        in text
    )
    assert "`fare_amount`" not in text, "nobody knows it when asking"


def test_the_card_has_the_figures_of_every_slice_with_intervals(checkout: Path) -> None:
    found = json.loads((checkout / METRICS).read_text())
    text = card.text(checkout)
    for name, labels in found["slices"].items():
        for label, figures in labels.items():
            assert f"| {name} {label} | {figures['rows']:,} | {figures['rmse']:.2f} | " in text
    # 400 errors of 3, half of them early: MAE 3 without spread, bias 0 +- 1.96 * 3 / 20.
    found["test"] |= {"rows": 400, "rmse": 3.0, "mae": 3.0, "bias": 0.0, "coverage": 0.9}
    (checkout / METRICS).write_text(json.dumps(found))
    row = (
        "| all | 400 | 3.00 | 3.00 (3.00 to 3.00) | 0.00 (-0.29 to 0.29) | 90.0% (87.1% to 92.9%) |"
    )
    assert row in card.text(checkout)


def test_without_intervals_the_card_says_none(checkout: Path) -> None:
    found = json.loads((checkout / METRICS).read_text())
    del found["test"]["coverage"]
    (checkout / METRICS).write_text(json.dumps(found))
    (row,) = [each for each in card.text(checkout).splitlines() if each.startswith("| all |")]
    assert row.split(" | ")[5] == "-"


def test_without_an_evaluation_there_is_no_data(checkout: Path) -> None:
    (checkout / METRICS).unlink()
    with pytest.raises(NoData, match="the model's evaluation"):
        card.text(checkout)


@pytest.mark.parametrize("blank", ["", "TODO", "?", "- tbd -", "<!-- who? -->"])
def test_an_empty_answer_is_seen_with_tier_low_and_stops_tier_high(
    checkout: Path, blank: str
) -> None:
    card.require_whole(checkout)
    answer(checkout, "Safety risk", blank)
    card.require_whole(checkout)
    assert "| Safety risk | **not answered: it lacks an answer** |" in card.text(checkout)
    change_params(checkout, **HIGH)
    for stopped in (card.require_whole, card.write, card.check):
        with pytest.raises(Problem) as caught:
            stopped(checkout)
        assert "docs/model-card.in.md: found 'Safety risk' lacks an answer" in str(caught.value)


def test_with_tier_high_a_whole_card_passes(checkout: Path) -> None:
    change_params(checkout, **HIGH)
    card.require_whole(checkout)
    assert card.write(checkout)
    assert "| **high**, in force |" in card.text(checkout)


def test_an_origin_of_harm_without_a_link_is_not_answered(checkout: Path) -> None:
    answer(checkout, "Bad data", "We look.")
    row = "| Bad data | We look. **not answered: it lacks a link to what prevents it** |"
    assert row in card.text(checkout)
    change_params(checkout, **HIGH)
    with pytest.raises(Problem, match="'Bad data' lacks a link to what prevents it"):
        card.require_whole(checkout)


def test_a_heading_that_was_taken_out_is_an_unanswered_question() -> None:
    text = (ROOT / WORDS).read_text().replace("### Team\n", "")
    assert [each.question for each in people.gaps(people.parse(text))] == ["Team"]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "### Team",
            "### Teem",
            "the heading 'Teem'; expected each question of the card once. Did",
        ),
        ("## Risks", "## Perils", "the heading 'Perils'"),
        ("### Team", "### For whom?", "the heading 'For whom?' twice"),
    ],
)
def test_a_heading_that_is_no_question_is_named(old: str, new: str, said: str) -> None:
    with pytest.raises(Problem) as caught:
        people.parse((ROOT / WORDS).read_text().replace(old, new))
    assert said in str(caught.value)


def test_without_its_words_the_card_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="found no file; expected the words of the model card"):
        people.read(tmp_path)


def part(gate: str, **fields: Any) -> Part:
    """Evidence of one check."""
    line = Evidence(
        gate=gate, check="p50", status="pass", claim="Fast.", reproduce="make", **fields
    )
    return Part(gate=gate, commit="a" * 40, seconds=1.0, evidence=(line,))


SLICED = SliceFinding(
    name="vendor 1", n=15978, measured=1.01, limit="<= 1.03", interval=(0.99, 1.02), status="pass"
)


@pytest.fixture
def released(checkout: Path) -> Path:
    """Two commits of the model, and a release of the second after one of the first."""
    commits, lock = [], (checkout / "dvc.lock").read_text()
    started(checkout)
    (checkout / "dvc.lock").write_text(lock)
    for rounds in (200, 210):
        change_params(checkout, model={"rounds": rounds})
        card.write(checkout)
        commit(checkout, f"{rounds} rounds")
        commits.append(git(checkout, "rev-parse", "HEAD").strip())
    record = release_of("3", commit=commits[1], previous=commits[0])
    place = checkout / PLACE.format(environment="production")
    place.parent.mkdir(parents=True)
    place.write_text(yaml.safe_dump(record.model_dump(mode="json")))
    parts = (
        part("load", found="9.1 ms against 9.0 ms, <b>@all</b>"),
        part("slices", found="", slices=(SLICED,)),
    )
    (checkout / EVIDENCE.format(environment="production")).write_text(packed(parts))
    commit(checkout, "Release 3")
    return checkout


def test_the_card_of_a_release_adds_what_was_measured_and_what_changed(released: Path) -> None:
    text = cards.text(released, "production")
    assert text.startswith((released / card.PLACE).read_text())
    assert "| load: p50 | `9.1 ms against 9.0 ms, <b>@all</b>` | - |" in text
    assert "| p50 | `vendor 1` | 15,978 | 1.01 | 0.99 to 1.02 |" in text
    assert "| `model.rounds` | `200` | `210` |" in text
    assert "`model.seed`" not in text.split("## What changed")[1]
    assert "| approved by | `no approval in its record` |" in text


def test_a_release_leaves_the_committed_card_as_it_was(released: Path) -> None:
    card.check(released)


def test_the_card_of_a_release_is_of_its_commit_and_not_of_the_tree(released: Path) -> None:
    answer(released, "For whom?", "Couriers.")
    card.write(released)
    assert "Couriers." not in cards.text(released, "production")


def test_before_the_first_release_there_is_no_data(checkout: Path) -> None:
    with pytest.raises(NoData, match="no release"):
        cards.text(checkout, "production")


def test_the_command_writes_compares_and_prints(
    released: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(released)
    assert "docs/model-card.md: unchanged" in CliRunner().invoke(command, []).output
    assert CliRunner().invoke(command, ["--check"]).exit_code == 0
    assert "## Release 3-" in CliRunner().invoke(command, ["production"]).output
    answer(released, "Team", "")
    done = CliRunner().invoke(command, [])
    assert done.exit_code == 0
    assert "warning: docs/model-card.in.md: not answered: Team: it lacks an answer" in done.output
    change_params(released, **HIGH)
    refused = CliRunner().invoke(command, ["--check"])
    assert isinstance(refused.exception, Problem)


def test_the_card_of_a_release_is_not_compared() -> None:
    done = CliRunner().invoke(command, ["production", "--check"])
    assert done.exit_code == 2
    assert "--check has nothing to do" in done.output
