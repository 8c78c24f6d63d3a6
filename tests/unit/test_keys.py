"""Keys are shown once, kept as hashes, compared in constant time, and never lost or told."""

import hashlib
import hmac
import json
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest

from conftest import ROOT
from preflight.errors import Problem
from preflight.serving import keys
from preflight.serving.keys import Cap

ADDING = """
import sys
from pathlib import Path
from preflight.serving import keys

for _ in range(10):
    keys.add(Path(sys.argv[1]), sys.argv[2], ("predict",), None)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where keys will lie."""
    return tmp_path / "state/keys.json"


def made(path: Path, client: str = "dispatch") -> str:
    """A new key to predict with."""
    return keys.add(path, client, ("predict",), None)


def secret(key: str) -> str:
    """A key's part that nobody may keep."""
    return key.split("_", 2)[2]


def number(key: str) -> str:
    """A key's id."""
    return key.split("_", 2)[1]


def test_a_key_that_was_made_is_found(path: Path) -> None:
    key = keys.add(path, "dispatch", ("predict", "admin"), 5.0)
    found = keys.read(path).find(key.encode())
    assert found is not None
    assert (found.client, found.scopes, found.rate) == ("dispatch", ["admin", "predict"], 5.0)


def test_the_secret_is_kept_nowhere(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    key = made(path)
    read = keys.read(path)
    found = read.find(key.encode())
    told = [repr(found), repr(read), repr(keys.listed(path)), caplog.text]
    told += [each.read_text() for each in path.parent.iterdir()]
    assert not any(secret(key) in text for text in told)
    assert found is not None
    assert found.sha256 == hashlib.sha256(key.encode()).hexdigest()


def test_a_secret_has_256_random_bits(path: Path) -> None:
    found = {secret(made(path)) for _ in range(20)}
    assert len(found) == 20
    assert {len(each) for each in found} == {43}


def test_a_client_may_have_several_keys_and_lose_one(path: Path) -> None:
    old, new = made(path), made(path)
    assert len(keys.listed(path)) == 2
    gone = keys.revoke(path, number(old))
    assert (gone.id, gone.client) == (number(old), "dispatch")
    left = keys.read(path)
    assert left.find(old.encode()) is None
    assert left.find(new.encode()) is not None


def test_revoking_an_unknown_id_is_refused_and_changes_nothing(path: Path) -> None:
    made(path)
    before = path.read_bytes()
    with pytest.raises(Problem, match=r"no key 000000000000.*preflight keys list"):
        keys.revoke(path, "000000000000")
    assert path.read_bytes() == before


@pytest.mark.parametrize("name", ["", "Dispatch", "-a", "a b", "a\n", "ä", "x" * 64, "a/b"])
def test_a_client_whose_name_is_no_name_is_refused(path: Path, name: str) -> None:
    with pytest.raises(Problem, match="the client"):
        made(path, name)
    assert not path.exists()


def spoilt(key: str) -> dict[str, str]:
    """Keys that look like one that is known."""
    last = "A" if key[-1] != "A" else "B"
    return {
        "another secret": key[:-1] + last,
        "another id": f"pf_{'0' * 12}_{secret(key)}",
        "cut": key[:-1],
        "longer": key + "A",
        "a line more": key + "\n",
        "no prefix": key[3:],
        "upper case": key.upper(),
        "its hash": f"pf_{number(key)}_{hashlib.sha256(secret(key).encode()).hexdigest()[:43]}",
        "nothing": "",
    }


def test_what_only_looks_like_a_key_is_not_found(path: Path) -> None:
    key = made(path)
    read = keys.read(path)
    assert {name for name, each in spoilt(key).items() if read.find(each.encode())} == set()
    assert read.find(b"\xff" * 60) is None


def test_secrets_are_compared_in_constant_time_for_unknown_ids_too(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = made(path)
    read, calls = keys.read(path), []

    def spy(one: bytes, other: bytes, compare: Callable[..., bool] = hmac.compare_digest) -> bool:
        calls.append((len(one), len(other)))
        return compare(one, other)

    monkeypatch.setattr(hmac, "compare_digest", spy)
    assert read.find(key.encode()) is not None
    assert read.find(spoilt(key)["another id"].encode()) is None
    assert calls == [(32, 32), (32, 32)]


def test_only_the_owner_may_read_the_file(path: Path) -> None:
    key = made(path)
    made(path)
    keys.revoke(path, number(key))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_write_that_fails_leaves_the_old_file(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(path)
    before = path.read_bytes()

    def fail(*_: object) -> bytes:
        raise KeyboardInterrupt

    monkeypatch.setattr(msgspec.json, "format", fail)
    with pytest.raises(KeyboardInterrupt):
        made(path)
    assert path.read_bytes() == before
    assert not list(path.parent.glob("*.partial"))


def test_readers_always_see_a_whole_file(path: Path) -> None:
    made(path)
    done, seen = threading.Event(), [0]

    def reading() -> None:
        while not done.is_set():
            seen.append(len(keys.listed(path)))

    with ThreadPoolExecutor(1) as pool:
        reader = pool.submit(reading)
        for _ in range(30):
            made(path)
        done.set()
        reader.result(timeout=10)
    assert seen == sorted(seen)


def test_threads_that_add_at_once_lose_no_key(path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda place: made(path, f"client-{place}"), range(40)))
    read = keys.read(path)
    assert all(read.find(key.encode()) for key in found)


def test_processes_that_add_at_once_lose_no_key(path: Path) -> None:
    command = [sys.executable, "-c", ADDING, str(path)]
    adding = [subprocess.Popen([*command, f"client-{each}"], cwd=ROOT / "src") for each in range(4)]
    assert [each.wait(60) for each in adding] == [0] * 4
    clients = [key.client for key in keys.listed(path)]
    assert sorted(clients) == [f"client-{each}" for each in range(4) for _ in range(10)]


MARK = "TELLTALE"
BROKEN = {
    "hash": ({"sha256": MARK}, "sha256"),
    "scope": ({"scopes": [MARK]}, "scopes"),
    "client": ({"client": MARK}, "client"),
    "rate": ({"rate": MARK}, "rate"),
    "id": ({"id": MARK}, "id"),
}


@pytest.mark.parametrize("name", list(BROKEN))
def test_a_broken_key_is_named_by_its_place_and_not_by_its_content(path: Path, name: str) -> None:
    made(path)
    plain = json.loads(path.read_text())
    changes, place = BROKEN[name]
    plain["keys"][0] |= changes
    path.write_text(json.dumps(plain))
    with pytest.raises(Problem, match=rf"keys\[(0|\.\.\.)\]\.{place}") as caught:
        keys.read(path)
    assert str(path) in str(caught.value)
    assert MARK not in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        MARK.encode(),
        b"[]",
        b'{"keys": 3}',
        b'{"keys": [], "format": 2}',
        b'{"a\xff": 1}',
    ],
    ids=["empty", "cut", "word", "list", "number", "format", "bytes"],
)
def test_a_file_that_is_no_key_file_is_a_problem_without_its_content(
    path: Path, content: bytes
) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(Problem, match="a file of `preflight keys`") as caught:
        keys.read(path)
    assert str(path) in str(caught.value)
    assert MARK not in str(caught.value)


def test_a_broken_file_is_not_added_to(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("{")
    with pytest.raises(Problem):
        made(path)
    assert path.read_text() == "{"


def test_a_missing_file_says_how_to_make_a_key(path: Path) -> None:
    with pytest.raises(Problem, match="preflight keys add CLIENT"):
        keys.read(path)
    assert keys.listed(path) == []


def test_a_cap_lets_in_as_many_a_second_and_key_by_key() -> None:
    now = [7.0]
    cap = Cap(lambda: now[0])
    assert [cap.takes("one", 3) for _ in range(5)] == [True] * 3 + [False] * 2
    assert cap.takes("other", 3)
    now[0] = 7.99
    assert not cap.takes("one", 3)
    now[0] = 8.0
    assert cap.takes("one", 3)


def test_a_cap_below_one_a_second_would_shut_its_key_out_and_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    keys.add(path, "dispatch", ("predict",), 1.0)
    path.write_text(path.read_text().replace('"rate": 1.0', '"rate": 0.5'))
    with pytest.raises(Problem, match="rate"):
        keys.read(path)


def test_the_place_is_the_variables_or_beside_the_other_state(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PREFLIGHT_KEYS", "/elsewhere/keys.json")
    assert keys.place() == Path("/elsewhere/keys.json")
    monkeypatch.delenv("PREFLIGHT_KEYS")
    assert keys.place() == Path(".preflight/serving/keys.json")
