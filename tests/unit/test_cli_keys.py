"""`preflight keys`: add shows a key once, list shows none, revoke takes one back."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from preflight import cli
from preflight.serving import keys


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where PREFLIGHT_KEYS says that keys lie."""
    found = tmp_path / "keys.json"
    monkeypatch.setenv("PREFLIGHT_KEYS", str(found))
    return found


def run(*words: str) -> Result:
    """`preflight keys` with these words."""
    return CliRunner().invoke(cli.main, ["keys", *words])


def test_add_prints_the_key_alone_so_that_a_shell_can_keep_it(place: Path) -> None:
    done = run("add", "dispatch")
    assert done.exit_code == 0
    (line,) = done.stdout.splitlines()
    found = keys.read(place).find(line.encode())
    assert found is not None
    assert (found.client, found.scopes, found.rate) == ("dispatch", ["predict"], None)
    assert line not in done.stderr


def test_add_takes_scopes_and_a_cap(place: Path) -> None:
    done = run("add", "ops", "--scope", "admin", "--scope", "outcomes", "--rate", "20")
    assert done.exit_code == 0
    (found,) = keys.listed(place)
    assert (found.scopes, found.rate) == (["admin", "outcomes"], 20.0)


@pytest.mark.parametrize(
    "words",
    [
        ("add",),
        ("add", "a", "--scope", "root"),
        ("add", "a", "--rate", "0"),
        ("revoke",),
        ("drop",),
    ],
)
def test_what_click_cannot_read_is_refused_and_leaves_no_file(
    place: Path, words: tuple[str, ...]
) -> None:
    assert run(*words).exit_code == 2
    assert not place.exists()


def test_a_name_that_is_none_is_one_line_and_status_1(place: Path) -> None:
    done = run("add", "Not A Name")
    assert done.exit_code == 1
    assert done.stderr.startswith("error: the client: found 'Not A Name'")
    assert not place.exists()


def test_list_shows_whose_keys_there_are_and_no_secret(place: Path) -> None:
    key = run("add", "dispatch", "--rate", "2.5").stdout.strip()
    run("add", "ops", "--scope", "admin")
    first, second = run("list").stdout.splitlines()
    _, number, secret = key.split("_", 2)
    assert first.split()[:3] == [number, "dispatch", "predict"]
    assert first.endswith("2.5/s")
    assert second.split()[1:3] == ["ops", "admin"]
    assert secret not in first + second
    assert keys.listed(place)[0].sha256 not in first


def test_list_without_a_file_is_empty(place: Path) -> None:
    done = run("list")
    assert (done.exit_code, done.stdout) == (0, "")


def test_revoke_takes_one_key_back(place: Path) -> None:
    old, new = (run("add", "dispatch").stdout.strip() for _ in range(2))
    done = run("revoke", old.split("_")[1])
    assert (done.exit_code, done.stdout) == (0, "")
    assert "of dispatch" in done.stderr
    left = keys.read(place)
    assert left.find(old.encode()) is None
    assert left.find(new.encode()) is not None


def test_revoking_what_is_not_there_says_what_to_do(place: Path) -> None:
    run("add", "dispatch")
    done = run("revoke", "000000000000")
    assert done.exit_code == 1
    assert "preflight keys list" in done.stderr


def test_a_broken_file_is_one_line_without_its_content(place: Path) -> None:
    place.write_text('{"keys": "TELLTALE"}')
    done = run("list")
    assert done.exit_code == 1
    assert str(place) in done.stderr
    assert "TELLTALE" not in done.stderr
