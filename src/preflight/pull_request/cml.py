"""CML posts the comment, and finds it again by its watermark."""

import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from preflight.errors import Problem
from preflight.pull_request.github import Answer, GitHub, shown

TITLE = "preflight"
SECONDS = 120
PAGE = 30  # comments that CML looks through, the oldest
# As CML's src/watermark.js writes and finds it.
WATERMARK = re.compile(
    rf'!\[\]\(https://cml\.dev/watermark\.png#[0-9a-fA-F]+ "CML watermark {TITLE}"\)'
)


class Author(Answer):
    """Who wrote a comment: `User`, `Bot` or another type."""

    type: str


class Comment(Answer):
    """A comment of a pull request."""

    id: int
    body: str | None
    user: Author | None


def require_own(github: GitHub, number: int) -> None:
    """Raise Problem where CML would write into a person's comment, who could then edit it."""
    path = f"issues/{number}/comments"
    page = github.get(tuple[Comment, ...], path, per_page=PAGE)
    marked = [each for each in page if WATERMARK.search(each.body or "")]
    if marked and (marked[-1].user is None or marked[-1].user.type != "Bot"):
        raise Problem(
            f"comment {marked[-1].id} of pull request #{number}",
            "the report's watermark in a person's comment",
            "it in the workflow's own alone",
            "Nothing was posted; delete that comment and run the workflow again.",
        )


def post(github: GitHub, path: Path, number: int, head: str, environ: Mapping[str, str]) -> None:
    """Create or update the comment of a pull request from a Markdown file; raises Problem."""
    program = shutil.which("cml", path=environ.get("PATH", ""))
    if program is None:
        raise Problem("cml", "no such command", "CML 0.20", "Install it before this step.")
    with TemporaryDirectory() as home:  # it writes Git settings and a telemetry id
        try:
            done = subprocess.run(
                (program, *words(github, path, number)),
                env=variables(github, head, environ["PATH"], home),
                capture_output=True,
                timeout=SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise _failed(f"no end after {SECONDS} s") from None
    if done.returncode:
        lines = done.stderr.decode(errors="replace").replace(github.token, "***").splitlines()
        said = shown(" / ".join(lines[-1:]), 300)
        raise _failed(f"status {done.returncode}: {said}")


def words(github: GitHub, path: Path, number: int) -> tuple[str, ...]:
    """CML's words: nothing is uploaded, and neither repository nor number is left to guess."""
    return (
        *("comment", "update", f"--target=pr/{number}", "--publish=false"),
        *(f"--watermark-title={TITLE}", "--driver=github"),
        f"--repo={github.server}/{github.repository}",
        str(path),
    )


def variables(github: GitHub, head: str, path: str, home: str) -> dict[str, str]:
    """All that CML is given; GITHUB_SHA is the commit that its watermark names."""
    return {
        "PATH": path,
        "HOME": home,
        "REPO_TOKEN": github.token,
        "GITHUB_REPOSITORY": github.repository,
        "GITHUB_SHA": head,
        "ITERATIVE_DO_NOT_TRACK": "true",
    }


def _failed(found: str) -> Problem:
    return Problem("cml comment update", found, "a comment", "See the run's log, run it again.")
