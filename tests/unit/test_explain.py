"""`preflight explain`: the exact model of a record is found, or refused; a person can read it."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner, Result

import logged
from preflight import champion, reference, registry
from preflight.champion import Champion
from preflight.cli import Commands
from preflight.contract import Contract
from preflight.errors import Problem
from preflight.explanation import EQUAL, Explanation, Share
from preflight.log import view
from preflight.log.inputs import Inputs
from preflight.watch import commands, explain, models
from preflight.watch.models import Elsewhere, Exact, Here, exact, of_version
from taxi import features
from taxi.contract import CONTRACT

REQUESTS = reference.columns(CONTRACT, 30)
COMMIT = "a" * 40
Asked = Callable[..., Result]


@pytest.fixture(scope="module")
def here(built: Path) -> Here:
    """The small repository's model in this process."""
    return models.current(built)


def records(model: Exact, **fixed: Any) -> list[dict[str, Any]]:
    """What a service with this model would have logged."""
    found = model.answers(REQUESTS)
    made = logged.predictions(len(found["value"]), model_hash=model.model_hash, **fixed)
    given = zip(
        made,
        reference.instances(REQUESTS),
        *(found[end].tolist() for end in ("value", "lower", "upper")),
        strict=True,
    )
    return [
        each | {"input": row, "value": value, "lower": lower, "upper": upper}
        for each, row, value, lower, upper in given
    ]


@pytest.fixture
def brought(built: Path, monkeypatch: pytest.MonkeyPatch) -> list[str | None]:
    """Every commit's checkout is the small repository; which commits were asked for."""
    asked: list[str | None] = []

    def bring(root: Path, wanted: Champion) -> Champion:
        asked.append(wanted.commit)
        return Champion("named", wanted.commit, built, sys.executable, "rebuilt")

    monkeypatch.setattr(champion, "bring", bring)
    return asked


def test_this_trees_model_answers_in_this_process(built: Path, here: Here) -> None:
    with exact(built, here.model_hash, None) as model:
        assert isinstance(model, Here)
        assert model.contract == CONTRACT


def test_another_commits_model_answers_by_its_own_code(
    tmp_path: Path, here: Here, brought: list[str | None]
) -> None:
    with exact(tmp_path, here.model_hash, COMMIT) as model:
        assert isinstance(model, Elsewhere)
        assert (model.contract, model.model_hash) == (CONTRACT, here.model_hash)
        for found, expected in (
            (model.answers(REQUESTS), here.answers(REQUESTS)),
            (model.workings(REQUESTS)[1], here.workings(REQUESTS)[1]),
            (model.labels(REQUESTS), here.labels(REQUESTS)),
        ):
            assert found.keys() == expected.keys()
            assert all(np.array_equal(found[name], expected[name]) for name in expected)
        assert model.workings(REQUESTS)[0] == here.workings(REQUESTS)[0]
    assert brought == [COMMIT]


def test_a_rebuilt_model_of_another_hash_is_refused(
    tmp_path: Path, brought: list[str | None]
) -> None:
    with (
        pytest.raises(Problem, match=r"found hash .* \(rebuilt\); expected 000000000000"),
        exact(tmp_path, "0" * 64, COMMIT),
    ):
        pass


def test_an_unregistered_model_is_found_by_its_hash_alone(tmp_path: Path) -> None:
    with (
        pytest.raises(Problem, match="no commit in its records: it was never registered"),
        exact(tmp_path, "0" * 64, None),
    ):
        pass


def test_a_registered_version_is_found_by_its_commit_and_hash(
    built: Path, here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = {"7": here.model_hash, "8": "0" * 64}
    monkeypatch.setattr(
        registry, "info", lambda _, version: {"model_hash": told[version], "commit": ""}
    )
    for version in (None, "7"):
        with of_version(built, version) as model:
            assert model.model_hash == here.model_hash
    with pytest.raises(Problem, match="found no commit"), of_version(built, "8"):
        pass


def test_labels_are_those_of_the_slices_that_a_request_tells(here: Here) -> None:
    assert set(here.labels(REQUESTS)) == {"pickup_borough", "day_part"}
    told = here.labels({**REQUESTS, "vendor": np.ones(30, dtype=np.int64)})
    assert set(told) == set(CONTRACT.slices)


def test_slicing_code_that_lacks_something_else_is_not_excused(
    here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> Any:
        raise KeyError("borough")

    monkeypatch.setattr(features, "slices", broken)
    with pytest.raises(KeyError, match="borough"):
        here.labels(REQUESTS)


def test_one_record_is_explained_by_its_id(built: Path, here: Here, tmp_path: Path) -> None:
    made = records(here)
    logged.write(tmp_path, "predictions", made)
    found = explain.one(built, view.find(tmp_path, made[3]["id"]))
    assert (found.prediction_id, found.input) == (made[3]["id"], made[3]["input"])
    assert found.recomputed == EQUAL


def test_a_stretch_is_explained_in_its_order_each_by_its_own_model(
    built: Path, here: Here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    @contextmanager
    def any_model(root: Path, model_hash: str, commit: str | None) -> Iterator[Exact]:
        asked.append(model_hash)
        yield here

    monkeypatch.setattr(explain, "exact", any_model)
    monkeypatch.setattr(explain, "ROWS", 7)
    made = records(here)
    for place, each in enumerate(made):
        each["model_hash"] = ("0" if place % 10 < 5 else "1") * 64
    logged.write(tmp_path, "predictions", made)
    frames = view.window(tmp_path, logged.START, logged.START.replace(hour=9), rows=11)
    found = list(explain.many(built, frames))
    assert [each.prediction_id for each in found] == [each["id"] for each in made]
    assert [each.at for each in found] == [each["at"] for each in made]
    assert {each.recomputed for each in found} == {EQUAL}
    assert asked == ["0" * 64, "1" * 64]


def test_what_another_process_needs_of_a_hash_is_named_too() -> None:
    columns = tuple(
        replace(column, sensitive=column.name in ("rider_id", "trip_distance"))
        for column in CONTRACT.columns
    )
    inputs = Inputs(replace(CONTRACT, columns=columns))
    said = "KeyError: 'trip_distance', which a caller does not know"
    with pytest.raises(Problem, match="column trip_distance: found a keyed hash"), inputs.needed():
        raise Problem("the model of commit aaaa", said, "an answer", "Mend its code.")
    with pytest.raises(Problem, match="the model of commit"), inputs.needed():
        raise Problem("the model of commit aaaa", "KeyError: 'fare'", "an answer", "Mend it.")
    with pytest.raises(KeyError), inputs.needed():
        raise KeyError("fare")


def test_a_contract_of_hashes_alone_is_refused() -> None:
    def hidden(contract: Contract) -> Contract:
        columns = (replace(column, sensitive=True) for column in contract.columns)
        return replace(contract, columns=tuple(columns))

    with pytest.raises(Problem, match="column pickup_at: found a keyed hash"):
        Inputs(hidden(CONTRACT))


@pytest.fixture
def asked(built: Path, here: Here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Asked:
    """Ask `preflight explain` in the small repository, of a log with one tampered record."""
    made = records(here)
    made[9]["value"] -= 1.0
    logged.write(tmp_path, "predictions", made)
    monkeypatch.setenv("PREFLIGHT_LOG", str(tmp_path))
    monkeypatch.chdir(built)
    group = Commands()
    group.add_command(commands.explain)

    def ask(*words: int | str) -> Result:
        ids = [made[word]["id"] if isinstance(word, int) else word for word in words]
        return CliRunner().invoke(group, ["explain", *ids])

    return ask


def test_the_command_explains_an_id(asked: Asked) -> None:
    done = asked(3)
    assert done.exit_code == 0
    assert "recomputed   equal, to the last bit" in done.stdout
    assert "(base)" in done.stdout


def test_the_command_gives_json(asked: Asked) -> None:
    found = json.loads(asked(3, "--json").stdout)
    total = found["base"] + sum(each["contribution"] for each in found["contributions"])
    assert total == pytest.approx(found["value"])


def test_the_command_fails_for_a_record_that_was_tampered_with(asked: Asked) -> None:
    done = asked(9)
    assert done.exit_code == 1
    assert "recomputed   differs: value by +1" in done.stdout
    assert "found recomputed: differs: value by +1; expected equal" in done.stderr


def test_the_command_explains_a_stretch_a_line_each(asked: Asked) -> None:
    first = asked("--from", "2021-02-03T08:00:00", "--to", "2021-02-03T08:00:09")
    assert first.exit_code == 0
    assert len([json.loads(text) for text in first.stdout.splitlines()]) == 9
    whole = asked("--from", "2021-02-03", "--to", "2021-02-04")
    assert whole.exit_code == 1
    assert len(whole.stdout.splitlines()) == 30


def test_a_stretch_of_nothing_is_no_data(asked: Asked) -> None:
    done = asked("--from", "2020-02-03", "--to", "2020-02-04")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "no prediction in this stretch" in done.stderr


def test_an_id_that_the_log_lacks_is_no_data(asked: Asked) -> None:
    assert asked("017766e7-0000-7000-8000-000000000000").exit_code == 2


def test_neither_id_nor_stretch_is_refused(asked: Asked) -> None:
    assert "Name a prediction's ID" in asked().stderr


SHOWN = Explanation(
    prediction_id="01",
    at="2021-02-03T08:00:00.000000Z",
    model_version="3",
    model_hash="1" * 64,
    commit=COMMIT,
    bento="taxi:v3",
    contract="taxi-trips-1",
    input={"note": "\x1b[31mred", "zone": 74},
    value=7.5,
    lower=4.0,
    upper=12.25,
    unit="minute",
    coverage=0.9,
    base=10.0,
    contributions=(
        Share("small", 3.0, 0.5, seen=True, codes=9),
        Share("large", 1.5, -3.0, seen=False, least=0.5, most=1.0),
    ),
    guards=("large was 1.5.",),
    fallback=None,
    recomputed=EQUAL,
    stored=None,
)


def test_a_person_sees_the_largest_share_first_with_a_bar() -> None:
    lines = explain.shown(SHOWN).splitlines()
    names = [line.split()[0] for line in lines[lines.index("") + 2 :]]
    assert names == ["(base)", "large", "small", "(answer)"]
    (large,) = (line for line in lines if line.startswith("large"))
    assert large.split() == ["large", "1.5", "OUTSIDE", "0.5", "to", "1", "-3.000", "█" * 24]
    (small,) = (line for line in lines if line.startswith("small"))
    assert small.split() == ["small", "3", "one", "of", "9", "codes", "+0.500", "█" * 4]


def test_a_person_sees_the_answer_its_model_and_the_guards() -> None:
    told = explain.shown(SHOWN)
    assert "answer       7.5 minutes, 90% interval 4 to 12.25" in told
    assert "model        3, hash 111111111111, commit aaaaaaaaaaaa, Bento taxi:v3" in told
    assert "guard        large was 1.5." in told
    assert "recomputed   equal, to the last bit" in told


def test_a_callers_text_cannot_command_the_terminal() -> None:
    assert "\x1b" not in explain.shown(SHOWN)


def test_a_fallback_is_shown_without_a_table() -> None:
    told = explain.shown(replace(SHOWN, base=None, contributions=(), fallback="Why."))
    assert told.endswith("fallback     Why.")


def test_frames_of_no_rows_are_no_explanation(built: Path) -> None:
    assert list(explain.many(built, [pl.DataFrame()])) == []
