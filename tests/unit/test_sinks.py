"""The log goes to a folder that can be written, or to standard output."""

import json
import logging
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from preflight import params
from preflight.errors import Problem
from preflight.log.segments import Standard
from preflight.serving import logs, sinks

LIMITS = params.load().log


def test_a_folder_is_made_where_there_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(sinks.PLACE, str(tmp_path / "a/b"))
    found = sinks.sink("outcomes", LIMITS)
    found.append(b"{}\n")
    found.close()
    assert [path.read_bytes() for path in (tmp_path / "a/b/outcomes").iterdir()] == [b"{}\n"]


def test_a_place_that_cannot_be_written_is_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "taken").touch()
    monkeypatch.setenv(sinks.PLACE, str(tmp_path / "taken"))
    with pytest.raises(Problem, match=f"{sinks.PLACE}: .*taken: found .*stdout"):
        sinks.sink("predictions", LIMITS)


def test_torn_tails_of_earlier_processes_are_cut_and_told_as_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(sinks.PLACE, str(tmp_path))
    torn = tmp_path / "predictions/20210203T081500-1-00000000.jsonl"
    torn.parent.mkdir()
    torn.write_bytes(b'{"id":"1"}\n{"id":"2')
    sinks.sink("predictions", LIMITS).close()
    assert torn.read_bytes() == b'{"id":"1"}\n'
    ((logger, level, message),) = caplog.record_tuples
    assert (logger, level) == ("preflight", logging.WARNING)
    assert torn.name in message


def test_in_a_cluster_lines_go_to_standard_output_with_their_stream(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(sinks.PLACE, sinks.STANDARD)
    monkeypatch.chdir(tmp_path)
    found = sinks.sink("predictions", LIMITS)
    found.append(b'{"id":"1"}\n{"id":"2"}\n')
    found.beat()
    found.close()
    lines = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert lines == [{"stream": "predictions", "id": number} for number in ("1", "2")]
    assert not list(tmp_path.iterdir())


def read(file: int) -> bytes:
    """All that comes through a pipe, little by little, as a log shipper takes it."""
    parts = []
    while part := os.read(file, 5_000):
        parts.append(part)
    os.close(file)
    return b"".join(parts)


def test_lines_of_several_writers_do_not_break_each_other_in_a_pipe() -> None:
    """Workers, and within one the log and the records, share standard output."""
    out, file = os.pipe()
    line = json.dumps({"id": "1", "input": "x" * 600}).encode() + b"\n"
    access = logs.Lines(bool, file)
    request = logs.Request("", "1", "predict" * 90, 200, "-", 1.0)
    words = {"name": logs.ACCESS, "levelname": "INFO", "requests": [request]}

    def batch() -> None:
        Standard("predictions", file).append(line * 1_500)

    def requests() -> None:
        for _ in range(1_500):
            access.emit(logging.makeLogRecord(words))
        access.flush()

    with ThreadPoolExecutor(4) as threads:
        reader = threads.submit(read, out)
        for done in [threads.submit(work) for work in (batch, requests, batch)]:
            done.result()
        os.close(file)
    streams = [json.loads(line)["stream"] for line in reader.result().splitlines()]
    assert (streams.count("predictions"), streams.count("access")) == (3_000, 1_500)


def test_records_longer_than_a_pipe_takes_at_once_are_not_broken_by_messages() -> None:
    out, file = os.pipe()
    line = json.dumps({"id": "1", "input": "x" * 200_000}).encode() + b"\n"
    messages = logs.Lines(bool, file)

    def records() -> None:
        for _ in range(50):
            Standard("predictions", file).append(line)

    with ThreadPoolExecutor(2) as threads:
        reader, writer = threads.submit(read, out), threads.submit(records)
        while not writer.done():
            messages.emit(logging.makeLogRecord({"levelname": "INFO"}))
        os.close(file)
    streams = [json.loads(line)["stream"] for line in reader.result().splitlines()]
    assert streams.count("predictions") == 50
