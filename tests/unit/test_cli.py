"""The command's mistakes are one line, and its status says what kind they are."""

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import DEVNULL, PIPE

import pytest
from click.testing import CliRunner

from preflight import cli, restore
from preflight.demo import months_between
from preflight.errors import NoData, Problem

MISTAKE = ("where", "this", "that", "Do so.")


def raising(error: BaseException) -> Callable[..., None]:
    """A stand-in that fails."""

    def fail(*_: object) -> None:
        raise error

    return fail


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (Problem(*MISTAKE), 1, "error: where: found this; expected that. Do so."),
        (NoData(*MISTAKE), 2, "error: where: found this; expected that. Do so."),
        (KeyboardInterrupt(), 130, "interrupted: nothing half-written stays"),
    ],
)
def test_each_end_has_its_status(
    monkeypatch: pytest.MonkeyPatch, error: BaseException, status: int, said: str
) -> None:
    monkeypatch.setattr(restore, "restore", raising(error))
    done = CliRunner().invoke(cli.main, ["restore"])
    assert (done.exit_code, done.stderr.strip()) == (status, said)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_who_ends_a_command_ends_what_it_has_started(number: int, tmp_path: Path) -> None:
    """By an end as of Ctrl-C, whose status says which signal it was."""
    assert ended(number, tmp_path) == 128 + number


def test_a_command_under_nohup_goes_on_when_its_terminal_is_gone(
    tmp_path: Path,
) -> None:
    assert ended(signal.SIGHUP, tmp_path, "nohup") is None


def ended(number: int, folder: Path, *before: str) -> int | None:
    """The status with which a command ends that gets a signal; None where it goes on."""
    command = str(Path(sys.executable).with_name("preflight"))
    words = (command, "probe", "http://127.0.0.1:1", "--log", str(folder / "probes.jsonl"))
    with subprocess.Popen([*before, *words], stdout=PIPE, stderr=DEVNULL, stdin=DEVNULL) as found:
        assert found.stdout is not None
        found.stdout.readline()
        found.send_signal(number)
        try:
            return found.wait(5 if not before else 1)
        except subprocess.TimeoutExpired:
            return None
        finally:
            found.kill()


def test_an_unknown_command_is_refused() -> None:
    done = CliRunner().invoke(cli.main, ["restor"])
    assert done.exit_code == 2
    assert "No such command 'restor'" in done.stderr


def test_every_command_has_a_line_of_help() -> None:
    done = CliRunner().invoke(cli.main, ["--help"])
    for name, command in cli.main.commands.items():
        assert command.help
        assert name in done.stdout


def test_months_are_a_range_or_a_list() -> None:
    assert months_between("2021-11..2022-01") == ["2021-11", "2021-12", "2022-01"]
    assert months_between("2021-01, 2021-03") == ["2021-01", "2021-03"]


@pytest.mark.parametrize(
    "text",
    [
        "January",
        "2021-01..",
        "2021-13",
        "2021-01..2021-02..2021-03",
        "2021-01",
        ",,",
        "2021-01-15..2021-03",
        "2021-03..2021-01",
    ],
)
def test_months_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(Problem, match="MONTHS: found"):
        months_between(text)
