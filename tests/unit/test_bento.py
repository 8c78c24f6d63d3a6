"""Ports of servers that are about to start."""

import socket
from contextlib import ExitStack

import pytest

from preflight import bento
from preflight.errors import Problem


def test_ports_are_below_those_of_connections_and_each_is_another() -> None:
    found = [bento.free_port() for _ in range(100)]
    assert len(set(found)) == 100
    assert all(10_000 < port < 32_768 for port in found)  # Linux gives connections those above


def test_a_port_where_somebody_listens_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    first = bento.free_port()
    monkeypatch.setattr(bento, "PORTS", range(first, first + 2))
    with ExitStack() as stack:
        taken = stack.enter_context(socket.socket())
        taken.bind(("127.0.0.1", first))
        taken.listen()
        assert {bento.free_port(), bento.free_port()} == {first + 1}
        other = stack.enter_context(socket.socket())
        other.bind(("127.0.0.1", first + 1))
        other.listen()
        with pytest.raises(Problem, match=f"none free of {first} to {first + 1}"):
            bento.free_port()
