"""The traffic of a rehearsal: real trips in an open loop, and what is known of the answers."""

import asyncio
import json
import resource
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import yaml

from conftest import ROOT
from preflight import params, reference, table
from preflight.errors import NoData, Problem
from preflight.rehearsal import answers, traffic
from preflight.rehearsal.answers import NOBODY, Answer
from preflight.rehearsal.connections import Connections
from preflight.rehearsal.generator import Generator, Trip
from preflight.rehearsal.outcomes import MOST, Outcome, Outcomes
from preflight.rehearsal.traffic import Traffic
from served import until
from taxi.contract import CONTRACT

KEY = "a-key"
COMPRESSION = 8640.0


def month(root: Path, rows: int, name: str = "2021-02") -> None:
    """Valid rows of the newest month, an hour apart, below a root of our parameters."""
    raw = params.read(ROOT / "params.yaml")
    raw["data"]["months"] = ["2021-01", name]
    (root / "params.yaml").write_text(yaml.safe_dump(raw))
    known = reference.columns(CONTRACT, rows)
    times = np.datetime64("2021-02-01", "us") + np.arange(rows) * np.timedelta64(1, "h")
    given: dict[str, Any] = known | {
        "pickup_at": np.random.default_rng(2).permutation(times),
        "rider_id": np.arange(rows) % 7,
        "duration_minutes": np.full(rows, 12.0),
    }
    frame = pl.DataFrame(given)
    schema = table.schema(CONTRACT)
    others = [pl.lit(None, kind).alias(key) for key, kind in schema.items() if key not in given]
    (root / "data/valid").mkdir(parents=True, exist_ok=True)
    found = frame.with_columns(others).select(list(schema)).cast(pl.Schema(schema))
    found.write_parquet(root / f"data/valid/{name}.parquet")


def lines(file: Path) -> list[dict[str, Any]]:
    """A file of JSON lines."""
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_requests_are_trips_of_the_newest_month_in_a_row_and_equal_for_equal_seeds(
    tmp_path: Path,
) -> None:
    month(tmp_path, 40)
    one, same, other = (
        traffic.requests(tmp_path, [CONTRACT], tmp_path / f"{place}.jsonl", 30, seed, COMPRESSION)
        for place, seed in enumerate((1, 1, 2))
    )
    assert one.read_bytes() == same.read_bytes() != other.read_bytes()
    hours = [json.loads(each["body"])["pickup_at"] for each in lines(one)]
    steps = np.diff(np.array(hours, "datetime64[h]").astype(int))
    assert set(steps.tolist()) <= {1, 1 - 40}  # from the month's end on from its beginning


def test_a_request_is_as_a_caller_sends_it_and_its_outcome_comes_after_the_trip(
    tmp_path: Path,
) -> None:
    month(tmp_path, 40)
    found = lines(traffic.requests(tmp_path, [CONTRACT], tmp_path / "r.jsonl", 40, 1, COMPRESSION))
    assert {*json.loads(found[0]["body"])} == {column.name for column in CONTRACT.known}
    assert {each["entity"] for each in found} == {str(rider) for rider in range(7)}
    assert {each["outcome"] for each in found} == {12.0}
    assert min(each["after"] for each in found) > 12 * 60 / COMPRESSION


def test_a_request_has_only_what_both_releases_know(tmp_path: Path) -> None:
    month(tmp_path, 40)
    fewer = replace(CONTRACT, columns=tuple(c for c in CONTRACT.columns if c.name != "pickup_at"))
    asked = traffic.requests(tmp_path, [CONTRACT, fewer], tmp_path / "r.jsonl", 4, 1, COMPRESSION)
    sent = {*json.loads(lines(asked)[0]["body"])}
    assert sent == {column.name for column in CONTRACT.known} - {"pickup_at"}


def test_a_month_without_rows_is_no_data(tmp_path: Path) -> None:
    month(tmp_path, 0)
    with pytest.raises(NoData, match="2021-02"):
        traffic.requests(tmp_path, [CONTRACT], tmp_path / "r.jsonl", 5, 1, COMPRESSION)


@dataclass
class Stub:
    """What a server in the arms' place saw, and how it answers the next requests."""

    address: str = ""
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    outcomes: list[dict[str, Any]] = field(default_factory=list)
    connections: int = 0
    status: int = 200
    refused: int = 0
    cut: bool = False
    numbers: Iterator[int] = field(default_factory=lambda: count(1))
    gate: threading.Event = field(default_factory=threading.Event)  # answers wait for it

    def __post_init__(self) -> None:
        self.gate.set()


def _handler(stub: Stub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            stub.connections += 1
            super().setup()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["content-length"]))
            self.close_connection = stub.cut
            if stub.cut:
                return
            if self.path == "/v1/outcomes":
                self._told(json.loads(content)["outcomes"])
                return
            stub.asked.append((self.headers["x-entity-id"], self.headers["authorization"], ""))
            stub.gate.wait(30)
            number = f"{next(stub.numbers):08x}-0000-7000-8000-000000000000"
            self._say(stub.status, b'{"prediction_id":"%s"}' % number.encode())

        def _told(self, found: list[dict[str, Any]]) -> None:
            if stub.refused:
                stub.refused -= 1
                self._say(503, b"{}")
                return
            stub.outcomes.extend(found)
            self._say(202, b"{}")

        def _say(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("x-arm", "canary")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    return Handler


class Server(ThreadingHTTPServer):
    """A server that says nothing of callers who left."""

    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def answering() -> Iterator[Stub]:
    """A server that answers as a proxy would."""
    stub = Stub()
    server = Server(("127.0.0.1", 0), _handler(stub))
    stub.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield stub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def stub() -> Iterator[Stub]:
    """A server in the arms' place."""
    with answering() as found:
        yield found


@pytest.fixture
def asked(tmp_path: Path) -> Path:
    """Three requests whose outcomes are known at once."""
    trips = [
        {"body": "{}", "entity": f"rider-{place}", "outcome": 5.0 + place, "after": 0.0}
        for place in range(3)
    ]
    file = tmp_path / "requests.jsonl"
    file.write_text("".join(json.dumps(each) + "\n" for each in trips))
    return file


def waits(what: Callable[[], bool]) -> None:
    """Wait for something that takes a moment."""
    until(what, 10)


def failed(running: Traffic, arm: str) -> int:
    """Requests to an arm that failed so far."""
    return sum(each.failed and each.arm == arm for each in answers.read(running.answers))


def test_trips_are_asked_in_turn_with_key_and_entity_over_few_connections(
    stub: Stub, asked: Path, tmp_path: Path
) -> None:
    with traffic.generating(stub.address, KEY, asked, 200.0, tmp_path / "t") as running:
        waits(lambda: len(stub.asked) >= 60)
    assert {each[1] for each in stub.asked} == {f"Bearer {KEY}"}
    assert stub.connections < 20
    found = sorted(each for each in answers.read(running.answers) if each.entity)  # as sent
    assert [each.entity for each in found[:4]] == ["rider-0", "rider-1", "rider-2", "rider-0"]
    assert len(found) == len(stub.asked)
    assert {each.arm for each in found} == {"canary"}
    assert len({each.prediction_id for each in found}) == len(found)


def test_the_key_is_in_no_file_and_in_no_command_line(
    stub: Stub, asked: Path, tmp_path: Path
) -> None:
    with traffic.generating(stub.address, KEY, asked, 200.0, tmp_path / "t") as running:
        assert isinstance(running.process.args, list)
        assert KEY not in " ".join(running.process.args)
    assert not any(KEY in file.read_text() for file in (tmp_path / "t").iterdir())


def test_requests_come_however_slow_the_answers_are(
    stub: Stub, asked: Path, tmp_path: Path
) -> None:
    stub.gate.clear()
    with traffic.generating(stub.address, KEY, asked, 100.0, tmp_path / "t") as running:
        waits(lambda: len(stub.asked) >= 30)
        assert not answers.read(running.answers)
        stub.gate.set()


def test_outcomes_are_told_by_the_ids_of_their_answers(
    stub: Stub, asked: Path, tmp_path: Path
) -> None:
    with traffic.generating(stub.address, KEY, asked, 100.0, tmp_path / "t") as running:
        waits(lambda: len(stub.outcomes) >= 3)
    whose = {each.prediction_id: each.entity for each in answers.read(running.answers)}
    happened = {f"rider-{place}": 5.0 + place for place in range(3)}
    for told in stub.outcomes:
        assert told["value"] == happened[whose[told["prediction_id"]]]


def test_outcomes_that_are_refused_are_told_again_and_counted_as_failures(
    stub: Stub, asked: Path, tmp_path: Path
) -> None:
    stub.refused = 1
    with traffic.generating(stub.address, KEY, asked, 100.0, tmp_path / "t") as running:
        first = "00000001-0000-7000-8000-000000000000"
        waits(lambda: first in {each["prediction_id"] for each in stub.outcomes})
        waits(lambda: failed(running, "canary") == 1)


def test_answers_that_are_errors_or_break_off_are_counted_as_failures(
    stub: Stub, asked: Path, tmp_path: Path
) -> None:
    stub.status = 500
    with traffic.generating(stub.address, KEY, asked, 100.0, tmp_path / "t") as running:
        waits(lambda: failed(running, "canary") > 5)
        stub.cut = True
        waits(lambda: failed(running, NOBODY) > 5)
    assert all(each.failed for each in answers.read(running.answers))


def test_a_request_that_fails_as_nobody_foresaw_is_a_failure_with_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def odd(*_: object) -> None:
        raise LookupError

    async def run() -> int:
        asyncio.get_running_loop().call_later(0.1, generator.obey, "stop")
        return await generator.run(tmp_path / "answers.jsonl")

    monkeypatch.setattr(Connections, "post", odd)
    generator = Generator("http://127.0.0.1:9", KEY, [Trip("{}", "a", 1.0, 0.0)], 100.0)
    sent = asyncio.run(run())
    found = answers.read(tmp_path / "answers.jsonl")
    assert [each.said for each in found] == ["LookupError"] * sent
    assert sent > 1


def test_a_paused_generator_asks_nothing_until_it_is_resumed(
    stub: Stub, asked: Path, tmp_path: Path
) -> None:
    with traffic.generating(stub.address, KEY, asked, 50.0, tmp_path / "t") as running:
        waits(lambda: len(stub.asked) > 5)
        running.pause()
        # What it says of outcomes comes after what it heard.
        waits(lambda: len(stub.outcomes) >= len(stub.asked))
        before = len(stub.asked)
        waits(lambda: len(answers.read(running.answers)) >= before)
        assert len(stub.asked) == before
        running.resume()
        waits(lambda: len(stub.asked) > before + 10)


def test_a_generator_ends_with_who_started_it(stub: Stub, asked: Path, tmp_path: Path) -> None:
    with traffic.generating(stub.address, KEY, asked, 50.0, tmp_path / "t") as running:
        assert running.process.stdin is not None
        running.process.stdin.close()
        assert running.process.wait(10) == 0


def test_a_generator_that_fails_says_why(tmp_path: Path) -> None:
    (tmp_path / "requests.jsonl").write_text('{"body": 1}\n')
    with (
        pytest.raises(Problem, match="body"),
        traffic.generating("http://127.0.0.1:9", KEY, tmp_path / "requests.jsonl", 50.0, tmp_path),
    ):
        pass


def test_a_generator_that_was_killed_is_told(stub: Stub, asked: Path, tmp_path: Path) -> None:
    with (
        pytest.raises(Problem, match="exit status -9"),
        traffic.generating(stub.address, KEY, asked, 50.0, tmp_path / "t") as running,
    ):
        running.process.kill()
        running.process.wait()


def test_a_generator_that_cannot_write_its_answers_is_told(
    stub: Stub, asked: Path, tmp_path: Path
) -> None:
    with (
        pytest.raises(Problem, match="exit status 1: "),
        traffic.generating(stub.address, KEY, asked, 400.0, tmp_path / "t") as running,
    ):
        most = 20_000  # bytes; its log has fewer
        resource.prlimit(running.process.pid, resource.RLIMIT_FSIZE, (most, most))
        running.process.wait(10)


def test_a_request_whose_answer_is_missing_is_told(stub: Stub, asked: Path, tmp_path: Path) -> None:
    with (
        pytest.raises(Problem, match=r"\d+ answers; expected \d+ requests sent"),
        traffic.generating(stub.address, KEY, asked, 50.0, tmp_path / "t") as running,
    ):
        waits(lambda: len(stub.asked) > 5)
        running.stop()
        *kept, _ = running.answers.read_text().splitlines(keepends=True)
        running.answers.write_text("".join(kept))


def test_a_failure_of_the_block_ends_the_generator_and_stays_the_failure(
    stub: Stub, asked: Path, tmp_path: Path
) -> None:
    stub.gate.clear()
    with (
        pytest.raises(NoData, match="something else"),
        traffic.generating(stub.address, KEY, asked, 50.0, tmp_path / "t") as running,
    ):
        waits(lambda: len(stub.asked) > 5)
        raise NoData("something else", "none", "some", "Nothing.")
    assert running.process.poll() is not None
    stub.gate.set()


def answer(at: float, entity: str, arm: str = "canary", status: int = 200) -> Answer:
    """An answer after 10 ms."""
    return Answer(at, entity, arm, status, 10.0, "id")


def test_a_line_that_is_half_written_is_not_read_yet(tmp_path: Path) -> None:
    file = tmp_path / "answers.jsonl"
    line = answers.ENCODER.encode(answer(1.0, "a")) + b"\n"
    file.write_bytes(line + line[:9])
    assert answers.read(file) == [answer(1.0, "a")]


def test_a_damaged_line_is_refused(tmp_path: Path) -> None:
    (tmp_path / "answers.jsonl").write_text("[1, 2]\n")
    with pytest.raises(Problem, match="damaged"):
        answers.read(tmp_path / "answers.jsonl")


def test_the_last_request_that_an_arm_answered_is_of_those_sent_since() -> None:
    found = [answer(3, "a"), answer(2, "b"), answer(4, "c", "stable"), answer(5, "d", NOBODY, 0)]
    assert answers.last_sent(found, "canary", since=2) == 3
    assert answers.last_sent(found, "canary", since=3.5) is None


def test_an_entity_that_leaves_the_canary_is_a_flip_and_one_that_enters_it_is_none() -> None:
    found = [answer(1, "a", "stable"), answer(2, "a"), answer(1, "b"), answer(3, "b", "stable")]
    assert answers.flips(found) == {"b"}
    assert answers.flips(found, until=3) == frozenset()


def test_requests_that_were_under_way_at_once_are_no_flip() -> None:
    assert answers.flips([answer(1.0, "a"), answer(1.005, "a", "stable")]) == frozenset()


def test_who_got_no_answer_and_outcomes_are_in_no_cohort() -> None:
    found = [answer(1, "a"), answer(2, "a", NOBODY, 0), answer(3, "")]
    assert answers.flips(found) == frozenset()
    assert answers.cohort(found) == {"a"}
    assert answers.cohort(found, NOBODY) == {"a"}


def cohorts(random: np.random.Generator, same: bool) -> answers.Overlap:
    """The overlap of two releases at a weight of a fifth among 2,000 entities."""
    first = random.random(2_000) < 0.2
    second = first if same else random.random(2_000) < 0.2
    one, other = (
        [answer(0, str(who), "canary" if hit else "stable") for who, hit in enumerate(drawn)]
        for drawn in (first, second)
    )
    return answers.overlap(one, other)


def test_cohorts_drawn_anew_overlap_by_chance_and_equal_ones_by_more() -> None:
    random = np.random.default_rng(1)
    chance, same = cohorts(random, same=False), cohorts(random, same=True)
    assert abs(chance.shared - chance.expected) < 3 * chance.deviation
    assert same.shared - same.expected > 10 * same.deviation


def test_entities_of_one_release_alone_say_nothing_of_the_overlap() -> None:
    assert answers.overlap([answer(0, "a")], [answer(0, "b")]) == answers.Overlap(0, 0.0, 0.0)


def test_outcomes_are_due_in_the_order_in_which_they_become_known() -> None:
    waiting = Outcomes()
    waiting.add([Outcome(3.0, "c", 1.0), Outcome(1.0, "a", 1.0), Outcome(2.0, "b", 1.0)])
    assert [each.prediction_id for each in waiting.due(2.0)] == ["a", "b"]
    assert len(waiting) == 1
    waiting.add([Outcome(0.0, "d", 1.0)] * (MOST + 1))
    assert len(waiting.due(9.0)) == MOST
