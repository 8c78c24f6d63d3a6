"""The service's own log: JSON lines with documented fields, and nobody else's words in them."""

import json
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from asked import TRIP, ask, loaded, samples
from preflight.errors import Problem
from preflight.serving import logs
from preflight.serving.app import ModelService
from remembered import told

Loaded = tuple[ModelService, str]
log = logging.getLogger("preflight")


@pytest.fixture(scope="module")
def asked(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loaded]:
    """A loaded service of the small repository, and a key of all scopes."""
    with loaded(built, tmp_path_factory.mktemp("logs")) as found:
        yield found


def test_each_message_is_one_json_line_of_documented_fields(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with logs.written(bool):
        log.info("keys\nread %s", "again")
        log.warning("\u00e9", extra={"request_id": "order-7"})
    first, second = told(capfd.readouterr().out)
    assert list(first) == ["stream", "at", "level", "logger", "message"]
    assert (first["stream"], first["level"], first["logger"]) == ("log", "info", "preflight")
    assert first["message"] == "keys\nread again"
    assert first["at"].endswith("Z")
    assert (second["message"], second["request_id"]) == ("\u00e9", "order-7")
    assert set(second) <= set(logs.FIELDS)


def test_what_others_say_is_written_from_warnings_on(capfd: pytest.CaptureFixture[str]) -> None:
    names = [*logs.OTHERS, "somebody.else"]
    with logs.written(bool):
        for name in names:
            logging.getLogger(name).info("not this")
            logging.getLogger(name).warning("this")
    found = told(capfd.readouterr().out)
    assert [(each["logger"], each["message"]) for each in found] == [
        (name, "this") for name in names
    ]


def test_messages_are_counted_by_level_and_records_of_requests_are_not(
    capfd: pytest.CaptureFixture[str],
) -> None:
    counted: list[str] = []
    access = logs.Access()
    with logs.written(counted.append):
        log.error("a")
        log.error("b")
        log.warning("c")
        access("predict", 200, "tests", "order-7", 0.001)
        access.flush()
    assert counted == ["error", "error", "warning"]
    assert len(told(capfd.readouterr().out)) == 4


def raised(error: Exception) -> dict[str, Any]:
    """An exception as it is told, from where it was raised."""
    try:
        raise error
    except Exception as caught:
        return logs.told(caught)


def test_a_foreign_exception_is_told_by_type_and_places_without_its_words() -> None:
    found = raised(ValueError("TELLTALE"))
    assert found["type"] == "builtins.ValueError"
    assert "TELLTALE" not in str(found)
    (place,) = found["places"]
    assert place.startswith("unit/test_logs.py:")
    assert place.endswith(" raised")


def test_an_exception_of_ours_is_told_with_its_words() -> None:
    found = raised(Problem("params.yaml", "nothing", "a file", "Bring it."))
    assert found["words"].startswith("params.yaml: found nothing")


def chained(hidden: bool) -> dict[str, Any]:
    """One exception that came from another."""
    try:
        try:
            raise KeyError("TELLTALE")
        except KeyError as error:
            raise ValueError("TELLTALE") from (None if hidden else error)
    except ValueError as caught:
        return logs.told(caught)


def test_what_caused_an_exception_is_told_too_unless_it_was_hidden() -> None:
    assert chained(hidden=False)["cause"]["type"] == "builtins.KeyError"
    assert "TELLTALE" not in str(chained(hidden=False))
    assert "cause" not in chained(hidden=True)


def test_records_of_requests_wait_for_the_next_beat(capfd: pytest.CaptureFixture[str]) -> None:
    access = logs.Access()
    with logs.written(bool):
        access("predict", 200, "tests", "order-7", 0.0012)
        assert not capfd.readouterr().out
        access.flush()
        (found,) = told(capfd.readouterr().out)
    del found["at"]
    assert found == {
        "stream": "access",
        "level": "info",
        "logger": logs.ACCESS,
        "request_id": "order-7",
        "route": "predict",
        "status": 200,
        "client": "tests",
        "latency_ms": 1.2,
    }
    assert not capfd.readouterr().out


def test_many_records_of_requests_do_not_wait(capfd: pytest.CaptureFixture[str]) -> None:
    access = logs.Access()
    with logs.written(bool):
        for number in range(logs.AT_ONCE + 1):
            access("predict", 200, "tests", f"order-{number}", 0.001)
        assert len(told(capfd.readouterr().out)) == logs.AT_ONCE


def test_records_of_requests_have_a_level_that_switches_them_off(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    access = logs.Access()
    monkeypatch.setattr(logging.getLogger(logs.ACCESS), "level", logging.WARNING)
    logging.getLogger(logs.ACCESS).manager._clear_cache()  # type: ignore[attr-defined]
    with logs.written(bool):
        access("predict", 200, "tests", "order-7", 0.001)
        access.flush()
    logging.getLogger(logs.ACCESS).manager._clear_cache()  # type: ignore[attr-defined]
    assert not capfd.readouterr().out


def test_afterwards_all_is_as_it_was() -> None:
    root = logging.getLogger()
    before = root.handlers[:], root.level, sys.excepthook
    with pytest.raises(RuntimeError), logs.written(bool) as handler:
        assert root.handlers == [handler]
        raise RuntimeError
    assert (root.handlers, root.level, sys.excepthook) == before


def test_what_waits_is_written_at_the_end(capfd: pytest.CaptureFixture[str]) -> None:
    service = ModelService()
    with logs.written(service.said):
        service.access("predict", 200, "tests", "order-7", 0.001)
        service.end()
    assert len(told(capfd.readouterr().out)) == 1


def test_an_exception_that_ends_the_worker_is_a_line_too(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with logs.written(bool):
        sys.excepthook(ValueError, ValueError("TELLTALE"), None)
    (found,) = told(capfd.readouterr().out)
    assert (found["level"], found["error"]["type"]) == ("error", "builtins.ValueError")
    assert "TELLTALE" not in str(found)


def test_a_log_that_nobody_reads_any_more_stops_nothing() -> None:
    read, write = os.pipe()
    os.close(read)
    lines = logs.Lines(bool, write)
    for name in ("preflight", logs.ACCESS):
        words = {"name": name, "levelno": 20, "levelname": "INFO", "msg": "", "requests": [{}]}
        lines.handle(logging.makeLogRecord(words))
    os.close(write)


def heard(asked: Loaded, capfd: pytest.CaptureFixture[str], *requests: Any) -> list[Any]:
    """The lines that requests leave, given as method, path and more."""
    with logs.written(asked[0].said):
        for method, path, key, more in requests:
            ask(asked[0], method, path, key, **more)
        asked[0].access.flush()
    return told(capfd.readouterr().out)


def test_every_request_leaves_one_record_whatever_its_answer(
    asked: Loaded, capfd: pytest.CaptureFixture[str]
) -> None:
    key = asked[1]
    found = heard(
        asked,
        capfd,
        ("POST", "/v1/predict", key, {"json": TRIP, "headers": {"x-request-id": "order-7"}}),
        ("POST", "/v1/predict", key, {"json": {}}),
        ("POST", "/v1/predict", None, {"json": TRIP}),
        ("POST", "/v1/predict/lines", key, {"content": json.dumps(TRIP)}),
        ("GET", "/v1/predict", key, {}),
        ("GET", "/version", key, {}),
        ("GET", "/TELLTALE?TELLTALE=1", key, {"headers": {"user-agent": "TELLTALE"}}),
    )
    assert [(each["route"], each["status"], each["client"]) for each in found] == [
        ("predict", 200, "tests"),
        ("predict", 422, "tests"),
        ("predict", 401, "-"),
        ("lines", 200, "tests"),
        ("predict", 405, "-"),
        ("version", 200, "tests"),
        ("none", 404, "-"),
    ]
    assert found[0]["request_id"] == "order-7"
    assert "TELLTALE" not in str(found)
    for each in found:
        assert set(each) <= set(logs.FIELDS)
        assert each["latency_ms"] > 0


def test_an_exception_is_told_once_with_the_id_of_its_request(
    asked: Loaded, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_: Any) -> None:
        raise RuntimeError("TELLTALE")

    monkeypatch.setattr(asked[0]._model.model, "predict", fails)
    before = samples(asked[0], "preflight_messages_total").get(("error",), 0.0)
    more = {"json": TRIP, "headers": {"x-request-id": "order-7"}}
    error, access = heard(asked, capfd, ("POST", "/v1/predict", asked[1], more))
    assert (error["level"], error["request_id"]) == ("error", "order-7")
    assert error["error"]["type"] == "builtins.RuntimeError"
    assert error["error"]["places"][-1].endswith(" fails")
    assert (access["route"], access["status"]) == ("predict", 500)
    assert "TELLTALE" not in str(error)
    assert samples(asked[0], "preflight_messages_total")["error",] == before + 1


def test_the_page_of_the_log_lists_every_field_and_level() -> None:
    """What is written is documented from these tables."""
    assert set(logs.LEVELS) == {"error", "warning", "info", "debug"}
    assert all(logs.FIELDS.values())
