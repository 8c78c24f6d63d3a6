"""Files are whole or absent."""

import subprocess
import sys
from pathlib import Path

import pytest

from preflight.errors import Problem
from preflight.files import read_json, replacing, sha256, write_json


def test_a_finished_file_takes_its_place(tmp_path: Path) -> None:
    target = tmp_path / "new" / "file"
    with replacing(target) as partial:
        partial.write_text("whole")
        assert not target.exists()
    assert target.read_text() == "whole"


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_an_interrupted_file_keeps_what_it_had(tmp_path: Path, error: type[BaseException]) -> None:
    target = tmp_path / "file"
    target.write_text("before")
    with pytest.raises(error), replacing(target) as partial:
        partial.write_text("ha")
        raise error
    assert target.read_text() == "before"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_folder_replaces_the_folder_before(tmp_path: Path) -> None:
    target = tmp_path / "folder"
    target.mkdir()
    (target / "old").touch()
    with replacing(target) as partial:
        partial.mkdir()
        (partial / "new").touch()
    assert [path.name for path in target.iterdir()] == ["new"]


def test_an_interrupted_folder_keeps_what_it_had(tmp_path: Path) -> None:
    target = tmp_path / "folder"
    target.mkdir()
    (target / "old").touch()
    with pytest.raises(KeyboardInterrupt), replacing(target) as partial:
        partial.mkdir()
        raise KeyboardInterrupt
    assert [path.name for path in target.iterdir()] == ["old"]


def test_a_killed_runs_leftover_does_not_stop_the_next(tmp_path: Path) -> None:
    (tmp_path / ".file.partial").write_text("left")
    with replacing(tmp_path / "file") as partial:
        partial.write_text("whole")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has /dev/full")
def test_a_full_disk_is_named_and_nothing_stays(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="no space left"), replacing(tmp_path / "file") as partial:
        partial.symlink_to("/dev/full")
        partial.write_text("x" * 100_000)
    assert not list(tmp_path.iterdir())


FULL = """
import resource, sys
from pathlib import Path
import polars as pl
from preflight import table
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    table.write_parquet(pl.LazyFrame({"a": range(200_000)}), Path(sys.argv[1]))
except Exception as error:
    sys.exit(f"{type(error).__name__}: {error}")
"""


def test_parquet_without_room_is_named_and_nothing_stays(tmp_path: Path) -> None:
    """The operating system's limit on file size stands for a full disk."""
    done = subprocess.run(
        [sys.executable, "-c", FULL, tmp_path / "a.parquet"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Problem" in done.stderr
    assert "no space left" in done.stderr
    assert not list(tmp_path.iterdir())


def test_other_errors_of_the_system_pass_as_they_are(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), replacing(tmp_path / "file"):
        pass


def test_equal_json_is_equal_bytes(tmp_path: Path) -> None:
    write_json(tmp_path / "a", {"b": 1, "a": [0.1]})
    write_json(tmp_path / "b", {"a": [0.1], "b": 1})
    assert sha256(tmp_path / "a") == sha256(tmp_path / "b")
    assert read_json(tmp_path / "a") == {"a": [0.1], "b": 1}


def test_json_that_is_damaged_or_absent_is_named(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("{")
    with pytest.raises(Problem, match="no JSON"):
        read_json(tmp_path / "a")
    with pytest.raises(Problem, match="no file"):
        read_json(tmp_path / "b")


def test_nan_never_reaches_json(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a", float("nan"))
    assert not list(tmp_path.iterdir())
