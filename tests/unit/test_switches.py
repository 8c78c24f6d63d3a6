"""Modes change while the service runs, and what is packaged starts with production values only."""

import json
import logging
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from asked import TRIP, ask, loaded, samples
from conftest import ROOT
from preflight import bento, params
from preflight.errors import Problem
from preflight.files import replacing, write_json
from preflight.serving import service as serving
from preflight.serving import switches
from preflight.serving.app import ModelService
from remembered import records

LIMITS = params.load().serving
Loaded = tuple[ModelService, str]
BUILD = {"model_version": "1", "commit": "c" * 40, "bento": "taxi:v1"}
ROUTES = ["/v1/predict", "/v1/predict/batch", "/v1/predict/lines"]
BODIES: dict[str, str] = {
    route: json.dumps({"instances": [TRIP]} if route.endswith("batch") else TRIP)
    for route in ROUTES
}


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The switches file of the shared service."""
    found = tmp_path_factory.mktemp("switches") / "switches.yaml"
    found.write_text("mode: normal\n")
    return found


@pytest.fixture(scope="module")
def asked(built: Path, file: Path) -> Iterator[Loaded]:
    """A service that reads its switches from a file."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("PREFLIGHT_SWITCHES", str(file))
        with loaded(built, file.parent) as found:
            yield found


@pytest.fixture
def switch(asked: Loaded, file: Path) -> Iterator[Any]:
    """Writes the file and lets the service's next beat come; normal again at the end."""

    def put(text: str | bytes) -> None:
        with replacing(file) as partial:
            partial.write_bytes(text if isinstance(text, bytes) else text.encode())
        asked[0].beat()

    yield put
    put("mode: normal\n")


def answers(asked: Loaded) -> list[Any]:
    """The trip's answer on each route."""
    one, batch, lines = (
        ask(asked[0], "POST", route, asked[1], content=body) for route, body in BODIES.items()
    )
    return [one.json(), batch.json()["predictions"][0], json.loads(lines.text)]


def modes(asked: Loaded) -> dict[tuple[str, ...], float]:
    """The mode that metrics show."""
    return samples(asked[0], "preflight_mode")


def test_in_fallback_mode_the_baseline_answers_flagged_and_with_a_warning(
    asked: Loaded, switch: Any
) -> None:
    sound = answers(asked)
    switch("mode: fallback\nreason: a drill\n")
    columns = asked[0].decoder.one(json.dumps(TRIP).encode())
    (value,) = asked[0]._model.model.baseline(columns).tolist()
    for answer in answers(asked):
        assert (answer["value"], answer["interval"]) == (value, None)
        assert answer["flags"] == ["fallback.mode"]
        assert "simpler model" in answer["warning"]
    assert value not in {answer["value"] for answer in sound}


def test_answers_in_fallback_mode_are_counted_by_their_reason(asked: Loaded, switch: Any) -> None:
    switch("mode: fallback\n")
    before = sum(samples(asked[0], "preflight_fallbacks_total").values())
    answers(asked)
    counted = samples(asked[0], "preflight_fallbacks_total")
    assert sum(counted.values()) - before == 3
    assert {reason for _, reason in counted} == {"mode"}


@pytest.mark.parametrize("text", ["mode: off\nreason: a drill\n", "mode: 'off'\nreason: a drill"])
def test_off_answers_503_with_the_reason(asked: Loaded, switch: Any, text: str) -> None:
    switch(text)
    for route, body in BODIES.items():
        answer = ask(asked[0], "POST", route, asked[1], content=body)
        assert answer.status_code == 503
        assert answer.json()["found"] == "off: a drill"
        assert (answer.json()["field"], answer.headers["retry-after"]) == ("mode", "60")
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["x-request-id"]


def test_off_without_a_reason_says_so(asked: Loaded, switch: Any) -> None:
    switch("mode: off\n")
    answer = ask(asked[0], "POST", ROUTES[0], asked[1], content=BODIES[ROUTES[0]])
    assert answer.json()["found"] == "off: no reason given"


def test_off_leaves_the_operators_routes_on(asked: Loaded, switch: Any) -> None:
    switch("mode: off\nreason: a drill\n")
    version = ask(asked[0], "GET", "/version", asked[1]).json()
    assert (version["mode"], version["reason"]) == ("off", "a drill")
    assert ask(asked[0], "GET", "/openapi.json").status_code == 200


@pytest.mark.parametrize("mode", ["normal", "fallback", "off"])
def test_metrics_and_version_show_the_mode_after_a_beat(
    asked: Loaded, switch: Any, mode: str
) -> None:
    switch(f"mode: {mode}\n")
    assert modes(asked) == {(mode,): 1.0}
    assert ask(asked[0], "GET", "/version", asked[1]).json()["mode"] == mode


BROKEN = {
    "yaml": "mode: [",
    "a word": "off",
    "an unknown mode": "mode: maybe\n",
    "an unknown key": "mode: off\nmood: good\n",
    "a limit": "mode: off\nmax_batch: 1\n",
    "empty": "",
    "no text": b"\xff\xfe\x00",
}


@pytest.mark.parametrize("name", list(BROKEN))
def test_a_broken_file_keeps_the_last_mode_and_is_counted(
    asked: Loaded, switch: Any, name: str
) -> None:
    switch("mode: fallback\n")
    before = samples(asked[0], "preflight_unread_files_total").get(("switches",), 0.0)
    switch(BROKEN[name])
    assert modes(asked) == {("fallback",): 1.0}
    assert samples(asked[0], "preflight_unread_files_total")["switches",] == before + 1


def test_a_broken_file_is_told_once_as_an_error(
    asked: Loaded, switch: Any, caplog: pytest.LogCaptureFixture
) -> None:
    switch("mode: [")
    asked[0].beat()
    ((logger, level, message),) = caplog.record_tuples
    assert (logger, level) == ("preflight", logging.ERROR)
    assert message.startswith("switches.yaml: kept what was read before: ")


def test_broken_keys_keep_the_last_good_ones_and_are_counted(asked: Loaded, file: Path) -> None:
    place = file.parent / "keys.json"
    kept = place.read_bytes()
    try:
        place.write_bytes(b"{")
        asked[0].beat()
        asked[0].beat()
        assert samples(asked[0], "preflight_unread_files_total")["keys",] == 2.0
        assert answers(asked)
    finally:
        place.write_bytes(kept)
        asked[0].beat()


@pytest.mark.parametrize("behind", ["true", "false"])
def test_a_file_says_whether_a_proxy_stands_in_front(
    built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, behind: str
) -> None:
    (tmp_path / "switches.yaml").write_text(f"behind_proxy: {behind}\n")
    monkeypatch.setenv("PREFLIGHT_SWITCHES", str(tmp_path / "switches.yaml"))
    with loaded(built, tmp_path) as (service, key):
        ask(service, "POST", ROUTES[0], key, content=BODIES[ROUTES[0]], headers={"x-arm": "canary"})
    (record,) = records(tmp_path)
    assert record["arm"] == ("canary" if behind == "true" else None)


def test_an_unknown_key_is_refused_by_its_name(tmp_path: Path) -> None:
    found = tmp_path / "switches.yaml"
    found.write_text("mod: off\n")
    with pytest.raises(Problem, match=r"switches\.yaml: mod: .*unknown key.*mean `mode`"):
        switches.read(LIMITS, found)


def test_what_a_file_leaves_out_is_as_params_yaml_says(tmp_path: Path) -> None:
    found = tmp_path / "switches.yaml"
    found.write_text("reason: a drill\n")
    declared = LIMITS.model_copy(update={"mode": "fallback"})
    read = switches.read(declared, found)
    assert (read.mode, read.auth, read.reason) == ("fallback", "keys", "a drill")


def test_the_switches_at_home_keep_their_mode_and_get_the_asked_auth(tmp_path: Path) -> None:
    found = tmp_path / "state/switches.yaml"
    assert switches.read(LIMITS, switches.at_home(found, "off")).auth == "off"
    found.write_text("mode: off\nreason: a drill\n")
    read = switches.read(LIMITS, switches.at_home(found, "keys"))
    assert (read.mode, read.auth, read.reason) == ("off", "keys", "a drill")


def test_without_keys_it_does_not_start(
    built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(built)
    monkeypatch.setenv("PREFLIGHT_KEYS", str(tmp_path / "keys.json"))
    with pytest.raises(Problem, match=r"keys\.json: found no keys.*preflight keys add"):
        ModelService().load()
    (tmp_path / "keys.json").write_text('{"keys": [], "format": 1}')
    with pytest.raises(Problem, match=r"keys\.json: found no keys"):
        ModelService().load()


@pytest.fixture
def unguarded(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of a service with auth: off and no keys."""
    found = tmp_path / "switches.yaml"
    found.write_text("auth: off\n")
    monkeypatch.setenv("PREFLIGHT_SWITCHES", str(found))
    monkeypatch.setenv("PREFLIGHT_KEYS", str(tmp_path / "keys.json"))
    for name, value in bento.remembering(tmp_path).items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(built)


@pytest.mark.usefixtures("unguarded")
def test_auth_off_is_refused_where_others_can_reach() -> None:
    reached = r"serving\.auth: found off, while listening on 0\.0\.0\.0"
    # Every address of this machine.
    with socket.create_server(("", 0)), pytest.raises(Problem, match=reached):
        ModelService().load()


@pytest.mark.usefixtures("unguarded")
def test_auth_off_on_the_loopback_answers_anybody() -> None:
    with socket.create_server(("127.0.0.1", 0)):
        service = ModelService()
        service.load()
        assert ask(service, "POST", "/v1/predict", json=TRIP).status_code == 200
        assert ask(service, "GET", "/version").status_code == 200


DEVELOPMENT = [
    ("BENTOML_DEBUG", "1"),
    ("BENTOML_DEBUG", "true"),
    ("PYTHONASYNCIODEBUG", "1"),
    ("PYTHONASYNCIODEBUG", "0"),  # Python takes any text as on
    ("PYTHONDEVMODE", "1"),
    ("PREFLIGHT_FAULTS", "on"),
    ("PREFLIGHT_FAULTS", ""),
]


@pytest.mark.parametrize(("name", "value"), DEVELOPMENT)
def test_a_variable_for_development_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(Problem, match=rf"found {name}; .*Unset {name}"):
        switches.require_production({name: value}, ["serve"])


@pytest.mark.parametrize("word", ["--development-mode", "--reload"])
def test_a_word_for_development_is_refused_by_name(word: str) -> None:
    with pytest.raises(Problem, match=f"found {word}"):
        switches.require_production({}, ["serve", word])


def test_all_that_is_on_is_named_at_once() -> None:
    with pytest.raises(Problem, match=r"BENTOML_DEBUG, --reload, PREFLIGHT_A, PREFLIGHT_B;"):
        switches.require_production(
            {"PREFLIGHT_B": "1", "PREFLIGHT_A": "1", "BENTOML_DEBUG": "1"}, ["--reload"]
        )


def test_production_values_start() -> None:
    known = {"PREFLIGHT_KEYS": "/k", "PREFLIGHT_SWITCHES": "/s", "BENTOML_DEBUG": "False"}
    known |= {"PREFLIGHT_LOG": "stdout", "PREFLIGHT_HASH_KEY": "/h"}
    switches.require_production(known, ["serve", "--port", "3000"])


@pytest.mark.parametrize("packaged", [True, False])
@pytest.mark.parametrize(
    ("variables", "word"),
    [
        ({"BENTOML_DEBUG": "1"}, "serve"),
        ({"PYTHONASYNCIODEBUG": "1"}, "serve"),
        ({"PREFLIGHT_FAULTS": "on"}, "serve"),
        ({}, "--development-mode"),
        ({}, "--reload"),
    ],
)
def test_only_what_is_packaged_is_held_to_production_values(
    built: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    packaged: bool,
    variables: dict[str, str],
    word: str,
) -> None:
    """A `build.json` stands in every Bento, and in no checkout."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "argv", ["bentoml", word])
    if packaged:
        write_json(tmp_path / "build.json", BUILD)
        monkeypatch.setattr(serving, "BUILD", tmp_path / "build.json")
        named = next(iter(variables), word)
        with pytest.raises(Problem, match=f"found {named};"), loaded(built, tmp_path):
            pass
    else:
        with loaded(built, tmp_path) as (service, _):
            assert service.ready


def test_what_is_packaged_names_its_build_in_answers_and_metrics(
    built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_json(tmp_path / "build.json", BUILD)
    monkeypatch.setattr(serving, "BUILD", tmp_path / "build.json")
    monkeypatch.setattr(sys, "argv", ["bentoml", "serve"])
    monkeypatch.delenv("PREFLIGHT_SWITCHES", raising=False)
    with loaded(built, tmp_path) as (service, key):
        assert ask(service, "POST", "/v1/predict", key, json=TRIP).json()["model_version"] == "1"
        ((labels, value),) = samples(service, "preflight_build_info").items()
        assert value == 1
        assert {"1", "c" * 40, "taxi:v1", "taxi-trips/1"} < set(labels)


def test_what_is_packaged_is_at_production_values() -> None:
    """The folder of this repository goes into the Bento as it is."""
    packed = params.load(ROOT / "params.yaml").serving
    assert (packed.mode, packed.auth, packed.reason) == ("normal", "keys", "")
    assert not packed.behind_proxy
    assert packed.drain_seconds > 5  # an idle connection is closed by then
    image = yaml.safe_load((ROOT / "bentofile.yaml").read_text())
    assert "envs" not in image
    assert "env" not in image["docker"]
