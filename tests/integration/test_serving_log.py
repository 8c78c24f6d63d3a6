"""What a real service of two workers leaves in its log and on standard output, whatever happens."""

import json
import re
import resource
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import psutil
import pytest

from preflight.layout import LOG
from preflight.log.schema import OUTCOMES, PREDICTIONS
from preflight.serving import logs
from remembered import files, found_in, records, segments
from served import BODY, TRIP, TWO, Service, kept, packaged, post, running, until

pytestmark = pytest.mark.usefixtures("unmeasured")

TORN = "20210203T081500-1-00000000.jsonl"
WHOLE = b'{"id":"1"}\n'
SEEN_SECONDS = 3.0  # within which what a beat does is done
RIDER, ORDER = "rider-q7Zk31", "order-q7Zk31"
# What BentoML says of itself before a service has its worker, and when it is interrupted.
PLAIN = re.compile(
    r"\S+ \[INFO\] \[(cli|:\d+)\] (Service loaded|Applying user config|Starting production) .*"
    r"|Aborted!|"
)
FIELDS = {
    "log": set(logs.FIELDS),
    "access": set(logs.FIELDS),
    "predictions": {"stream", *(field.name for field in PREDICTIONS)},
    "outcomes": {"stream", *(field.name for field in OUTCOMES)},
}


@pytest.fixture(scope="module")
def folder(built: Path) -> Path:
    """A Bento with short times."""
    return packaged(built)


@pytest.fixture(scope="module")
def two(built: Path, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service of two workers, which found a torn segment when it started."""
    state = tmp_path_factory.mktemp("two")
    (state / "switches.yaml").write_text("mode: normal\n")
    (state / LOG / "predictions").mkdir(parents=True)
    (state / LOG / "predictions" / TORN).write_bytes(WHOLE + b'{"id":"2')
    more = TWO | {"PREFLIGHT_SWITCHES": str(state / "switches.yaml")}
    with running(built, folder, state, more) as found:
        yield found


def said(service: Service) -> list[dict[str, Any]]:
    """What the service wrote to standard output, each line of which must be one of its own."""
    lines = (service.state / ".preflight/serve.log").read_text().splitlines()
    return [json.loads(line) for line in lines if not PLAIN.fullmatch(line)]


def soon(what: Callable[[], bool]) -> None:
    """Wait until something is so that a beat does."""
    until(what, SEEN_SECONDS)


def logged(service: Service) -> set[str]:
    """The ids of all predictions in the log."""
    return {record["id"] for record in records(service.state)}


def test_all_that_was_answered_at_once_is_in_the_log_once(two: Service) -> None:
    def ask(_: int) -> list[str]:
        with closing(two.connection()) as connection:
            answers = [post(connection, two.server.headers)[1] for _ in range(25)]
        return [answer["prediction_id"] for answer in answers]

    with ThreadPoolExecutor(8) as threads:
        answered = [number for numbers in threads.map(ask, range(8)) for number in numbers]
    found = [record["id"] for record in records(two.state)]
    assert len(answered) == 200
    assert set(answered) <= set(found)
    assert len(set(found)) == len(found)


def test_each_worker_writes_segments_of_its_own(two: Service) -> None:
    with kept(two) as connections:
        numbers = [post(each, two.server.headers)[1]["prediction_id"] for each in connections]
    places = [
        next(path for path in segments(two.state, "predictions") if number in path.read_text())
        for number in numbers
    ]
    assert [path.name.split("-")[1] for path in places] == [str(each.pid) for each in two.workers()]


def test_a_torn_segment_of_an_earlier_process_is_cut_and_told(two: Service) -> None:
    assert (two.state / LOG / "predictions" / TORN).read_bytes() == WHOLE
    (found,) = (each for each in said(two) if TORN in each.get("message", ""))
    assert found["level"] == "warning"


def test_each_worker_says_when_it_is_ready(two: Service) -> None:
    levels = [each["level"] for each in said(two) if each.get("message", "").startswith("ready:")]
    assert levels == ["info"] * 2


def status(connection: HTTPConnection, two: Service, route: str, body: bytes = BODY) -> int:
    """The status of a POST over a kept connection."""
    return post(connection, two.server.headers | {"x-request-id": ORDER}, body, route)[0]


def test_every_request_leaves_one_access_record_and_no_path(two: Service) -> None:
    with closing(two.connection()) as connection:
        statuses = [
            status(connection, two, "/v1/predict"),
            status(connection, two, "/v1/predict", b"{}"),
            status(connection, two, "/TELLTALE?TELLTALE=1"),
        ]
    assert statuses == [200, 422, 404]

    def found() -> list[tuple[str, int]]:
        mine = (each for each in said(two) if each.get("request_id") == ORDER)
        return [(each["route"], each["status"]) for each in mine]

    expected = [("none", 404), ("predict", 200), ("predict", 422)]
    soon(lambda: sorted(found()) == expected)
    assert "TELLTALE" not in str(said(two))


def test_switches_that_cannot_be_read_are_an_error_that_is_counted(two: Service) -> None:
    before = two.total("preflight_messages_total", level="error")
    (two.state / "switches.yaml").write_text("mode: [")
    soon(lambda: two.total("preflight_messages_total", level="error") == before + 2)
    (two.state / "switches.yaml").write_text("mode: normal\n")
    soon(lambda: [each.get("message") for each in said(two)].count("switches read again") >= 2)
    levels = {each["level"] for each in said(two) if "switches.yaml" in each.get("message", "")}
    assert levels == {"error"}


def limit(workers: list[psutil.Process], size: int) -> None:
    """Let no file of the workers grow beyond a size, as on a disk that is full."""
    for each in workers:
        each.rlimit(psutil.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def test_on_a_full_disk_answers_are_refused_until_there_is_room(two: Service) -> None:
    workers, output = two.workers(), two.state / ".preflight/serve.log"
    with kept(two) as connections:
        for connection in connections:  # their segments shall be the largest of their files
            body = json.dumps({"instances": [TRIP] * 200}).encode()
            assert status(connection, two, "/v1/predict/batch", body) == 200
        sizes = [path.stat().st_size for path in segments(two.state, "predictions")]
        least = min(size for size in sizes if size > len(WHOLE))
        assert output.stat().st_size < least
        before, failures = logged(two), two.total("preflight_log_failures_total")
        limit(workers, least + 100)
        try:
            for connection in connections:
                code, problem = post(connection, two.server.headers)
                assert (code, problem["field"]) == (503, "log")
                assert status(connection, two, "/v1/predict/batch", body) == 503
        finally:
            limit(workers, resource.RLIM_INFINITY)
        assert two.total("preflight_log_failures_total", stream="predictions") == failures + 4
        assert logged(two) == before
        given = {post(each, two.server.headers)[1]["prediction_id"] for each in connections}
    assert logged(two) == before | given
    words = [each["message"] for each in said(two) if "message" in each]
    assert sum("cannot be written" in each for each in words) == 2
    assert sum("written again" in each for each in words) == 2


def test_a_removed_folder_comes_back_and_nothing_is_lost(two: Service) -> None:
    with kept(two) as connections:
        before = logged(two)
        shutil.rmtree(two.state / LOG)
        given = {post(each, two.server.headers)[1]["prediction_id"] for each in connections}
        soon(lambda: logged(two) == before - {"1"} | given)
        more = {post(each, two.server.headers)[1]["prediction_id"] for each in connections}
    assert more <= logged(two)
    removed = [each for each in said(two) if "was removed" in each.get("message", "")]
    assert [each["level"] for each in removed] == ["error"] * 2


def test_no_secret_stands_in_any_file_of_the_service(two: Service) -> None:
    secrets = {
        "key": two.server.key,
        "key's secret": two.server.key.split("_", 2)[2],
        "hash key": (two.state / LOG.parent / "hash.key").read_text().strip(),
        "rider": RIDER,
    }
    headers = two.server.headers | {"x-entity-id": RIDER, "x-request-id": "order-8"}
    with closing(two.connection()) as connection:
        for body in (BODY, b"{}"):
            post(connection, headers, body)
        post(connection, headers | {"authorization": f"Bearer {two.server.key}x"})
    soon(lambda: sum(each.get("request_id") == "order-8" for each in said(two)) == 3)
    looked = [each for each in files(two.state) if not each[0].endswith("hash.key")]
    assert {"keys.json", "serve.log", "switches.yaml"} <= {Path(name).name for name, _ in looked}
    assert found_in(looked, secrets) == set()


def test_in_a_cluster_the_same_records_go_to_standard_output(
    built: Path, folder: Path, tmp_path: Path
) -> None:
    with running(built, folder, tmp_path, {"PREFLIGHT_LOG": "stdout"}) as service:
        with closing(service.connection()) as connection:
            headers = service.server.headers
            answer = post(connection, headers)[1]
            body = json.dumps({"instances": [TRIP] * 3}).encode()
            batch = post(connection, headers, body, "/v1/predict/batch")[1]["predictions"]
            outcome = {"prediction_id": answer["prediction_id"], "value": 12.5}
            assert status(connection, service, "/v1/outcomes", json.dumps(outcome).encode()) == 202
        soon(lambda: sum(each["stream"] == "access" for each in said(service)) == 3)
        found = said(service)
    assert not list((tmp_path / LOG).rglob("*.jsonl"))
    assert all(set(each) <= FIELDS[each["stream"]] for each in found)
    streams = {each["stream"]: each for each in found}
    assert set(streams["predictions"]) == FIELDS["predictions"]
    assert set(streams["outcomes"]) == FIELDS["outcomes"]
    numbers = [each["id"] for each in found if each["stream"] == "predictions"]
    assert numbers == [each["prediction_id"] for each in (answer, *batch)]
