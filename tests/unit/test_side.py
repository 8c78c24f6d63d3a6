"""Candidate and champion answer in processes of their own code, and never hang a gate."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from preflight import reference
from preflight.errors import Problem
from preflight.gates.side import Side
from preflight.layout import LOOKUP, PACKAGED, SPLIT
from preflight.predictor import Predictor
from taxi.contract import CONTRACT

FEATURES = "src/taxi/features.py"
REQUESTS = reference.columns(CONTRACT, 40)
COMPUTE = '    rows = len(columns["pickup_at"])\n'


@pytest.fixture(scope="module")
def side(built: Path) -> Iterator[Side]:
    """The small repository as a candidate."""
    with Side(built, "candidate") as found:
        yield found


@pytest.fixture(scope="module")
def rows(built: Path) -> pl.DataFrame:
    """Rows that the small model was not fitted on."""
    return pl.read_parquet(built / SPLIT / "test.parquet")[:300]


def edited(checkout: Path, old: str, new: str, name: str = FEATURES) -> Path:
    """A checkout with other code."""
    text = (checkout / name).read_text()
    assert old in text
    (checkout / name).write_text(text.replace(old, new))
    return checkout


def test_a_side_describes_its_model(side: Side, built: Path) -> None:
    manifest = hashlib.sha256((built / PACKAGED / "manifest.json").read_bytes()).hexdigest()
    assert side.contract == CONTRACT
    assert side.model_hash == side.described["files"]["manifest.json"] == manifest
    assert "pickup_zone" in side.described["categorical"]
    assert side.described["bytes"] > 1_000
    assert side.described["memory"] > 0


def test_a_side_answers_as_its_model_does(side: Side, built: Path, rows: pl.DataFrame) -> None:
    columns = {name: rows[name].to_numpy() for name in rows.columns}
    model = Predictor(built / PACKAGED)
    expected, found = model.answer(columns), side.predict(rows)
    assert (found["value"] == expected.value).all()
    assert expected.lower is not None
    assert (found["lower"] == expected.lower).all()
    assert (found["baseline"] == model.model.baseline(columns)).all()


def test_a_side_labels_rows_by_the_contracts_slices(side: Side, rows: pl.DataFrame) -> None:
    found = side.slices(rows)
    assert set(found) == set(CONTRACT.slices)
    assert found["vendor"].tolist() == [str(value) for value in rows["vendor"].to_list()]


def test_decoded_requests_have_the_features_of_their_columns(side: Side) -> None:
    asked = pl.DataFrame(REQUESTS)
    trained, decoded = side.matrix(asked), side.decoded(reference.instances(REQUESTS))
    assert trained.shape == (40, len(side.described["features"]))
    assert (trained == decoded).all()


def test_the_recipe_gives_the_packaged_bytes_again(side: Side, rows: pl.DataFrame) -> None:
    path = side.write(rows)
    words = (side.root / SPLIT / "train.parquet", side.root / LOOKUP)
    (value,), files = side.refit(*words, None, [path])
    assert files
    assert files.items() <= side.described["files"].items()
    assert (value == side.predict(rows)["value"]).all()
    (other,), changed = side.refit(*words, 1_001, [path])
    assert changed != files
    assert 0 < np.abs(other - value).mean() < 5


def test_growth_is_measured_over_four_times_the_rows(side: Side, rows: pl.DataFrame) -> None:
    found = side.growth(rows, 100)
    small, large = found["bytes"]
    assert 2 < large / small < 8
    assert len(found["seconds"]) == 2


def test_what_the_projects_code_prints_does_not_disturb_answers(
    checkout: Path, rows: pl.DataFrame, side: Side
) -> None:
    loud = "    print('{}')\n    import sys; sys.stdout.flush()\n"
    with Side(edited(checkout, COMPUTE, loud + COMPUTE), "candidate") as talking:
        assert (talking.predict(rows)["value"] == side.predict(rows)["value"]).all()


def test_code_that_raises_is_a_problem_that_names_side_and_question(
    checkout: Path, rows: pl.DataFrame
) -> None:
    with (
        Side(edited(checkout, COMPUTE, "    raise ValueError('broken')\n"), "champion") as broken,
        pytest.raises(Problem) as caught,
    ):
        broken.predict(rows)
    assert caught.value.where == "the champion"
    assert caught.value.found.startswith("ValueError at features.py, line")
    assert caught.value.expected == "an answer to `predict`"


def test_a_side_goes_on_after_a_question_that_it_could_not_answer(
    checkout: Path, rows: pl.DataFrame
) -> None:
    once = "    if len(columns['pickup_at']) == 3:\n        raise ValueError('three')\n"
    with Side(edited(checkout, COMPUTE, once + COMPUTE), "candidate") as found:
        with pytest.raises(Problem, match=r"ValueError at features\.py"):
            found.predict(rows[:3])
        assert len(found.predict(rows[:4])["value"]) == 4


def test_features_see_only_what_a_caller_knows(checkout: Path, rows: pl.DataFrame) -> None:
    late = edited(checkout, 'lambda c, _: c["trip_distance"]', 'lambda c, _: c["fare_amount"]')
    with Side(late, "candidate") as found, pytest.raises(Problem, match="KeyError: 'fare_amount'"):
        found.matrix(rows)


def test_a_refit_answers_within_the_targets_range_as_the_model_does(
    checkout: Path, rows: pl.DataFrame
) -> None:
    old = "matrix, num_threads=1)"
    beyond = edited(checkout, old, f"{old} * 100", "src/taxi/model.py")
    with Side(beyond, "champion") as found:
        words = (beyond / SPLIT / "train.parquet", beyond / LOOKUP, None)
        (value,), _ = found.refit(*words, [found.write(rows)])
        assert (value == found.predict(rows)["value"]).all()


def test_a_side_that_died_between_questions_is_a_problem_and_no_hang(built: Path) -> None:
    with Side(built, "champion") as found:
        assert found.model_hash
        process = found._process
        assert process is not None
        process.kill()
        process.wait()
        for _ in range(2):
            with pytest.raises(Problem, match="the champion: found a process that died"):
                found.slices(pl.DataFrame(REQUESTS))


def test_a_side_that_cannot_start_says_why(checkout: Path, tmp_path: Path) -> None:
    edited(checkout, '"""', "import nowhere_at_all\n\n'''", "src/preflight/predictor.py")
    with Side(checkout, "champion") as found, pytest.raises(Problem, match="process that died"):
        assert found.described


def test_a_folder_without_parameters_is_a_problem(tmp_path: Path) -> None:
    with (
        Side(tmp_path, "champion") as found,
        pytest.raises(Problem, match=r"the champion: found params\.yaml: found no file"),
    ):
        assert found.described


def test_a_changed_model_is_a_problem(checkout: Path) -> None:
    (checkout / PACKAGED / "ranges.json").write_text("{}")
    with Side(checkout, "candidate") as found, pytest.raises(Problem, match=r"ranges\.json"):
        assert found.described


def test_a_side_that_was_never_asked_ends_too(tmp_path: Path) -> None:
    with Side(tmp_path, "candidate") as found:
        scratch = Path(found._scratch.name)
        assert scratch.is_dir()
    assert not scratch.exists()


def test_an_end_takes_the_worker_with_it(built: Path) -> None:
    with Side(built, "candidate") as found:
        assert found.model_hash
        process = found._process
        assert process is not None
        assert process.poll() is None
    assert process.poll() == 0
