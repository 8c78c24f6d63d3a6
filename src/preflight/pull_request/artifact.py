"""The artifacts of an untrusted run, read in memory: what is not plain evidence is refused."""

import io
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from preflight import evidence
from preflight.errors import Problem
from preflight.evidence import MAX_BYTES, Part
from preflight.gates import REQUIRED
from preflight.pull_request.github import Answer, GitHub, shown

PREFIX = "evidence-"
ARTIFACTS = 20
ZIP_BYTES = 4_000_000  # of one artifact, packed
ALLOWED = {f"{gate}.json": gate for gate in REQUIRED}
PACKED = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
ENCRYPTED = 0x1 | 0x40 | 0x2000
# All that reading a damaged archive raises.
DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    OSError,
    RuntimeError,
    ValueError,
    LookupError,
    OverflowError,
)


class Artifact(Answer):
    """An artifact as the API lists it; `size_in_bytes` is what it says, packed."""

    id: int
    name: str
    size_in_bytes: int
    expired: bool


class Artifacts(Answer):
    """A page of artifacts."""

    total_count: int
    artifacts: tuple[Artifact, ...]


def parts(github: GitHub, run: int, commit: str) -> dict[str, Part]:
    """The evidence of a run by gate; raises Problem for the first thing that is none."""
    found: dict[str, Part] = {}
    for artifact in listed(github, run):
        path = f"actions/artifacts/{artifact.id}/zip"
        raw = github.download(path, ZIP_BYTES, f"artifact {shown(artifact.name)}")
        for gate, body in entries(raw, artifact.name):
            if gate in found:
                raise _refused(artifact.name, f"{gate}.json", "a second one", "each gate once")
            found[gate] = part(body, gate, commit, artifact.name)
    return found


def listed(github: GitHub, run: int) -> list[Artifact]:
    """The run's evidence-* artifacts, of each name the newest attempt's; raises Problem."""
    page = github.get(Artifacts, f"actions/runs/{run}/artifacts", per_page=100)
    ours = [each for each in page.artifacts if each.name.startswith(PREFIX)]
    newest = {each.name: each for each in sorted(ours, key=lambda each: each.id)}
    if page.total_count > len(page.artifacts) or len(newest) > ARTIFACTS:
        found = f"{max(page.total_count, len(newest))} artifacts"
        raise _refused("the list", "", found, f"at most {ARTIFACTS}")
    for each in newest.values():
        if each.expired:
            raise _refused(each.name, "", "an expired artifact", "one that can be read")
        if each.size_in_bytes > ZIP_BYTES:
            raise _refused(each.name, "", f"{each.size_in_bytes} bytes", f"at most {ZIP_BYTES}")
    return list(newest.values())


def entries(raw: bytes, name: str) -> Iterator[tuple[str, bytes]]:
    """The gates and contents of an archive, whose artifact has a name; raises Problem."""
    entry = ""
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            infos = archive.infolist()
            if len(infos) > len(ALLOWED):
                raise _refused(name, "", f"{len(infos)} entries", f"at most {len(ALLOWED)}")
            for info in infos:
                entry = info.orig_filename
                _require_plain(info, name)
                yield ALLOWED[entry], _content(archive, info, name)
    except DAMAGED as error:
        raise _refused(name, entry, f"damaged: {type(error).__name__}", "a zip archive") from None


def _require_plain(info: zipfile.ZipInfo, name: str) -> None:
    entry, mode = info.orig_filename, info.external_attr >> 16
    if "/" in entry or "\\" in entry or ".." in entry:
        raise _refused(name, entry, "a path", "the name of a file alone")
    if stat.S_ISLNK(mode):
        raise _refused(name, entry, "a link", "a regular file")
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
        raise _refused(name, entry, "no regular file", "a regular file")
    if entry not in ALLOWED:
        raise _refused(name, entry, "an unknown name", "GATE.json of a required gate")
    if info.flag_bits & ENCRYPTED:
        raise _refused(name, entry, "an encrypted entry", "a readable one")
    if info.compress_type not in PACKED:
        raise _refused(name, entry, f"compression {info.compress_type}", "stored or deflated")
    if info.file_size > MAX_BYTES:
        raise _refused(name, entry, f"{info.file_size} bytes", f"at most {MAX_BYTES}")


def _content(archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: str) -> bytes:
    declared = info.file_size
    # zipfile stops at the declared size, silently; the real one is wanted.
    info.file_size = 2 * MAX_BYTES
    with archive.open(info) as file:
        body = file.read(MAX_BYTES + 1)
    if len(body) > MAX_BYTES:
        found = f"more than {MAX_BYTES} bytes, declared as {declared}"
        raise _refused(name, info.orig_filename, found, f"at most {MAX_BYTES}")
    if len(body) != declared:
        found = f"{len(body)} bytes, declared as {declared}"
        raise _refused(name, info.orig_filename, found, "what it declares")
    return body


def part(body: bytes, gate: str, commit: str, name: str) -> Part:
    """The validated part of a gate on a commit; raises Problem."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"{gate}.json"
        path.write_bytes(body)
        try:
            found = evidence.read(path)
        except Problem as problem:
            # It may name a field of the artifact's own invention.
            expected = "evidence as docs/evidence.schema.json describes it"
            raise _refused(name, path.name, shown(problem.found), expected) from None
    if found.commit != commit:
        raise _refused(name, path.name, f"the commit {found.commit[:12]}", commit[:12])
    return found


def _refused(name: str, entry: str, found: str, expected: str) -> Problem:
    where = f"artifact {shown(name)}" + (f", entry {shown(entry)}" if entry else "")
    return Problem(where, found, expected, "Nothing was posted; see what the run uploaded.")
