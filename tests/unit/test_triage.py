"""Triage: four symptoms told apart, from a log and what a service shows."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

import logged
from conftest import ROOT
from preflight.errors import Problem
from preflight.gates import limits
from preflight.watch import triage as triage_module
from preflight.watch.recent import Span
from preflight.watch.shares import Share, least_growth, p95_ends
from preflight.watch.symptoms import verdict
from preflight.watch.triage import Triage, length, shown, triage
from taxi.contract import CONTRACT

NOW = datetime(2021, 2, 10, 12)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
EVERY = timedelta(seconds=30)
SPAN = Span(NOW, HOUR, 3 * DAY, DAY)
NOBODY = "http://127.0.0.1:9"
LIMITS = limits.load(ROOT / "params.yaml")
Records = list[dict[str, Any]]
USUAL = """
preflight_mode{mode="normal"} 1.0
preflight_mode{mode="off"} 0.0
preflight_worker_started_seconds{pid="7"} 1.6e9
preflight_requests_total{client="dispatch",route="predict",status="200",version="v1"} 5000.0
preflight_requests_total{client="dispatch",route="predict",status="503",version="v1"} 0.0
preflight_log_failures_total{stream="predictions"} 0.0
"""


@pytest.fixture(scope="module")
def usual() -> Records:
    """Five days of predictions, 120 an hour."""
    return logged.predictions(5 * 24 * 120, (NOW - 5 * DAY).replace(tzinfo=UTC), every=EVERY)


def late(records: Records, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Records:
    """The records with those of the last hour changed."""
    since = logged.stamp((NOW - HOUR).replace(tzinfo=UTC))
    return [record | change(record) if record["at"] >= since else record for record in records]


def found(folder: Path, records: Records, address: str = NOBODY, outcomes: Records = []) -> Triage:  # noqa: B006
    """Triage of a log with these records."""
    if records:
        logged.write(folder, "predictions", records)
    if outcomes:
        logged.write(folder, "outcomes", outcomes)
    return triage(folder, folder, address, SPAN, CONTRACT, LIMITS)


def verdicts(of: Triage) -> dict[str, str]:
    """Verdicts by symptom."""
    return {symptom.name: symptom.verdict for symptom in of.symptoms}


def evidence(of: Triage, name: str) -> str:
    """What was told of a symptom."""
    (symptom,) = (each for each in of.symptoms if each.name == name)
    return "\n".join(symptom.evidence)


@contextmanager
def service(*pages: str, ready: int = 200) -> Iterator[str]:
    """A service that shows these pages of metrics in turn, the last one again and again."""
    waiting = list(pages)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            is_metrics = self.path == "/metrics"
            page = (waiting.pop(0) if len(waiting) > 1 else waiting[0]) if is_metrics else ""
            self.send_response(200 if is_metrics else ready)
            self.end_headers()
            self.wfile.write(page.encode())

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits between two looks."""
    monkeypatch.setattr(triage_module, "APART", 0.0)


def test_a_quiet_day_has_no_symptom(tmp_path: Path, usual: Records) -> None:
    outcomes = logged.outcomes(usual)
    with service(USUAL) as address:
        of = found(tmp_path, usual, address, outcomes)
    assert verdicts(of) == dict.fromkeys(("offline", "slow", "wrong", "changed input"), "no")
    assert (of.status, of.cause) == (0, None)


def test_an_empty_log_and_no_service_are_no_data(tmp_path: Path) -> None:
    of = found(tmp_path / "absent", [])
    assert set(verdicts(of).values()) == {"no data"}
    assert of.status == 2


def test_a_service_that_does_not_answer_is_offline(tmp_path: Path, usual: Records) -> None:
    of = found(tmp_path, usual)
    assert verdicts(of)["offline"] == "yes"
    assert "ConnectionRefusedError" in evidence(of, "offline")
    assert of.status == 1


def test_a_service_that_is_not_ready_is_offline(tmp_path: Path, usual: Records) -> None:
    with service(USUAL, ready=503) as address:
        of = found(tmp_path, usual, address)
    assert verdicts(of)["offline"] == "yes"
    assert "/readyz 503" in evidence(of, "offline")


def test_a_service_that_is_switched_off_is_offline_and_says_why(
    tmp_path: Path, usual: Records
) -> None:
    off = USUAL.replace('normal"} 1.0', 'normal"} 0.0').replace('off"} 0.0', 'off"} 1.0')
    with service(off) as address:
        of = found(tmp_path, usual, address)
    assert verdicts(of)["offline"] == "yes"
    assert of.cause == "somebody switched the service off"


def test_failed_answers_between_two_looks_are_offline(tmp_path: Path, usual: Records) -> None:
    later = USUAL.replace('status="503",version="v1"} 0.0', 'status="503",version="v1"} 40.0')
    with service(USUAL, later) as address:
        of = found(tmp_path, usual, address)
    assert verdicts(of)["offline"] == "yes"
    assert "(40 of 40) between two looks" in evidence(of, "offline")


def test_a_log_that_cannot_be_written_is_offline(tmp_path: Path, usual: Records) -> None:
    later = USUAL.replace('stream="predictions"} 0.0', 'stream="predictions"} 9.0')
    with service(USUAL, later) as address:
        of = found(tmp_path, usual, address)
    assert verdicts(of)["offline"] == "yes"
    assert "9 failures to write" in evidence(of, "offline")


def test_silence_after_steady_traffic_is_offline(tmp_path: Path, usual: Records) -> None:
    since = logged.stamp((NOW - HOUR).replace(tzinfo=UTC))
    with service(USUAL) as address:
        of = found(tmp_path, [each for each in usual if each["at"] < since], address)
    assert verdicts(of)["offline"] == "yes"
    assert "72 stretches as long before it, 0 had none" in evidence(of, "offline")


def test_silence_where_silence_is_usual_is_not_offline(tmp_path: Path, usual: Records) -> None:
    since = logged.stamp((NOW - HOUR).replace(tzinfo=UTC))
    mornings = [each for each in usual if each["at"] < since and each["at"][11:13] < "08"]
    with service(USUAL) as address:
        of = found(tmp_path, mornings, address)
    assert verdicts(of)["offline"] == "no"


def test_slow_answers_are_slow_by_their_model_and_arm(tmp_path: Path, usual: Records) -> None:
    def change(record: dict[str, Any]) -> dict[str, Any]:
        is_new = record["id"][-1] in "01234567"
        slow = {"latency_ms": 900.0, "model_version": "4", "arm": "canary"}
        return slow if is_new else {}

    with service(USUAL) as address:
        of = found(tmp_path, late(usual * 1, change), address)
    assert verdicts(of) | {"slow": "yes"} == verdicts(of)
    assert verdicts(of)["changed input"] == "no"
    assert of.cause is not None
    assert "model 4 answers since 11:0" in of.cause


def test_the_slower_of_two_models_is_named(tmp_path: Path, usual: Records) -> None:
    def change(record: dict[str, Any]) -> dict[str, Any]:
        return {"latency_ms": 900.0, "model_version": "4", "arm": "canary"}

    many = logged.predictions(200, (NOW - HOUR).replace(tzinfo=UTC), 5, HOUR / 200)
    of = found(tmp_path, [*late(usual, change), *many])
    assert "slowest: model 4, arm canary, p95 900.0 ms" in evidence(of, "slow")


def test_a_few_slow_answers_are_no_data(tmp_path: Path, usual: Records) -> None:
    few = [each for each in usual if each["at"] < logged.stamp((NOW - HOUR).replace(tzinfo=UTC))]
    more = logged.predictions(99, (NOW - HOUR).replace(tzinfo=UTC), 5, EVERY, latency_ms=900.0)
    assert verdicts(found(tmp_path, few + more))["slow"] == "no data"


def test_more_load_is_named_where_answers_are_slow(tmp_path: Path, usual: Records) -> None:
    more = logged.predictions(
        500, (NOW - HOUR).replace(tzinfo=UTC), 5, HOUR / 500, latency_ms=900.0
    )
    with service(USUAL) as address:
        of = found(tmp_path, usual + more, address)
    assert verdicts(of)["slow"] == "yes"
    assert of.cause is not None
    assert of.cause.startswith("load")


def test_wrong_answers_are_wrong_by_their_matured_outcomes(tmp_path: Path, usual: Records) -> None:
    outcomes = logged.outcomes(usual)
    middle = logged.stamp((NOW - 2 * DAY).replace(tzinfo=UTC))
    for record, outcome in zip(usual, outcomes, strict=True):
        if record["at"] >= middle:
            outcome["value"] = min(60.0, outcome["value"] + 9.0)
    with service(USUAL) as address:
        of = found(tmp_path, usual, address, outcomes)
    assert verdicts(of) == {
        "offline": "no",
        "slow": "no",
        "wrong": "yes",
        "changed input": "no",
    }
    assert "bias -8" in evidence(of, "wrong")
    assert of.cause is not None
    assert of.cause.startswith("the world")


def test_answers_without_an_outcome_that_was_due_are_no_data(
    tmp_path: Path, usual: Records
) -> None:
    young = logged.stamp((NOW - DAY).replace(tzinfo=UTC))
    outcomes = logged.outcomes([each for each in usual if each["at"] >= young], HOUR / 60)
    of = found(tmp_path, usual, NOBODY, outcomes)
    assert verdicts(of)["wrong"] == "no data"


def test_answers_of_the_baseline_are_wrong(tmp_path: Path, usual: Records) -> None:
    of = found(tmp_path, late(usual, lambda _: {"flags": ["fallback.output"]}))
    assert verdicts(of)["wrong"] == "yes"
    assert "baseline answered 100.00%" in evidence(of, "wrong")


def test_more_flags_are_a_changed_input(tmp_path: Path, usual: Records) -> None:
    with service(USUAL) as address:
        of = found(tmp_path, late(usual, lambda _: {"flags": ["combination.unseen"]}), address)
    assert verdicts(of)["changed input"] == "yes"
    assert "combination.unseen: 100.00%" in evidence(of, "changed input")
    assert of.cause is not None
    assert of.cause.startswith("whoever asks")


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("trip_distance", lambda given: given * 1.6),
        ("pickup_zone", lambda given: given % 30 + 1),
        ("pickup_at", lambda given: (datetime.fromisoformat(given) + 5 * HOUR).isoformat()),
    ],
)
def test_a_column_that_moved_is_a_changed_input_by_name(
    tmp_path: Path, usual: Records, column: str, value: Callable[[Any], Any]
) -> None:
    def change(record: dict[str, Any]) -> dict[str, Any]:
        return {"input": record["input"] | {column: value(record["input"][column])}}

    of = found(tmp_path, late(usual, change))
    assert verdicts(of)["changed input"] == "yes"
    assert f"columns moved by: {column}" in evidence(of, "changed input")
    (symptom,) = (each for each in of.symptoms if each.name == "changed input")
    assert f"input ->> '{column}'" in symptom.next


def test_hours_that_differ_every_day_are_no_changed_input(tmp_path: Path, usual: Records) -> None:
    noons = [
        record | {"input": record["input"] | {"trip_distance": 30.0}}
        if record["at"][11:13] == "11"
        else record
        for record in usual
    ]
    assert verdicts(found(tmp_path, noons))["changed input"] == "no"


def test_what_was_found_fits_a_screen_and_has_no_input_of_a_caller(
    tmp_path: Path, usual: Records
) -> None:
    def change(record: dict[str, Any]) -> dict[str, Any]:
        return {"client": "planted-secret", "entity": "planted-secret", "latency_ms": 900.0}

    text = shown(found(tmp_path, late(usual, change)), NOBODY, tmp_path)
    assert len(text.splitlines()) <= 24
    assert "planted-secret" not in text


def test_a_verdict_is_no_only_where_something_was_looked_for() -> None:
    assert verdict([None, True]) == "yes"
    assert verdict([None, False]) == "no"
    assert verdict([None]) == verdict([]) == "no data"


@pytest.mark.parametrize("text", ["", "1", "0h", "1w", "-1h", "1.5h", "99999d"])
def test_a_length_of_time_that_is_none_is_refused(text: str) -> None:
    assert [length(each) for each in ("30m", "1h", "7d")] == [HOUR / 2, HOUR, 7 * DAY]
    with pytest.raises(Problem, match="30m, 1h or 7d"):
        length(text)


def test_a_share_of_nothing_may_be_anything() -> None:
    assert Share(0, 0).ends == (0.0, 1.0)
    assert least_growth(Share(1, 1), Share(0, 0)) < 0


def test_intervals_of_shares_are_those_of_wilson_and_newcombe() -> None:
    low, high = Share(15, 148).ends
    for end in (low, high):  # where the observed share is 2.576 standard errors away
        assert abs(15 / 148 - end) == pytest.approx(2.576 * (end * (1 - end) / 148) ** 0.5)
    assert least_growth(Share(500, 1000), Share(10, 1000)) == pytest.approx(0.4477, abs=1e-3)


def test_ranks_around_a_percentile_draw_together_with_more_values() -> None:
    few, many = p95_ends(100), p95_ends(10_000)
    assert few[0] < many[0] < 0.95 < many[1] < few[1] <= 1.0
