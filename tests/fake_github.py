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
    }


@dataclass
class FakeGitHub:
    """What the fake answers, and what it was asked: (path, Authorization) of each request.

    `after_download` is called when an artifact was asked for; a content of None never ends.
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
    sent: int = 0
    api: str = ""
    storage: str = ""

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
        if path.startswith("actions/workflows/9/"):
            wanted = query["head_sha"][0]
            return {"workflow_runs": [each for each in self.runs if each["head_sha"] == wanted]}
        if path == f"issues/{NUMBER}/comments":
            return self.comments
        return self.pulls if path == "pulls" else None


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
