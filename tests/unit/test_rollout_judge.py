"""The judge on whole rollouts: what it promotes, aborts and leaves open, and in which words."""

from dataclasses import replace

import numpy as np
import pytest

from preflight.rollout.judge import judge
from preflight.rollout.observed import CANARY, STABLE, Counts, Health, Observed, Proxied
from preflight.rollout.verdict import Metric, Verdict
from rollouts import EVERY, HEALTHY, LABELS, LIMITS, changed, rollout, until

LONG = 250  # looks, with some 7,500 requests of the canary


@pytest.fixture(scope="module")
def healthy() -> Observed:
    return rollout(seed=1, looks=LONG)


def metric(verdict: Verdict, name: str) -> Metric:
    return next(each for each in verdict.metrics if each.name == name)


def test_a_healthy_canary_is_promoted(healthy: Observed) -> None:
    verdict = judge(healthy, LIMITS)
    assert verdict.result == "promote", verdict
    assert "worse by the margin in none of 8 metrics" in verdict.reason
    assert not verdict.waits
    assert {each.state for each in verdict.metrics} == {"fine"}


def test_too_little_traffic_is_left_open_and_says_how_much_more_it_takes() -> None:
    verdict = judge(rollout(seed=2, looks=10), LIMITS)
    assert verdict.result == "continue"
    assert "more requests of the canary will tell" in verdict.reason
    errors = metric(verdict, "errors")
    assert errors.more is not None
    assert errors.more > 100


def test_what_it_takes_is_about_what_it_then_takes() -> None:
    found = rollout(seed=5, looks=LONG)
    early = metric(judge(until(found, 40), LIMITS), "flags")
    assert early.more is not None
    arrived = next(
        look
        for look in range(41, LONG)
        if (metric(judge(until(found, look), LIMITS), "flags").fine or 0) >= 1
    )
    canary = found.shares["flags"].total[:, CANARY].sum(axis=-1)
    assert 0.3 < (canary[arrived] - canary[40]) / early.more < 3


@pytest.mark.parametrize(
    ("fault", "name", "words"),
    [
        ({"errors": 0.03}, "errors", "answered with an error: the canary is worse"),
        ({"slow": 0.04}, "slow", "took longer than 0.1 s: the canary is worse"),
        ({"fallbacks": 0.02}, "fallbacks", "were the baseline's: the canary is worse"),
        ({"flags": 0.03}, "flags", "flagged by a guard: the canary is worse"),
        ({"moved": 1.0}, "predictions", "of predictions: the canary is worse"),
        ({"wider": 1.5}, "widths", "wide, stable's 10.0"),
    ],
)
def test_each_regression_aborts_by_its_name(fault: dict[str, float], name: str, words: str) -> None:
    verdict = judge(rollout(3, **fault), LIMITS)  # type: ignore[arg-type]
    assert verdict.result == "abort"
    assert words in verdict.reason
    assert [each.name for each in verdict.metrics if each.state == "worse"] == [name]


def test_an_abort_stands_however_much_better_it_gets() -> None:
    bad, good = rollout(seed=4, looks=60, errors=0.05), rollout(seed=4, looks=LONG)
    assert judge(bad, LIMITS).result == "abort"
    parts = (bad.shares["errors"], good.shares["errors"])
    hits, total = (
        np.concatenate([first, first[-1] + second])
        for first, second in zip(*((each.hits, each.total) for each in parts), strict=True)
    )
    longer = rollout(seed=4, looks=len(hits) - 1)
    found = replace(longer, shares={**longer.shares, "errors": Counts(hits, total)})
    assert judge(found, LIMITS).result == "abort"


def test_an_incident_that_hits_both_arms_cancels() -> None:
    random = np.random.default_rng(5)
    found = rollout(seed=5, looks=LONG)
    counts = found.shares["errors"]
    asked = np.diff(counts.total, axis=0, prepend=0)
    incident = asked * 0
    incident[100:110] = random.binomial(asked[100:110].astype(int), 0.5)
    both = Counts(counts.hits + incident.cumsum(axis=0), counts.total)
    verdict = judge(replace(found, shares={**found.shares, "errors": both}), LIMITS)
    assert verdict.result == "promote"
    alone = incident.copy()
    alone[:, STABLE] = 0
    only = Counts(counts.hits + alone.cumsum(axis=0), counts.total)
    assert judge(replace(found, shares={**found.shares, "errors": only}), LIMITS).result == "abort"


def test_clumps_of_a_few_entities_abort_nothing() -> None:
    found = rollout(seed=6)
    counts = found.shares["errors"]
    hits = counts.hits.copy()
    hits[20:, CANARY, 3] += 60  # one entity's
    clumped = replace(found, shares={**found.shares, "errors": Counts(hits, counts.total)})
    verdict = judge(clumped, LIMITS)
    assert verdict.result == "continue"
    assert "come in clumps" in metric(verdict, "errors").said
    spread = counts.hits.copy()
    spread[20:, CANARY] += 2
    wide = replace(found, shares={**found.shares, "errors": Counts(spread, counts.total)})
    assert judge(wide, LIMITS).result == "abort"


def test_nothing_read_is_no_verdict() -> None:
    none = until(rollout(seed=7, looks=3), -1)
    verdict = judge(replace(none, missing=("canary-1 does not answer.",)), LIMITS)
    assert (verdict.result, verdict.missing) == ("continue", ("canary-1 does not answer.",))


def test_a_start_without_requests_is_no_verdict() -> None:
    verdict = judge(until(rollout(seed=7, looks=3), 0), LIMITS)
    assert verdict.result == "continue"
    assert verdict.reason == "0 requests of the canary; 200 are needed."


@pytest.mark.parametrize(
    ("gone", "words"),
    [
        ({"proxied": None}, "no data on unreached"),
        ({"bins": np.zeros((LONG + 1, 2, 32, 0))}, "no data on predictions"),
        ({"stale": 300.0}, "last read 300 s ago"),
        ({"stale": -300.0}, "last read 300 s in the future"),
    ],
)
def test_missing_data_never_passes(healthy: Observed, gone: dict[str, object], words: str) -> None:
    verdict = judge(replace(healthy, **gone), LIMITS)  # type: ignore[arg-type]
    assert verdict.result == "continue"
    assert any(words in each for each in verdict.waits)


def test_a_canary_that_answered_only_some_kinds_of_request_is_not_promoted(
    healthy: Observed,
) -> None:
    bins = healthy.bins.copy()
    bins[:, CANARY, :, 2] += bins[:, CANARY, :, 3]
    bins[:, CANARY, :, 3] = 0
    strict = LIMITS.model_copy(update={"max_shift": 0.4})
    verdict = judge(replace(healthy, bins=bins), strict)
    assert verdict.result == "continue"
    assert any("80% of stable's predictions" in each for each in verdict.waits)


def test_too_few_requests_are_not_promoted() -> None:
    few = LIMITS.model_copy(update={"min_requests": 1_000_000})
    verdict = judge(rollout(seed=1, looks=LONG), few)
    assert "1,000,000 are needed" in verdict.waits[0]


def proxied(found: Observed) -> Proxied:
    assert found.proxied is not None
    return found.proxied


def test_requests_that_an_arm_does_not_count_abort(healthy: Observed) -> None:
    counted = proxied(healthy).counted * [1, 0.9]
    verdict = judge(changed(healthy, "proxied", counted=np.floor(counted)), LIMITS)
    assert verdict.result == "abort"
    assert "in one's count and not in the other's" in verdict.reason


def test_what_is_on_its_way_between_two_counts_is_not_lost(healthy: Observed) -> None:
    sent = proxied(healthy).sent
    late = np.concatenate([sent[:1], (sent[:-1] + sent[1:]) / 2])
    assert judge(changed(healthy, "proxied", counted=late), LIMITS).result == "promote"


def test_an_arm_that_counts_the_others_requests_aborts(healthy: Observed) -> None:
    sent = proxied(healthy).sent
    verdict = judge(changed(healthy, "proxied", counted=sent[:, [0, 0]]), LIMITS)
    assert verdict.result == "abort"


def test_failures_that_only_the_proxy_saw_abort(healthy: Observed) -> None:
    unreached = proxied(healthy).sent * [0, 0.1]
    verdict = judge(changed(healthy, "proxied", unreached=np.floor(unreached)), LIMITS)
    assert verdict.result == "abort"
    assert "got no answer from the arm" in verdict.reason


def test_a_dead_canary_is_stopped_at_once() -> None:
    found = rollout(seed=8, looks=40)
    proxy = proxied(found)
    unreached = proxy.sent - proxy.sent[37]
    unreached[:38] = 0
    unreached[:, STABLE] = 0
    verdict = judge(changed(found, "proxied", unreached=unreached), LIMITS)
    assert verdict.result == "abort"
    assert "got no answer from the canary, or a 5xx" in verdict.reason


def test_an_outage_of_both_arms_stops_nothing() -> None:
    found = rollout(seed=8, looks=40)
    proxy = proxied(found)
    unreached = np.maximum(proxy.sent - proxy.sent[37], 0)
    assert judge(changed(found, "proxied", unreached=unreached), LIMITS).result == "continue"


def test_different_bins_are_stopped(healthy: Observed) -> None:
    edges = (LABELS, ("2", "5", "10", "15", "20", "40", "+Inf"))
    found = replace(healthy, edges=edges, bins=np.zeros((LONG + 1, 2, 32, 0)))
    verdict = judge(found, LIMITS)
    assert verdict.result == "abort"
    assert "30, 40" in verdict.reason


def test_outputs_that_are_no_numbers_are_stopped() -> None:
    verdict = judge(rollout(seed=9, looks=10, bad_outputs=0.1), LIMITS)
    assert verdict.result == "abort"
    assert "no number within the contract's range" in verdict.reason


def test_one_odd_callers_bad_outputs_stop_nothing() -> None:
    found = rollout(seed=9, looks=10)
    hits = found.shares["bad_outputs"].hits.copy()
    hits[3:, CANARY, 7] = 9
    counts = Counts(hits, found.shares["bad_outputs"].total)
    odd = replace(found, shares={**found.shares, "bad_outputs": counts})
    assert judge(odd, LIMITS).result == "continue"


def test_a_constant_answer_is_stopped() -> None:
    found = rollout(seed=10, looks=30)
    bins = found.bins.copy()
    bins[:, CANARY, :, 4] = bins[:, CANARY].sum(axis=-1)
    bins[:, CANARY, :, :4] = bins[:, CANARY, :, 5:] = 0
    verdict = judge(replace(found, bins=bins), LIMITS)
    assert verdict.result == "abort"
    assert "in one bin, up to 20" in verdict.reason


@pytest.mark.parametrize(
    ("health", "words"),
    [
        (Health(restarts=3, memory=1e8), "restarted 3 times; 2 are allowed"),
        (Health(restarts=0, memory=5e8), "holds 500 MB; 400 MB are allowed"),
    ],
)
def test_unhealthy_processes_are_stopped(healthy: Observed, health: Health, words: str) -> None:
    verdict = judge(replace(healthy, health=health), LIMITS)
    assert verdict.result == "abort"
    assert words in verdict.reason


def test_a_worker_whose_memory_is_not_shown_is_not_judged_by_it(healthy: Observed) -> None:
    assert judge(replace(healthy, health=Health(0, None)), LIMITS).result == "promote"


def in_buckets(found: Observed, many: int) -> Observed:
    """The same requests, by entities that fill only the first buckets."""
    fold = (np.arange(32) % many == np.arange(32)[:, None]).astype(float)

    def folded(counts: Counts) -> Counts:
        return Counts(counts.hits @ fold.T, counts.total @ fold.T)

    return replace(
        found,
        shares={name: folded(each) for name, each in found.shares.items()},
        widths=folded(found.widths),
        bins=np.einsum("ij,lajb->laib", fold, found.bins),
    )


def test_entities_in_a_third_of_the_buckets_are_enough(healthy: Observed) -> None:
    assert judge(in_buckets(healthy, 11), LIMITS).result == "promote"


def test_looks_far_more_often_than_requests_decide_all_the_same() -> None:
    often = rollout(seed=15, looks=12_000, asked=(0.75, 0.25))
    assert metric(judge(often, LIMITS), "errors").state == "fine"
    bad = rollout(seed=15, looks=2_000, asked=(0.75, 0.25), errors=0.05)
    assert metric(judge(bad, LIMITS), "errors").state == "worse"


def test_bins_that_no_prediction_lies_in_keep_nobody_waiting(healthy: Observed) -> None:
    bins = healthy.bins.copy()
    bins[..., 1] += bins[..., 0]
    bins[..., 0] = 0
    assert judge(replace(healthy, bins=bins), LIMITS).result == "promote"


def test_an_hour_that_changes_while_the_weight_moves_is_none_of_the_canarys() -> None:
    day, night = rollout(seed=14, asked=(285, 15)), rollout(seed=15, asked=(150, 150))
    moved = night.bins.copy()  # at night trips are longer, whichever arm answers
    moved[..., 5] += moved[..., 1] + moved[..., 2]
    moved[..., 1:3] = 0
    bins = np.concatenate([day.bins, day.bins[-1] + moved[1:]])
    widths = Counts(
        np.concatenate([day.widths.hits, day.widths.hits[-1] + 2 * night.widths.hits[1:]]),
        np.concatenate([day.widths.total, day.widths.total[-1] + night.widths.total[1:]]),
    )
    found = replace(rollout(seed=16, looks=300), bins=bins, widths=widths)
    verdict = judge(found, LIMITS)
    assert metric(verdict, "predictions").state == "fine"
    widths_said = metric(verdict, "widths")
    assert widths_said.state == "fine"
    assert widths_said.ratio == pytest.approx(1, abs=0.02)


def test_failures_in_few_buckets_are_told_as_such() -> None:
    verdict = judge(in_buckets(rollout(seed=3, errors=1.0), 5), LIMITS)
    assert verdict.result == "continue"
    assert "5 of 32 entity buckets had requests in both arms; 8 are needed" in verdict.waits[0]
    assert "higher, but in 5 entity buckets only" in metric(verdict, "errors").said


def test_a_canary_that_fails_every_request_is_stopped_whoever_asks() -> None:
    found = in_buckets(rollout(seed=3, looks=40, errors=1.0), 5)
    failed = proxied(found).sent * [0, 1]
    verdict = judge(changed(found, "proxied", failed=failed), LIMITS)
    assert verdict.result == "abort"
    assert "got no answer from the canary, or a 5xx" in verdict.reason


def wrong(seed: int, rates: tuple[float, float]) -> Counts:
    found = rollout(seed, errors=rates[CANARY]) if rates[STABLE] == HEALTHY["errors"] else None
    assert found is not None
    return found.shares["errors"]


def test_wrong_answers_abort_and_right_ones_need_not_promote(healthy: Observed) -> None:
    assert judge(healthy, LIMITS, wrong(11, (0.01, 0.05))).result == "abort"
    fine = judge(healthy, LIMITS, wrong(11, (0.01, 0.01)))
    assert fine.result == "promote"
    assert metric(fine, "wrong").fine is None


def test_a_verdict_is_plain_data(healthy: Observed) -> None:
    plain = judge(healthy, LIMITS).plain()
    assert plain["result"] == "promote"
    assert plain["at"] == LONG * EVERY
    assert plain["metrics"][0]["name"] == "errors"


def test_what_was_late_and_then_came_is_not_lost_however_often() -> None:
    random = np.random.default_rng(17)
    found = rollout(seed=17, looks=200)
    sent = proxied(found).sent
    behind = np.maximum(np.arange(201)[:, None] - random.integers(0, 6, (201, 2)), 0)
    counted = np.maximum.accumulate(np.take_along_axis(sent, behind, axis=0))
    counted[-1] = sent[-1]
    late = metric(judge(changed(found, "proxied", counted=counted), LIMITS), "lost")
    assert late.state == "fine"
    gone = np.floor(counted * [1, 0.95])
    verdict = judge(changed(found, "proxied", counted=gone), LIMITS)
    assert metric(verdict, "lost").state == "worse"


@pytest.mark.parametrize(("after", "result"), [(0.0, "promote"), (0.05, "abort")])
def test_an_outage_of_both_arms_blinds_nobody_to_what_comes_after(
    after: float, result: str
) -> None:
    found = rollout(seed=18, looks=LONG)
    sent = np.diff(proxied(found).sent, axis=0, prepend=0)
    share = np.zeros_like(sent)
    share[20:25] = 0.5
    share[60:, CANARY] = after
    none = np.floor(sent * share + np.random.default_rng(18).random(sent.shape)).cumsum(axis=0)
    none -= none[0]
    verdict = judge(changed(found, "proxied", unreached=none, failed=none), LIMITS)
    assert metric(verdict, "unreached").state == {"promote": "fine", "abort": "worse"}[result]


def test_slow_answers_of_a_fresh_canary_abort_nothing() -> None:
    found = rollout(seed=12, looks=LONG)
    counts = found.shares["slow"]
    hits = counts.hits.copy()
    hits[1:, CANARY, :10] += 1  # its first ten requests
    cold = replace(found, shares={**found.shares, "slow": Counts(hits, counts.total)})
    assert judge(cold, LIMITS).result == "promote"
    hits[3:, CANARY, :20] += 1  # later ones are its own
    slow = replace(found, shares={**found.shares, "slow": Counts(hits, counts.total)})
    assert judge(slow, LIMITS).result == "abort"
