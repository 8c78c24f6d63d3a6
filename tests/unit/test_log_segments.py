"""Segments: what was appended is there, whatever happens to process, disk, folder or clock."""

import errno
import fcntl
import os
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from preflight.log import segments
from preflight.log.segments import TAIL, Segments, cut_torn, ended

LINE = b'{"id":"a"}\n'
DAY = 86_400.0
OUTSIDE = "from pathlib import Path; import os, sys; from preflight.log.segments import Segments\n"


def made(
    folder: Path, size: int = 1 << 20, age: float = DAY, sync: float | None = None
) -> Segments:
    """Segments of a folder."""
    return Segments(folder, size, age, sync)


def content(folder: Path) -> list[bytes]:
    """All segments' bytes, by name."""
    return [path.read_bytes() for path in sorted(folder.glob("*.jsonl"))]


def outside(folder: Path, code: str) -> subprocess.Popen[bytes]:
    """A process of its own that runs some code with the folder as its argument."""
    command = (sys.executable, "-c", OUTSIDE + code, str(folder))
    # A measurement that is killed, or may write no more, is a broken file.
    uncovered = {key: each for key, each in os.environ.items() if "COVERAGE" not in key}
    return subprocess.Popen(command, stdout=subprocess.PIPE, env=uncovered)


def test_a_line_is_in_the_file_when_append_returns(tmp_path: Path) -> None:
    log = made(tmp_path)
    log.append(LINE)
    assert content(tmp_path) == [LINE]
    log.close()


def test_what_a_killed_process_appended_stays_and_its_segment_has_ended(tmp_path: Path) -> None:
    code = """
log = Segments(Path(sys.argv[1]), 1 << 20, 1e5, None)
for number in range(10**9):
    log.append(b'{"id":%d}\\n' % number)
    os.write(1, b'%d\\n' % number)
"""
    with outside(tmp_path, code) as process:
        assert process.stdout
        answered = [process.stdout.readline() for _ in range(200)]
        process.send_signal(signal.SIGKILL)
        answered += process.stdout.read().splitlines(keepends=True)
    whole = [line for line in answered if line.endswith(b"\n")]
    cut_torn(tmp_path)
    (found,) = content(tmp_path)
    assert found.splitlines()[: len(whole)] == [b'{"id":%d}' % int(line) for line in whole]
    with ended(next(tmp_path.glob("*.jsonl"))) as file:
        assert file is not None


def test_a_segment_is_no_larger_than_asked(tmp_path: Path) -> None:
    log = made(tmp_path, size=25)
    for _ in range(5):
        log.append(LINE)
    log.close()
    assert sorted(map(len, content(tmp_path))) == [11, 22, 22]


def test_many_lines_become_slices_of_whole_lines(tmp_path: Path) -> None:
    log = made(tmp_path, size=300_000)
    log.append(LINE * 60_000)
    log.close()
    found = content(tmp_path)
    assert sum(map(len, found)) == 660_000
    assert all(each.endswith(b"\n") and each.startswith(b"{") for each in found)


def test_an_old_segment_ends_at_a_beat_and_the_next_line_starts_another(tmp_path: Path) -> None:
    log = made(tmp_path, age=0.0)
    log.append(LINE)
    log.beat()
    log.append(LINE)
    log.close()
    assert content(tmp_path) == [LINE, LINE]


def test_a_live_segment_is_not_ended_and_a_closed_one_is(tmp_path: Path) -> None:
    log = made(tmp_path)
    log.append(LINE)
    (path,) = tmp_path.glob("*.jsonl")
    with ended(path) as file:
        assert file is None
    log.close()
    with ended(path) as file:
        assert file is not None


def test_a_torn_tail_is_cut_and_told_and_nothing_else_is_touched(tmp_path: Path) -> None:
    (tmp_path / "torn.jsonl").write_bytes(LINE + b'{"id":"b"')
    (tmp_path / "whole.jsonl").write_bytes(LINE)
    assert cut_torn(tmp_path) == [("torn.jsonl", 9)]
    assert content(tmp_path) == [LINE, LINE]
    assert cut_torn(tmp_path) == []


@pytest.mark.parametrize("before", [b"", LINE], ids=["alone", "after a line"])
def test_a_torn_tail_may_be_longer_than_what_is_read_at_a_time(
    tmp_path: Path, before: bytes
) -> None:
    (tmp_path / "torn.jsonl").write_bytes(before + b"x" * 3 * TAIL)
    assert cut_torn(tmp_path) == [("torn.jsonl", 3 * TAIL)]
    assert content(tmp_path) == [before]


def test_the_tail_of_a_live_segment_stays(tmp_path: Path) -> None:
    log = made(tmp_path)
    log.append(b"half a line")
    assert cut_torn(tmp_path) == []
    assert content(tmp_path) == [b"half a line"]
    log.close()


def test_a_full_disk_raises_and_leaves_whole_lines_and_room_mends_it(tmp_path: Path) -> None:
    code = """
import resource
log = Segments(Path(sys.argv[1]), 1 << 20, 1e5, None)
resource.setrlimit(resource.RLIMIT_FSIZE, (1050, resource.RLIM_INFINITY))
line = b'x' * 99 + b'\\n'
for number in range(12):
    try:
        log.append(line)
    except OSError as error:
        os.write(1, b'%d ' % error.errno)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
log.append(line)
"""
    with outside(tmp_path, code) as process:
        assert process.stdout
        said = [int(number) for number in process.stdout.read().split()]
    assert len(said) == 2
    assert set(said) <= {errno.ENOSPC, errno.EFBIG}
    assert content(tmp_path) == [(b"x" * 99 + b"\n") * 11]


def test_a_segment_that_cannot_even_be_cut_is_left_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = made(tmp_path)
    log.append(LINE)
    with monkeypatch.context() as broken:
        broken.setattr(os, "write", _part)
        broken.setattr(os, "ftruncate", _fails)
        with pytest.raises(OSError, match="No space"):
            log.append(LINE)
    log.append(LINE)
    log.close()
    assert sorted(size for _, size in cut_torn(tmp_path)) == [5]
    assert content(tmp_path) == [LINE, LINE]


def test_a_segment_that_cannot_be_started_leaves_nothing_open_and_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, start = made(tmp_path), os.open
    opened: list[int] = []

    def noted(*how: Any) -> int:
        opened.append(start(*how))
        return opened[-1]

    with monkeypatch.context() as broken:
        broken.setattr(os, "open", noted)
        broken.setattr(fcntl, "flock", _fails)  # as a network's folder without locks
        with pytest.raises(OSError, match="error"):
            log.append(LINE)
    (file,) = opened
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(file)
    assert not list(tmp_path.iterdir())
    log.append(LINE)
    log.close()


WRITE = os.write


def _part(file: int, lines: bytes) -> int:
    return WRITE(file, lines[:5])


def _fails(*_: object) -> None:
    raise OSError(errno.EIO, os.strerror(errno.EIO))


def test_a_removed_folder_comes_back_at_a_beat_with_every_line(tmp_path: Path) -> None:
    log, folder = made(tmp_path / "log"), tmp_path / "log"
    log.append(LINE)
    shutil.rmtree(folder)
    log.append(LINE)
    log.beat()
    assert content(folder) == [LINE * 2]
    log.append(LINE)
    log.close()
    assert content(folder) == [LINE * 3]


@pytest.mark.parametrize("more", [0, 1], ids=["its end", "the next segment"])
def test_a_removed_segment_comes_back_though_it_ends_before_a_beat(
    tmp_path: Path, more: int
) -> None:
    log, folder = made(tmp_path / "log", size=25), tmp_path / "log"
    log.append(LINE * 2)
    shutil.rmtree(folder)
    for _ in range(more):
        log.append(LINE)
    log.close()
    assert sorted(content(folder)) == [LINE] * more + [LINE * 2]


def test_while_a_removed_folder_cannot_come_back_lines_are_refused_and_none_is_lost(
    tmp_path: Path,
) -> None:
    log, folder = made(tmp_path / "log"), tmp_path / "log"
    log.append(LINE)
    shutil.rmtree(folder)
    folder.write_text("in the way")
    with pytest.raises(OSError, match=r"exists|directory"):
        log.beat()
    with pytest.raises(OSError, match="removed"):
        log.append(LINE)
    folder.unlink()
    log.beat()
    log.append(LINE)
    log.close()
    assert content(folder) == [LINE * 2]


def test_a_folder_that_was_away_for_a_while_is_written_again_without_a_restart(
    tmp_path: Path,
) -> None:
    log, folder = made(tmp_path / "log"), tmp_path / "log"
    log.append(LINE)
    folder.rename(tmp_path / "away")
    folder.write_text("in the way")
    with pytest.raises(OSError, match=r"exists|directory"):
        log.beat()
    folder.unlink()
    (tmp_path / "away").rename(folder)
    log.beat()
    log.append(LINE)
    log.close()
    assert content(folder) == [LINE * 2]


def test_two_writers_have_a_segment_each(tmp_path: Path) -> None:
    first, second = made(tmp_path), made(tmp_path)
    for log in (first, second, first):
        log.append(LINE)
    assert sorted(content(tmp_path)) == [LINE, LINE * 2]
    first.close()
    second.close()


def test_threads_of_one_writer_leave_whole_lines(tmp_path: Path) -> None:
    log = made(tmp_path, size=5_000)
    lines = [b"%d" % digit * 50 + b"\n" for digit in range(10)] * 50
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(log.append, lines))
    log.close()
    found = [line for each in content(tmp_path) for line in each.splitlines(keepends=True)]
    assert sorted(found) == sorted(lines)


def test_a_clock_that_is_set_back_gives_no_segment_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stopped(datetime):
        @classmethod
        def now(cls, tz: object = None) -> "Stopped":
            return cls(2021, 2, 3, tzinfo=UTC)

    monkeypatch.setattr(segments, "datetime", Stopped)
    log = made(tmp_path, size=1)
    for _ in range(3):
        log.append(LINE)
    log.close()
    assert content(tmp_path) == [LINE] * 3


def test_a_beat_syncs_to_the_disk_as_often_as_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced = Event()
    monkeypatch.setattr(os, "fsync", lambda _: synced.set())
    never, often = made(tmp_path / "never"), made(tmp_path / "often", sync=0.0)
    never.append(LINE)
    never.beat()
    never.close()
    assert not synced.is_set()
    often.append(LINE)
    often.beat()
    often.close()
    assert synced.is_set()


def test_a_segment_that_ends_between_two_syncs_is_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda file: synced.append(os.fstat(file).st_size))
    log = made(tmp_path, size=25, sync=DAY)
    for _ in range(3):
        log.append(LINE)
    log.close()
    assert synced == [22, 11]


def test_a_failing_sync_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(os, "fsync", _fails)
    log = made(tmp_path, sync=0.0)
    log.append(LINE)
    log.beat()
    log.close()
    assert "could not be synced" in caplog.text
