"""A verdict reads well on a terminal, in a log and as JSON."""

import json
from dataclasses import replace

import click
import pytest

from preflight.errors import NoData
from preflight.rollout.judge import judge
from preflight.rollout.observed import Health
from preflight.rollout.show import WIDTH, brief, changed, encodes, line, percent, shown
from preflight.rollout.sources import unseen
from preflight.rollout.verdict import Metric, Verdict
from rollouts import LIMITS, rollout, until

MANY = (2700.0, 300.0)
HEALTHY = rollout(seed=1, looks=30, asked=MANY)
PROMOTE = judge(HEALTHY, LIMITS)
ABORT = judge(rollout(seed=1, looks=30, asked=MANY, errors=0.03), LIMITS)
CONTINUE = judge(until(HEALTHY, 2), LIMITS)
NOTHING = judge(until(HEALTHY, 0), LIMITS)
BLIND = unseen(NoData("a server", "no answer", "one", "Wait."))
ALL = (PROMOTE, ABORT, CONTINUE, NOTHING, BLIND)


def row(text: str, name: str) -> str:
    return next(each for each in text.splitlines() if each.startswith(f"{name} "))


def errors(**fields: object) -> str:
    """The row of errors, with other figures in it."""
    found = replace(CONTINUE.metrics[0], **fields)  # type: ignore[arg-type]
    return row(shown(replace(CONTINUE, metrics=(found,))), "errors")


def test_the_first_line_is_the_result_and_the_reason() -> None:
    assert " ".join(shown(PROMOTE).split()).startswith(f"PROMOTE: {PROMOTE.reason}")
    assert " ".join(shown(ABORT).split()).startswith(f"ABORT: {ABORT.reason}")


@pytest.mark.parametrize("verdict", ALL)
def test_a_verdict_fits_a_screen_of_80_columns(verdict: Verdict) -> None:
    lines = shown(verdict).splitlines()
    assert max(map(len, lines)) <= WIDTH
    assert len(lines) <= 30


def test_each_metric_has_a_row_with_its_figures() -> None:
    found = shown(ABORT)
    assert {each.name for each in ABORT.metrics} <= {
        each.split(" ")[0] for each in found.split("\n")
    }
    stable, canary = ABORT.metrics[0].stable, ABORT.metrics[0].canary
    assert stable is not None
    assert canary is not None
    assert f" {percent(stable)} " in row(found, "errors")
    assert f" {percent(canary)} " in row(found, "errors")
    assert "moved" in row(found, "predictions")


def test_a_bar_is_full_only_where_the_evidence_is_enough() -> None:
    assert "████░  99%" in errors(worse=0.999)
    assert "█████ 100%" in errors(worse=1.0)
    assert "█████ 100%" in errors(worse=250.0)
    assert "░░░░░   0%" in errors(worse=float("nan"), fine=1.0)


def test_a_metric_that_need_not_promote_says_so() -> None:
    assert "not needed" in errors(fine=None)


def test_expected_requests_stand_where_more_are_needed() -> None:
    assert errors(state="open", more=1234).endswith(" 1,234")
    assert errors(state="open", more=None).endswith(" ?")
    assert errors(state="open", more=10**9).endswith(" over 1 M")
    assert errors(state="fine", more=None).endswith(" -")


@pytest.mark.parametrize(
    ("interval", "words"),
    [
        ((0.5, 1.9), "(0.50 to 1.90)"),
        ((0.02, 1.9), "(under 1.90)"),
        ((3.1, 50.0), "(over 3.10)"),
        ((0.02, 50.0), "1.20  "),
        ((0.5, 12.3), "(0.50 to 12)"),
    ],
)
def test_an_interval_without_an_end_has_none(interval: tuple[float, float], words: str) -> None:
    assert words in errors(ratio=1.2, interval=interval)


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.0, "0%"),
        (-0.0, "0%"),
        (0.5, "50.0%"),
        (0.1, "10.0%"),
        (0.0359, "3.6%"),
        (0.0098, "0.98%"),
        (0.00055, "0.055%"),
        (0.000012, "0.0012%"),
        (1e-9, "<0.0001%"),
        (1.0, "100.0%"),
    ],
)
def test_small_shares_keep_two_figures(share: float, text: str) -> None:
    assert percent(share) == text


def test_without_blocks_all_is_ascii() -> None:
    assert shown(ABORT, blocks=False).isascii()
    assert not shown(ABORT).isascii()


def test_blocks_are_for_encodings_that_have_them() -> None:
    assert encodes("utf-8")
    assert not encodes("ascii")
    assert not encodes("latin-1")
    assert not encodes("no such encoding")


def test_colour_is_on_top_of_the_same_text() -> None:
    painted = shown(ABORT, colour=True)
    assert "\x1b[31m" in painted
    assert "\x1b" not in shown(ABORT)
    assert click.unstyle(painted) == shown(ABORT)


def test_what_the_table_says_is_not_said_again_below() -> None:
    found = shown(replace(CONTINUE, waits=(*CONTINUE.waits, "It waits for rain.")))
    assert found.endswith("promotion also waits for:\n- It waits for rain.")
    others = [each.said for each in CONTINUE.metrics if each.said != CONTINUE.reason]
    assert not any(each in " ".join(found.split()) for each in others)


def test_an_abort_lists_other_stops_and_waits_for_nothing() -> None:
    sick = replace(HEALTHY, health=Health(restarts=5, memory=9e8), proxied=None)
    found = shown(judge(sick, LIMITS))
    assert found.startswith("ABORT: The canary's processes were restarted 5 times")
    assert "stops:\n- A worker of the canary holds 900 MB" in found
    assert "waits" not in found


def test_what_was_not_read_is_told() -> None:
    found = shown(judge(replace(HEALTHY, missing=("canary c-1 is gone since 08:00:00",)), LIMITS))
    assert "not read:\n- canary c-1 is gone since 08:00:00" in found


@pytest.mark.parametrize("verdict", ALL)
def test_a_verdict_is_one_line_of_json(verdict: Verdict) -> None:
    found = json.loads(line(verdict))
    assert "\n" not in line(verdict)
    assert (found["result"], found["reason"]) == (verdict.result, verdict.reason)
    assert [each["name"] for each in found["metrics"]] == [each.name for each in verdict.metrics]


def test_what_is_no_number_is_null_in_json() -> None:
    odd: Metric = replace(CONTINUE.metrics[0], worse=float("nan"), interval=(0.0, float("inf")))
    (found,) = json.loads(line(replace(CONTINUE, metrics=(odd,))))["metrics"]
    assert found["worse"] is None
    assert found["interval"] == [0.0, None]


def test_a_log_hears_of_a_new_state_and_not_of_each_figure() -> None:
    later = replace(CONTINUE, reason="101 requests; 200 are needed.", at=9e9, looks=99)
    assert changed(None, CONTINUE)
    assert not changed(CONTINUE, later)
    assert changed(CONTINUE, BLIND)
    assert changed(CONTINUE, ABORT)
    worse = (replace(CONTINUE.metrics[0], state="worse"), *CONTINUE.metrics[1:])
    assert changed(CONTINUE, replace(CONTINUE, metrics=worse))


def test_a_line_of_a_log_has_time_result_and_reason() -> None:
    assert brief(PROMOTE, 1_800_000_000) == f"08:00:00 UTC promote: {PROMOTE.reason}"
