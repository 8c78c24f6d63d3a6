"""Counts of a rollout are exact through resets, gaps and arrivals, and what is lost is told."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from preflight.errors import NoData, Problem
from preflight.rollout.history import observed
from preflight.rollout.observed import ARMS, CANARY, STABLE, Observed
from preflight.rollout.scrapes import (
    BEGAN,
    BEGAN_ABOUT,
    BUCKETS,
    ERRORS,
    FALLBACKS,
    FLAGGED,
    LATENCY,
    MEMORY,
    PREDICTIONS,
    PROXY,
    REQUESTS,
    WIDTH,
    WORKERS,
    Reading,
    Round,
    Scrapes,
    Series,
    read,
    reading,
)
from preflight.serving.metrics import Metrics

START = 1_800_000_000.0  # 08:00:00 UTC
EDGES = ("5", "20", "+Inf")
Samples = dict[str, list[tuple[Mapping[str, str], float]]]


def page(
    count: float,
    began: float = START - 1000,
    *,
    errors: float = 0,
    edges: Sequence[str] = EDGES,
    workers: Mapping[str, float] | None = None,
    shown: bool = True,
) -> Samples:
    """What a service shows after `count` requests, all of bucket 03, of which one in two is slow.

    `began` is when the service did, told if `shown`, and `workers` when each of them.
    """
    route, bucket = {"route": "predict"}, {"entity_bucket": "03"}
    both = route | bucket
    started = {"7": began} if workers is None else workers
    return {
        REQUESTS: [
            (route | {"version": "v1", "client": "a", "status": "200"}, count),
            ({"route": "none", "version": "-", "client": "-", "status": "404"}, 0),
            ({"route": "version", "version": "-", "client": "a", "status": "200"}, 9 * count),
        ],
        LATENCY: [(both, count)],
        BUCKETS: [
            (both | {"le": "0.05"}, count // 4),
            (both | {"le": "0.1"}, count // 2),
            (both | {"le": "+Inf"}, count),
        ],
        ERRORS: [(both, errors)],
        PREDICTIONS: [(bucket | {"bin": edge}, count * (edge == "20")) for edge in edges],
        WIDTH: [(bucket, 2.5 * count)],
        FLAGGED: [(bucket, count // 5)],
        FALLBACKS: [(bucket | {"reason": name}, count // 10) for name in ("mode", "output")],
        WORKERS: [({"pid": pid}, at) for pid, at in started.items()],
        MEMORY: [({"pid": pid}, 1e8) for pid in started],
        BEGAN: [({}, began)] if shown else [],
    }


def stable(count: float) -> Reading:
    """The one process of the stable arm."""
    return reading("stable", "s1", page(count))


def canary(samples: Samples | None, instance: str = "c1") -> Reading:
    """A process of the canary; None where it does not answer."""
    if samples is None:
        return Reading("canary", instance, reason="TimeoutError")
    return reading("canary", instance, samples)


def rounds(*canaries: Samples | Sequence[Reading] | None) -> list[Round]:
    """Rounds 10 s apart, the first at the start; the stable arm answers 100 requests in each."""
    return [
        Round(
            START + 10 * place,
            (stable(100 * place), *(each if isinstance(each, list) else [canary(each)])),  # type: ignore[arg-type]
        )
        for place, each in enumerate(canaries)
    ]


def look(found: Sequence[Round]) -> Observed:
    """What is observed at the last round."""
    return observed(found, START, 0.1, found[-1].at + 3)


def answered(found: Observed, arm: int = CANARY) -> list[float]:
    """Requests of an arm that were answered, at each look."""
    total: list[float] = found.shares["errors"].total[:, arm].sum(axis=1).tolist()
    return total


def test_counts_begin_at_the_start_and_keep_to_their_bucket() -> None:
    found = look(rounds(page(40), page(60, errors=3), page(80, errors=4)))
    assert found.times.tolist() == [START, START + 10, START + 20]
    assert answered(found) == [0, 20, 40]
    assert answered(found, STABLE) == [0, 100, 200]
    assert found.shares["errors"].hits[-1, CANARY, 3] == 4
    assert found.shares["slow"].hits[-1, CANARY, 3] == 20
    assert found.shares["flags"].hits[-1, CANARY, 3] == 8
    assert found.shares["fallbacks"].hits[-1, CANARY, 3] == 8
    assert found.shares["bad_outputs"].hits[-1, CANARY, 3] == 4
    assert (found.widths.hits[-1, CANARY, 3], found.widths.total[-1, CANARY, 3]) == (100, 32)
    assert found.bins[-1, CANARY, 3].tolist() == [0, 40, 0]
    assert (found.missing, found.stale) == ((), 3)


def test_a_counter_that_fell_is_a_restart_and_all_it_shows_is_new() -> None:
    found = look(rounds(page(5), page(9), page(3, shown=False)))
    assert answered(found) == [0, 4, 7]
    assert found.missing == (
        "canary c1 restarted between 08:00:10 UTC and 08:00:20 UTC: what it counted last before it "
        "ended is lost",
    )


def test_many_restarts_are_one_sentence() -> None:
    found = look(rounds(page(5), page(9), page(3), page(8), page(2), page(1)))
    assert answered(found) == [0, 4, 7, 12, 14, 15]
    assert found.missing == (
        "canary c1 restarted 3 times between 08:00:10 UTC and 08:00:50 UTC: what it counted last "
        "before each ended is lost",
    )


def test_a_restart_is_seen_by_its_time_alone() -> None:
    hidden = page(5, shown=False)  # while no worker lives
    found = look(rounds(page(0), page(5), hidden, page(7, START + 24)))
    assert answered(found) == [0, 5, 5, 12]
    assert "restarted" in found.missing[0]


@pytest.mark.parametrize("shown", [True, False])
def test_the_counts_of_a_replaced_worker_live_on_and_are_counted_once(shown: bool) -> None:
    last = page(7, workers={"8": START + 14}, shown=shown)
    found = look(rounds(page(0, shown=shown), page(5, shown=shown), last))
    assert answered(found) == [0, 5, 7]
    assert (found.health.restarts, found.missing) == (1, ())


def test_a_new_instance_counts_from_zero() -> None:
    found = look(rounds(page(5), [canary(page(6)), canary(page(30, START + 2), "c2")]))
    assert answered(found) == [0, 31]
    assert (found.missing, found.health.restarts) == ((), 0)


def test_an_older_instance_that_is_seen_late_begins_at_its_first_reading() -> None:
    found = look(rounds(None, page(50), page(60)))
    assert answered(found) == [0, 0, 10]
    assert found.missing == (
        "canary c1 was first read at 08:00:10 UTC: what it counted before is lost",
    )


def test_a_series_that_appears_counts_from_zero() -> None:
    first = page(5)
    del first[ERRORS]
    assert look(rounds(first, page(9, errors=2))).shares["errors"].hits[-1, CANARY, 3] == 2


def test_a_missed_scrape_is_no_look_and_its_counts_come_with_the_next() -> None:
    found = look(rounds(page(5), None, page(25)))
    assert found.times.tolist() == [START, START + 20]
    assert (answered(found), found.missing) == ([0, 20], ())


def test_who_is_silent_at_the_end_is_told_with_since_when() -> None:
    found = look(rounds(page(5), page(6), None, None))
    assert found.times.tolist() == [START, START + 10]
    assert found.stale == 23
    assert found.missing == ("canary c1 has not answered since 08:00:20 UTC (TimeoutError)",)


def test_an_instance_that_is_gone_keeps_what_it_counted_and_its_loss_is_told() -> None:
    both = [canary(page(9)), canary(page(20), "c2")]
    found = look(rounds([canary(page(5)), canary(page(0), "c2")], both, [canary(page(10))]))
    assert answered(found) == [0, 24, 25]
    assert found.missing == (
        "canary c2 has been gone since 08:00:20 UTC: what it counted after 08:00:10 UTC is lost",
    )


def test_a_canary_without_an_instance_is_no_look() -> None:
    found = look(rounds(page(5), page(6), []))
    assert found.times.tolist() == [START, START + 10]
    assert "canary has had no instance since 08:00:20 UTC" in found.missing


def test_one_that_replaces_a_vanished_one_is_a_restart_and_one_more_is_none() -> None:
    new = canary(page(1, START + 12), "c2")
    assert look(rounds(page(5), page(6), [new])).health.restarts == 1
    assert look(rounds(page(5), page(6), [canary(page(7)), new])).health.restarts == 0
    other, both = [canary(page(6), "c0")], [canary(page(7)), new]
    assert look(rounds(page(5), other, page(7), both)).health.restarts == 1
    grown = page(7, workers={"7": START - 1000, "8": START + 12})
    assert look(rounds(page(5), page(6), grown)).health.restarts == 0


def test_the_most_memory_of_a_canary_worker_is_kept() -> None:
    assert look(rounds(page(5), page(6))).health.memory == 1e8
    assert look(rounds(None, None)).health.memory is None


def test_bins_that_differ_are_told_and_not_compared() -> None:
    found = look(rounds(page(5), page(6, edges=("5", "30", "+Inf"))))
    assert found.edges == (("5", "20", "+Inf"), ("5", "30", "+Inf"))
    assert found.bins.shape == (2, 2, 32, 0)


def test_instances_of_one_arm_whose_bins_differ_are_told() -> None:
    other = page(6, edges=("5", "30", "+Inf"))
    found = look(rounds(page(5), [canary(page(6)), canary(other, "c2")]))
    assert found.bins.shape[-1] == 0
    assert "instances of canary differ in their bins" in found.missing


def test_slow_must_be_an_edge() -> None:
    with pytest.raises(Problem, match=r"no edge at 0\.3 s; expected one of 0\.05, 0\.1"):
        observed(rounds(page(5), page(6)), START, 0.3, START)


def test_a_metric_that_an_arm_does_not_show_is_never_zero_of_many() -> None:
    less = page(6)
    del less[ERRORS]
    found = look(rounds(page(5), less, less))
    assert found.shares["errors"].total[-1, STABLE].sum() == 200
    more = page(16)
    del more[ERRORS]
    without = look(rounds(less, more))
    assert without.shares["flags"].total[-1, CANARY].sum() == 10
    assert without.shares["errors"].total[-1, CANARY].sum() == 0
    assert f"canary shows no {ERRORS}" in without.missing


def test_without_a_round_since_the_start_there_is_nothing() -> None:
    found = observed([], START, 0.1, START + 60)
    assert (found.times.tolist(), found.stale) == ([START], 60)
    assert found.missing == ("nothing was read since the start at 08:00:00 UTC",)


def relay(arm: str, *figures: float, up: float = 5000, at: float = START) -> Reading:
    """The proxy: attempts, retried, failed, unanswered."""
    values = np.array([*figures, up], dtype=float)
    return Reading(arm, "envoy", PROXY, values, ((Series(BEGAN_ABOUT), at - up),))


def proxied(*figures: tuple[Samples, Sequence[float], float]) -> list[Round]:
    """Rounds with a canary's page, the proxy's figures of it, and for how long it is up."""
    return [
        Round(
            START + 10 * place,
            (stable(100 * place), canary(samples)),
            (relay("stable", 100 * place, 0, 0, 0, up=up), relay("canary", *of_canary, up=up)),
        )
        for place, (samples, of_canary, up) in enumerate(figures)
    ]


def test_the_proxys_figures_stand_beside_what_the_arms_counted() -> None:
    found = look(proxied((page(5), (7, 0, 1, 0), 50), (page(25), (37, 0, 11, 8), 60))).proxied
    assert found is not None
    assert found.sent[-1].tolist() == [100, 30]
    assert found.failed[-1].tolist() == [0, 10]
    assert found.unreached[-1].tolist() == [0, 8]
    assert found.counted[-1].tolist() == [100, 20]


@pytest.mark.parametrize("figures", [(9, 0, 2, 0), (60, 0, 7, 0)])
def test_a_proxy_that_restarts_counts_anew(figures: Sequence[float]) -> None:
    found = look(proxied((page(5), (50, 0, 5, 0), 500), (page(9), figures, 5)))
    assert found.proxied is not None
    assert found.proxied.sent[-1, CANARY] == figures[0]
    assert "the proxy of canary envoy restarted" in " ".join(found.missing)


def test_a_page_that_stands_still_while_the_proxy_sends_is_no_look() -> None:
    still = proxied(
        (page(5), (5, 0, 0, 0), 50), (page(9), (9, 0, 0, 0), 60), (page(9), (129, 0, 0, 0), 70)
    )
    found = look(still)
    assert found.times.tolist() == [START, START + 10]
    assert found.missing == (
        "canary counted nothing while the proxy sent it 120 requests since 08:00:10 UTC",
    )
    later = Round(START + 30, (stable(300), canary(page(130))), still[-1].proxies)
    assert answered(look([*still, later])) == [0, 4, 125]


def test_requests_that_the_proxy_answered_itself_freeze_nothing() -> None:
    found = look(proxied((page(5), (5, 0, 0, 0), 50), (page(5), (125, 0, 120, 120), 60)))
    assert len(found.times) == 2
    assert found.missing == ()


def test_an_answer_that_broke_off_did_reach_the_arm() -> None:
    found = look(proxied((page(5), (5, 0, 0, 0), 50), (page(15), (15, 0, 0, 4), 60))).proxied
    assert found is not None
    assert found.unreached[-1].tolist() == [0, 0]


def test_a_proxy_that_retries_is_told() -> None:
    found = look(proxied((page(5), (5, 0, 0, 0), 50), (page(30), (30, 5, 0, 0), 60)))
    assert found.proxied is not None
    assert found.proxied.sent[-1, CANARY] == 20
    assert "the proxy retried 5 requests to canary" in found.missing[0]


def test_a_proxy_that_does_not_answer_leaves_the_arms_a_look_of_their_own() -> None:
    found = proxied((page(5), (5, 0, 0, 0), 50), (page(9), (9, 0, 0, 0), 60))
    silent = tuple(Reading(arm, "envoy", reason="gone") for arm in ("stable", "canary"))
    last = Round(START + 20, (stable(200), canary(page(10))), silent)
    seen = look([*found, last])
    assert seen.times.tolist() == [START, START + 10, START + 20]
    assert seen.proxied is not None
    assert len(seen.proxied.sent) == 2


def test_what_the_service_counts_is_what_is_read() -> None:
    service = Metrics([5, 20])
    service.judge("predict")
    pages = []
    for _ in range(2):
        text = generate_latest(service.registry).decode()
        found: Samples = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                found.setdefault(sample.name, []).append((sample.labels, sample.value))
        pages.append(found)
        service.request("predict", "v1", "a", "200")
        service.answered("predict", 31, 0.15, failed=True)
        service.prediction(31, 7.5, 2.5, None)
        service.prediction(31, 7.5, None, "output")
        service.flagged(31, [["odd"]])
    known = [
        Round(START + 10 * place, tuple(reading(arm, "one", each) for arm in ARMS))
        for place, each in enumerate(pages)
    ]
    seen = look(known)
    assert seen.missing == ()
    assert {name: (each.hits[-1, CANARY, 31], each.total[-1, CANARY, 31])
            for name, each in seen.shares.items()} == {
        "errors": (1, 1), "slow": (1, 1), "fallbacks": (1, 2), "flags": (1, 2),
        "bad_outputs": (1, 2),
    }  # fmt: skip
    assert (seen.widths.hits[-1, CANARY, 31], seen.widths.total[-1, CANARY, 31]) == (2.5, 1)
    assert seen.bins[-1, CANARY, 31].tolist() == [0, 2, 0]


STEP = st.tuples(st.integers(0, 9), st.booleans(), st.booleans(), st.booleans(), st.integers(0, 9))


@settings(max_examples=150, deadline=None)
@given(st.lists(STEP, min_size=1, max_size=12))
def test_what_is_counted_is_the_truth_without_what_is_told_lost(
    steps: list[tuple[int, bool, bool, bool, int]],
) -> None:
    pages: list[Samples | None] = [page(3)]
    shown, read_, truth, began, lost, restarts = 3, 3, 0, START - 1000, 0, 0
    for place, (more, dies, worker, missed, after) in enumerate(steps, 1):
        truth, shown = truth + more, shown + more
        if dies:  # what it counted since its last reading goes with it
            lost, read_, shown = lost + shown - read_, 0, after
            began, truth = START + 10 * place - 4, truth + after
        pages.append(None if missed else page(shown, began, workers={"7": began + worker}))
        read_ = read_ if missed else shown
        restarts += dies
    pages.append(page(shown, began))
    found = look(rounds(*pages))
    assert answered(found)[-1] == truth - lost
    assert bool(lost) <= any("is lost" in each for each in found.missing)
    assert (restarts == 0) <= (found.missing == ())


def test_a_file_gives_back_its_rounds(tmp_path: Path) -> None:
    kept = proxied((page(5), (5, 0, 0, 0), 50), (page(9), (9, 0, 2, 1), 60))
    kept += [Round(START + 20, (stable(200), canary(None)), kept[1].proxies)]
    file = tmp_path / "folder" / "scrapes.jsonl"
    for part in (kept[:1], kept[1:]):  # by a watcher that was started again
        scrapes = Scrapes(file)
        for each in part:
            scrapes.append(each)
    found, told = read(file)
    assert told == ()
    assert repr(look(found)) == repr(look(kept))


def test_a_round_that_was_cut_is_left_out_told_and_overwritten(tmp_path: Path) -> None:
    file = tmp_path / "scrapes.jsonl"
    one, two = rounds(page(5), page(9))
    Scrapes(file).append(one)
    whole = file.read_bytes()
    file.write_bytes(whole + b'{"at":18000')
    found, told = read(file)
    assert len(found) == 1
    assert told == ("scrapes.jsonl: its last line was cut while it was written, and is left out",)
    Scrapes(file).append(two)
    assert [each.at for each in read(file)[0]] == [one.at, two.at]


@pytest.mark.parametrize(
    "line",
    [
        "no json",
        "[]",
        '{"at": 1}',
        '{"at": 1, "readings": [{"arm": "stable", "instance": "a", "series": "?", "values": []}]}',
        '{"at": 1, "readings": [{"arm": "third", "instance": "a", "values": null}], "proxies": []}',
    ],
)
def test_a_damaged_line_is_named(tmp_path: Path, line: str) -> None:
    file = tmp_path / "scrapes.jsonl"
    Scrapes(file).append(rounds(page(5))[0])
    file.write_text(f"{file.read_text()}{line}\n")
    with pytest.raises(Problem, match=r"scrapes\.jsonl, line 3: "):
        read(file)


def test_no_file_is_no_data(tmp_path: Path) -> None:
    with pytest.raises(NoData, match="Let a watcher write it"):
        read(tmp_path / "none.jsonl")


def test_a_page_of_another_program_or_without_numbers_is_silence() -> None:
    assert reading("canary", "c1", {"go_threads": [({}, 3)]}).values is None
    assert reading("canary", "c1", page(float("nan"))).values is None
