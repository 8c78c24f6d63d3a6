"""GitHub's REST API, asked with bounds; the token goes to the API and to nobody else."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import Message
from http.client import HTTPException, HTTPResponse
from typing import IO, Any, Literal, TypeVar
from urllib.error import HTTPError
from urllib.parse import quote, urlencode, urljoin, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from preflight.errors import Problem

API, SERVER = "https://api.github.com", "https://github.com"
SECONDS = 30.0  # until a silent server is given up
ANSWER_BYTES = 20_000_000
CHUNK = 65_536
WRITTEN = {200, 201}
REDIRECTS = {301, 302, 303, 307, 308}
Value = TypeVar("Value")


class Answer(BaseModel):
    """What is used of an answer of the API; the rest is ignored."""

    model_config = ConfigDict(frozen=True, strict=True)


@dataclass(frozen=True)
class GitHub:
    """One repository as the API shows it; `server` is where its Git lies."""

    repository: str
    token: str = field(repr=False)
    api: str = API
    server: str = SERVER

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> "GitHub":
        """As a workflow's variables name it; raises Problem for what is absent or malformed."""
        return cls(
            variable(environ, "GITHUB_REPOSITORY", r"[\w.-]+/[\w.-]+", "OWNER/NAME"),
            variable(environ, "GITHUB_TOKEN", r"[!-~]+", "a token"),
            environ.get("GITHUB_API_URL") or API,
            environ.get("GITHUB_SERVER_URL") or SERVER,
        )

    def get(self, kind: type[Value], path: str, **query: str | int) -> Value:
        """A resource below the repository as `kind`; raises Problem for any other answer."""
        place = self._url(path)
        with self._open(f"{place}?{urlencode(query)}" if query else place) as response:
            return _read(kind, response, path)

    def send(
        self, kind: type[Value], method: Literal["POST", "PUT", "PATCH"], path: str, body: Any
    ) -> Value:
        """Write a JSON body below the repository; the answer as `kind`, once and never again.

        Raises Problem for any other answer, with its status alone: an answer may repeat the body.
        """
        with self._open(self._url(path), method, json.dumps(body).encode()) as response:
            return _read(kind, response, path)

    def download(self, path: str, most: int, name: str) -> bytes:
        """The file that a resource redirects to, of at most `most` bytes; raises Problem."""
        with self._open(self._url(path)) as response:
            target = response.headers.get("Location")
            if response.status not in REDIRECTS or target is None:
                raise _refused(name, f"status {response.status}", "a redirect")
        place = urljoin(self.api, target)
        if urlsplit(place).scheme != urlsplit(self.api).scheme:
            raise _refused(name, "a redirect to another scheme", urlsplit(self.api).scheme)
        with _opened(Request(place), name) as response:  # noqa: S310 (the API's scheme)
            if response.status != 200:
                raise _refused(name, f"status {response.status}", "status 200")
            return bounded(response, most, name)

    def _url(self, path: str) -> str:
        return f"{self.api}/repos/{self.repository}/{quote(path)}"

    def _open(self, url: str, method: str = "GET", body: bytes | None = None) -> HTTPResponse:
        if urlsplit(url).scheme not in ("http", "https"):
            raise Problem("GITHUB_API_URL", shown(self.api), "an https address", "Mend it.")
        request = Request(url, body, method=method)  # noqa: S310 (the scheme is checked)
        if body is not None:
            request.add_header("Content-Type", "application/json")
        request.add_header("Accept", "application/vnd.github+json")
        request.add_header("X-GitHub-Api-Version", "2022-11-28")
        # Unredirected: no other host ever sees it, whatever follows a redirect.
        request.add_unredirected_header("Authorization", f"Bearer {self.token}")
        place = f"GitHub's {urlsplit(url).path}"
        response = _opened(request, place)
        if response.status >= 400 or (body is not None and response.status not in WRITTEN):
            response.close()
            raise _refused(place, f"status {response.status}", "an answer")
        return response


def _read(kind: type[Value], response: HTTPResponse, path: str) -> Value:
    body = bounded(response, ANSWER_BYTES, f"GitHub's {path}")
    try:
        return TypeAdapter(kind).validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        found = shown(f"{first['loc']}: {first['msg']}")
        raise Problem(
            f"GitHub's {path}", found, "an answer as its documentation says", "Run it again."
        ) from None


class _Stay(HTTPRedirectHandler):
    """Follows no redirect."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> None:
        """Leave the answer as it is."""


def _opened(request: Request, name: str) -> HTTPResponse:
    try:
        found = build_opener(_Stay).open(request, timeout=SECONDS)
    except HTTPError as error:
        found = error
    except (OSError, HTTPException) as error:
        raise _refused(name, f"no answer ({type(error).__name__})", "an answer") from None
    response: HTTPResponse = found
    return response


def bounded(response: HTTPResponse, most: int, name: str) -> bytes:
    """A body of at most `most` bytes, whatever its Content-Length says; raises Problem."""
    body = bytearray()
    try:
        while chunk := response.read(CHUNK):
            body += chunk
            if len(body) > most:
                raise _refused(name, f"more than {most} bytes", f"at most {most}")
    except (OSError, HTTPException) as error:
        raise _refused(name, f"a broken stream ({type(error).__name__})", "all of it") from None
    return bytes(body)


def variable(environ: Mapping[str, str], name: str, pattern: str, expected: str) -> str:
    """A variable of the environment that matches as a whole; raises Problem."""
    found = environ.get(name, "")
    if not re.fullmatch(pattern, found, re.ASCII):
        value = "nothing" if not found else "something else"  # a token is never repeated
        raise Problem(name, value, expected, "Set it in the workflow's `env`.")
    return found


def shown(text: str, most: int = 80) -> str:
    """Foreign text on one line of ASCII: it can neither start a line of a log nor hide in one."""
    return ascii(text if len(text) <= most else text[:most] + "...")


def _refused(where: str, found: str, expected: str) -> Problem:
    return Problem(where, found, expected, "Nothing was posted; run the workflow again.")
