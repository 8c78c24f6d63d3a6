"""What is counted is what the table says, with a series for every bucket from the start."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from asked import TRIP, ask, loaded, samples
from preflight import params
from preflight.serving.app import ModelService
from preflight.serving.metrics import BUCKETS, ENTITY_BUCKETS, LATENCY, TABLE, Metrics
from taxi.contract import CONTRACT

Loaded = tuple[ModelService, str]
TRIPS = [TRIP | {"trip_distance": miles} for miles in (0.4, 1.9, 6.0, 20.0, 60.0)]
BINS = [*(f"{edge:g}" for edge in CONTRACT.target_bins), "+Inf"]
JUDGED: dict[str, list[tuple[str, ...]]] = {
    "preflight_latency_seconds_count": [("predict",), ("batch",)],
    "preflight_errors_total": [("predict",), ("batch",)],
    "preflight_interval_width_total": [()],
    "preflight_flagged_total": [()],
}
SUFFIXES = {
    "counter": {"_total", "_created"},
    "histogram": {"_bucket", "_count", "_sum", "_created"},
    "gauge": {""},
}


@pytest.fixture(scope="module")
def asked(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loaded]:
    """A loaded service of the small repository, and a key of all scopes."""
    with loaded(built, tmp_path_factory.mktemp("metrics")) as found:
        yield found


def emitted(service: ModelService) -> dict[str, set[tuple[str, ...]]]:
    """The names of all series, each with the sets of label names that it was seen with."""
    found: dict[str, set[tuple[str, ...]]] = {}
    for metric in service.metrics.registry.collect():
        for sample in metric.samples:
            found.setdefault(sample.name, set()).add(tuple(sorted(sample.labels)))
    return found


def ask_everything(asked: Loaded) -> None:
    """Requests that touch every metric: answers, an outcome, a refusal, an unread file, ..."""
    service, key = asked
    for body in (*TRIPS, {}):
        ask(service, "POST", "/v1/predict", key, content=json.dumps(body))
    ask(service, "POST", "/v1/predict/batch", key, json={"instances": TRIPS})
    ask(service, "POST", "/v1/predict")
    outcome = {"prediction_id": "019a7c41-5e10-7b3c-9d52-2f4c8e1a6b70", "value": 12.5}
    ask(service, "POST", "/v1/outcomes", key, json=outcome)
    service.metrics.flagged(0, [["trip_distance.unseen"]])
    service.metrics.refused("trip_distance")
    service.metrics.log_failure("predictions")
    service.metrics.unread("keys")
    service.beat()


def test_what_is_emitted_is_the_table_and_nothing_else(asked: Loaded) -> None:
    ask_everything(asked)
    expected = {
        row.name + suffix: {tuple(sorted((*row.labels, *(["le"] if suffix == "_bucket" else []))))}
        for row in TABLE
        for suffix in SUFFIXES[row.kind]
    }
    found = emitted(asked[0])
    assert {name for name in expected if "_created" not in name} <= found.keys()
    assert {name: labels for name, labels in expected.items() if name in found} == found


def test_every_row_of_the_table_says_what_it_is() -> None:
    assert len({row.name for row in TABLE}) == len(TABLE)
    for row in TABLE:
        assert row.name.startswith("preflight_")
        assert row.what


def test_judged_series_exist_for_all_buckets_before_the_first_request(
    built: Path, tmp_path: Path
) -> None:
    """A judge must tell none from no data."""
    with loaded(built, tmp_path) as (service, _):
        found = {
            (sample.name, *sample.labels.values()): sample.value
            for metric in service.metrics.registry.collect()
            for sample in metric.samples
        }
    for bucket in BUCKETS:
        keys = [(name, *more, bucket) for name, routes in JUDGED.items() for more in routes]
        keys += [("preflight_predictions_total", bucket, edge) for edge in BINS]
        keys += [("preflight_fallbacks_total", bucket, why) for why in ("mode", "output")]
        assert {found.get(key) for key in keys} == {0.0}


def test_there_are_32_buckets_with_labels_of_two_digits() -> None:
    assert (ENTITY_BUCKETS, len(BUCKETS), BUCKETS[0], BUCKETS[-1]) == (32, 32, "00", "31")


def test_the_limits_on_latency_are_edges_of_its_histogram() -> None:
    load = params.load().gates["load"]
    assert {load["max_mean_ms"] / 1_000, load["max_slow_ms"] / 1_000} <= set(LATENCY)
    assert sorted(LATENCY) == list(LATENCY)


def test_predictions_are_counted_in_the_contracts_bins(asked: Loaded) -> None:
    names = {
        sample.labels["bin"]
        for metric in asked[0].metrics.registry.collect()
        for sample in metric.samples
        if sample.name == "preflight_predictions_total"
    }
    assert names == set(BINS)


@pytest.mark.parametrize(
    ("value", "edge"), [(1.0, "2"), (2.0, "2"), (2.01, "4"), (50.0, "50"), (60.0, "+Inf")]
)
def test_a_bin_includes_its_upper_edge_for_one_and_for_many(value: float, edge: str) -> None:
    for many in (False, True):
        metrics = Metrics(CONTRACT.target_bins)
        if many:
            metrics.predictions(3, np.array([value, value]), 0.0, {})
        else:
            metrics.prediction(3, value, None, None)
        found = metrics.registry.get_sample_value(
            "preflight_predictions_total", {"entity_bucket": "03", "bin": edge}
        )
        assert found == 1.0 + many


def judged(service: ModelService) -> dict[tuple[str, ...], float]:
    """Everything that counts predictions, with its name."""
    names = ("predictions", "interval_width", "flagged", "fallbacks", "flags")
    return {
        (name, *labels): value
        for name in names
        for labels, value in samples(service, f"preflight_{name}_total").items()
    }


@pytest.mark.parametrize("way", ["batch", "lines"])
@pytest.mark.parametrize("mode", ["normal", "fallback", "output"])
def test_a_batch_counts_as_the_sum_of_its_rows(
    built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str, way: str
) -> None:
    counted = []
    for many in (False, True):
        with loaded(built, tmp_path) as (service, key):
            if mode == "output":
                sound = service._model.model.predict
                monkeypatch.setattr(service._model.model, "predict", half(sound))
            switched = "fallback" if mode == "fallback" else "normal"
            service.limits = service.limits.model_copy(update={"mode": switched})
            if not many:
                for trip in TRIPS:
                    ask(service, "POST", "/v1/predict", key, json=trip)
            elif way == "batch":
                ask(service, "POST", "/v1/predict/batch", key, json={"instances": TRIPS})
            else:
                body = "\n".join(map(json.dumps, TRIPS))
                ask(service, "POST", "/v1/predict/lines", key, content=body)
            counted.append(judged(service))
    one, other = counted
    assert one.keys() == other.keys()
    assert other == pytest.approx(one)
    assert sum(value for (name, *_), value in one.items() if name == "predictions") == 5


def half(predict: Any) -> Any:
    """A model that is no number for every trip beyond two miles."""

    def found(matrix: np.ndarray) -> np.ndarray:
        long = matrix[:, 2] > 2.0
        answer: np.ndarray = np.where(long, np.nan, predict(matrix))
        return answer

    return found


def test_requests_are_counted_by_route_version_client_and_status(
    built: Path, tmp_path: Path
) -> None:
    with loaded(built, tmp_path) as (service, key):
        for body in (TRIP, TRIP, {}):
            ask(service, "POST", "/v1/predict", key, json=body)
        ask(service, "POST", "/v1/predict", json=TRIP)
        ask(service, "GET", "/version", key)
        ask(service, "GET", "/openapi.json")
        ask(service, "GET", "/v1/predict")
        ask(service, "GET", "/livez")
        assert samples(service, "preflight_requests_total") == {
            ("predict", "v1", "tests", "200"): 2.0,
            ("predict", "v1", "tests", "422"): 1.0,
            ("predict", "v1", "-", "401"): 1.0,
            ("predict", "v1", "-", "405"): 1.0,
            ("version", "-", "tests", "200"): 1.0,
            ("openapi", "-", "-", "200"): 1.0,
        }


@pytest.mark.parametrize(
    ("route", "path", "good"),
    [("predict", "/v1/predict", TRIP), ("batch", "/v1/predict/batch", {"instances": TRIPS})],
)
def test_who_keeps_the_contract_is_judged_in_its_entitys_bucket(
    asked: Loaded, monkeypatch: pytest.MonkeyPatch, route: str, path: str, good: Any
) -> None:
    service, key = asked
    bucket = service.door.bucket(b"rider-7")
    labels = (route, BUCKETS[bucket])

    def counts() -> tuple[float, float]:
        count = samples(service, "preflight_latency_seconds_count").get(labels, 0.0)
        return count, samples(service, "preflight_errors_total").get(labels, 0.0)

    def said(body: Any) -> None:
        ask(service, "POST", path, key, json=body, headers={"x-entity-id": "rider-7"})

    count, errors = counts()
    said(good)
    assert counts() == (count + 1, errors)
    said({})
    assert counts() == (count + 1, errors)
    monkeypatch.setattr(service._model.model, "predict", None)
    said(good)
    assert counts() == (count + 2, errors + 1)


def test_callers_cannot_make_new_series_beyond_the_known_ones(asked: Loaded) -> None:
    service, key = asked
    ask_everything(asked)
    before = emitted(service), sum(len(m.samples) for m in service.metrics.registry.collect())
    for number in range(50):
        headers = {"x-entity-id": f"e-{number}", "x-request-id": f"r-{number}"}
        ask(service, "POST", "/v1/predict", key, json=TRIP, headers=headers)
        ask(service, "POST", "/v1/predict", f"pf_{number:012x}_{'A' * 43}", json=TRIP)
    after = emitted(service), sum(len(m.samples) for m in service.metrics.registry.collect())
    assert after == before


def test_a_worker_shows_its_memory_and_its_start(asked: Loaded) -> None:
    (memory,) = samples(asked[0], "preflight_worker_memory_bytes").values()
    (started,) = samples(asked[0], "preflight_worker_started_seconds").values()
    assert 10e6 < memory < 10e9
    assert started > 1.7e9


def test_what_alarms_watch_is_there_before_it_happens(built: Path, tmp_path: Path) -> None:
    """An alarm on the growth of a series does not see its first value."""
    with loaded(built, tmp_path) as (service, _):
        found = {
            (sample.name, *sample.labels.values()): sample.value
            for metric in service.metrics.registry.collect()
            for sample in metric.samples
        }
    keys: list[tuple[str, ...]] = [
        ("preflight_messages_total", level) for level in ("error", "warning")
    ]
    keys += [("preflight_log_failures_total", stream) for stream in ("predictions", "outcomes")]
    keys += [("preflight_unlogged_total",), ("preflight_outcomes_total",)]
    assert {key: found.get(key) for key in keys} == dict.fromkeys(keys, 0.0)
