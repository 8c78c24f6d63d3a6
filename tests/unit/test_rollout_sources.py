"""When a rollout began, where nobody says so."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from preflight.errors import NoData
from preflight.rollout import prometheus, sources
from preflight.rollout.prometheus import Server
from rollouts import LIMITS, rollout
from scraped import recorded

DAY = 86_400


def test_yesterdays_rollout_in_the_same_file_promotes_no_canary_of_today(tmp_path: Path) -> None:
    file = tmp_path / "rollout.jsonl"
    first = rollout(1, looks=250, asked=(1350.0, 150.0))
    again = rollout(12, looks=3, errors=0.03)
    recorded(file, first)
    recorded(file, replace(again, times=again.times + first.times[-1] + DAY))
    now = float(again.times[-1] + first.times[-1] + DAY)
    found = sources.verdict(sources.of_file(file), LIMITS, now)
    assert found.result == "continue"
    assert found.requests[1] < 200


def test_a_rollout_that_is_older_than_what_is_read_has_no_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 1e6

    def answer(*_: Any) -> list[dict[str, Any]]:
        first = now - sources.WITHIN
        return [{"values": [[first + 15 * each, "1"] for each in range(1, 1440)]}]

    monkeypatch.setattr(prometheus, "answer", answer)
    with pytest.raises(NoData, match="Say when it started"):
        sources.of_prometheus(Server("x", {"stable": "a", "canary": "b"}, 15.0), now)
