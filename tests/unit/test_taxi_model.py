"""The model: deterministic, whole after saving, additive, and its baseline."""

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from conftest import ROOT
from preflight import params as parameters
from preflight import table
from taxi import data, features, model, synthetic, tlc
from taxi.contract import CONTRACT
from taxi.model import Baseline, TripModel
from taxi.params import Model as ModelParams

FILES = ["baseline.json", "booster.txt", "features.json"]
PROBE = """
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from taxi import model

model.load(Path(sys.argv[1]))
loaded = {"lightgbm", "pandas", "sklearn"} & set(sys.modules)
sys.exit(f"imported {sorted(loaded)}" if loaded != {"lightgbm"} else 0)
"""

Matrix = NDArray[np.float64]


class Trips:
    """2,000 clean trips with their features."""

    def __init__(self, folder: Path) -> None:
        profile = parameters.load(ROOT / "params.yaml", ROOT / "tests/small.yaml")
        self.params: ModelParams = profile.model
        frame = tlc.canonical(synthetic.scan("2021-01", 3_000, 7), 7)
        rules = pl.any_horizontal(table.row_rules(CONTRACT).values())
        clean = frame.filter(~rules.fill_null(value=False)).head(2_000).collect()
        self.columns = table.arrays(clean)
        self.target = self.columns["duration_minutes"]
        self.names = model.feature_names(self.params)
        data.lookup(profile, folder / "lookup.csv")
        zones = features.read_lookup(folder / "lookup.csv")
        self.matrix = features.compute(self.columns, zones, self.names)

    def fitted(self, **changes: Any) -> TripModel:
        """A model under the test profile's parameters with changes."""
        chosen = self.params.model_copy(update=changes)
        codes = features.categorical(self.names)
        return model.fit(self.matrix, self.columns, self.target, codes, chosen)


@pytest.fixture(scope="module")
def trips(tmp_path_factory: pytest.TempPathFactory) -> Trips:
    """What models are fitted on."""
    return Trips(tmp_path_factory.mktemp("trips"))


@pytest.fixture(scope="module")
def fitted(trips: Trips) -> TripModel:
    """A model that tests only ask."""
    return trips.fitted()


@pytest.fixture(scope="module")
def saved(fitted: TripModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model's folder."""
    folder = tmp_path_factory.mktemp("saved")
    fitted.save(folder)
    return folder


def test_there_are_trips_to_learn_from_with_seed_7(trips: Trips) -> None:
    assert trips.matrix.shape == (2_000, 8)


def test_a_model_is_three_plain_files(saved: Path) -> None:
    assert sorted(path.name for path in saved.iterdir()) == FILES


def test_two_fits_on_equal_input_save_the_same_bytes_with_seed_1(
    trips: Trips, saved: Path, tmp_path: Path
) -> None:
    trips.fitted().save(tmp_path)
    for name in FILES:
        assert (tmp_path / name).read_bytes() == (saved / name).read_bytes(), name


def test_one_thread_and_two_fit_the_same_model_with_seed_1(trips: Trips, fitted: TripModel) -> None:
    two = trips.fitted(num_threads=2)
    np.testing.assert_array_equal(two.predict(trips.matrix), fitted.predict(trips.matrix))


def test_another_seed_fits_another_model(trips: Trips, fitted: TripModel) -> None:
    other = trips.fitted(seed=2)
    assert not np.array_equal(other.predict(trips.matrix), fitted.predict(trips.matrix))


def test_fitting_leaves_its_input_alone(trips: Trips) -> None:
    before = trips.matrix.copy(), trips.target.copy()
    trips.fitted(rounds=1)
    np.testing.assert_array_equal(trips.matrix, before[0])
    np.testing.assert_array_equal(trips.target, before[1])


def test_a_loaded_model_predicts_what_the_saved_one_did(
    trips: Trips, fitted: TripModel, saved: Path
) -> None:
    loaded = model.load(saved)
    np.testing.assert_array_equal(loaded.predict(trips.matrix), fitted.predict(trips.matrix))


def test_a_loaded_model_explains_what_the_saved_one_did(
    trips: Trips, fitted: TripModel, saved: Path
) -> None:
    some = trips.matrix[:50]
    np.testing.assert_array_equal(model.load(saved).contributions(some), fitted.contributions(some))


def test_a_loaded_model_has_the_baseline_of_the_saved_one(
    trips: Trips, fitted: TripModel, saved: Path
) -> None:
    loaded = model.load(saved).baseline(trips.columns)
    np.testing.assert_array_equal(loaded, fitted.baseline(trips.columns))


def test_a_loaded_model_knows_its_features_in_order(trips: Trips, saved: Path) -> None:
    assert model.load(saved).features == trips.names


def test_a_loaded_model_saves_the_same_bytes(saved: Path, tmp_path: Path) -> None:
    model.load(saved).save(tmp_path)
    for name in FILES:
        assert (tmp_path / name).read_bytes() == (saved / name).read_bytes(), name


def test_a_lone_row_is_predicted_exactly_as_in_a_batch(trips: Trips, fitted: TripModel) -> None:
    alone = [fitted.predict(trips.matrix[row : row + 1]).tolist() for row in range(100)]
    assert alone == [[minutes] for minutes in fitted.predict(trips.matrix)[:100].tolist()]


def test_the_function_for_one_row_says_what_the_booster_says_with_seed_1(
    trips: Trips, saved: Path
) -> None:
    loaded = model.load(saved)
    rows = np.vstack([trips.matrix[:500], odd_rows(trips.matrix)])
    expected = loaded._booster.predict(rows, num_threads=1)
    alone = [loaded.predict(rows[place : place + 1]) for place in range(len(rows))]
    assert {found.shape for found in alone} == {(1,)}
    np.testing.assert_array_equal(np.concatenate(alone), expected)


def odd_rows(matrix: Matrix) -> Matrix:
    """Rows that training did not see: no number, endless, unknown codes, all zero."""
    odd = matrix[:6].copy()
    odd[0], odd[1], odd[2] = np.nan, np.inf, -np.inf
    odd[3], odd[4], odd[5] = 0.0, 9_999.0, -1.0
    return odd


def test_a_lone_row_may_lie_anywhere_in_memory(trips: Trips, fitted: TripModel) -> None:
    expected = fitted.predict(trips.matrix[:50]).tolist()
    columns = np.asfortranarray(trips.matrix)
    assert [fitted.predict(columns[row : row + 1])[0] for row in range(50)] == expected
    apart = np.repeat(trips.matrix, 2, axis=1)[:, ::2]
    assert [fitted.predict(apart[row : row + 1])[0] for row in range(50)] == expected


def test_threads_that_ask_at_once_get_their_own_rows_answers(trips: Trips, saved: Path) -> None:
    loaded = model.load(saved)
    expected = loaded._booster.predict(trips.matrix, num_threads=1)
    together = threading.Barrier(8)

    def asking(start: int) -> list[float]:
        together.wait(10)
        places = [(start + step) % 2_000 for step in range(2_000)]
        return [loaded.predict(trips.matrix[row : row + 1]).item() for row in places]

    with ThreadPoolExecutor(8) as pool:
        for start, found in enumerate(pool.map(asking, range(0, 2_000, 250))):
            np.testing.assert_array_equal(found, np.roll(expected, -250 * start))


def test_a_lone_row_is_explained_exactly_as_in_a_batch(trips: Trips, fitted: TripModel) -> None:
    whole = fitted.contributions(trips.matrix[:20])
    for row in range(20):
        lone = fitted.contributions(trips.matrix[row : row + 1])
        np.testing.assert_array_equal(lone, whole[row : row + 1])


def test_contributions_sum_to_the_prediction(trips: Trips, fitted: TripModel) -> None:
    shares = fitted.contributions(trips.matrix)
    assert shares.shape == (2_000, len(trips.names) + 1)
    np.testing.assert_allclose(shares.sum(axis=1), fitted.predict(trips.matrix), rtol=1e-9)


def test_the_last_contribution_is_the_same_for_every_row(trips: Trips, fitted: TripModel) -> None:
    assert len(np.unique(fitted.contributions(trips.matrix)[:, -1])) == 1


def test_a_model_of_one_feature_can_be_fitted(trips: Trips) -> None:
    distance = trips.matrix[:, [trips.names.index("trip_distance")]]
    chosen = trips.params.model_copy(update={"features": ("trip_distance",)})
    found = model.fit(distance, trips.columns, trips.target, [], chosen)
    assert found.features == ("trip_distance",)
    assert found.predict(distance).shape == (2_000,)


def test_the_model_beats_its_baseline_on_what_it_learnt_with_seed_1(trips: Trips) -> None:
    found = trips.fitted(learning_rate=0.3)

    def error(predicted: Matrix) -> float:
        return float(np.sqrt(np.mean((predicted - trips.target) ** 2)))

    assert error(found.predict(trips.matrix)) < error(found.baseline(trips.columns))


def test_a_baseline_predicts_the_mean_of_each_group_of_equal_size() -> None:
    distance = np.arange(40, 0, -1, dtype=np.float64)
    baseline = Baseline.fit(distance, distance**2)
    pairs = [((first**2 + (first + 1) ** 2) / 2) for first in range(1, 40, 2)]
    assert baseline.means == tuple(pairs)
    assert baseline.predict(distance[::-1]).tolist() == [mean for mean in pairs for _ in range(2)]


def test_a_baseline_predicts_beyond_the_distances_it_has_seen() -> None:
    distance = np.arange(1, 41, dtype=np.float64)
    baseline = Baseline.fit(distance, distance)
    assert baseline.predict(np.array([0.01, 1_000.0])).tolist() == [1.5, 39.5]


def test_a_baseline_of_one_distance_is_the_mean() -> None:
    baseline = Baseline.fit(np.full(10, 2.0), np.arange(10, dtype=np.float64))
    assert baseline.predict(np.array([1.0, 2.0, 3.0])).tolist() == [4.5, 4.5, 4.5]


def test_a_baseline_of_one_trip_is_its_duration() -> None:
    baseline = Baseline.fit(np.array([2.0]), np.array([7.0]))
    assert baseline.predict(np.array([1.0, 2.0, 3.0])).tolist() == [7.0, 7.0, 7.0]


def test_a_baseline_bears_many_equal_distances() -> None:
    distance = np.array([1.0] * 90 + [2.0] * 10)
    baseline = Baseline.fit(distance, distance * 10)
    assert baseline.predict(np.array([1.0, 2.0])).tolist() == [10.0, 20.0]


def test_a_model_is_loaded_without_pandas_and_scikit_learn(saved: Path) -> None:
    """Their import would triple the time until a process answers."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE, str(saved)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": "src"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
