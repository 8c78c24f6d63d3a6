"""`preflight ruleset` creates or updates the main branch's rules, and says what is wrong."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from click.testing import CliRunner

from conftest import ROOT
from preflight import ruleset
from preflight.cli import main
from preflight.errors import Problem

STATED = json.loads((ROOT / ruleset.RULESET).read_text())
PATH = "/repos/team/model/rulesets"
QUEUE = {"message": "Validation Failed", "errors": ["Invalid rule 'merge_queue': "]}


@dataclass
class Fake:
    """A tiny API: the rulesets it has, the status it gives, and what it was asked."""

    kept: list[dict[str, Any]] = field(default_factory=list)
    status: int = 200
    says: object = None
    asked: list[tuple[str, str, str | None]] = field(default_factory=list)
    bodies: list[Any] = field(default_factory=list)
    address: str = ""

    def environ(self) -> dict[str, str]:
        """The variables that lead to it."""
        return {"GITHUB_TOKEN": "ghp_x", "GITHUB_API_URL": self.address}


@pytest.fixture
def fake() -> Iterator[Fake]:
    """The API on a free port of 127.0.0.1."""
    found = Fake()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(found))
    found.address = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield found
    server.shutdown()
    thread.join()
    server.server_close()


def _handler(fake: Fake) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            path = self.path.partition("?")[0]
            fake.asked.append((self.command, path, self.headers.get("Authorization")))
            if size := int(self.headers.get("Content-Length") or 0):
                fake.bodies.append(json.loads(self.rfile.read(size)))
            listing = self.command == "GET"
            self.send_response(200 if listing and fake.says else fake.status)
            self.end_headers()
            says = fake.kept if listing else fake.says
            self.wfile.write(json.dumps(says).encode())

        do_GET: Callable[..., None] = _answer
        do_POST: Callable[..., None] = _answer
        do_PUT: Callable[..., None] = _answer

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    return Handler


def test_a_repository_without_the_ruleset_gets_it(fake: Fake) -> None:
    fake.kept = [{"id": 3, "name": "another"}]
    said = ruleset.apply(ROOT, "team/model", fake.environ())
    assert [each[:2] for each in fake.asked] == [("GET", PATH), ("POST", PATH)]
    assert fake.bodies == [STATED]
    assert said.startswith("ruleset main of team/model: created, deletion, ")
    assert said.endswith("; bypassed by nobody")


def test_the_bot_and_nobody_else_may_bypass_it(fake: Fake) -> None:
    said = ruleset.apply(ROOT, "team/model", fake.environ(), bot=123)
    actor = {"actor_id": 123, "actor_type": "Integration", "bypass_mode": "always"}
    assert fake.bodies == [{**STATED, "bypass_actors": [actor]}]
    assert said.endswith("; bypassed by the app 123")


def test_whoever_was_let_pass_before_is_not_when_nobody_is_named(fake: Fake) -> None:
    fake.kept = [{"id": 7, "name": "main", "bypass_actors": [{"actor_id": 9}]}]
    ruleset.apply(ROOT, "team/model", fake.environ())
    assert fake.bodies[0]["bypass_actors"] == []


def test_the_ruleset_of_that_name_is_updated(fake: Fake) -> None:
    fake.kept = [{"id": 3, "name": "another"}, {"id": 7, "name": "main"}]
    said = ruleset.apply(ROOT, "team/model", fake.environ())
    assert [each[:2] for each in fake.asked] == [("GET", PATH), ("PUT", f"{PATH}/7")]
    assert fake.bodies == [STATED]
    assert "updated" in said


def test_the_token_goes_with_every_request(fake: Fake) -> None:
    ruleset.apply(ROOT, "team/model", fake.environ())
    assert {each[2] for each in fake.asked} == {"Bearer ghp_x"}


@pytest.mark.parametrize(
    ("status", "remedy"),
    [(401, "Set GITHUB_TOKEN anew"), (403, "Give the token that"), (404, "Mend the name")],
)
def test_a_refusal_says_what_to_do(fake: Fake, status: int, remedy: str) -> None:
    fake.status = status
    with pytest.raises(Problem, match=f"found status {status}") as caught:
        ruleset.apply(ROOT, "team/model", fake.environ())
    assert caught.value.remedy.startswith(remedy)


def test_a_users_repository_which_has_no_merge_queue_is_told_so(fake: Fake) -> None:
    fake.status, fake.says = 422, QUEUE
    with pytest.raises(Problem, match="status 422") as caught:
        ruleset.apply(ROOT, "team/model", fake.environ())
    assert "merge_queue" in caught.value.remedy


def test_a_server_that_does_not_answer_is_told(fake: Fake) -> None:
    nobody = fake.environ() | {"GITHUB_API_URL": "http://127.0.0.1:1"}
    with pytest.raises(Problem, match="expected an answer"):
        ruleset.apply(ROOT, "team/model", nobody)


@pytest.mark.parametrize(
    ("repository", "environ", "where"),
    [
        ("model", {"GITHUB_TOKEN": "x"}, "OWNER/REPO"),
        ("team/model/x", {"GITHUB_TOKEN": "x"}, "OWNER/REPO"),
        ("team/model", {}, "GITHUB_TOKEN"),
        ("team/model", {"GITHUB_TOKEN": "x", "GITHUB_API_URL": "file:///etc"}, "GITHUB_API_URL"),
    ],
)
def test_what_is_missing_is_named_before_anything_is_asked(
    repository: str, environ: dict[str, str], where: str
) -> None:
    with pytest.raises(Problem) as caught:
        ruleset.apply(ROOT, repository, environ)
    assert caught.value.where == where


def test_the_command_prints_what_was_done(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in fake.environ().items():
        monkeypatch.setenv(name, value)
    done = CliRunner().invoke(main, ["ruleset", "team/model"])
    assert (done.exit_code, done.output.split(":")[0]) == (0, "ruleset main of team/model")
