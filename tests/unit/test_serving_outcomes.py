"""What really happened is received, one or many at a time, checked, and kept as it came."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from asked import TRIP, ask, loaded, samples
from preflight.log.schema import OUTCOMES
from preflight.serving import keys
from preflight.serving.app import ModelService
from remembered import records

Loaded = tuple[ModelService, str]
PATH = "/v1/outcomes"
ID = "019a7c41-5e10-7b3c-9d52-2f4c8e1a6b70"  # of nobody's prediction: the join decides, not this
OTHER = "019a7c41-5e10-7b3c-9d52-2f4c8e1a6b71"
GOOD = {"prediction_id": ID, "value": 12.5}


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the service logs."""
    return tmp_path_factory.mktemp("outcomes")


@pytest.fixture(scope="module")
def asked(built: Path, state: Path) -> Iterator[Loaded]:
    """A loaded service of the small repository, and a key of all scopes."""
    with loaded(built, state) as found:
        yield found


def tell(asked: Loaded, body: Any, **more: Any) -> httpx.Response:
    """The answer to an outcome, or to several."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return ask(asked[0], "POST", PATH, asked[1], content=content, **more)


def kept(state: Path, act: Callable[[], Any]) -> list[dict[str, Any]]:
    """The records that something leaves."""
    before = len(records(state, "outcomes"))
    act()
    return records(state, "outcomes")[before:]


def test_an_outcome_is_accepted_and_kept_with_every_documented_field(
    asked: Loaded, state: Path
) -> None:
    headers = {"x-request-id": "meter-7"}
    answers: list[httpx.Response] = []
    (found,) = kept(state, lambda: answers.append(tell(asked, GOOD, headers=headers)))
    assert (answers[0].status_code, answers[0].json()) == (202, {"accepted": 1})
    assert list(found) == [field.name for field in OUTCOMES]
    assert (found["prediction_id"], found["value"]) == (ID, 12.5)
    assert (found["client"], found["request_id"]) == ("tests", "meter-7")


def test_many_outcomes_are_kept_in_their_order(asked: Loaded, state: Path) -> None:
    many = [{"prediction_id": ID, "value": float(value)} for value in range(250)]
    answers: list[httpx.Response] = []
    found = kept(state, lambda: answers.append(tell(asked, {"outcomes": many})))
    assert answers[0].json() == {"accepted": 250}
    assert [record["value"] for record in found] == [each["value"] for each in many]
    assert len({record["id"] for record in found}) == 250
    assert len({record["at"] for record in found}) == 1


def test_kept_outcomes_are_counted(asked: Loaded) -> None:
    before = samples(asked[0], "preflight_outcomes_total").get((), 0.0)
    tell(asked, GOOD)
    tell(asked, {"outcomes": [GOOD, GOOD]})
    tell(asked, {"outcomes": []})
    assert samples(asked[0], "preflight_outcomes_total")[()] == before + 3


def test_the_same_request_may_be_sent_again(asked: Loaded, state: Path) -> None:
    """Which of them counts is decided in the join, where all replicas' records meet."""
    statuses: list[int] = []
    found = kept(state, lambda: statuses.extend(tell(asked, GOOD).status_code for _ in range(2)))
    assert statuses == [202, 202]
    first, second = found
    assert first.pop("id") != second.pop("id")
    for each in (first, second):
        del each["at"], each["request_id"]
    assert first == second


@pytest.mark.parametrize("value", [-1e300, 0, 12, 12.5, 5e-324, 1.7976931348623157e308])
def test_a_value_is_kept_to_the_last_bit(asked: Loaded, state: Path, value: float) -> None:
    """Whether it can be right is the join's to say: what came is never lost."""
    (found,) = kept(state, lambda: tell(asked, GOOD | {"value": value}))
    assert found["value"] == value


BAD: dict[str, tuple[Any, str]] = {
    "no JSON": (b'{"prediction_id', "body"),
    "nothing": (b"", "body"),
    "no object": ([], "body"),
    "not a number": (b'{"prediction_id": "%s", "value": NaN}' % ID.encode(), "body"),
    "too large a number": (b'{"prediction_id": "%s", "value": 1e999}' % ID.encode(), "value"),
    "a text": (GOOD | {"value": "TELLTALE"}, "value"),
    "true": (GOOD | {"value": True}, "value"),
    "no value": (GOOD | {"value": None}, "value"),
    "no id": (GOOD | {"prediction_id": "TELLTALE"}, "prediction_id"),
    "an id in capitals": (GOOD | {"prediction_id": ID.upper()}, "prediction_id"),
    "an id and a line break": (GOOD | {"prediction_id": f"{ID}\n"}, "prediction_id"),
    "a number for an id": (GOOD | {"prediction_id": 7}, "prediction_id"),
    "none of many": ({"outcomes": []}, "outcomes"),
    "one of many": ({"outcomes": [GOOD, GOOD | {"value": "TELLTALE"}]}, "outcomes[1].value"),
    "many in many": ({"outcomes": [[GOOD]]}, "outcomes[0]"),
}


@pytest.mark.parametrize("name", list(BAD))
def test_a_bad_outcome_is_refused_by_its_field_and_never_repeated(
    asked: Loaded, state: Path, name: str
) -> None:
    body, field = BAD[name]
    answers: list[httpx.Response] = []
    assert not kept(state, lambda: answers.append(tell(asked, body)))
    (answer,) = answers
    assert (answer.status_code, answer.json()["field"]) == (422, field)
    assert "TELLTALE" not in answer.text


@pytest.mark.parametrize("name", list(GOOD))
def test_a_missing_field_is_named(asked: Loaded, name: str) -> None:
    body = {key: value for key, value in GOOD.items() if key != name}
    assert name in tell(asked, body).json()["detail"]


def test_an_unknown_field_is_refused_without_its_value(asked: Loaded) -> None:
    answer = tell(asked, GOOD | {"note": "TELLTALE"})
    assert answer.status_code == 422
    assert "note" in answer.json()["detail"]
    assert "TELLTALE" not in answer.text


def test_a_batch_with_one_bad_outcome_is_refused_as_a_whole(asked: Loaded, state: Path) -> None:
    body = {"outcomes": [GOOD, {"prediction_id": OTHER}]}
    assert not kept(state, lambda: tell(asked, body))


def test_there_may_be_as_many_as_rows_in_a_batch(asked: Loaded) -> None:
    most = asked[0].limits.max_batch
    assert tell(asked, {"outcomes": [GOOD] * most}).status_code == 202
    answer = tell(asked, {"outcomes": [GOOD] * (most + 1)})
    assert (answer.status_code, answer.json()["field"]) == (422, "outcomes")


def test_a_body_that_is_too_large_is_refused(asked: Loaded) -> None:
    body = json.dumps(GOOD).encode().ljust(asked[0].limits.max_body_bytes + 1)
    answer = tell(asked, body)
    assert (answer.status_code, answer.json()["field"]) == (413, "body")
    assert tell(asked, body[:-1]).status_code == 202


def test_bodies_without_room_are_told_to_come_again(
    asked: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = asked[0].routes[PATH].handler._room  # type: ignore[attr-defined]
    body = json.dumps(GOOD).encode()
    monkeypatch.setattr(room, "free", len(body))
    answer = tell(asked, body + b" ")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    for _ in range(2):  # what was taken is given back
        assert tell(asked, body).status_code == 202


def test_a_key_for_predictions_tells_no_outcomes_and_the_other_way_round(
    asked: Loaded, state: Path
) -> None:
    for scope, path, body in (("predict", PATH, GOOD), ("outcomes", "/v1/predict", TRIP)):
        key = keys.add(state / "keys.json", "other", (scope,), None)  # type: ignore[arg-type]
        asked[0].beat()
        answer = ask(asked[0], "POST", path, key, json=body)
        assert (answer.status_code, answer.json()["field"]) == (403, "authorization")
    assert ask(asked[0], "POST", PATH, json=GOOD).status_code == 401


@pytest.mark.parametrize("mode", ["off", "fallback"])
def test_outcomes_are_received_in_every_mode(
    asked: Loaded, state: Path, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    switched = asked[0].limits.model_copy(update={"mode": mode})
    monkeypatch.setattr(asked[0], "limits", switched)
    assert len(kept(state, lambda: tell(asked, GOOD))) == 1


def test_outcomes_judge_no_rollout(asked: Loaded) -> None:
    counts = ("preflight_latency_seconds_count", "preflight_errors_total")
    before = [samples(asked[0], name) for name in counts]
    tell(asked, GOOD)
    tell(asked, b"{")
    assert [samples(asked[0], name) for name in counts] == before
