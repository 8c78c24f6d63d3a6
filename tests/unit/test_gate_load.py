"""The load gate on made-up windows: each line green, red, and without data."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from conftest import ROOT
from preflight.evidence import Evidence, Findings
from preflight.gates import limits, load
from preflight.gates.load_test.generator import STEPS, Phase, Side, Window, order
from preflight.gates.load_test.margins import fewer, slower
from preflight.gates.load_test.traffic import day
from preflight.gates.ratios import Ratio
from preflight.serving.requests import Decoder, Invalid
from taxi.contract import CONTRACT

LIMITS = limits.load(ROOT / "params.yaml").load
SEED = 5
WINDOWS = LIMITS.min_windows  # a side
ANSWERS = 150


def window(
    side: Side = "candidate",
    phase: Phase = "normal",
    *,
    ms: float = 3.0,
    noise: float = 0.05,
    number: int = 0,
    **changed: object,
) -> Window:
    """One window whose answers took about `ms`, give or take the share `noise` a window."""
    random = np.random.default_rng([SEED, number, len(side), len(phase)])
    shift = float(np.exp(random.normal(0, noise)))
    times = [round(float(each) * shift, 3) for each in np.linspace(0.7 * ms, 1.5 * ms, ANSWERS)]
    plain = Window(
        side=side,
        phase=phase,
        users=16,
        asked=150.0,
        seconds=1.0,
        statuses={"expected": ANSWERS},
        latencies=times,
        waiting=0.03,
        generator=0.1,
        server=0.3,
        memory=200_000_000,
    )
    return replace(plain, **changed)  # type: ignore[arg-type]


def steps(side: Side, rates: Sequence[float]) -> list[Window]:
    """A step-up that answers these requests a second, twice."""
    found = []
    for number, (users, rate) in enumerate(zip(STEPS, [*rates, *rates], strict=True)):
        factor = float(np.exp(np.random.default_rng([number, len(side)]).normal(0, 0.03)))
        times = [1e3 * users / rate] * round(rate * factor)
        each = window(side, "step", users=users, latencies=times, asked=None)
        found.append(replace(each, statuses={"expected": len(times)}))
    return found


RATES = (500.0, 650.0, 700.0, 720.0, 730.0, 720.0)


def run(
    *,
    candidate: Sequence[Window] | None = None,
    champion: bool = True,
    rates: Sequence[float] = RATES,
    after: Sequence[Window] | None = None,
    growth: float = 10.0,
) -> list[Window]:
    """A whole run: an unchanged candidate, but for what is given."""
    ours = candidate or [window(number=each) for each in range(WINDOWS)]
    back = [window(phase="after", number=each) for each in range(3)] if after is None else after
    own = [window(phase="warm"), *ours, *steps("candidate", rates), *back]
    sent = np.cumsum([each.requests for each in own])
    own = [
        replace(each, memory=200_000_000 + int(growth * count))
        for each, count in zip(own, sent, strict=True)
    ]
    if not champion:
        return own
    theirs = [window("champion", number=100 + each) for each in range(WINDOWS)]
    return [window("champion", "warm"), *theirs, *steps("champion", RATES), *own]


def every(**changed: object) -> list[Window]:
    """The candidate's normal windows, all changed alike."""
    return [window(number=each, **changed) for each in range(WINDOWS)]  # type: ignore[arg-type]


def line(windows: Sequence[Window], check: str) -> Evidence:
    """One check of a run."""
    (found,) = (each for each in load.findings(windows, LIMITS).evidence if each.check == check)
    return found


def statuses(found: Findings) -> dict[str, str]:
    """Each check's status."""
    return {each.check: each.status for each in found.evidence}


def test_an_unchanged_candidate_is_green_on_every_line() -> None:
    found = load.findings(run(), LIMITS)

    assert set(statuses(found).values()) == {"pass"}
    assert found.tables[0].rows[0][0] == "champion"
    assert set(found.charts[0].series) == {"champion", "candidate"}
    assert found.headlines[0].name == "p95 under load"


def test_without_a_champion_only_absolute_limits_are_judged() -> None:
    found = load.findings(run(champion=False), LIMITS)

    assert set(statuses(found).values()) == {"pass"}
    assert "no champion to compare with" in line(run(champion=False), "latency-p95").found


@pytest.mark.parametrize("check", ["latency-p50", "latency-p95", "latency-p99"])
def test_a_latency_above_the_champions_is_red(check: str) -> None:
    assert line(run(candidate=every(ms=9.0)), check).status == "fail"


def test_a_latency_too_noisy_to_tell_is_no_data_and_says_how_many_windows_it_takes() -> None:
    found = line(run(candidate=every(noise=2.0)), "latency-p50")

    assert found.status == "no-data"
    assert "too noisy to tell" in found.found
    assert "windows are needed" in found.found


def test_a_rate_below_the_champions_is_red() -> None:
    slow = every(seconds=3.0, waiting=0.95, server=0.2)

    assert line(run(candidate=slow), "rate").status == "fail"


def test_a_mean_over_the_limit_is_red_and_at_the_limit_green() -> None:
    assert line(run(candidate=every(latencies=[100.1] * ANSWERS)), "mean").status == "fail"
    assert line(run(candidate=every(latencies=[100.0] * ANSWERS)), "mean").status == "pass"


@pytest.mark.parametrize(("slow", "status"), [(0.05, "pass"), (0.06, "fail")])
def test_more_than_five_in_a_hundred_slow_answers_are_red(slow: float, status: str) -> None:
    times = [3.0] * round(100 * (1 - slow)) + [201.0] * round(100 * slow)

    assert line(run(candidate=every(latencies=times)), "slow").status == status


def test_an_unexpected_status_is_red_and_named() -> None:
    odd = window(statuses={"expected": ANSWERS - 1, "500": 1})

    found = line(run(candidate=[odd, *every()[1:]]), "failures")

    assert found.status == "fail"
    assert "500 x 1" in found.found


def test_a_malformed_request_that_is_answered_is_a_failure() -> None:
    odd = window(statuses={"expected": ANSWERS - 3, "200": 3})

    assert line(run(candidate=[odd, *every()[1:]]), "failures").status == "fail"


@pytest.mark.parametrize("status", ["401", "403", "413", "429", "503"])
def test_a_run_refused_at_the_door_judges_no_time(status: str) -> None:
    refused = every(statuses={"expected": 3, status: ANSWERS - 3}, latencies=[0.4] * 3)

    found = load.findings(run(candidate=refused), LIMITS)

    told = statuses(found)
    assert {told.pop(check) for check in ("failures", "generator")} == {"pass"}
    assert set(told.values()) == {"no-data"}
    assert "refused at the door: candidate" in line(run(candidate=refused), "door").found
    assert not found.headlines


def test_requests_refused_after_the_step_up_are_seen() -> None:
    refused = {"expected": 1, "503": ANSWERS - 1}
    back = [window(phase="after", number=each, statuses=refused) for each in range(3)]

    assert line(run(after=back), "door").status == "no-data"


def test_a_service_that_died_is_a_failure() -> None:
    gone = {"expected": 3, "ConnectionRefusedError": ANSWERS - 3}

    assert line(run(candidate=every(statuses=gone)), "failures").status == "fail"


def test_a_run_that_was_cut_judges_no_time() -> None:
    found = statuses(load.findings(run(candidate=every()[:4]), LIMITS))

    assert {found[check] for check in ("latency-p50", "rate", "mean", "slow")} == {"no-data"}


def test_a_busy_generator_judges_no_time() -> None:
    found = load.findings(run(candidate=every(generator=0.97)), LIMITS)

    assert {statuses(found)[check] for check in ("generator", "latency-p95", "mean")} == {"no-data"}
    assert (
        "the load generator was the limit"
        in line(run(candidate=every(generator=0.97)), "generator").found
    )


def test_a_rate_that_is_missed_while_nobody_waits_is_the_generators() -> None:
    assert line(run(candidate=every(seconds=2.0)), "generator").status == "no-data"


def test_a_rate_that_is_missed_while_callers_wait_is_the_services() -> None:
    blocked = every(seconds=2.0, waiting=0.98, server=0.05)

    assert line(run(candidate=blocked), "generator").status == "pass"


def test_a_knee_far_below_the_champions_is_red() -> None:
    found = line(run(rates=[0.5 * each for each in RATES]), "knee")

    assert found.status == "fail"
    assert "at the knee against" in found.found


def test_a_step_past_the_bound_carries_no_more_than_fewer_callers() -> None:
    assert line(run(rates=(100.0, *[90.0] * 5)), "knee").status == "fail"


def test_a_service_that_gives_way_at_one_caller_is_red() -> None:
    assert line(run(rates=[3.0] * 6), "knee").status == "fail"


def test_a_run_cut_short_has_no_knee_and_no_recovery() -> None:
    short = [each for each in run() if each.phase in ("warm", "normal")]

    assert {line(short, check).status for check in ("knee", "recovery", "memory")} == {"no-data"}


def test_a_service_that_stays_slow_after_too_much_load_is_red() -> None:
    stuck = [window(phase="after", ms=60.0, number=each) for each in range(3)]

    assert line(run(after=stuck), "recovery").status == "fail"


@pytest.mark.parametrize(("growth", "status"), [(100.0, "pass"), (1_000.0, "fail")])
def test_a_kilobyte_that_stays_with_each_request_is_red(growth: float, status: str) -> None:
    assert line(run(growth=growth), "memory").status == status


def test_margins_pass_an_interval_that_holds_1_unless_it_is_wide() -> None:
    def found(low: float, high: float) -> Ratio:
        return Ratio((low * high) ** 0.5, low, high, 20, 0.3, 0.05)

    assert slower(found(0.8, 1.4), 1.25, 2.0) == "pass"
    assert slower(found(1.1, 1.4), 1.25, 2.0) == "no-data"
    assert slower(found(0.8, 2.1), 1.25, 2.0) == "no-data"
    assert slower(found(1.3, 1.4), 1.25, 2.0) == "fail"
    assert slower(found(0.9, 1.9), 1.25, 2.0) == "no-data"
    assert fewer(found(0.85, 1.1), 0.95, 2.0) == "pass"
    assert fewer(found(0.7, 1.1), 0.95, 2.0) == "no-data"
    assert fewer(found(0.7, 0.97), 0.95, 2.0) == "no-data"
    assert fewer(found(0.4, 1.1), 0.95, 2.0) == "no-data"
    assert fewer(found(0.7, 0.9), 0.95, 2.0) == "fail"


def test_sides_are_loaded_in_turn_and_every_second_round_the_other_way() -> None:
    planned = [
        each for each in order(("champion", "candidate"), 4, 16) if each["phase"] == "normal"
    ]

    assert "".join(each["side"][1] for each in planned) == "haahhaah"
    assert [each["day"] for each in planned] == [0, 0, 1, 1, 2, 2, 3, 3]


def month() -> pl.DataFrame:
    """Rows of a month, three in four of them between eight and nine."""
    start = datetime(2021, 3, 1)
    hours = [8, 8, 8, 20]
    times = [start + timedelta(days=each % 28, hours=hours[each % 4]) for each in range(400)]
    return pl.DataFrame(
        {
            "pickup_at": times,
            "pickup_zone": [1 + each % 200 for each in range(400)],
            "dropoff_zone": [1 + each % 150 for each in range(400)],
            "trip_distance": [0.5 + each % 10 for each in range(400)],
            "duration_minutes": [12.0] * 400,
        }
    )


def test_requests_follow_the_shape_of_the_day() -> None:
    due = [each.due for each in day(month(), CONTRACT, 1_000, seed=1)]

    assert due == sorted(due)
    assert np.mean(np.array(due) < 0.5) == pytest.approx(0.75, abs=0.05)


def test_requests_are_mostly_single_some_batches_and_a_few_malformed() -> None:
    asked = day(month(), CONTRACT, 1_000, seed=1)
    bodies = [json.loads(each.body) for each in asked if each.expected == 200]
    sizes = [len(each["instances"]) for each in bodies if "instances" in each]

    assert sum(each.expected == 422 for each in asked) == 20
    assert len(sizes) == 100
    assert (min(sizes), max(sizes)) == (20, 100)


def test_every_request_has_the_answer_that_the_decoder_gives() -> None:
    decoder = Decoder(CONTRACT, 10_000)

    def answer(route: str, body: str) -> int:
        try:
            (decoder.batch if route.endswith("batch") else decoder.one)(body.encode())
        except Invalid:
            return 422
        return 200

    asked = day(month(), CONTRACT, 1_000, seed=1)

    assert [answer(each.route, each.body) for each in asked] == [each.expected for each in asked]


def test_the_same_seed_makes_the_same_day() -> None:
    assert day(month(), CONTRACT, 50, seed=3) == day(month(), CONTRACT, 50, seed=3)
    assert day(month(), CONTRACT, 50, seed=3) != day(month(), CONTRACT, 50, seed=4)


def test_the_judge_does_not_import_gevent() -> None:
    source = Path(load.__file__).parent

    importing = [
        path.name
        for path in sorted(source.rglob("*.py"))
        if "import gevent" in path.read_text(encoding="utf-8")
    ]

    assert importing == ["locustfile.py"]
