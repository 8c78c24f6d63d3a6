"""A watched file is read again when it differs, and its last good version outlives a bad one."""

import os
from pathlib import Path

import pytest

from preflight.errors import Problem
from preflight.files import replacing
from preflight.serving.watched import Watched


def read(path: Path) -> str:
    """A file's text; the word `broken` is no such file."""
    try:
        text = path.read_text()
    except FileNotFoundError:
        raise Problem(str(path), "no file", "a text", "Bring it back.") from None
    if text == "broken":
        raise Problem(str(path), "a broken one", "a text", "Mend it.")
    return text


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file with a word."""
    found = tmp_path / "word"
    found.write_text("one")
    return found


def put(path: Path, text: str) -> None:
    """Replace a file whole, as the commands do."""
    with replacing(path) as partial:
        partial.write_text(text)


def test_an_unchanged_file_is_not_read_again(path: Path) -> None:
    calls: list[Path] = []

    def counted(place: Path) -> str:
        calls.append(place)
        return read(place)

    watched = Watched(path, counted)
    assert [watched.refresh() for _ in range(3)] == [False] * 3
    assert len(calls) == 1


def test_a_changed_file_is_read_once(path: Path) -> None:
    watched = Watched(path, read)
    put(path, "other")
    assert [watched.refresh(), watched.refresh()] == [True, False]
    assert watched.value == "other"


def test_a_change_is_seen_though_time_and_size_stay(path: Path) -> None:
    watched, kept = Watched(path, read), path.stat()
    put(path, "two")
    os.utime(path, ns=(kept.st_atime_ns, kept.st_mtime_ns))
    assert path.stat().st_mtime_ns == kept.st_mtime_ns
    assert watched.refresh()
    assert watched.value == "two"


def test_a_change_is_seen_though_the_clock_went_back(path: Path) -> None:
    watched = Watched(path, read)
    put(path, "two")
    os.utime(path, ns=(0, 0))
    assert watched.refresh()
    assert watched.value == "two"


def test_a_change_in_place_is_seen(path: Path) -> None:
    watched = Watched(path, read)
    path.write_text("three")
    assert watched.refresh()


@pytest.mark.parametrize("broken", [True, False], ids=["broken", "gone"])
def test_the_last_good_version_is_kept_and_told_once(
    path: Path, caplog: pytest.LogCaptureFixture, broken: bool
) -> None:
    watched = Watched(path, read)
    if broken:
        put(path, "broken")
    else:
        path.unlink()
    assert [watched.refresh(), watched.refresh()] == [None, None]
    assert watched.value == "one"
    (record,) = caplog.records
    assert (record.levelname, str(path) in record.message) == ("ERROR", True)


def test_a_mended_file_is_read_again(path: Path) -> None:
    watched = Watched(path, read)
    put(path, "broken")
    watched.refresh()
    put(path, "mended")
    assert watched.refresh()
    assert watched.value == "mended"


def test_a_file_that_is_broken_at_the_start_is_refused(path: Path) -> None:
    put(path, "broken")
    with pytest.raises(Problem, match="found a broken one"):
        Watched(path, read)
