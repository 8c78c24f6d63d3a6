"""The draft of a release record: all that it says but what an environment adds."""

from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from preflight import evidence
from preflight.errors import Problem
from preflight.evidence import Part
from preflight.files import write_json
from preflight.layout import REPORTS
from preflight.release import Commit, Hash, Release, ReleasedModel, Word

PLACE = REPORTS / "release.json"
EVIDENCE = REPORTS / "release-evidence.json"
FIELDS = (
    *("model", "commit", "data", "evidence", "bento", "image"),
    *("who", "artifacts", "run", "pull_request"),
)


class Draft(evidence.Plain):
    """What `preflight package` made of a commit, in the words of a release record.

    `builder` made the image; None where it holds the Bento alone.
    """

    model: ReleasedModel
    commit: Commit
    data: Hash
    evidence: Hash
    bento: Word
    image: str
    who: Word
    artifacts: Literal["pulled", "rebuilt"]
    run: Word | None
    pull_request: int | None
    builder: str | None = None

    def record(self, **added: object) -> Release:
        """The record in an environment, with what that adds; raises ValidationError."""
        own = {name: getattr(self, name) for name in FIELDS}
        return Release.model_validate(own | {"approval": None} | added)


def write(root: Path, draft: Draft) -> Path:
    """Write the draft to reports/release.json: whole or absent."""
    write_json(root / PLACE, draft.model_dump(mode="json"))
    return root / PLACE


def read(root: Path) -> Draft:
    """The draft of a checkout; raises Problem where there is none that can be read."""
    expected, remedy = "the draft of a release", "Make it: preflight package."
    if not (root / PLACE).is_file():
        raise Problem(str(PLACE), "no file", expected, remedy)
    try:
        return Draft.model_validate_json((root / PLACE).read_bytes())
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(str(step) for step in first["loc"]) or "the document"
        raise Problem(str(PLACE), f"{place}: {first['msg']}", expected, remedy) from None


def packed(root: Path, draft: Draft) -> bytes:
    """The bytes of the draft's evidence; raises Problem for another set than it names."""
    remedy = "Make both again: preflight package."
    path = root / EVIDENCE
    if not path.is_file():
        raise Problem(str(EVIDENCE), "no file", "the draft's evidence", remedy)
    raw = path.read_bytes()
    parts = _parts(raw, str(EVIDENCE))
    found = evidence.digest(parts)
    if found != draft.evidence or evidence.packed(parts).encode() != raw:
        named = f"{draft.evidence[:12]}, that {PLACE} names"
        raise Problem(str(EVIDENCE), f"the set {found[:12]}", named, remedy)
    require_of(parts, draft.commit, str(EVIDENCE))
    return raw


def require_of(parts: tuple[Part, ...], commit: str, where: str) -> None:
    """Raise Problem for evidence of another commit, with its gate and both commits."""
    for part in parts:
        if part.commit != commit:
            raise Problem(
                f"{where}: {part.gate}",
                f"evidence of another commit, {part.commit[:12]}",
                f"evidence of {commit[:12]}",
                "Run that gate on this commit.",
            )


def _parts(raw: bytes, where: str) -> tuple[Part, ...]:
    try:
        return evidence.unpacked(raw.decode(), where)
    except UnicodeDecodeError:
        raise Problem(where, "no text", "a set of evidence", "preflight package.") from None
