"""The command's mistakes are one line, and its status says what kind they are."""

from collections.abc import Callable

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
