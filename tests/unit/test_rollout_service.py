"""The verdict service: what a controller reads, and that a blind judge never promotes."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import httpx
import pytest

from preflight.bento import free_port
from preflight.rollout import service
from preflight.rollout.questions import Question, question
from preflight.rollout.service import Reader, application
from preflight.rollout.verdict import Verdict
from preflight.serving.problems import Refusal
from rollouts import EVERY, LIMITS, rollout
from scraped import Stored, listening

ROOT = Path(__file__).parents[2]
SELECTOR = 'app="{rollout}",rollouts_pod_template_hash="{hash}"'
PROXIES = 'job="envoy-{rollout}"'
ASKED = {"rollout": "taxi", "stable": "6d4c", "canary": "7f9b"}
HEALTHY = rollout(seed=1, looks=30, asked=(2700.0, 300.0))
PROMOTE = Verdict("promote", "All is well.", at=1.0)


@pytest.fixture(scope="module")
def server() -> Iterator[Stored]:
    """A Prometheus with a healthy canary 7f9b and a faulty one 5e5e, of rollouts of their own."""
    with listening() as found:
        for name, canary, more in (("taxi", "7f9b", {}), ("cab", "5e5e", {"errors": 0.04})):
            arms = {
                "stable": {"app": name, "rollouts_pod_template_hash": "6d4c"},
                "canary": {"app": name, "rollouts_pod_template_hash": canary},
            }
            scraped = rollout(seed=1, looks=30, asked=(2700.0, 300.0), **more)
            times = scraped.times - scraped.times[-1] + time.time()
            found.store(name, replace(scraped, times=times), arms)
        yield found


@pytest.fixture(autouse=True)
def _afresh(server: Stored) -> Iterator[None]:
    """It answers, and has been asked nothing."""
    server.says, server.asked = None, []
    server.gate.set()
    yield
    server.gate.set()


def reader(address: str) -> Reader:
    return Reader(address, LIMITS, SELECTOR, EVERY, PROXIES)


def asked(judge: Any, *queries: Mapping[str, str] | str, path: str = "/v1/verdict") -> list[Any]:
    """The answers to queries that come at once, a client each."""

    async def all_() -> list[Any]:
        transport = httpx.ASGITransport(application(judge), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://judge") as client:
            return await asyncio.gather(
                *(client.get(path, params=each or None) for each in queries)
            )

    return asyncio.run(all_())


def verdict(address: str, **query: str) -> dict[str, Any]:
    """The one verdict on a query."""
    (answer,) = asked(reader(address), ASKED | query)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    found: dict[str, Any] = answer.json()
    return found


def test_a_healthy_canary_is_promoted(server: Stored) -> None:
    found = verdict(server.address)
    assert found["result"] == "promote", found
    assert "the canary is worse by the margin in none of 8 metrics" in found["reason"]
    assert [each["name"] for each in found["metrics"]][:2] == ["errors", "slow"]


def test_a_faulty_canary_is_aborted(server: Stored) -> None:
    found = verdict(server.address, rollout="cab", canary="5e5e")
    assert found["result"] == "abort"
    assert "were answered with an error: the canary is worse" in found["reason"]


def test_the_start_may_be_told(server: Stored) -> None:
    started = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 60))
    found = verdict(server.address, started=started)
    assert 1 <= found["looks"] <= 6


def attempts(apart: float) -> dict[str, Any]:
    """The verdict where the same release was a faulty canary some seconds before."""
    before = rollout(seed=1, looks=30, asked=(2700.0, 300.0), errors=0.04)
    arms = {
        "stable": {"app": "twice", "rollouts_pod_template_hash": "6d4c"},
        "canary": {"app": "twice", "rollouts_pod_template_hash": "7f9b"},
    }
    times = HEALTHY.times - HEALTHY.times[-1] + time.time()
    with listening() as found:
        earlier = times[0] - apart - before.times[-1] + before.times
        found.store("twice", replace(before, times=earlier), arms)
        found.store("twice", replace(HEALTHY, times=times), arms)
        return verdict(found.address, rollout="twice")


def test_a_release_that_comes_back_is_judged_anew() -> None:
    found = attempts(apart=1800)
    assert found["result"] == "promote"
    assert found["looks"] <= len(HEALTHY.times)


def test_a_canary_that_was_away_for_a_moment_is_not() -> None:
    assert attempts(apart=300)["result"] == "abort"


def test_a_rollout_that_nobody_knows_goes_on_and_says_so(server: Stored) -> None:
    found = verdict(server.address, canary="0000")
    assert found["result"] == "continue"
    assert 'no canary with app="taxi",rollouts_pod_template_hash="0000"' in found["reason"]
    assert found["missing"]


def test_a_canary_whose_stable_is_unknown_goes_on(server: Stored) -> None:
    assert verdict(server.address, stable="0000")["result"] == "continue"


@pytest.mark.parametrize(
    "says",
    [
        b"",
        b"null",
        b"[]",
        b"<html>Bad gateway</html>",
        b'{"status":"error","errorType":"timeout","error":"query timed out"}',
        b'{"status":"success"}',
        b'{"status":"success","data":{"result":[]}}',
        b'{"status":"success","data":{"result":[{"metric":{},"value":[1,"NaN"]}]}}',
        b'{"status":"success","data":{"result":[{"metric":{},"value":[1,"promote"]}]}}',
        b'{"status":"success","data":{"result":[{"metric":{},"values":[[1,"x"]]}]}}',
        b'{"status":"success","data":{"result":[{"value":[1,"1e300"]}]}}',
        b'{"result":"promote"}',
    ],
)
def test_a_broken_prometheus_never_promotes_and_never_aborts(server: Stored, says: bytes) -> None:
    server.says = says
    found = verdict(server.address)
    assert found["result"] == "continue"
    assert found["reason"].startswith("The judge cannot see: ")
    assert found["missing"]


def test_a_prometheus_that_does_not_answer_is_no_error() -> None:
    found = verdict("http://127.0.0.1:9")
    assert found["result"] == "continue"
    assert "expected an answer of Prometheus" in found["reason"]


def test_a_prometheus_that_scrapes_no_more_promotes_nothing(server: Stored) -> None:
    stored = server.stored
    server.stored = {
        metric: [(at - 3600, value) for at, value in values] for metric, values in stored.items()
    }
    found = verdict(server.address)
    server.stored = stored
    assert found["result"] == "continue"
    assert "nothing is known since" in found["reason"]


def test_a_prometheus_that_hangs_is_not_waited_for(
    server: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "ANSWER_SECONDS", 0.05)
    server.gate.clear()
    threading.Timer(0.3, server.gate.set).start()
    found = verdict(server.address)
    assert (found["result"], found["metrics"]) == ("continue", [])
    assert "it is still read" in found["reason"]


def test_a_mistake_of_the_judge_ends_no_release(server: Stored) -> None:
    (answer,) = asked(replace(reader(server.address), limits=None), ASKED)  # type: ignore[arg-type]
    assert answer.status_code == 200
    assert answer.json()["result"] == "continue"
    assert "an error here" in answer.json()["reason"]


GARBAGE = [
    ("", "rollout"),
    ("rollout=taxi&stable=6d4c", "canary"),
    ("rollout=taxi&stable=6d4c&canary=", "canary"),
    ("rollout=taxi&stable=6d4c&canary=7f9b&canary=7f9b", "canary"),
    ("rollout=taxi&stable=6d4c&canary=6d4c", "canary"),
    ("rollout=taxi&stable=6d4c&canary=7f9b&force=promote", "query"),
    ("rollout=taxi&stable=6d4c&canary=7f9b&started=", "started"),
    ("rollout=taxi&stable=6d4c&canary=7f9b&started=yesterday", "started"),
    ("rollout=taxi&stable=6d4c&canary=7f9b&started=2026-02-31T00:00:00Z", "started"),
    ("rollout=taxi&stable=6d4c&canary=7f9b&started=2999-01-01T00:00:00Z", "started"),
    ("rollout=taxi&stable=6d4c&canary=7f9b&started=2999-01-01T00:00:00Z", "started"),
    ("rollout=taxi&stable=6d4c&canary=7f9b%22%7Dor%7Bjob%3D~%22.%2A", "canary"),
    ("rollout=taxi&stable=6d4c&canary=.%2A", "canary"),
    ("rollout=taxi&stable=6d4c&canary=7f9b%0A", "canary"),
    ("rollout=taxi&stable=6d4c&canary=7f9b%00", "canary"),
    ("rollout=taxi&stable=6d4c&canary=7F9B", "canary"),
    ("rollout=taxi&stable=6d4c&canary=%D9%A7", "canary"),
    ("rollout=taxi&stable=6d4c&canary=%ff", "canary"),
    ("rollout=taxi&stable=-6d4c&canary=7f9b", "stable"),
    ("rollout={hash}&stable=6d4c&canary=7f9b", "rollout"),
    (f"rollout={'a' * 64}&stable=6d4c&canary=7f9b", "rollout"),
]


@pytest.mark.parametrize(("query", "name"), GARBAGE)
def test_garbage_is_refused_by_name_and_never_reaches_prometheus(
    server: Stored, query: str, name: str
) -> None:
    (answer,) = asked(reader(server.address), "", path=f"/v1/verdict?{query}")
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    found = answer.json()
    assert (found["status"], found["field"]) == (400, name)
    assert "result" not in found
    assert len(answer.content) < 1_000
    assert server.asked == []


@pytest.mark.parametrize("name", ["a", "taxi", "taxi-2", "a" * 63, "7f9b-8c"])
def test_names_of_kubernetes_are_taken(name: str) -> None:
    pairs = (ASKED | {"rollout": name}).items()
    assert question(pairs, 0.0) == Question(name, "6d4c", "7f9b")


def test_what_is_asked_is_the_selector_with_the_names(server: Stored) -> None:
    verdict(server.address)
    arms = [each for each in server.asked if "rollouts_pod_template_hash" in each]
    assert {re.findall(r'app="(\w+)",rollouts_pod_template_hash="(\w+)"', each)[0] for each in arms}
    assert all('app="taxi"' in each for each in arms)


def test_a_started_time_is_in_seconds() -> None:
    pairs = ASKED | {"started": "2027-01-15T08:00:00Z"}
    assert question(pairs.items(), 1_800_000_060.0).started == 1_800_000_000.0
    with pytest.raises(Refusal):
        question(pairs.items(), 1_799_999_900.0)


def test_a_rollout_that_began_too_long_ago_is_not_seen_and_no_error(server: Stored) -> None:
    found = verdict(server.address, started="1999-01-01T00:00:00Z")
    assert found["result"] == "continue"
    assert "Begin the rollout again" in found["reason"]


@dataclass
class Judge:
    """Promotes, once its gate is open, and counts how often it was asked."""

    count: int = 0
    most: int = 0
    now: int = 0
    gate: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, _: Question) -> Verdict:
        """A verdict."""
        with self.lock:
            self.count, self.now = self.count + 1, self.now + 1
            self.most = max(self.most, self.now)
        self.gate.wait(5)
        with self.lock:
            self.now -= 1
        return PROMOTE


@contextmanager
def opening(after: float) -> Iterator[Judge]:
    """A judge whose gate opens after some seconds."""
    found = Judge()
    timer = threading.Timer(after, found.gate.set)
    timer.start()
    yield found
    timer.cancel()
    found.gate.set()


def test_a_flood_of_one_question_is_read_once() -> None:
    with opening(0.1) as judge:
        answers = asked(judge, *[ASKED] * 50)
    assert {each.json()["result"] for each in answers} == {"promote"}
    assert judge.count == 1


def test_a_verdict_grows_old(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "FRESH_SECONDS", 0.0)
    judge = Judge()
    judge.gate.set()

    async def twice() -> None:
        verdicts = service.Verdicts(judge)
        for _ in range(2):
            assert await verdicts(Question("taxi", "6d4c", "7f9b")) == PROMOTE

    asyncio.run(twice())
    assert judge.count == 2


def test_who_asks_again_gets_what_the_first_did_not_wait_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(service, "ANSWER_SECONDS", 0.02)
    judge, one = Judge(), Question("taxi", "6d4c", "7f9b")

    async def twice() -> tuple[Verdict, Verdict]:
        verdicts = service.Verdicts(judge)
        first = await verdicts(one)
        judge.gate.set()
        monkeypatch.setattr(service, "ANSWER_SECONDS", 5.0)
        return first, await verdicts(one)

    first, second = asyncio.run(twice())
    assert (first.result, second) == ("continue", PROMOTE)
    assert judge.count == 1


def test_different_questions_are_read_some_at_once() -> None:
    with opening(0.1) as judge:
        answers = asked(judge, *(ASKED | {"rollout": f"r{place}"} for place in range(12)))
    assert {each.json()["result"] for each in answers} == {"promote"}
    assert (judge.count, judge.most) == (12, service.READS)


def test_of_too_many_questions_some_wait_for_the_next_time() -> None:
    with opening(0.1) as judge:
        answers = asked(judge, *(ASKED | {"rollout": f"r{place}"} for place in range(40)))
    found = [each.json()["result"] for each in answers]
    assert {each.status_code for each in answers} == {200}
    assert (found.count("promote"), found.count("continue")) == (service.QUESTIONS, 8)


def test_health_does_not_wait_for_a_verdict() -> None:
    async def both(judge: Judge) -> None:
        transport = httpx.ASGITransport(application(judge))
        async with httpx.AsyncClient(transport=transport, base_url="http://judge") as client:
            slow = asyncio.create_task(client.get("/v1/verdict", params=ASKED))
            answers = [await client.get(path) for path in ("/livez", "/readyz")]
            assert [each.status_code for each in answers] == [200, 200]
            assert all(each.json() == {"status": "ok"} for each in answers)
            assert not slow.done()
            judge.gate.set()
            assert (await slow).json()["result"] == "promote"

    asyncio.run(both(Judge()))


@pytest.mark.parametrize("path", ["/", "/v1/verdict/", "/v1/verdicts", "/docs"])
def test_another_path_is_refused_in_json(path: str) -> None:
    (answer,) = asked(Judge(), ASKED, path=path)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["field"] == "path"


def test_only_get_is_allowed() -> None:
    async def posted() -> httpx.Response:
        transport = httpx.ASGITransport(application(Judge()))
        async with httpx.AsyncClient(transport=transport, base_url="http://judge") as client:
            return await client.post("/v1/verdict", params=ASKED)

    answer = asyncio.run(posted())
    assert (answer.status_code, answer.json()["status"]) == (405, 405)
    assert "GET" in answer.headers["allow"]


def test_an_error_in_the_service_is_a_problem_without_words() -> None:
    def broken(_: Question) -> Verdict:
        raise ValueError("secret")

    (answer,) = asked(broken, ASKED)
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert "secret" not in answer.text


def test_it_runs_by_itself_and_logs_in_json(server: Stored) -> None:
    port = free_port()
    command = (sys.executable, "-m", "preflight.rollout.service", "--prometheus", server.address)
    more = ("--envoy", PROXIES, "--interval", f"{EVERY:g}", "--port", str(port))
    variables = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    with subprocess.Popen(
        [*command, *more], cwd=ROOT, env=variables, stdout=subprocess.PIPE, text=True
    ) as running:
        try:
            wait(f"http://127.0.0.1:{port}/readyz")
            query = "&".join(f"{name}={value}" for name, value in ASKED.items())
            with urlopen(f"http://127.0.0.1:{port}/v1/verdict?{query}", timeout=10) as answer:
                assert json.load(answer)["result"] == "promote"
        finally:
            running.send_signal(signal.SIGTERM)
            said, _ = running.communicate(timeout=20)
    lines = [json.loads(each) for each in said.splitlines()]
    assert {each["level"] for each in lines} == {"info"}
    assert lines[-1]["message"].startswith("taxi, 7f9b: promote: After ")


def wait(address: str) -> None:
    """Until somebody answers there."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            with urlopen(address, timeout=1):  # noqa: S310
                return
        except OSError:
            time.sleep(0.05)
    raise TimeoutError(address)
