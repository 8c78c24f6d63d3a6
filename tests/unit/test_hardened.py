"""What a stranger, an operator's slip or a broken file could do to the service, and cannot."""

import asyncio
import json
import os
import signal
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from click.testing import CliRunner

from asked import TRIP, ask, bearer, inner, loaded, samples, speak
from preflight import workspace
from preflight.cli import main
from preflight.errors import Problem
from preflight.files import replacing, write_json
from preflight.serving import keys, switches, watched
from preflight.serving import service as serving
from preflight.serving.app import Front, ModelService
from preflight.serving.watched import Watched
from preflight.watch import probes

ONE, BATCH, LINES = "/v1/predict", "/v1/predict/batch", "/v1/predict/lines"
BODY = json.dumps(TRIP).encode()
BODIES = {ONE: BODY, BATCH: json.dumps({"instances": [TRIP]}).encode()}


@dataclass(frozen=True)
class Hard:
    """A loaded service, a key of all scopes, and the files of its keys and switches."""

    service: ModelService
    key: str
    keys: Path
    switches: Path

    def switch(self, text: str) -> None:
        """Write the switches and let the next beat come."""
        with replacing(self.switches) as partial:
            partial.write_text(text)
        self.service.beat()

    def begun(self, path: str, first: bytes, act: Callable[[], None], rest: bytes) -> Any:
        """The answer to a POST in whose midst something happens."""

        async def parts() -> AsyncIterator[bytes]:
            yield first
            act()
            yield rest

        return ask(self.service, "POST", path, self.key, content=parts())


@pytest.fixture(scope="module")
def shared(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hard]:
    """A service of the small repository that reads its switches from a file."""
    place = tmp_path_factory.mktemp("hardened")
    file = place / "switches.yaml"
    file.write_text("mode: normal\n")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("PREFLIGHT_SWITCHES", str(file))
        with loaded(built, place) as (service, key):
            yield Hard(service, key, place / "keys.json", file)


@pytest.fixture
def hard(shared: Hard) -> Iterator[Hard]:
    """The service in normal mode, and again afterwards."""
    yield shared
    shared.switch("mode: normal\n")


def test_a_path_nobody_knows_is_a_problem_and_none_of_bentomls(hard: Hard) -> None:
    answer = ask(hard.service, "GET", "/nowhere")
    assert (answer.status_code, answer.json()["field"]) == (404, "path")
    assert answer.headers["content-type"] == "application/problem+json"


def test_unknown_paths_are_counted_together(hard: Hard) -> None:
    count = samples(hard.service, "preflight_requests_total")
    for place in range(20):
        ask(hard.service, ("GET", "POST", "BREW")[place % 3], f"/nowhere/{place}")
    after = samples(hard.service, "preflight_requests_total")
    label = ("none", "-", "-", "404")
    assert after == count | {label: count.get(label, 0) + 20}


@pytest.mark.parametrize(
    "path", ["/", "/livez", "/readyz", "/healthz", "/metrics", "/static_content/swagger-ui.css"]
)
def test_probes_metrics_and_page_pass(hard: Hard, path: str) -> None:
    assert ask(hard.service, "GET", path).status_code == 299


@pytest.mark.parametrize("path", ["/%76ersion", "/v1%2Fpredict", "/v1/predic%74"])
def test_a_route_written_otherwise_leads_nowhere(hard: Hard, path: str) -> None:
    assert ask(hard.service, "GET", path, hard.key).status_code == 404


def test_a_websocket_is_closed_and_not_passed_on(hard: Hard) -> None:
    sent: list[Any] = []

    async def receive() -> Any:
        raise AssertionError

    async def send(message: Any) -> None:
        sent.append(message["type"])

    scope = {"type": "websocket", "path": ONE, "headers": []}
    asyncio.run(Front(inner, hard.service)(scope, receive, send))
    assert sent == ["websocket.close"]


@pytest.mark.parametrize("name", ["authorization", "x-entity-id"])
@pytest.mark.parametrize("path", [ONE, BATCH, LINES, "/version"])
def test_two_that_say_who_asks_are_refused(hard: Hard, path: str, name: str) -> None:
    method = "GET" if path == "/version" else "POST"
    found = [("authorization", f"Bearer {hard.key}"), ("x-entity-id", "a")]
    found.append(next(each for each in found if each[0] == name))
    answer = ask_all(hard, method, path, found)
    assert (answer.status_code, answer.json()["field"]) == (422, name)


def ask_all(hard: Hard, method: str, path: str, headers: list[tuple[str, str]]) -> httpx.Response:
    """One request with headers of which a name may come twice."""

    async def talk() -> httpx.Response:
        transport = httpx.ASGITransport(app=Front(inner, hard.service))
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.request(method, path, headers=headers, content=BODY)

    return asyncio.run(talk())


def test_two_of_another_header_are_fine(hard: Hard) -> None:
    found = [("authorization", f"Bearer {hard.key}"), ("accept", "a"), ("accept", "b")]
    assert ask_all(hard, "POST", ONE, found).status_code == 200


def test_identity_is_no_coding_however_it_is_written(hard: Hard) -> None:
    for coding, status in (("Identity", 200), ("IDENTITY", 200), ("gzip", 415)):
        headers = {"content-encoding": coding}
        answer = ask(hard.service, "POST", ONE, hard.key, content=BODY, headers=headers)
        assert answer.status_code == status


@pytest.mark.parametrize("path", [ONE, BATCH])
def test_off_holds_for_a_request_whose_body_is_half_here(hard: Hard, path: str) -> None:
    body = BODIES[path]
    answer = hard.begun(path, body[:9], lambda: hard.switch("mode: off\nreason: drill\n"), body[9:])
    assert (answer.status_code, answer.json()["found"]) == (503, "off: drill")


def test_off_ends_a_stream_at_its_next_part(hard: Hard) -> None:
    line = BODY + b"\n"
    answer = hard.begun(LINES, line, lambda: hard.switch("mode: off\n"), line)
    first, last = (json.loads(each) for each in answer.text.splitlines())
    assert (first["flags"], last["status"], last["field"]) == ([], 503, "mode")


def test_a_key_that_is_taken_back_ends_a_stream(hard: Hard) -> None:
    token = keys.add(hard.keys, "leaver", ("predict",), None)
    hard.service.beat()

    def leave() -> None:
        keys.revoke(hard.keys, token.split("_")[1])
        hard.service.beat()

    leaver = Hard(hard.service, token, hard.keys, hard.switches)
    answer = leaver.begun(LINES, BODY + b"\n", leave, BODY + b"\n")
    first, last = (json.loads(each) for each in answer.text.splitlines())
    assert "value" in first
    assert (last["status"], last["field"]) == (401, "authorization")


def test_many_refused_lines_are_answered_in_pieces(hard: Hard) -> None:
    heard = asyncio.run(speak(hard.service, LINES, [b"{}\n" * 2_000], [bearer(hard.key)]))
    assert [each["line"] for each in heard.lines] == list(range(1, 2_001))
    assert [part.count(b"\n") for part in heard.parts] == [500] * 4 + [0]


def test_a_refusal_of_a_body_that_was_not_sent_yet_closes_the_connection(hard: Hard) -> None:
    for headers, marked in (({"expect": "100-continue"}, "close"), ({}, None)):
        answer = ask(hard.service, "POST", ONE, content=BODY, headers=headers)
        assert (answer.status_code, answer.headers.get("connection")) == (401, marked)


def test_variables_of_kubernetes_are_let_pass() -> None:
    links = ("SERVICE_HOST", "SERVICE_PORT", "SERVICE_PORT_HTTP", "PORT", "PORT_3000_TCP_ADDR")
    switches.require_production({f"PREFLIGHT_{name}": "1" for name in links}, [])


@pytest.mark.parametrize("name", ["PREFLIGHT_FAULTS", "PREFLIGHT_SERVICE", "PREFLIGHT_PORTS"])
def test_other_variables_of_ours_are_refused(name: str) -> None:
    with pytest.raises(Problem, match=name):
        switches.require_production({name: "1"}, [])


def test_reload_on_the_line_that_started_the_server_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_json(tmp_path / "build.json", {"model_version": "1", "commit": "c", "bento": "b:1"})
    monkeypatch.setattr(serving, "BUILD", tmp_path / "build.json")
    monkeypatch.setattr(switches, "arbiter", lambda: ["bentoml", "serve", "--reload"])
    with pytest.raises(Problem, match="--reload"):
        ModelService().load()


def test_the_line_is_that_of_the_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    here = psutil.Process()
    monkeypatch.setattr(psutil.Process, "parent", lambda _: here)
    assert switches.arbiter() == here.cmdline()
    monkeypatch.setattr(psutil.Process, "parent", lambda _: None)
    assert switches.arbiter() == []


class Flaky:
    """Reads a file, but fails as often as it is told to."""

    def __init__(self) -> None:
        self.errors: list[Exception] = []

    def __call__(self, path: Path) -> str:
        """The file's text."""
        if self.errors:
            raise self.errors.pop(0)
        return path.read_text()


@pytest.fixture
def word(tmp_path: Path) -> Path:
    """A file with a word."""
    found = tmp_path / "word"
    found.write_text("one")
    return found


def test_a_file_that_can_be_read_again_is_read_without_another_change(word: Path) -> None:
    read = Flaky()
    kept = Watched(word, read)
    word.write_text("second")
    read.errors = [PermissionError(), PermissionError()]
    assert [kept.refresh() for _ in range(4)] == [None, None, True, False]
    assert kept.value == "second"


def test_any_error_of_a_reader_is_survived_and_told_once(
    word: Path, caplog: pytest.LogCaptureFixture
) -> None:
    read = Flaky()
    kept = Watched(word, read)
    word.write_text("second")
    read.errors = [RecursionError(), RecursionError(), MemoryError(), MemoryError()]
    assert [kept.refresh() for _ in range(4)] == [None] * 4
    assert kept.value == "one"
    told = [record.message.rpartition(": ")[2] for record in caplog.records]
    assert told == ["RecursionError", "MemoryError"]


def pipe(path: Path) -> None:
    """A pipe into which nobody writes."""
    path.unlink()
    os.mkfifo(path)


def huge(path: Path) -> None:
    """A file that is too large, though nothing is in it."""
    os.truncate(path, watched.MOST + 1)


@pytest.mark.parametrize("become", [pipe, huge])
def test_a_pipe_and_a_file_without_end_are_not_read(
    word: Path, become: Callable[[Path], None]
) -> None:
    kept = Watched(word, Path.read_text)
    become(word)
    refused: list[bool | None] = []
    reader = threading.Thread(target=lambda: refused.append(kept.refresh()), daemon=True)
    reader.start()
    reader.join(5)
    assert (refused, kept.value) == ([None], "one")
    with pytest.raises(Problem, match="no file, or one too large"):
        Watched(word, Path.read_text)


def test_a_new_key_leaves_the_files_mode_and_owner(tmp_path: Path) -> None:
    place = tmp_path / "keys.json"
    keys.add(place, "first", ("predict",), None)
    assert place.stat().st_mode & 0o777 == 0o600
    place.chmod(0o644)
    with suppress(PermissionError):  # who may not give it away keeps it
        os.chown(place, 12_345, 12_345)
    before = place.stat()
    keys.add(place, "second", ("predict",), None)
    after = place.stat()
    assert (after.st_mode, after.st_uid, after.st_gid) == (
        before.st_mode,
        before.st_uid,
        before.st_gid,
    )


@pytest.mark.parametrize("rate", ["nan", "inf", "-inf"])
def test_a_rate_that_caps_nothing_is_refused(tmp_path: Path, rate: str) -> None:
    with pytest.raises(Problem, match="the rate"):
        keys.add(tmp_path / "keys.json", "client", ("predict",), float(rate))


def test_a_worker_whose_parent_is_gone_asks_itself_to_end_once(
    hard: Hard, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[int, int]] = []
    parent = os.getppid()
    monkeypatch.setattr(hard.service, "_parent", parent)  # and again afterwards
    monkeypatch.setattr(os, "kill", lambda *given: told.append(given))
    hard.service.beat()
    assert told == []
    monkeypatch.setattr(os, "getppid", lambda: 1 if parent != 1 else 2)
    hard.service.beat()
    hard.service.beat()
    assert told == [(os.getpid(), signal.SIGTERM)]


def test_metrics_show_processor_time(hard: Hard) -> None:
    hard.service.beat()
    (seconds,) = samples(hard.service, "preflight_worker_processor_seconds").values()
    assert 0 < seconds <= sum(psutil.Process().cpu_times()[:2])


@pytest.mark.parametrize("wrong", ["127.0.0.1:3000", "file:///etc", "http://", "http://a/b"])
def test_what_is_no_address_is_refused(wrong: str) -> None:
    with pytest.raises(Problem, match="the address"):
        probes.probe(wrong)


def test_each_port_has_counts_and_switches_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """BentoML clears the counts below BENTOML_HOME when it starts, whoever is using them."""
    homes, files = set(), set()

    def started(_: str, __: list[str], variables: dict[str, str]) -> None:
        homes.add(variables["BENTOML_HOME"])
        files.add(variables["PREFLIGHT_SWITCHES"])

    monkeypatch.setattr(os, "execve", started)
    monkeypatch.setattr(workspace, "root", lambda: tmp_path)
    for name in ("bento.build", "bento.require_free", "registry.register", "restore.restore"):
        monkeypatch.setattr(f"preflight.{name}", lambda _: tmp_path)
    monkeypatch.setattr("preflight.bento.command", lambda *_: ["bentoml"])
    for port in ("3000", "3001"):
        done = CliRunner().invoke(main, ["serve", "--port", port])
        assert done.exit_code == 0, done.output
    assert (len(homes), len(files)) == (2, 2)
