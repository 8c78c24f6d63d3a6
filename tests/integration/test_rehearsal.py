"""A whole rehearsal of a small repository: Bentos, Envoy, judge, callers, up to the picture."""

from pathlib import Path
from xml.etree import ElementTree

import psutil
import pytest
from click.testing import CliRunner

from conftest import git
from preflight import cli
from preflight.errors import Problem
from preflight.rehearsal import record, rehearsed
from preflight.rehearsal.record import PLACE, Event, Look
from preflight.rehearsal.rehearsed import Wanted

pytestmark = pytest.mark.usefixtures("unmeasured")

# A second of its declared ones takes 17 ms: with a fault it is decided by requests, not by time.
QUICK = Wanted(fault="errors", faster=60.0, rate=150.0, shadow=1.0)


def test_a_candidate_that_errs_is_aborted_and_leaves_a_record_a_picture_and_no_process(
    checkout: Path,
) -> None:
    before = set(psutil.Process().children(recursive=True))
    told: list[Event | Look] = []
    found, path = rehearsed.of_checkout(checkout, QUICK, told.append)
    assert (found.state, found.fault) == ("aborted", "errors")
    assert "answered with an error" in found.reason
    assert found.candidate == git(checkout, "rev-parse", "HEAD").strip()[:12]
    assert found.served.failed > 0
    assert found.served.left == 0
    assert [each for each in told if isinstance(each, Event)] == list(found.events)
    kinds = [each.kind for each in found.events]
    assert kinds[:3] == ["fault", "shadow", "shadow"]
    assert next(each.said for each in found.events if each.kind == "weight") == "5%"
    assert found.events[-2].said == "0%"
    assert record.read(path) == found
    ElementTree.fromstring(path.with_suffix(".svg").read_text())  # noqa: S314 (ours)
    started = set(psutil.Process().children(recursive=True)) - before
    assert [each for each in started if each.is_running()] == []
    assert git(checkout, "status", "--porcelain") == ""


def test_what_cannot_be_rehearsed_is_one_line(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Problem, match="nowhere; expected one of production, staging"):
        rehearsed.of_checkout(checkout, Wanted(environment="nowhere"), lambda _: None)
    outside = Wanted(fault="judge-down", faulty="stable")
    with pytest.raises(Problem, match="--arm: found stable for judge-down, which comes from out"):
        rehearsed.of_checkout(checkout, outside, lambda _: None)
    assert not (checkout / PLACE).exists()
    monkeypatch.chdir(checkout)
    done = CliRunner().invoke(cli.main, ["rehearse", "--fault", "gremlins"])
    assert done.exit_code == 2
    assert "none of errors, entity-errors" in done.stderr
