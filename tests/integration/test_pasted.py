"""The commands with curl in README and docs work as pasted, against a service without keys."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import ROOT
from preflight import bento
from served import packaged, running

pytestmark = pytest.mark.usefixtures("unmeasured")

PAGES = ("README.md", "docs/serving.md")
COMMANDS = [
    pytest.param(command, id=f"{page}-{place}")
    for page in PAGES
    for place, block in enumerate(re.findall(r"```sh\n(.*?)```", (ROOT / page).read_text(), re.S))
    for command in re.findall(r"(?:^|\n)((?:printf|curl)(?:.*\\\n)*.*)", block)
]


@pytest.fixture(scope="module")
def server(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[bento.Server]:
    """A service as `make serve` starts it."""
    state = tmp_path_factory.mktemp("pasted")
    switches = state / "switches.yaml"
    switches.write_text("auth: off\n")
    more = {"PREFLIGHT_SWITCHES": str(switches)}
    with running(ROOT, packaged(built), state, more) as service:
        yield service.server


def test_there_are_commands_to_paste() -> None:
    assert len(COMMANDS) >= 3


@pytest.mark.parametrize("command", COMMANDS)
def test_a_pasted_command_is_answered(server: bento.Server, command: str) -> None:
    assert shutil.which("curl"), "curl is not installed, so what README shows was not run"
    here = command.replace("http://", "").replace(
        "localhost:3000", server.address.removeprefix("http://")
    )
    done = subprocess.run(
        ["bash", "-ec", here],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
        env={"KEY": "not asked for", "PATH": "/usr/bin:/bin"},
    )
    first, *_ = [json.loads(line) for line in done.stdout.splitlines()]
    assert first["unit"] == "minute"


def test_the_tools_own_variables_do_not_reach_the_service(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PREFLIGHT_REQUIRE_TOOLS", "1")
    left = bento.bare(os.environ | {"PYTHONPATH": "src"})
    assert "PATH" in left
    assert not [name for name in left if name == "PYTHONPATH" or name.startswith("PREFLIGHT_")]
