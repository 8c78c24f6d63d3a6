"""The Bento of a commit, served from the service's own environment."""

import json
import shutil
from collections.abc import Iterator
from http.client import HTTPResponse
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import psutil
import pytest

from conftest import ROOT, git
from preflight import bento, params, reference, registry
from preflight.bento import Server
from preflight.demo import demo
from preflight.errors import Problem
from preflight.predictor import Predictor
from preflight.serving import openapi
from taxi.contract import CONTRACT

TRIP = {column.name: column.example for column in CONTRACT.known}


@pytest.fixture(scope="module")
def place(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the small repository with a registered model and its Bento."""
    root = tmp_path_factory.mktemp("served") / "checkout"
    shutil.copytree(built, root, symlinks=True)
    registry.register(root)
    bento.build(root)
    return root


@pytest.fixture(scope="module")
def server(place: Path) -> Iterator[Server]:
    """The served Bento."""
    with bento.served(place, bento.newest(place), place) as found:
        yield found


def post(server: Server, route: str, body: bytes) -> tuple[int, Any]:
    """Status and JSON answer of a POST, whatever the status."""
    request = Request(server.address + route, body, server.headers)  # noqa: S310
    answer: HTTPResponse | HTTPError
    try:
        answer = urlopen(request, timeout=30)  # noqa: S310
    except HTTPError as error:
        answer = error
    with answer:
        return answer.status or 0, json.load(answer)


def test_the_same_commit_gives_the_same_bento(place: Path) -> None:
    assert bento.build(place) == bento.newest(place)


def test_served_values_equal_in_process_ones_to_the_last_bit(place: Path, server: Server) -> None:
    columns = reference.columns(CONTRACT, 2_000, seed=3)
    rows = reference.instances(columns)
    expected = Predictor(place / "models/packaged").given(columns).tolist()
    answered = bento.ask(server, "/v1/predict/batch", {"instances": rows})["predictions"]
    assert [answer["value"] for answer in answered] == expected
    single = [bento.ask(server, "/v1/predict", row)["value"] for row in rows[:50]]
    assert single == expected[:50]


def test_version_and_answers_name_the_registered_model(place: Path, server: Server) -> None:
    version = bento.ask(server, "/version")
    commit = git(place, "rev-parse", "HEAD").strip()
    assert version["commit"] == commit
    assert version["bento"] == f"taxi:v1-{commit[:12]}"
    assert version["model_version"] == "1"
    assert version["model_hash"] == Predictor(place / "models/packaged").model_hash
    assert bento.ask(server, "/v1/predict", TRIP)["model_version"] == "1"


def test_health_readiness_metrics_and_openapi_answer(place: Path, server: Server) -> None:
    limits = params.load(place / "params.yaml").serving
    for route in ("/livez", "/readyz", "/metrics"):
        with urlopen(server.address + route, timeout=10) as answer:  # noqa: S310
            assert answer.status == 200
    assert bento.ask(server, "/openapi.json") == openapi.document(CONTRACT, limits)


BAD = {
    "no JSON": b"trip",
    "a lacking field": json.dumps({k: v for k, v in TRIP.items() if k != "pickup_at"}).encode(),
    "a wrong type": json.dumps(TRIP | {"pickup_zone": "74"}).encode(),
    "NaN": json.dumps(TRIP | {"trip_distance": float("nan")}).encode(),
    "infinity": json.dumps(TRIP | {"trip_distance": float("inf")}).encode(),
    "an unknown zone": json.dumps(TRIP | {"dropoff_zone": 999}).encode(),
}


@pytest.mark.parametrize("kind", list(BAD))
def test_a_bad_request_is_one_clear_refusal(server: Server, kind: str) -> None:
    status, answer = post(server, "/v1/predict", BAD[kind])
    assert status == 422
    assert answer["title"] == "Unprocessable Content"
    assert answer["field"] in {"body", *TRIP}
    assert answer["expected"]


def test_ten_megabytes_are_refused_and_the_next_caller_is_served(server: Server) -> None:
    try:
        status, answer = post(server, "/v1/predict", b" " * 10_000_000)
    except OSError:  # the refusal may come, and the connection close, before all was sent
        pass
    else:
        assert (status, answer["field"]) == (413, "body")
    assert bento.ask(server, "/v1/predict", TRIP)["unit"] == "minute"


@pytest.mark.parametrize("count", [0, 20_000])
def test_a_batch_of_a_wrong_size_is_refused(server: Server, count: int) -> None:
    status, answer = post(
        server, "/v1/predict/batch", json.dumps({"instances": [TRIP] * count}).encode()
    )
    assert (status, answer["field"]) in ((422, "instances"), (413, "body"))


def test_a_changed_byte_in_the_bento_is_refused_at_start(place: Path, tmp_path: Path) -> None:
    copy = tmp_path / "changed"
    shutil.copytree(bento.newest(place), copy)
    with (copy / "src/models/packaged/booster.txt").open("a") as file:
        file.write(" ")
    with (
        pytest.raises(Problem, match=r"booster\.txt: found hash"),
        bento.served(place, copy, place),
    ):
        pass


def test_the_services_environment_is_small_and_has_no_training_engine() -> None:
    packages = next((ROOT / ".venv-serve/lib").glob("python3*")) / "site-packages"
    names = {path.name for path in packages.iterdir()}
    for heavy in ("mlflow", "dvc", "pandas", "polars", "pyarrow", "sklearn"):
        assert heavy not in names


def test_a_bento_of_another_model_under_the_right_tag_is_refused(place: Path) -> None:
    manifest = bento.newest(place) / "src/models/packaged/manifest.json"
    kept = manifest.read_bytes()
    try:
        manifest.write_bytes(kept + b" ")
        with pytest.raises(Problem, match="found another model"):
            bento.build(place)
    finally:
        manifest.write_bytes(kept)


def test_without_an_environment_to_serve_from_it_says_what_to_do(
    place: Path, tmp_path: Path
) -> None:
    with pytest.raises(Problem, match="make setup"):
        bento.command(tmp_path, bento.newest(place), 3000)
    with pytest.raises(Problem, match="make bento"):
        bento.newest(tmp_path)


def test_the_demo_goes_the_whole_way_and_leaves_the_checkout_alone(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("TLC_DIR", "MONTHS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MONTHS", "2021-02..2021-04")
    # Rollouts want the machine for themselves, which tests side by side do not leave them; CI's
    # own demo has them.
    monkeypatch.setattr("preflight.demo.ROLLOUTS", ())
    caplog.set_level("INFO")
    demo(checkout)
    assert caplog.messages[-1] == "the demo is green"
    assert any("stage ingest@2021-04" in message for message in caplog.messages)
    report = (checkout / ".preflight/demo/reports/report.md").read_text()
    assert report.startswith("# taxi-duration version 1\n")
    assert "| 2021-04 |" in report
    assert git(checkout, "status", "--porcelain") == ""


def test_no_server_stays_behind(place: Path) -> None:
    before = set(psutil.Process().children(recursive=True))
    with bento.served(place, bento.newest(place), place):
        started = set(psutil.Process().children(recursive=True)) - before
    assert len(started) >= 2  # BentoML's arbiter and a worker
    assert [each for each in started if each.is_running()] == []
