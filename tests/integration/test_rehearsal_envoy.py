"""A real Envoy in front of small servers: weights, promotion, shadow, faults, under load."""

import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import psutil
import pytest

from preflight.deploy.declared import Declared
from preflight.errors import Problem
from preflight.files import write_json
from preflight.rehearsal import xds
from preflight.rehearsal.envoy import Proxy, proxied
from preflight.rollout.counting import Turn, track
from preflight.rollout.envoy import look
from preflight.rollout.scrapes import ATTEMPTS, FAILED, UNANSWERED

STABLE, CANARY, SHADOW = "taxi-stable", "taxi-canary", "taxi-shadow"
CLUSTERS = {"stable": STABLE, "canary": CANARY}
DECLARED = Declared(
    name="taxi",
    release="7-0123456789ab",
    steps=(),
    background=None,
    starting_step=0,
    metrics={},
    stable=STABLE,
    canary=CANARY,
    prefix="/v1/",
    sticky="X-Entity-Id",
    arms={"stable": {"X-Arm": "stable"}, "canary": {"X-Arm": "canary"}},
    timeout=1.0,
    idle_seconds=3.0,
    connect_seconds=2.0,
)
ENTITIES = tuple(f"rider-{place}" for place in range(250))
CALLERS, PAUSE = 6, 0.02  # at most 300 requests a second
FORGED = {"X-Arm": "canary", "X-Pair-Id": "mine", "X-Request-Id": "mine"}
Answer = tuple[int, str | None]  # the status, and the arm that the proxy says


class Arm(ThreadingHTTPServer):
    """Notes what it is asked; it waits `delay` seconds first, and `down` it answers nothing."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Asked)
        self.address = f"http://127.0.0.1:{self.server_port}"
        self.seen: list[tuple[float, dict[str, str]]] = []
        self.usual()

    def usual(self) -> None:
        self.delay, self.down = 0.0, False
        self.seen.clear()

    def noted(self, header: str) -> list[str | None]:
        return [headers.get(header) for _, headers in self.seen]


class Asked(BaseHTTPRequestHandler):
    """One connection to an arm."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 1 << 16
    server: Arm

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.server.seen.append((time.monotonic(), {k.lower(): v for k, v in self.headers.items()}))
        time.sleep(self.server.delay)
        if self.server.down:
            self.close_connection = True
            return
        self.send_response(200)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@dataclass
class Load:
    """What callers saw: statuses and arms, and the longest wait in seconds."""

    answers: list[Answer] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)

    @property
    def failed(self) -> list[Answer]:
        return [each for each in self.answers if each[0] != 200]


@dataclass
class Scene:
    """The proxy, and the servers that stand behind it in the usual order."""

    proxy: Proxy
    old: Arm
    new: Arm
    shadow: Arm

    @property
    def instances(self) -> dict[str, list[str]]:
        return {
            STABLE: [self.old.address],
            CANARY: [self.new.address],
            SHADOW: [self.shadow.address],
        }

    def usual(self) -> None:
        for each in (self.old, self.new, self.shadow):
            each.usual()
        self.proxy.route({STABLE: 100}, DECLARED.release)
        self.proxy.clusters(self.instances)


@contextmanager
def arm() -> Iterator[Arm]:
    server = Arm()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with arm() as old, arm() as new, arm() as shadow:
        scene = {STABLE: [old.address], CANARY: [new.address], SHADOW: [shadow.address]}
        with proxied(tmp_path_factory.mktemp("envoy"), DECLARED, scene) as proxy:
            yield Scene(proxy, old, new, shadow)


@pytest.fixture
def scene(started: Scene) -> Scene:
    started.usual()
    return started


def line(address: str) -> HTTPConnection:
    return HTTPConnection("127.0.0.1", urlsplit(address).port, timeout=5)


def post(line: HTTPConnection, headers: Mapping[str, str], path: str = "/v1/predict") -> Answer:
    line.request("POST", path, b"{}", dict(headers))
    with line.getresponse() as answer:
        answer.read()
        return answer.status, answer.headers["x-arm"]


def ask(
    scene: Scene, headers: Mapping[str, str] | None = None, path: str = "/v1/predict"
) -> Answer:
    with closing(line(scene.proxy.address)) as own:
        return post(own, headers or {}, path)


def cohort(scene: Scene) -> set[str]:
    """The entities whom the canary answers."""
    with closing(line(scene.proxy.address)) as own:
        return {each for each in ENTITIES if post(own, {"X-Entity-Id": each})[1] == "canary"}


def until(what: Callable[[], bool], seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.005)


@contextmanager
def load(scene: Scene) -> Iterator[Load]:
    """Callers of random entities, each on a connection of its own, until the block ends."""
    found, stop = Load(), threading.Event()

    def call(number: int) -> None:
        entities = itertools.cycle(ENTITIES[number::CALLERS])
        with closing(line(scene.proxy.address)) as own:
            while not stop.wait(PAUSE):
                start = time.monotonic()
                try:
                    answer = post(own, {"X-Entity-Id": next(entities)})
                except (OSError, HTTPException):
                    own.close()
                    answer = 0, None
                found.answers.append(answer)
                found.waits.append(time.monotonic() - start)

    threads = [threading.Thread(target=call, args=(number,)) for number in range(CALLERS)]
    for each in threads:
        each.start()
    try:
        until(lambda: len(found.answers) > 2 * CALLERS)
        yield found
    finally:
        stop.set()
        for each in threads:
            each.join()


def more(found: Load, requests: int) -> None:
    """Wait for so many requests more."""
    wanted = len(found.answers) + requests
    until(lambda: len(found.answers) >= wanted)


def test_forty_changes_of_the_weights_fail_no_request(scene: Scene) -> None:
    with load(scene) as found:
        for change in range(40):
            share = change * 37 % 101
            scene.proxy.route({STABLE: 100 - share, CANARY: share}, DECLARED.release)
            more(found, 5)
    assert found.failed == []
    assert {arm for _, arm in found.answers} == {"stable", "canary"}


def test_a_promotion_fails_no_request_and_frees_the_old_instances(scene: Scene) -> None:
    scene.old.delay = scene.new.delay = 0.05  # requests are under way while clusters change
    scene.proxy.route({STABLE: 50, CANARY: 50}, DECLARED.release)
    with load(scene) as found:
        more(found, 30)
        scene.proxy.promote([scene.new.address], DECLARED.release)
        time.sleep(2 * scene.old.delay)  # what the old instance has begun, it answers
        scene.old.down, seen = True, len(scene.old.seen)
        more(found, 60)
    assert found.failed == []
    assert len(scene.old.seen) == seen
    assert {arm for _, arm in found.answers[-20:]} == {"stable"}


def test_no_entity_leaves_the_canary_while_its_weight_rises(scene: Scene) -> None:
    cohorts = []
    for share in (5, 20, 50):
        scene.proxy.route({STABLE: 100 - share, CANARY: share}, DECLARED.release)
        cohorts.append(cohort(scene))
    assert cohorts[0] < cohorts[1] < cohorts[2]
    sizes = [len(each) / len(ENTITIES) for each in cohorts]
    assert sizes == pytest.approx([0.05, 0.2, 0.5], abs=0.08)


def test_cohorts_of_two_releases_overlap_by_chance_and_of_one_are_the_same(scene: Scene) -> None:
    cohorts = []
    for release in ("7-0123456789ab", "7-0123456789ab", "8-0123456789ab"):
        scene.proxy.route({STABLE: 70, CANARY: 30}, release)
        cohorts.append(cohort(scene))
    first, again, next_release = cohorts
    assert first == again
    expected = len(first) * len(next_release) / len(ENTITIES)
    assert len(first & next_release) == pytest.approx(expected, abs=4 * np.sqrt(expected))
    assert len(first & next_release) < 0.7 * min(len(first), len(next_release))


def test_an_abort_empties_the_canary_within_a_second(scene: Scene) -> None:
    scene.proxy.route({STABLE: 50, CANARY: 50}, DECLARED.release)
    with load(scene) as found:
        more(found, 30)
        verdict = time.monotonic()
        scene.proxy.route({STABLE: 100}, DECLARED.release)
        more(found, 60)
    last = max(at for at, _ in scene.new.seen)
    assert last - verdict < 1
    assert found.failed == []


def test_what_a_caller_says_of_arm_pair_and_request_is_overwritten(scene: Scene) -> None:
    assert ask(scene, FORGED) == (200, "stable")
    ((_, headers),) = scene.old.seen
    assert headers["x-arm"] == "stable"
    assert "x-pair-id" not in headers
    assert headers["x-request-id"] != "mine"


def test_a_mirrored_request_and_its_copy_share_an_id_that_no_caller_makes(scene: Scene) -> None:
    scene.proxy.route({STABLE: 100}, DECLARED.release, mirror=SHADOW)
    for _ in range(20):
        assert ask(scene, FORGED) == (200, "stable")
    until(lambda: len(scene.shadow.seen) == 20)
    ids = scene.old.noted("x-pair-id")
    assert sorted(map(str, ids)) == sorted(map(str, scene.shadow.noted("x-pair-id")))
    assert len(set(ids)) == 20
    assert not {"mine", None} & set(ids)
    assert set(scene.old.noted("x-arm")) == {"stable"}
    assert set(scene.shadow.noted("x-arm")) == {"shadow"}


@pytest.mark.parametrize(("delay", "down"), [(5.0, False), (0.0, True)], ids=["slow", "failing"])
def test_a_slow_or_failing_shadow_touches_nobody(scene: Scene, delay: float, down: bool) -> None:
    scene.shadow.delay, scene.shadow.down = delay, down
    scene.proxy.route({STABLE: 100}, DECLARED.release, mirror=SHADOW)
    with load(scene) as found:
        more(found, 100)
    assert found.failed == []
    assert max(found.waits) < DECLARED.timeout
    assert len(scene.shadow.seen) > 100


@pytest.mark.parametrize(
    "path",
    ["/metrics", "/v1/../metrics", "/v1/%2e%2e/metrics", "//metrics", "/v1x", "/explain", "/"],
)
def test_what_is_not_below_the_prefix_is_not_routed(scene: Scene, path: str) -> None:
    assert ask(scene, path=path) == (404, None)
    assert not scene.old.seen


def test_a_request_has_the_time_that_is_declared(scene: Scene) -> None:
    scene.old.delay = 2 * DECLARED.timeout
    start = time.monotonic()
    assert ask(scene) == (504, "stable")
    assert time.monotonic() - start == pytest.approx(DECLARED.timeout, abs=0.5)


def counted(turns: list[Turn]) -> dict[str, float]:
    """What the judge counts of an arm from its first reading on."""
    times = [at for at, _ in turns]
    found = track(turns, times[1:], times[0], "Envoy", lambda series: True)
    return {each.name: value for each, value in zip(found.series, found.counts[-1], strict=True)}


def seen(scene: Scene, arm: str) -> Turn:
    found = look(scene.proxy.admin, CLUSTERS)
    (one,) = [each for each in found if each.arm == arm]
    assert one.reason == ""
    return time.time(), one


def test_an_arm_that_refuses_connections_fails_visibly_and_counting_goes_on(scene: Scene) -> None:
    scene.proxy.route({STABLE: 0, CANARY: 100}, DECLARED.release)
    turns = [seen(scene, "canary")]
    assert ask(scene) == (200, "canary")
    turns.append(seen(scene, "canary"))
    with arm() as gone:
        pass
    scene.proxy.clusters({**scene.instances, CANARY: [gone.address]})
    assert ask(scene) == (503, "canary")
    turns.append(seen(scene, "canary"))
    found = counted(turns)
    assert (found[ATTEMPTS], found[FAILED], found[UNANSWERED]) == (2, 1, 1)


def test_after_a_restart_on_the_same_ports_the_judge_counts_on(scene: Scene) -> None:
    turns, before = [seen(scene, "stable")], scene.proxy.pid
    for _ in range(9):
        ask(scene)
    turns.append(seen(scene, "stable"))
    scene.proxy.restart()
    assert scene.proxy.pid != before
    for _ in range(4):
        assert ask(scene) == (200, "stable")
    turns.append(seen(scene, "stable"))
    assert counted(turns)[ATTEMPTS] == 13


def test_a_restart_keeps_the_weights(scene: Scene) -> None:
    scene.proxy.route({CANARY: 100}, DECLARED.release)
    scene.proxy.restart()
    assert ask(scene) == (200, "canary")


def test_a_refused_route_is_told_with_its_reason_and_the_last_good_stays(scene: Scene) -> None:
    scene.proxy.route({CANARY: 100}, DECLARED.release)
    with pytest.raises(Problem, match="unknown shadow cluster 'nobody'"):
        scene.proxy.route({STABLE: 100}, DECLARED.release, mirror="nobody")
    assert ask(scene) == (200, "canary")
    scene.proxy.restart()
    assert ask(scene) == (200, "canary")
    scene.proxy.route({STABLE: 100}, DECLARED.release)
    assert ask(scene) == (200, "stable")


def test_refused_clusters_are_told_with_their_reason_and_the_last_good_stay(scene: Scene) -> None:
    with pytest.raises(Problem, match="malformed IP address"):
        scene.proxy.clusters({**scene.instances, STABLE: ["http://127.0.0.1.1:3000"]})
    assert ask(scene) == (200, "stable")


def test_clusters_without_one_that_the_route_leads_to_are_refused(scene: Scene) -> None:
    scene.proxy.route({STABLE: 100}, DECLARED.release, mirror=SHADOW)
    with pytest.raises(Problem, match=f"no {SHADOW}"):
        scene.proxy.clusters({STABLE: [scene.old.address], CANARY: []})


def test_a_release_has_its_first_answer_from_stable_alone(scene: Scene) -> None:
    assert Counter(ask(scene) for _ in range(20)) == {(200, "stable"): 20}
    assert not scene.new.seen


def test_an_envoy_that_does_not_start_says_why_and_none_is_left(tmp_path: Path) -> None:
    with proxied(tmp_path, DECLARED, {STABLE: [], CANARY: []}) as proxy:
        pid = proxy.pid
        write_json(tmp_path / xds.BOOTSTRAP, {"admin": 3})
        with pytest.raises(Problem, match="no readiness"):
            proxy.restart()
    assert not psutil.pid_exists(pid)


def test_whatever_ends_the_block_ends_envoy(tmp_path: Path) -> None:
    with (
        pytest.raises(KeyboardInterrupt),
        proxied(tmp_path, DECLARED, {STABLE: [], CANARY: []}) as proxy,
    ):
        raise KeyboardInterrupt
    assert not psutil.pid_exists(proxy.pid)
