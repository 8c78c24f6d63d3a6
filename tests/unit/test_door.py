"""The door: ids are repeated and never injected, and an entity always has the same bucket."""

import uuid
from collections import Counter
from pathlib import Path

import pytest

from preflight import params
from preflight.serving import keys
from preflight.serving.door import ANYBODY, Caller, Door, echoed
from preflight.serving.ids import Ids
from preflight.serving.keys import Keys
from preflight.serving.problems import Refusal
from preflight.serving.watched import Watched

SALT = params.load().serving.entity_salt
ENTITIES = [f"rider-{number}".encode() for number in range(20_000)]
# 99.99% of chi-square with 31 degrees of freedom; the entities are fixed, so it holds or not.
CHI_SQUARE = 68.0
TRACE = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def admitted(door: Door, **headers: str) -> Caller:
    """Whom the door lets in to predict, with headers by their names in snake case."""
    given = {name.replace("_", "-").encode(): text.encode() for name, text in headers.items()}
    return door.admit(given, "predict")


@pytest.fixture
def open_door() -> Door:
    """A door without keys."""
    return Door(None, 5.0, SALT)


@pytest.fixture
def watched(tmp_path: Path) -> tuple[Watched[Keys], dict[str, str]]:
    """Keys of two clients, and what each sends."""
    path = tmp_path / "keys.json"
    made = {client: keys.add(path, client, ("predict",), None) for client in ("one", "two")}
    return Watched(path, keys.read), {name: f"Bearer {key}" for name, key in made.items()}


def test_a_caller_is_the_client_of_its_key(
    watched: tuple[Watched[Keys], dict[str, str]],
) -> None:
    door = Door(watched[0], 500.0, SALT)
    found = admitted(door, authorization=watched[1]["two"])
    assert (found.client, found.entity) == ("two", "two")


def test_without_keys_everybody_is_one_client(open_door: Door) -> None:
    found = admitted(open_door)
    assert (found.client, found.entity) == (ANYBODY, ANYBODY)
    assert admitted(open_door, authorization="Bearer whatever").client == ANYBODY


def test_the_rate_of_the_service_caps_a_key_without_its_own(
    watched: tuple[Watched[Keys], dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    door = Door(watched[0], 2.0, SALT)
    monkeypatch.setattr(door, "_cap", keys.Cap(lambda: 7.0))
    for _ in range(2):
        admitted(door, authorization=watched[1]["one"])
    with pytest.raises(Refusal) as caught:
        admitted(door, authorization=watched[1]["one"])
    assert caught.value.status == 429
    assert admitted(door, authorization=watched[1]["two"]).client == "two"


def test_an_entity_has_one_bucket_whoever_asks(
    watched: tuple[Watched[Keys], dict[str, str]],
) -> None:
    door = Door(watched[0], 500.0, SALT)
    found = [admitted(door, authorization=key, x_entity_id="e-7") for key in watched[1].values()]
    assert found[0].bucket == found[1].bucket
    assert [each.entity for each in found] == ["e-7", "e-7"]


def test_two_services_with_one_salt_agree_on_every_bucket() -> None:
    one, other = Door(None, 5.0, SALT), Door(None, 9.0, SALT)
    assert [one.bucket(each) for each in ENTITIES] == [other.bucket(each) for each in ENTITIES]


def test_buckets_stay_what_they_were_in_earlier_releases() -> None:
    """Or the two arms of a rollout could not be compared."""
    door = Door(None, 5.0, "entity-buckets")
    assert [door.bucket(each) for each in ENTITIES[:8]] == [10, 7, 27, 14, 29, 20, 30, 27]


def test_entities_spread_evenly_over_32_buckets() -> None:
    counts = Counter(map(Door(None, 5.0, SALT).bucket, ENTITIES))
    assert set(counts) == set(range(32))
    expected = len(ENTITIES) / 32
    assert sum((count - expected) ** 2 / expected for count in counts.values()) < CHI_SQUARE


def test_another_salt_moves_nearly_all_and_independently() -> None:
    one, other = Door(None, 5.0, SALT), Door(None, 5.0, SALT + "-2")
    stayed = sum(one.bucket(each) == other.bucket(each) for each in ENTITIES)
    assert stayed / len(ENTITIES) == pytest.approx(1 / 32, abs=0.006)
    first = [each for each in ENTITIES if one.bucket(each) == 0]
    assert len({other.bucket(each) for each in first}) == 32


def sent(**headers: bytes) -> dict[bytes, bytes]:
    """What the answer repeats of a request's headers."""
    given = {name.replace("_", "-").encode(): text for name, text in headers.items()}
    return dict(echoed(given, Ids()))


@pytest.mark.parametrize("text", [b"a", b"order/7?b=c", b"~" * 128])
def test_a_request_id_is_repeated(text: bytes) -> None:
    assert sent(x_request_id=text) == {b"x-request-id": text}


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"a b",
        b"x" * 129,
        b"a\r\nset-cookie: b=c",
        b"a\nb",
        b"a\n",
        b"a\0",
        b"\xc3\xa9",
        b"a\t",
        b"\x7f",
    ],
)
def test_a_request_id_that_is_none_is_replaced(text: bytes) -> None:
    found = sent(x_request_id=text)[b"x-request-id"].decode()
    assert uuid.UUID(found).version == 7


def test_without_a_request_id_one_is_made() -> None:
    assert uuid.UUID(sent()[b"x-request-id"].decode()).version == 7


def test_a_trace_context_passes_through_with_its_state() -> None:
    found = sent(traceparent=TRACE, tracestate=b"vendor=1, other=2")
    assert (found[b"traceparent"], found[b"tracestate"]) == (TRACE, b"vendor=1, other=2")


@pytest.mark.parametrize(
    "trace",
    [
        b"",
        b"00",
        TRACE.upper(),
        TRACE + b"-00",
        TRACE[:-1],
        TRACE + b"\r\nx: y",
        TRACE + b"\n",
        TRACE.replace(b"a", b"g"),
        b"ff" + TRACE[2:],
        b"00-" + b"0" * 32 + TRACE[35:],
        TRACE[:36] + b"0" * 16 + TRACE[52:],
    ],
)
def test_a_trace_context_that_is_none_is_left_out_with_its_state(trace: bytes) -> None:
    assert set(sent(traceparent=trace, tracestate=b"vendor=1")) == {b"x-request-id"}


@pytest.mark.parametrize("state", [b"", b"x" * 513, b"a=b\r\nx: y", b"a=b\n", b"\xff"])
def test_a_trace_state_that_is_none_is_left_out(state: bytes) -> None:
    assert set(sent(traceparent=TRACE, tracestate=state)) == {b"x-request-id", b"traceparent"}


def test_a_trace_state_alone_is_left_out() -> None:
    assert set(sent(tracestate=b"vendor=1")) == {b"x-request-id"}
