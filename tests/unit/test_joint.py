"""The joint score: repeatable, whole after saving, the same for one row and many, never silent."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from preflight import boosting
from preflight.contract import Column
from preflight.errors import Problem
from preflight.guards import joint_limit
from preflight.joint import Joint, shuffled
from preflight.project import Columns

ROWS = 2_000
KNOWN = (
    Column("start", "integer", "Where it starts"),
    Column("end", "integer", "Where it ends"),
    Column("way", "number", "How long the way is"),
    Column("hour", "integer", "When"),
)
Matrix = NDArray[np.float64]
Compute = Callable[[Columns], Matrix]


def ways(seed: int, rows: int = ROWS) -> dict[str, Matrix]:
    """Ways between 40 places on a line, about as long as the places lie apart."""
    random = np.random.default_rng(seed)
    start, end = random.integers(0, 40, (2, rows)).astype(float)
    way = (np.abs(start - end) + 1) * np.exp(random.normal(0, 0.1, rows))
    return {"start": start, "end": end, "way": way, "hour": random.integers(0, 24, rows) * 1.0}


def compute(columns: Columns) -> Matrix:
    """The columns as they are."""
    return np.column_stack([columns[column.name] for column in KNOWN])


@pytest.fixture(scope="module")
def joint() -> Joint:
    """Fitted on ways with seed 1."""
    return Joint.fit(ways(1), KNOWN, compute, [0, 1])


def odd_ways(rows: int = ROWS) -> dict[str, Matrix]:
    """Honest ways with seed 2, each of another's length."""
    return shuffled(ways(2, rows), ["way"], np.random.default_rng(3))


def test_rows_whose_values_do_not_belong_together_score_higher(joint: Joint) -> None:
    honest, odd = joint.score(compute(ways(2))), joint.score(compute(odd_ways()))
    assert (odd > joint_limit(honest, 0.01)).mean() > 0.5


def test_one_row_is_scored_as_an_array_of_it_to_the_last_bit(joint: Joint) -> None:
    unseen = {name: values[:50] + 0.0 for name, values in ways(4).items()}
    unseen["start"] += 1_000
    beyond = np.array([[place, 39.0, 2.0, 12.0] for place in (40.0, 41.0, 80.0, 1e6)])
    none = [np.nan, np.inf, -np.inf, -2.0, 39.0]
    odd = np.array([[start, end, 2.0, 12.0] for start in none for end in none])
    for matrix in (*map(compute, (ways(2, 300), odd_ways(300), unseen)), beyond, odd):
        assert [joint.one(row) for row in matrix.tolist()] == joint.score(matrix).tolist()


def test_a_combination_of_codes_that_training_never_had_is_scored_all_the_same() -> None:
    columns = ways(1)
    apart = (columns["start"] == 3) & (columns["end"] == 30)
    fitted = Joint.fit({n: v[~apart] for n, v in columns.items()}, KNOWN, compute, [0, 1])
    near, far = ([3.0, 30.0, 1.0, 12.0], [3.0, 30.0, 28.0, 12.0])
    assert fitted.one(near) > fitted.one(far)
    assert fitted.score(np.array([near, far])).tolist() == [fitted.one(near), fitted.one(far)]


def test_two_fits_save_the_same_bytes(joint: Joint, tmp_path: Path) -> None:
    saved = []
    for number, each in enumerate((joint, Joint.fit(ways(1), KNOWN, compute, [0, 1]))):
        folder = tmp_path / str(number)
        folder.mkdir()
        each.save(folder)
        saved.append({path.name: path.read_bytes() for path in folder.iterdir()})
    assert saved[0] == saved[1]
    assert sorted(saved[0]) == ["joint.json", "joint.txt", "usual.json", "usual.npy", "usual.txt"]


def test_a_loaded_score_is_the_saved_one(joint: Joint, tmp_path: Path) -> None:
    joint.save(tmp_path)
    matrix = compute(ways(2))
    again = Joint.load(tmp_path)
    np.testing.assert_array_equal(again.score(matrix), joint.score(matrix))


def test_a_folder_without_a_score_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(Problem, match=r"joint\.json: found no joint score"):
        Joint.load(tmp_path)


def test_fitting_leaves_its_input_alone() -> None:
    columns, before = ways(1, 500), ways(1, 500)
    Joint.fit(columns, KNOWN, compute, [0, 1])
    for name, values in before.items():
        np.testing.assert_array_equal(columns[name], values)


def test_numbers_alone_are_told_apart_without_any_code(tmp_path: Path) -> None:
    numbers = tuple(Column(name, "number", name) for name in ("a", "b"))
    a = np.random.default_rng(1).normal(0, 1, ROWS)
    columns = {"a": a, "b": a + np.random.default_rng(2).normal(0, 0.1, ROWS)}

    def both(each: Columns) -> Matrix:
        return np.column_stack([each["a"], each["b"]])

    fitted = Joint.fit(columns, numbers, both, [])
    assert fitted.one([1.5, -1.5]) > fitted.one([1.5, 1.5])
    fitted.save(tmp_path)
    assert Joint.load(tmp_path).one([1.5, -1.5]) == fitted.one([1.5, -1.5])


def test_many_rows_are_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("preflight.joint.MOST_ROWS", 1_000)
    seen: list[int] = []

    def counted(columns: Columns) -> Matrix:
        seen.append(len(columns["way"]))
        return compute(columns)

    Joint.fit(ways(1), KNOWN, counted, [0, 1])
    assert set(seen) == {1_000}


def test_the_function_for_one_row_gives_what_the_booster_gives_in_either_kind() -> None:
    library, columns = boosting.lightgbm(), ways(1)
    matrix = compute(columns)
    data = library.Dataset(matrix, columns["way"] > 10)
    booster = library.train(boosting.REPEATABLE | {"objective": "binary"}, data, 5)
    for kind, raw in ((boosting.NORMAL, False), (boosting.RAW, True)):
        ask = boosting.one_row(booster, 4, kind)
        expected = booster.predict(matrix[:20], raw_score=raw, num_threads=1).tolist()
        assert [ask(row) for row in matrix[:20].tolist()] == expected
