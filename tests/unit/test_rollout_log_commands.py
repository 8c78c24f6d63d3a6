"""`preflight judge-shadow` and `compare-groups`: verdicts by what the log remembers."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from logged import START, outcomes, predictions, write
from preflight.cli import main
from preflight.serving.sinks import PLACE

PAIRS = 3_000


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Answers of stable and of a shadow that is 3 minutes off in all of them, and what happened."""
    folder = tmp_path_factory.mktemp("log")
    stable = [
        each | {"pair_id": f"pair-{place}"}
        for place, each in enumerate(predictions(PAIRS, START, seed=1))
    ]
    mirrored = predictions(PAIRS, START + timedelta(milliseconds=5), seed=1)
    shadow = [
        each | {"pair_id": one["pair_id"], "arm": "shadow", "value": one["value"] + 3}
        for one, each in zip(stable, mirrored, strict=True)
    ]
    write(folder, "predictions", [*stable, *shadow])
    happened = [
        outcome | {"value": each["value"] + (place % 11 - 5)}
        for place, (each, outcome) in enumerate(zip(stable, outcomes(stable), strict=True))
    ]
    write(folder, "outcomes", happened)
    yield folder


@pytest.fixture(autouse=True)
def placed(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PLACE, str(log))


def test_a_shadow_that_is_wrong_more_often_exits_with_1() -> None:
    found = run("judge-shadow")
    assert found.exit_code == 1, found.output
    assert found.stdout.startswith("ABORT: ")
    assert "the candidate was wrong by more than 5" in " ".join(found.stdout.split())


def test_a_shadow_without_pairs_is_no_verdict() -> None:
    found = run("judge-shadow", "--from", "2022-01-01")
    assert found.exit_code == 2
    assert "No request was answered by both models yet." in found.stdout


def test_a_shadows_verdict_is_a_line_of_json_too() -> None:
    assert run("judge-shadow", "--json").stdout.startswith('{"result": "abort"')


def test_groups_are_compared_by_a_measure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    halves = [
        each | {"arm": "canary" if int(each["entity"][-2:], 16) % 2 else "stable"}
        for each in predictions(8_000, START, seed=2)
    ]
    write(tmp_path, "predictions", halves)
    write(
        tmp_path,
        "outcomes",
        [
            outcome | {"value": 10.0 + place % 5 - 2 * (each["arm"] == "canary")}
            for place, (each, outcome) in enumerate(zip(halves, outcomes(halves), strict=True))
        ],
    )
    monkeypatch.setenv(PLACE, str(tmp_path))
    asked = ("compare-groups", "--measure", "outcome", "--matters", "1", "--better")
    lower, higher = run(*asked, "lower"), run(*asked, "higher")
    assert lower.exit_code == 0, lower.output
    assert lower.stdout.startswith("B is better: outcome is 12 in group a and 9.999 in group b")
    assert higher.stdout.startswith("A is better: ")
    same = run("compare-groups", "--measure", "1.0", "--better", "lower", "--matters", "1")
    assert same.stdout.startswith("Undecided: ")


def test_a_measure_that_is_no_column_is_named() -> None:
    found = run("compare-groups", "--measure", "tips", "--better", "higher", "--matters", "1")
    assert found.exit_code == 1
    assert "--measure tips" in found.stderr
    assert "SQL over outcome" in found.stderr
    assert "Traceback" not in found.output


def test_a_judge_that_cannot_see_the_log_exits_with_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PLACE, str(tmp_path / "nowhere"))
    found = run("judge-shadow")
    assert found.exit_code == 2
    assert found.stderr.startswith("error: ")
