"""A service of a real Bento with two workers: what they share, and what follows when one goes."""

import itertools
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest

from served import DRAIN_SECONDS, TWO, Asked, Service, kept, load, packaged, post, running, until

pytestmark = pytest.mark.usefixtures("unmeasured")

COUNTERS = ("preflight_requests_total", "preflight_latency_seconds_count")


@pytest.fixture(scope="module")
def two(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service of two workers."""
    with running(built, packaged(built), tmp_path_factory.mktemp("two"), TWO) as found:
        yield found


def test_bentomls_routes_still_answer(two: Service) -> None:
    for route in ("/", "/livez", "/readyz", "/metrics", "/docs.json"):
        with urlopen(two.server.address + route, timeout=10) as answer:  # noqa: S310
            assert answer.status == 200


def test_workers_share_their_counters(two: Service) -> None:
    before = [two.total(name, route="predict") for name in COUNTERS]
    predictions = two.total("preflight_predictions_total")
    with kept(two) as connections:
        for connection in connections * 50:
            assert post(connection, two.server.headers)[0] == 200
    after = [two.total(name, route="predict") for name in COUNTERS]
    assert after == [count + 102 for count in before]  # and one for each that was opened
    assert two.total("preflight_predictions_total") == predictions + 102


def test_a_killed_worker_is_replaced_while_the_other_answers(two: Service) -> None:
    gone, other = two.workers()
    before = two.total("preflight_requests_total", route="predict")
    began = two.total("preflight_started_seconds")
    with load(two, 4) as asked:
        until(lambda: len(asked) > 100, 10)
        gone.kill()
        killed = time.monotonic()
        until(lambda: len(two.workers()) == 2 and other in two.workers(), 15)
        until(lambda: len(two.pids()) == 2 and str(gone.pid) not in two.pids(), 15)
        assert time.monotonic() - killed < 15
    assert_never_silent(asked, killed)
    # Each caller may lose the one request that the dead worker had.
    assert sum(each.status != 200 for each in asked) <= 4
    answered = sum(each.status == 200 for each in asked)
    # The counts outlive a worker: to a judge the service has not begun anew.
    assert two.total("preflight_started_seconds") == began > 1.7e9
    # A worker counts a request when its answer has left: of the one in hand it may die in between.
    assert two.total("preflight_requests_total", route="predict") >= before + answered - 1


def test_a_worker_that_drains_alone_leaves_the_callers_to_the_other(two: Service) -> None:
    gone, _ = two.workers()
    with load(two, 4) as asked:
        until(lambda: len(asked) > 100, 10)
        gone.terminate()
        told = time.monotonic()
        until(lambda: gone not in two.workers(), DRAIN_SECONDS + 5)
        until(lambda: len(two.workers()) == 2 and len(two.pids()) == 2, 15)
    assert_never_silent(asked, told)
    assert [each for each in asked if each.connected and each.status != 200] == []


def assert_never_silent(asked: list[Asked], since: float) -> None:
    """Between two answers never more than two seconds passed."""
    times = [since, *sorted(each.at for each in asked if each.status == 200 and each.at > since)]
    assert len(times) > 100
    assert max(after - before for before, after in itertools.pairwise(times)) < 2
