"""`preflight judge`: once or until it is decided, from a file or from Prometheus."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from click.testing import CliRunner, Result

from logged import outcomes, predictions, write
from preflight.cli import Commands, main
from preflight.errors import NoData, Problem
from preflight.rollout import plan, scrapes, watcher
from preflight.rollout.commands import followed, judge
from preflight.rollout.observed import Observed
from preflight.rollout.scrapes import Reading, Round, Scrapes
from preflight.rollout.verdict import Verdict
from preflight.rollout.watcher import Targets
from rollouts import EVERY, rollout, until
from scraped import Stored, listening, recorded

ARMS = ("--stable", 'app="taxi",arm="stable"', "--canary", 'app="taxi",arm="canary"')
PROXY = (
    "--envoy",
    'job="envoy-taxi"',
    "--clusters",
    "taxi-stable",
    "taxi-canary",
    "--interval",
    "10",
)
OPEN = Verdict("continue", "12 requests of the canary; 200 are needed.")


def current(found: Observed) -> Observed:
    """A rollout whose last look is now."""
    return replace(found, times=found.times - found.times[-1] + time.time())


@pytest.fixture(scope="module")
def healthy() -> Observed:
    return rollout(seed=1, looks=30, asked=(2700.0, 300.0))


@pytest.fixture(scope="module")
def faulty() -> Observed:
    return rollout(seed=1, looks=30, asked=(2700.0, 300.0), errors=0.04)


@pytest.fixture(scope="module")
def server(healthy: Observed) -> Iterator[Stored]:
    """A Prometheus that has scraped a healthy canary."""
    with listening() as found:
        arms = {arm: {"app": "taxi", "arm": arm} for arm in ("stable", "canary")}
        found.store("taxi", current(healthy), arms)
        yield found


def run(*arguments: str | Path) -> Result:
    """`preflight judge`, as the command line runs it."""
    group = Commands(commands={"judge": judge})
    return CliRunner().invoke(group, ["judge", *map(str, arguments)])


def test_a_healthy_canary_exits_with_0(tmp_path: Path, healthy: Observed) -> None:
    recorded(tmp_path / "h.jsonl", current(healthy))
    found = run("--history", tmp_path / "h.jsonl")
    assert (found.exit_code, found.stderr) == (0, "")
    assert found.stdout.startswith("PROMOTE: After ")


def test_a_faulty_canary_exits_with_1(tmp_path: Path, faulty: Observed) -> None:
    recorded(tmp_path / "h.jsonl", current(faulty))
    found = run("--history", tmp_path / "h.jsonl")
    assert found.exit_code == 1
    assert found.stdout.startswith("ABORT: ")
    assert "answered with an error" in " ".join(found.stdout.split())


def test_too_little_traffic_exits_with_2(tmp_path: Path, healthy: Observed) -> None:
    recorded(tmp_path / "h.jsonl", current(until(healthy, 2)))
    found = run("--history", tmp_path / "h.jsonl")
    assert found.exit_code == 2
    assert found.stdout.startswith("CONTINUE: ")


def test_a_file_that_has_ended_promotes_nothing(tmp_path: Path, healthy: Observed) -> None:
    recorded(tmp_path / "h.jsonl", replace(healthy, times=healthy.times + time.time() - 3600))
    found = run("--history", tmp_path / "h.jsonl")
    assert found.exit_code == 2
    assert "nothing is known since" in found.stdout


def test_the_start_may_be_told(tmp_path: Path, healthy: Observed) -> None:
    found = current(healthy)
    recorded(tmp_path / "h.jsonl", found)
    late = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(found.times[-1] - 2.5 * EVERY))
    said = json.loads(run("--history", tmp_path / "h.jsonl", "--started", late, "--json").stdout)
    assert said["looks"] == 3
    assert said["requests"][1] < 1_200


def test_prometheus_gives_the_same_verdict(server: Stored) -> None:
    found = run("--prometheus", server.address, *ARMS, *PROXY)
    assert (found.exit_code, found.stderr) == (0, "")
    assert found.stdout.startswith("PROMOTE: After ")


def test_without_the_proxy_nothing_is_promoted(server: Stored) -> None:
    found = run("--prometheus", server.address, *ARMS, "--interval", "10")
    assert found.exit_code == 2
    assert "no data on unreached" in found.stdout


def test_json_is_one_line_with_the_same_status(tmp_path: Path, faulty: Observed) -> None:
    recorded(tmp_path / "h.jsonl", current(faulty))
    found = run("--history", tmp_path / "h.jsonl", "--json")
    assert found.exit_code == 1
    assert json.loads(found.stdout)["result"] == "abort"
    assert found.stdout.count("\n") == 1


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory, healthy: Observed) -> Path:
    """A folder with the scrapes of a rollout that began 30 hours ago; EVERY is an hour."""
    folder = tmp_path_factory.mktemp("days")
    found = replace(healthy, times=healthy.times * 3600 / EVERY)
    recorded(folder / "h.jsonl", current(found))
    return folder


def logged(folder: Path, age: timedelta, told: int = 1000, **canary: Any) -> Path:
    """A log of both arms, their predictions of some age; `canary` fixes fields of outcomes.

    Of the canary's thousand predictions some are `told` the outcome.
    """
    start = datetime.now(UTC) - age
    for arm, rows, fixed in (("stable", 3000, {}), ("canary", 1000, canary)):
        made = predictions(rows, start, seed=rows, every=timedelta(seconds=0.5), arm=arm)
        write(folder / "log", "predictions", made)
        made = made[:told] if arm == "canary" else made
        write(folder / "log", "outcomes", outcomes(made, seed=rows, **fixed))
    return folder / "log"


def test_model_error_aborts_where_outcomes_are_known(days: Path, tmp_path: Path) -> None:
    log = logged(tmp_path, timedelta(hours=28), value=59.0)
    found = run("--history", days / "h.jsonl", "--log", log)
    assert found.exit_code == 1
    assert "of the canary's labelled predictions" in " ".join(found.stdout.split())


def test_model_error_that_is_alike_stands_beside_the_others(days: Path, tmp_path: Path) -> None:
    log = logged(tmp_path, timedelta(hours=28))
    found = run("--history", days / "h.jsonl", "--log", log)
    assert (found.exit_code, found.stderr) == (0, "")
    assert "wrong  " in found.stdout
    assert "not needed" in found.stdout


def test_labels_that_do_not_compare_are_told_and_judged_by_nothing(
    days: Path, tmp_path: Path
) -> None:
    log = logged(tmp_path, timedelta(hours=28), told=300, value=59.0)
    found = run("--history", days / "h.jsonl", "--log", log)
    assert found.exit_code == 0
    assert "model error is not judged" in " ".join(found.stdout.split())


def test_outcomes_that_are_not_due_are_told(days: Path, tmp_path: Path) -> None:
    log = logged(tmp_path, timedelta(hours=2), value=59.0)
    found = run("--history", days / "h.jsonl", "--log", log)
    assert found.exit_code == 0
    assert "not read:\n- model error: " in found.stdout


def no_file(folder: Path) -> Path:
    return folder / "none.jsonl"


def empty(folder: Path) -> Path:
    (folder / "empty.jsonl").touch()
    return folder / "empty.jsonl"


def damaged(folder: Path) -> Path:
    (folder / "damaged.jsonl").write_text('{"at": "noon"}\n')
    return folder / "damaged.jsonl"


def alone(folder: Path) -> Path:
    (folder / "alone.jsonl").write_text('{"at": 5, "readings": [], "proxies": []}\n')
    return folder / "alone.jsonl"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (no_file, "none.jsonl: found No such file or directory"),
        (empty, "empty.jsonl: found no round of scrapes"),
        (damaged, "damaged.jsonl, line 1: found"),
        (alone, "alone.jsonl: found no canary in 1 rounds"),
    ],
)
def test_a_file_that_cannot_be_judged_is_one_line_and_no_abort(
    make: Callable[[Path], Path], words: str, tmp_path: Path
) -> None:
    found = run("--history", make(tmp_path))
    assert (found.exit_code, found.stdout) == (2, "")
    assert words in found.stderr
    assert found.stderr.count("\n") == 1


def test_a_prometheus_that_does_not_answer_is_one_line_and_no_abort() -> None:
    found = run("--prometheus", "http://127.0.0.1:9", *ARMS)
    assert (found.exit_code, found.stdout) == (2, "")
    assert "expected an answer of Prometheus" in found.stderr
    assert found.stderr.count("\n") == 1


def test_a_canary_that_prometheus_does_not_know_is_no_data(server: Stored) -> None:
    found = run("--prometheus", server.address, *ARMS[:3], 'arm="another"')
    assert (found.exit_code, found.stdout) == (2, "")
    assert 'found no canary with arm="another"' in found.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--prometheus", "http://127.0.0.1:9"),
        ("--prometheus", "http://127.0.0.1:9", "--stable", 'a="b"'),
        ("--history", "a", "--prometheus", "http://127.0.0.1:9", *ARMS),
    ],
)
def test_one_source_must_be_named(arguments: tuple[str, ...]) -> None:
    found = run(*arguments)
    assert found.exit_code == 2
    assert "Name a file by --history; or --prometheus, --stable and --canary." in found.stderr


def looks(*found: Verdict | Problem) -> Callable[[], Verdict]:
    """What looks find, one after another."""
    left = list(found)

    def look() -> Verdict:
        one = left.pop(0)
        if isinstance(one, Problem):
            raise one
        return one

    return look


PROMOTE, ABORT = Verdict("promote", "All is well."), Verdict("abort", "It is worse.")
LOST = NoData("a server", "no answer", "one", "Wait.")


@pytest.mark.parametrize("end", [PROMOTE, ABORT])
def test_watching_ends_with_the_decision(end: Verdict) -> None:
    assert followed(looks(OPEN, OPEN, end, OPEN), 1e-6) is end


def test_a_log_has_a_line_for_each_change(capsys: pytest.CaptureFixture[str]) -> None:
    followed(looks(OPEN, replace(OPEN, reason="13 requests"), OPEN, PROMOTE), 1e-6)
    lines = capsys.readouterr().out.splitlines()
    assert [each.partition(" UTC ")[2] for each in lines] == [
        "continue: 12 requests of the canary; 200 are needed.",
        "promote: All is well.",
    ]


def test_watching_goes_on_when_a_look_fails(capsys: pytest.CaptureFixture[str]) -> None:
    assert followed(looks(OPEN, LOST, LOST, OPEN, PROMOTE), 1e-6) is PROMOTE
    lines = capsys.readouterr().out.splitlines()
    assert [each.partition(" UTC ")[2].partition(":")[0] for each in lines] == [
        "continue",
        "continue",
        "continue",
        "promote",
    ]
    assert "The judge cannot see: a server: found no answer" in lines[1]


def test_watching_does_not_begin_with_a_failure() -> None:
    with pytest.raises(NoData):
        followed(looks(LOST, PROMOTE), 1e-6)


def test_watching_in_json_is_a_line_for_each_change(capsys: pytest.CaptureFixture[str]) -> None:
    followed(looks(OPEN, OPEN, ABORT), 1e-6, as_json=True)
    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(each)["result"] for each in lines] == ["continue", "abort"]


def test_a_terminal_is_painted_anew(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.delenv("NO_COLOR", raising=False)
    followed(looks(OPEN, OPEN, PROMOTE), 1e-6)
    found = capsys.readouterr().out
    assert found.count("\x1b[2J") == 3
    assert "\x1b[32m" in found


def test_no_colour_where_it_is_not_wanted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("NO_COLOR", "1")
    followed(looks(PROMOTE), 1e-6)
    assert "\x1b[32m" not in capsys.readouterr().out


def test_watching_by_the_command_line(tmp_path: Path, faulty: Observed) -> None:
    recorded(tmp_path / "h.jsonl", current(faulty))
    found = run("--history", tmp_path / "h.jsonl", "--every", "0.01")
    assert found.exit_code == 1
    assert " UTC abort: " in found.stdout


def test_a_plan_that_decides_exits_with_0_and_one_that_cannot_with_1(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(plan, "forecast", partial(plan.forecast, runs=30))
    asked = ("plan-rollout", "--rate", "40", "--step", "25%:10m", "--step", "50%:20m")
    found = CliRunner().invoke(main, asked)
    assert found.exit_code == 0, found.output
    assert found.stdout.startswith("plan: 40 requests a second; 25% for 10 min, 50% for 20 min")
    short = CliRunner().invoke(main, ("plan-rollout", "--rate", "40", "--step", "1%:1m"))
    assert short.exit_code == 1
    assert "of 120 simulated canaries that are no worse are promoted in 60 s" in short.stderr


def test_a_rollout_is_watched_into_a_file_that_the_judge_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rounds(targets: Targets, file: Path, every: float, _: Event) -> Iterator[Round]:
        assert every == 2.0
        kept = Scrapes(file)
        for at in (1.0, 3.0):
            found = Round(at, tuple(Reading(arm, "a", reason="gone") for arm in targets.arms))
            kept.append(found)
            yield found

    monkeypatch.setattr(watcher, "watch", rounds)
    file = tmp_path / "rollout.jsonl"
    arms = ("--stable", "http://127.0.0.1:1", "--canary", "http://127.0.0.1:2")
    found = CliRunner().invoke(main, ("watch-rollout", str(file), *arms, "--every", "2"))
    assert found.exit_code == 0, found.output
    assert "00:00:01 UTC stable a: gone; canary a: gone" in found.stderr
    assert len(scrapes.read(file)[0]) == 2


@pytest.mark.parametrize("number", ["nan", "inf", "0", "-1"])
def test_a_number_that_is_none_is_refused(tmp_path: Path, number: str) -> None:
    recorded(tmp_path / "h.jsonl", rollout(seed=1, looks=2))
    found = run("--history", tmp_path / "h.jsonl", "--every", number)
    assert found.exit_code == 2
    assert "--every" in found.output


def test_an_address_of_both_arms_is_refused(tmp_path: Path) -> None:
    arms = ("--stable", "http://127.0.0.1:1", "--canary", "http://127.0.0.1:1/")
    found = CliRunner().invoke(main, ("watch-rollout", str(tmp_path / "r.jsonl"), *arms))
    assert found.exit_code == 2
    assert "have it in common" in found.output


def test_what_no_judge_can_read_is_never_the_status_of_an_abort(tmp_path: Path) -> None:
    file = tmp_path / "rollout.jsonl"
    recorded(file, rollout(1, looks=3))
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    lines[-1]["readings"][0]["values"][0] = 10**400
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = run("--history", file)
    assert found.exit_code == 2
    assert f"line {len(lines)}" in found.stderr


def test_a_judge_outside_a_checkout_aborts_no_canary(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    asked = ("--prometheus", "http://127.0.0.1:1", "--stable", 'a="b"', "--canary", 'a="c"')
    assert run(*asked).exit_code == 2
