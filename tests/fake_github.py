"""A fake GitHub on 127.0.0.1: its REST API, and another host that holds the artifacts."""

import io
import json
import stat
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

from preflight.evidence import Part, told
from preflight.gates import REQUIRED

REPOSITORY, FORK, BRANCH = "team/model", "ada/model", "longer-trips"
TOKEN, RUN, NUMBER = "ghs_a-secret", 700, 42
BOT = "preflight-bot[bot]"
Json = dict[str, Any]


def run(number: int, head: str, **fields: Any) -> Json:
    """A finished run of pull-request.yml on the fork's head."""
    plain = {
        "id": number,
        "run_attempt": 1,
        "workflow_id": 9,
        "path": ".github/workflows/pull-request.yml",
        "event": "pull_request",
        "status": "completed",
        "head_sha": head,
        "head_branch": BRANCH,
        "head_repository": {"full_name": FORK, "private": False},
    }
    return plain | fields


def pull(number: int, head: str, base: str = "main", fork: str = FORK) -> Json:
    """An open pull request from the fork's branch."""
    return {
        "number": number,
        "head": {"ref": BRANCH, "sha": head, "repo": {"full_name": fork}},
        "base": {"ref": base, "sha": "b" * 40, "repo": {"full_name": REPOSITORY}},
        "state": "open",
    }


def review(
    who: str, commit: str, state: str = "APPROVED", kind: str = "User", number: int = 500
) -> Json:
    """A review of a pull request's head as it was."""
    return {
        "id": number,
        "user": {"login": who, "type": kind},
        "state": state,
        "commit_id": commit,
        "submitted_at": "2026-11-22T08:00:00Z",
        "html_url": f"https://github.com/{REPOSITORY}/pull/{NUMBER}#pullrequestreview-500",
    }


def check(
    name: str = "decide", conclusion: str | None = "success", number: int = 1, app: int = 15368
) -> Json:
    """A check run of a commit, by Actions' own app; without conclusion it still runs."""
    status = "completed" if conclusion else "in_progress"
    state = {"status": status, "conclusion": conclusion}
    return {"id": number, "name": name, "app": {"id": app}, **state}


def green_checks() -> list[Json]:
    """The checks that main requires of a commit, all green."""
    return [check(name, number=number) for number, name in enumerate(("decide", "commits"), 1)]


@dataclass
class FakeGitHub:
    """What the fake answers, and what it was asked: (path, Authorization) of each request.

    `after_download` is called when an artifact was asked for; a content of None never ends.
    Writes change what is read: `pulls` (a closed one stands there no longer open), `said` (comments
    by number); `written` is each write's (method, path, body). `reviews` go by the pull request's
    number, `checks`, `authors` (logins) and `commit_pulls` by commit, `permissions` by login, write
    unless told; `head_of` says a pushed branch's commit.
    """

    head: str
    runs: list[Json] = field(default_factory=list)
    pulls: list[Json] = field(default_factory=list)
    comments: list[Json] = field(default_factory=list)
    artifacts: list[Json] = field(default_factory=list)
    contents: dict[int, bytes | None] = field(default_factory=dict)
    after_download: Callable[[], object] = lambda: None
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    stored: list[tuple[str, str | None]] = field(default_factory=list)
    reviews: dict[int, list[Json]] = field(default_factory=dict)
    checks: dict[str, list[Json]] = field(default_factory=dict)
    authors: dict[str, str] = field(default_factory=dict)
    permissions: dict[str, str] = field(default_factory=dict)
    commit_pulls: dict[str, list[Json]] = field(default_factory=dict)
    said: dict[int, list[Json]] = field(default_factory=dict)
    written: list[tuple[str, str, Json]] = field(default_factory=list)
    sent: int = 0
    api: str = ""
    storage: str = ""
    head_of: Callable[[str], str] = lambda _: "a" * 40

    def upload(self, name: str, raw: bytes | None, **fields: Any) -> None:
        """Put an artifact into the run."""
        number = 100 + len(self.artifacts)
        size = len(raw or b"")
        plain = {"id": number, "name": name, "size_in_bytes": size, "expired": False}
        self.artifacts.append(plain | fields)
        self.contents[number] = raw

    def answer(self, path: str, query: dict[str, list[str]]) -> Any:
        """The JSON of a path below the repository; None where there is none."""
        parts = path.split("/")
        if path.startswith("actions/runs/") and path.endswith("/artifacts"):
            return {"total_count": len(self.artifacts), "artifacts": self.artifacts}
        if path.startswith("actions/runs/"):
            return next((each for each in self.runs if str(each["id"]) == parts[2]), None)
        if path.startswith("actions/workflows/"):
            return {"workflow_runs": self._runs(query)}
        if parts[0] == "commits":
            return self._of_commit(parts[1], parts[2:])
        if parts[0] == "collaborators":
            return {"permission": self.permissions.get(parts[1], "write")}
        if parts[0] == "issues" and parts[2:] == ["comments"]:
            own = self.comments if path == f"issues/{NUMBER}/comments" else []
            return [*own, *self.said.get(int(parts[1]), [])]
        if parts[0] == "pulls" and len(parts) > 1:
            return self._pull(int(parts[1]), parts[2:], int(query.get("page", ["1"])[0]))
        return self._listed(query) if path == "pulls" else None

    def _runs(self, query: dict[str, list[str]]) -> list[Json]:
        wanted = query.get("head_sha")
        return [each for each in self.runs if not wanted or each["head_sha"] == wanted[0]]

    def _of_commit(self, commit: str, below: list[str]) -> Any:
        if below == ["check-runs"]:
            found = self.checks.get(commit, [])
            return {"total_count": len(found), "check_runs": found}
        if below == ["pulls"]:
            return self.commit_pulls.get(commit, [])
        login = self.authors.get(commit)
        return {"sha": commit, "author": {"login": login, "type": "User"} if login else None}

    def _pull(self, number: int, below: list[str], page: int = 1) -> Any:
        if below == ["reviews"]:
            return self.reviews.get(number, []) if page == 1 else []
        found = next((each for each in self.pulls if each["number"] == number), None)
        return found if not below else None

    def _listed(self, query: dict[str, list[str]]) -> list[Json]:
        """Pull requests by state, open unless told; whatever head is asked for."""
        state = query.get("state", ["open"])[0]
        return [each for each in self.pulls if state in ("all", each.get("state", "open"))]

    def write(self, method: str, path: str, body: Json) -> tuple[int, Any]:
        """Status and JSON of a write, which changes what is read afterwards."""
        self.written.append((method, path, body))
        parts = path.split("/")
        if (method, path) == ("POST", "pulls"):
            return self._open(body)
        if method == "POST" and parts[0] == "issues" and parts[2:] == ["comments"]:
            said = self.said.setdefault(int(parts[1]), [])
            said.append({"id": 900 + len(said), "body": body["body"], "user": {"login": BOT}})
            return 201, said[-1]
        if method == "PATCH" and parts[0] == "pulls" and len(parts) == 2:
            found = self._pull(int(parts[1]), [])
            return (404, {}) if found is None else (200, found.update(body) or found)
        return 404, {}

    def _open(self, body: Json) -> tuple[int, Any]:
        if any(each["head"]["ref"] == body["head"] for each in self._listed({})):
            return 422, {"message": "Validation Failed"}
        number = max([NUMBER, *(each["number"] for each in self.pulls)]) + 1
        opened = pull(number, self.head_of(body["head"]), body["base"], REPOSITORY)
        opened["head"]["ref"] = body["head"]
        own = {"title": body["title"], "body": body["body"], "user": {"login": BOT}}
        self.pulls.append(opened | own | {"state": "open"})
        return 201, self.pulls[-1]


@contextmanager
def serving(head: str) -> Iterator[FakeGitHub]:
    """A fake with one finished run and its pull request."""
    fake = FakeGitHub(head, runs=[run(RUN, head)], pulls=[pull(NUMBER, head)])
    with _served(_api(fake)) as fake.api, _served(_storage(fake)) as fake.storage:
        yield fake


@contextmanager
def _served(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Quiet(BaseHTTPRequestHandler):
    """A handler that writes no log."""

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


def _api(fake: FakeGitHub) -> type[BaseHTTPRequestHandler]:
    class Api(Quiet):
        def do_GET(self) -> None:
            token = self.headers.get("Authorization")
            fake.asked.append((self.path, token))
            place = urlsplit(self.path)
            path = place.path.removeprefix(f"/repos/{REPOSITORY}/")
            if path.startswith("actions/artifacts/"):
                self.send_response(302)
                self.send_header("Location", f"{fake.storage}/{path.split('/')[2]}")
                self.end_headers()
                return
            found = fake.answer(path, parse_qs(place.query))
            known = found is not None and token == f"Bearer {TOKEN}"
            self.send_response(200 if known else 404)
            self.end_headers()
            self.wfile.write(json.dumps(found).encode())

        def _write(self) -> None:
            token = self.headers.get("Authorization")
            raw = self.rfile.read(int(self.headers["Content-Length"]))
            status: int = 404
            found: Any = None
            if token == f"Bearer {TOKEN}":
                path = urlsplit(self.path).path.removeprefix(f"/repos/{REPOSITORY}/")
                status, found = fake.write(self.command, path, json.loads(raw))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(found).encode())

        do_POST = do_PUT = do_PATCH = _write

    return Api


def _storage(fake: FakeGitHub) -> type[BaseHTTPRequestHandler]:
    class Storage(Quiet):
        def do_GET(self) -> None:
            fake.stored.append((self.path, self.headers.get("Authorization")))
            fake.after_download()
            self.send_response(200)
            self.end_headers()
            raw = fake.contents[int(self.path[1:])]
            with suppress(OSError):  # the other side hung up
                while raw is None:
                    fake.sent += self.wfile.write(b" " * 65_536)
                self.wfile.write(raw)

    return Storage


def green(commit: str, gate: str, found: str = "as it should be", **fields: Any) -> Part:
    """One gate's green part."""
    check = "contract" if gate == "policy" else "rows"
    line = told(gate, check, "It holds.", True, found)
    return Part(gate=gate, commit=commit, seconds=1.0, evidence=(line,), **fields)


def whole(commit: str, *instead: Part) -> dict[str, bytes]:
    """The files of a run whose gates are green, but those given."""
    parts = {gate: green(commit, gate) for gate in REQUIRED}
    parts |= {part.gate: part for part in instead}
    return {f"{gate}.json": part.model_dump_json().encode() for gate, part in parts.items()}


def zipped(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """An archive of files by name."""
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w", method) as archive:
        for name, body in files.items():
            archive.writestr(name, body)
    return raw.getvalue()


def linked(name: str, target: str) -> bytes:
    """An archive that holds a symbolic link."""
    raw, info = io.BytesIO(), zipfile.ZipInfo(name)
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(raw, "w") as archive:
        archive.writestr(info, target)
    return raw.getvalue()


def understated(name: str, body: bytes, said: int) -> bytes:
    """An archive whose headers declare `said` bytes, with their checksum, for more."""
    raw = zipped({name: body})
    for old, new in ((len(body), said), (zlib.crc32(body), zlib.crc32(body[:said]))):
        raw = raw.replace(old.to_bytes(4, "little"), new.to_bytes(4, "little"))
    return raw


CML = """#!{python} -IS
import json, os, pathlib, sys
place = pathlib.Path({place!r})
*words, path = sys.argv[1:]
expected = [
    "comment", "update", "--target=pr/{number}", "--publish=false",
    "--watermark-title=preflight", "--driver=github", "--repo=https://github.com/{repository}",
]
variables = dict(os.environ)
home = variables.pop("HOME")
variables.pop("LC_CTYPE", None)
given = {{
    "PATH": {path!r}, "REPO_TOKEN": {token!r}, "GITHUB_REPOSITORY": "{repository}",
    "GITHUB_SHA": {head!r}, "ITERATIVE_DO_NOT_TRACK": "true",
}}
(place / "called").touch()
if words != expected or variables != given or os.listdir(home):
    sys.exit("cml: unknown words or variables, with {token}")
(place / "posted.md").write_bytes(pathlib.Path(path).read_bytes())
"""


def install_cml(folder: Path, head: str, number: int = NUMBER) -> str:
    """A fake `cml` that accepts one call alone; returns a PATH that has it and Git.

    It leaves `called`, and what it was given as `posted.md`.
    """
    folder.mkdir()
    path = f"{folder}:/usr/local/bin:/usr/bin:/bin"
    text = CML.format(
        python=sys.executable,
        place=str(folder),
        path=path,
        number=number,
        repository=REPOSITORY,
        token=TOKEN,
        head=head,
    )
    (folder / "cml").write_text(text)
    (folder / "cml").chmod(0o755)
    return path
