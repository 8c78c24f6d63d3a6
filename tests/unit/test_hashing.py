"""Sensitive values are hashed with a key of their own, and stand nowhere as they are."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from asked import TRIP, ask
from preflight.contract import Column
from preflight.errors import Problem
from preflight.layout import LOG
from preflight.serving import hashing, logs
from preflight.serving.app import ModelService
from preflight.serving.hashing import Hasher
from remembered import files, found_in, records, varied
from taxi.contract import CONTRACT

Loaded = tuple[ModelService, str]
KEY = b"k" * 32
# Hard to miss by chance, and written in another way by each encoding.
PHONE, RIDER, WORDS = 15_557_731_846, "rider-q7Zk31", "model fell over q8Xk\u00e9"
CALLED = Column(
    "rider_phone",
    "integer",
    "Whom to call",
    minimum=10_000_000_000,
    maximum=99_999_999_999,
    known=True,
    sensitive=True,
    example=PHONE,
)
VARIANT = replace(CONTRACT, columns=(*CONTRACT.columns, CALLED))


def test_equal_values_have_equal_hashes_and_others_have_others() -> None:
    hashed = [Hasher(KEY)(value) for value in ("rider-7", "rider-8", "rider-7")]
    assert hashed[0] == hashed[2] != hashed[1]


def test_a_hash_takes_its_key_to_make() -> None:
    assert Hasher(KEY)("rider-7") != Hasher(b"x" * 32)("rider-7")
    assert Hasher(b"x" * 100)("rider-7") != Hasher(b"x" * 99)("rider-7")


@pytest.mark.parametrize("value", ["", "rider-7", "\u00e9", "a" * 10_000])
def test_a_hash_says_that_it_is_one_and_has_128_bits(value: str) -> None:
    mark, _, digits = Hasher(KEY)(value).partition(":")
    assert mark == "hash"
    assert len(bytes.fromhex(digits)) == 16


def test_a_named_key_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "key").write_bytes(KEY + b"\n")
    monkeypatch.setenv(hashing.NAME, str(tmp_path / "key"))
    assert hashing.read()("rider-7") == Hasher(KEY)("rider-7")


@pytest.mark.parametrize(
    ("content", "said"), [(None, "No such file"), (b"", "0 bytes"), (b"s3cret-" * 4, "28 bytes")]
)
def test_a_named_key_that_is_no_secret_is_refused_and_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None, said: str
) -> None:
    if content is not None:
        (tmp_path / "key").write_bytes(content)
    monkeypatch.setenv(hashing.NAME, str(tmp_path / "key"))
    with pytest.raises(Problem, match=f"{hashing.NAME}: .*found {said}") as caught:
        hashing.read()
    assert "s3cret" not in str(caught.value)


def test_where_none_is_named_a_key_is_made_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(hashing.NAME, raising=False)
    monkeypatch.chdir(tmp_path)
    first = hashing.read()("rider-7")
    assert hashing.read()("rider-7") == first
    assert hashing.place().stat().st_mode & 0o777 == 0o600
    assert len(hashing.place().read_bytes().strip()) >= hashing.LEAST


def test_of_two_that_make_the_key_at_once_both_have_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "hash.key"
    other = hashing.make(tmp_path / "other.key").read_bytes()
    sound = Path.touch

    def late(self: Path, *given: Any) -> None:
        sound(self, *given)
        path.write_bytes(other)

    monkeypatch.setattr(Path, "touch", late)
    assert hashing.make(path).read_bytes() == other
    assert {each.name for each in tmp_path.iterdir()} == {"hash.key", "other.key"}


@pytest.fixture
def varied_service(
    built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Loaded]:
    """A service whose callers give a sensitive column."""
    with varied(built, tmp_path, VARIANT, monkeypatch) as found:
        yield found


def told_of(asked: Loaded) -> list[tuple[str, bytes]]:
    """What callers are told when they ask with personal data, rightly and wrongly."""
    service, _ = asked
    good = TRIP | {"rider_phone": PHONE}
    routes: list[tuple[str, Any]] = [
        ("/v1/predict", good),
        ("/v1/predict/batch", {"instances": [good, good]}),
        ("/v1/predict/lines", good),
        ("/v1/predict", good | {"trip_distance": 1_000}),
        ("/v1/predict", good | {"rider_phone": [PHONE]}),
        ("/v1/predict/batch", {"instances": [good | {"rider_phone": PHONE + 0.5}]}),
        ("/v1/outcomes", {"prediction_id": RIDER, "value": str(PHONE)}),
        ("/explain", {"prediction_id": RIDER}),
    ]
    found = [told(asked, *each) for each in routes]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(service._model.model, "predict", fails)
        return found + [told(asked, *each) for each in routes[:3]]


def told(asked: Loaded, path: str, body: Any) -> tuple[str, bytes]:
    """What a caller is told on a route."""
    content, headers = json.dumps(body), {"x-entity-id": RIDER}
    answer = ask(asked[0], "POST", path, asked[1], content=content, headers=headers)
    place = f"the answer {answer.status_code} to {path}"
    return place, str(answer.headers).encode() + answer.content


def fails(_: Any) -> None:
    """A model whose error quotes what it was given."""
    try:
        raise KeyError(WORDS)
    except KeyError as error:
        raise ValueError(f"{WORDS}: {PHONE}") from error


def planted(asked: Loaded, state: Path, capfd: pytest.CaptureFixture[str]) -> set[tuple[str, str]]:
    """Which planted secrets stand in which files of the log, answers, and standard output."""
    secrets = {
        "key": asked[1],
        "key's secret": asked[1].split("_", 2)[2],
        "hash key": hashing.place().read_text().strip(),
        "phone": str(PHONE),
        "rider": RIDER,
        "words": WORDS,
    }
    with logs.written(asked[0].said):
        heard = told_of(asked)
        asked[0].access.flush()
    output = capfd.readouterr()
    streams = [("stdout", output.out.encode()), ("stderr", output.err.encode())]
    assert len(records(state)) == 4
    assert output.out.count('"stream":"access"') == 11
    return found_in([*files(state / LOG), *heard, *streams], secrets)


def test_no_secret_stands_in_any_log_answer_or_problem(
    varied_service: Loaded, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert planted(varied_service, tmp_path, capfd) == set()


def test_without_hashing_the_same_look_finds_the_planted_secrets(
    varied_service: Loaded,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Hasher, "__call__", lambda _, value: value)
    found = planted(varied_service, tmp_path, capfd)
    logged = {name for name, place in found if place.startswith("predictions/")}
    assert logged == {"phone", "rider"}


def test_an_exceptions_words_would_be_found(
    varied_service: Loaded,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(logs, "told", lambda error: {"type": repr(error)})
    found = planted(varied_service, tmp_path, capfd)
    assert {("words", "stdout"), ("phone", "stdout")} <= found


def test_a_sensitive_value_is_logged_as_its_hash(varied_service: Loaded, tmp_path: Path) -> None:
    service, key = varied_service
    answers = [
        ask(service, "POST", "/v1/predict", key, json=TRIP | {"rider_phone": phone})
        for phone in (PHONE, PHONE + 1, PHONE)
    ]
    assert {answer.status_code for answer in answers} == {200}
    hashed = [record["input"]["rider_phone"] for record in records(tmp_path)]
    assert hashed[0] == hashed[2] != hashed[1]
    assert all(text.startswith(hashing.MARK) for text in hashed)
    plain = {name: records(tmp_path)[0]["input"][name] for name in TRIP}
    assert plain == json.loads(json.dumps(TRIP))
