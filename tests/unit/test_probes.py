"""A service is looked at from outside, each look is kept, and uptime follows from them."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from socketserver import BaseRequestHandler, TCPServer

import pytest
from click.testing import CliRunner

from preflight.bento import free_port
from preflight.cli import main
from preflight.errors import NoData, Problem
from preflight.watch import probes
from preflight.watch.probes import Probe

START = datetime(2026, 1, 1, tzinfo=UTC)


READY = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"
BUSY = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n"


class Says(BaseRequestHandler):
    """Answers whatever the server is told to, to who asks for /readyz."""

    words = READY

    def handle(self) -> None:
        """Read a request, or some of it, and answer."""
        if self.request.recv(1_000).startswith(b"GET /readyz "):
            self.request.sendall(self.words)


@pytest.fixture
def address() -> Iterator[str]:
    """A server that answers what Says.words are."""
    server = TCPServer(("127.0.0.1", 0), Says)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def log(*ready: bool, every: float = 60) -> list[Probe]:
    """Probes at even times."""
    return [
        Probe((START + timedelta(seconds=every * place)).isoformat(), each, 0.01, "200")
        for place, each in enumerate(ready)
    ]


def test_a_ready_service_is_up(address: str) -> None:
    found = probes.probe(address)
    assert (found.ready, found.found) == (True, "200")


def test_one_that_answers_503_is_not(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Says, "words", BUSY)
    found = probes.probe(address)
    assert (found.ready, found.found) == (False, "503")


def test_nobody_there_is_down_and_says_why() -> None:
    found = probes.probe(f"http://127.0.0.1:{free_port()}")
    assert (found.ready, found.found) == (False, "ConnectionRefusedError")


def test_every_probe_is_kept_and_read_again(tmp_path: Path) -> None:
    for each in log(True, False):
        probes.record(each, tmp_path / "state/probes.jsonl")
    assert probes.read(tmp_path / "state/probes.jsonl") == log(True, False)


def test_a_record_that_was_cut_makes_room_for_the_next(tmp_path: Path) -> None:
    one, two = log(True, False)
    probes.record(one, tmp_path / "log")
    with (tmp_path / "log").open("a") as file:
        file.write('{"at": "2026')
    probes.record(two, tmp_path / "log")
    assert probes.read(tmp_path / "log") == [one, two]


@pytest.mark.parametrize("address", ["127.0.0.1:3000", "http://[", "http://?x", "http://a b"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(Problem, match="the address"):
        probes.probe(address)


def test_a_line_that_is_no_probe_is_named(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("{}\n{}\n")
    with pytest.raises(Problem, match="line 1"):
        probes.read(tmp_path / "log")


def test_uptime_is_the_share_of_time_that_probes_vouch_for() -> None:
    found = probes.uptime(log(True, True, False, False, True, True), 60)
    assert found.up == pytest.approx(3 / 5)
    assert found.longest_down == timedelta(seconds=120)
    assert found.unknown == 0


def test_a_gap_in_the_probes_is_unknown_and_not_up() -> None:
    early, late = log(True, True), log(True, True, every=60)
    shifted = [
        Probe((datetime.fromisoformat(each.at) + timedelta(hours=1)).isoformat(), True, 0.01, "200")
        for each in late
    ]
    found = probes.uptime([*early, *shifted], 60)
    assert found.up == 1
    assert found.unknown == pytest.approx((3600 - 60 - 120) / 3660)


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_probes_are_no_data(count: int) -> None:
    with pytest.raises(NoData):
        probes.uptime(log(*[True] * count), 60)


def test_the_commands_probe_and_sum_up(address: str, tmp_path: Path) -> None:
    place = tmp_path / "probes.jsonl"
    words = ["probe", address, "--every", "1", "--times", "2", "--log", str(place)]
    assert CliRunner().invoke(main, words).exit_code == 0
    told = CliRunner().invoke(main, ["uptime", "--every", "1", "--log", str(place)])
    assert "100.00% up" in told.output


@pytest.mark.parametrize("words", [b"SSH-2.0-other\r\n", b"", b"HTTP/1.1 abc\r\n\r\n"])
def test_a_server_that_speaks_no_http_is_down(
    address: str, words: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Says, "words", words)
    found = probes.probe(address)
    assert (found.ready, found.found.isidentifier()) == (False, True)


def test_an_address_may_end_in_a_slash(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Says, "words", b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
    assert probes.probe(f"{address}/").ready


def test_a_last_line_that_was_cut_is_left_out_and_another_is_named(tmp_path: Path) -> None:
    log = tmp_path / "log"
    for _ in range(2):
        probes.record(probes.Probe("2026-01-01T00:00:00+00:00", True, 0.1, "200"), log)
    whole = log.read_text()
    log.write_text(whole + whole[:20])
    assert len(probes.read(log)) == 2
    log.write_text(whole[:20] + "\n" + whole)
    with pytest.raises(Problem, match="line 1"):
        probes.read(log)


@pytest.mark.parametrize("every", ["0", "-1"])
def test_probes_need_time_between_them(every: str) -> None:
    for words in (["uptime"], ["probe", "http://127.0.0.1:1"]):
        done = CliRunner().invoke(main, [*words, "--every", every])
        assert (done.exit_code, "--every" in done.output) == (2, True)
